//! What an app has registered with a library for metrics (`prom-client`) in each of its workers, added up over them.
//!
//! Each worker has a registry of its own and counts since it began. So what a worker had counted when it ended stays with its app, as
//! [`super::Totals`] has it for what we count ourselves; a gauge is of those who live.

use super::exact::Exact;
use crate::ids::WorkerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Metrics by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Registry(pub BTreeMap<String, Registered>);

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// What it is, for people.
    pub help: String,
    /// How it behaves.
    pub kind: RegisteredKind,
    /// What several workers have together.
    pub together: Together,
    /// Its values.
    pub values: Vec<RegisteredValue>,
}

/// How a metric behaves (<https://prometheus.io/docs/concepts/metric_types/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegisteredKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Quantiles of late, and counts.
    Summary,
}

/// What several workers have together (`aggregator` of prom-client).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Together {
    /// All of it.
    #[default]
    Sum,
    /// What one of them has, the first that is asked.
    First,
    /// The least.
    Min,
    /// The most.
    Max,
    /// The mean.
    Average,
    /// Nothing that could be told.
    Omit,
}

/// One value of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisteredValue {
    /// The metric's name, with what a histogram or summary puts behind it.
    pub name: String,
    /// What tells it from others of its name.
    pub labels: BTreeMap<String, String>,
    /// How much.
    #[serde(flatten)]
    pub amount: Exact,
}

impl RegisteredKind {
    /// Prometheus's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

impl Registered {
    /// Whether a value of it only grows.
    fn only_grows(&self, value: &RegisteredValue) -> bool {
        match self.kind {
            RegisteredKind::Counter | RegisteredKind::Histogram => true,
            RegisteredKind::Gauge => false,
            // Of a summary the quantiles do not.
            RegisteredKind::Summary => !value.labels.contains_key("quantile"),
        }
    }
}

impl Registry {
    /// What is left of it when its worker is gone: that which only grows.
    fn that_stays(self) -> Self {
        let stays = |(name, mut metric): (String, Registered)| {
            let values = std::mem::take(&mut metric.values);
            metric.values = values.into_iter().filter(|value| metric.only_grows(value)).collect();
            (!metric.values.is_empty()).then_some((name, metric))
        };
        Self(self.0.into_iter().filter_map(stays).collect())
    }

    /// What several have together.
    pub fn together<'a>(registries: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sums: BTreeMap<&String, Sum<'_>> = BTreeMap::new();
        for (name, metric) in registries.into_iter().flat_map(|registry| &registry.0) {
            let sum = sums.entry(name).or_insert_with(|| Sum::of(metric));
            // Two things of one name, by two releases of an app: the one that was there first.
            if sum.metric.kind == metric.kind {
                metric.values.iter().for_each(|value| sum.add(value));
            }
        }
        let sums = sums.into_iter().map(|(name, sum)| (name.clone(), sum.done()));
        Self(sums.filter(|(_, metric)| metric.together != Together::Omit).collect())
    }
}

struct Sum<'a> {
    metric: &'a Registered,
    /// In the order in which they were met, which is that of a histogram's buckets.
    values: Vec<(&'a RegisteredValue, Exact, u32)>,
    places: BTreeMap<(&'a str, &'a BTreeMap<String, String>), usize>,
}

impl<'a> Sum<'a> {
    fn of(metric: &'a Registered) -> Self {
        Self {
            metric,
            values: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    fn add(&mut self, value: &'a RegisteredValue) {
        let place = *self
            .places
            .entry((value.name.as_str(), &value.labels))
            .or_insert(self.values.len());
        let Some((_, sum, count)) = self.values.get_mut(place) else {
            return self.values.push((value, value.amount, 1));
        };
        *sum = match self.metric.together {
            Together::Sum | Together::Average => *sum + value.amount,
            Together::First | Together::Omit => *sum,
            Together::Min => sum.value.min(value.amount.value).into(),
            Together::Max => sum.value.max(value.amount.value).into(),
        };
        *count += 1;
    }

    fn done(self) -> Registered {
        let values = self.values.into_iter().map(|(value, sum, count)| RegisteredValue {
            name: value.name.clone(),
            labels: value.labels.clone(),
            amount: match self.metric.together {
                Together::Average => (sum.value / f64::from(count)).into(),
                Together::Sum | Together::First | Together::Min | Together::Max | Together::Omit => sum,
            },
        });
        Registered {
            values: values.collect(),
            help: self.metric.help.clone(),
            ..*self.metric
        }
    }
}

/// What an app's workers have registered, also those that are gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registries {
    ended: Registry,
    workers: BTreeMap<WorkerId, Registry>,
}

impl Registries {
    /// Of an app whose workers that are gone have left this.
    pub fn after(ended: Registry) -> Self {
        Self {
            ended,
            ..Self::default()
        }
    }

    /// A worker says what it has. What it said before is part of that.
    pub fn report(&mut self, worker: WorkerId, registry: Registry) {
        self.workers.insert(worker, registry);
    }

    /// A worker is gone. Whether it had said anything.
    pub fn end(&mut self, worker: WorkerId) -> bool {
        let gone = self.workers.remove(&worker).map(Registry::that_stays);
        let Some(gone) = gone else { return false };
        self.ended = Registry::together([&self.ended, &gone]);
        true
    }

    /// What those have left that are gone.
    pub fn ended(&self) -> &Registry {
        &self.ended
    }

    /// Those who have said something and are not gone.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    /// Everything. What only grows is not less than before, but for an app that sets its own back.
    pub fn all(&self) -> Registry {
        Registry::together(self.workers.values().chain([&self.ended]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Name, labels, how much.
    type Value<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

    fn metric(kind: RegisteredKind, together: Together, values: &[Value<'_>]) -> Registered {
        let value = |(name, labels, value): &Value<'_>| RegisteredValue {
            name: (*name).to_owned(),
            labels: labels
                .iter()
                .map(|(label, text)| ((*label).to_owned(), (*text).to_owned()))
                .collect(),
            amount: (*value).into(),
        };
        Registered {
            help: "Help.".to_owned(),
            kind,
            together,
            values: values.iter().map(value).collect(),
        }
    }

    fn registry(metrics: Vec<(&str, Registered)>) -> Registry {
        Registry(
            metrics
                .into_iter()
                .map(|(name, metric)| (name.to_owned(), metric))
                .collect(),
        )
    }

    fn value(registry: &Registry, name: &str) -> Option<f64> {
        let (_, metric) = registry.0.iter().find(|(metric, _)| name.starts_with(*metric))?;
        metric
            .values
            .iter()
            .find(|value| value.name == name)
            .map(|value| value.amount.value)
    }

    fn gauge(together: Together, amount: f64) -> Registry {
        registry(vec![(
            "g",
            metric(RegisteredKind::Gauge, together, &[("g", &[], amount)]),
        )])
    }

    #[test]
    fn what_several_have_is_what_the_metric_says() {
        let of = |together| {
            let all = [gauge(together, 4.0), gauge(together, 1.0), gauge(together, 7.0)];
            value(&Registry::together(&all), "g")
        };
        assert_eq!(of(Together::Sum), Some(12.0));
        assert_eq!(of(Together::First), Some(4.0));
        assert_eq!(of(Together::Min), Some(1.0));
        assert_eq!(of(Together::Max), Some(7.0));
        assert_eq!(of(Together::Average), Some(4.0));
        assert_eq!(of(Together::Omit), None);
    }

    #[test]
    fn labels_tell_values_apart_and_buckets_keep_their_order() {
        let histogram = |low: f64, all: f64| {
            let values: [Value<'_>; 4] = [
                ("h_bucket", &[("le", "5")], low),
                ("h_bucket", &[("le", "10")], all),
                ("h_bucket", &[("le", "+Inf")], all),
                ("h_count", &[], all),
            ];
            registry(vec![("h", metric(RegisteredKind::Histogram, Together::Sum, &values))])
        };
        let together = Registry::together(&[histogram(1.0, 2.0), histogram(3.0, 4.0)]);
        let values = &together.0["h"].values;
        let told: Vec<(Option<&str>, f64)> = values
            .iter()
            .map(|value| (value.labels.get("le").map(String::as_str), value.amount.value))
            .collect();
        assert_eq!(
            told,
            [(Some("5"), 4.0), (Some("10"), 6.0), (Some("+Inf"), 6.0), (None, 6.0)]
        );
    }

    #[test]
    fn of_who_is_gone_stays_what_only_grows() {
        let mut registries = Registries::default();
        let summary: [Value<'_>; 2] = [("s", &[("quantile", "0.5")], 3.0), ("s_count", &[], 8.0)];
        let mut all = gauge(Together::Sum, 5.0);
        all.0
            .insert("s".to_owned(), metric(RegisteredKind::Summary, Together::Sum, &summary));
        registries.report(WorkerId::new(0, 1), all);
        assert!(registries.end(WorkerId::new(0, 1)));
        assert!(!registries.end(WorkerId::new(0, 1)), "it is gone");
        let all = registries.all();
        assert_eq!(
            (value(&all, "g"), value(&all, "s_count"), value(&all, "s")),
            (None, Some(8.0), None)
        );
    }

    #[test]
    fn a_release_that_makes_a_gauge_of_a_counter_does_not_add_one_to_the_other() {
        let counter = registry(vec![(
            "g",
            metric(RegisteredKind::Counter, Together::Sum, &[("g", &[], 9.0)]),
        )]);
        let together = Registry::together(&[gauge(Together::Sum, 1.0), counter]);
        assert_eq!(value(&together, "g"), Some(1.0));
    }

    #[test]
    fn sums_do_not_shrink_by_being_added_in_another_order() {
        let mut registries = Registries::default();
        let counter = |amount| {
            registry(vec![(
                "c",
                metric(RegisteredKind::Counter, Together::Sum, &[("c", &[], amount)]),
            )])
        };
        for (slot, amount) in [(0, 0.3), (1, 0.2), (2, 0.1)] {
            registries.report(WorkerId::new(slot, 1), counter(amount));
        }
        let before = value(&registries.all(), "c");
        for slot in [0, 2, 1] {
            registries.end(WorkerId::new(slot, 1));
            assert!(value(&registries.all(), "c") >= before, "{slot}");
        }
        // An app may set its own back.
        registries.report(WorkerId::new(0, 2), counter(5.0));
        assert!(value(&registries.all(), "c") > Some(5.0));
        registries.report(WorkerId::new(0, 2), counter(0.0));
        assert!(value(&registries.all(), "c") < Some(1.0));
    }

    proptest! {
        /// Workers count, some of what they say is lost, they are replaced: the sum is what they said, and never less than before.
        #[test]
        fn sums_only_grow(steps in prop::collection::vec((0..4_u32, 0..50_u32, any::<bool>(), any::<bool>()), 1..100)) {
            let mut registries = Registries::default();
            let mut generations = [0_u32; 4];
            let mut counted = [0.0; 4];
            let mut told = [0.0; 4];
            let (mut gone, mut last) = (0.0, 0.0);
            for (slot, more, is_lost, ends) in steps {
                let at = slot as usize;
                counted[at] += f64::from(more);
                if !is_lost {
                    told[at] = counted[at];
                    let counter = metric(RegisteredKind::Counter, Together::Sum, &[("c", &[], counted[at])]);
                    registries.report(WorkerId::new(slot, generations[at]), registry(vec![("c", counter)]));
                }
                if ends {
                    registries.end(WorkerId::new(slot, generations[at]));
                    gone += told[at];
                    generations[at] += 1;
                    (counted[at], told[at]) = (0.0, 0.0);
                }
                let all = value(&registries.all(), "c").unwrap_or(0.0);
                prop_assert!(all >= last);
                prop_assert_eq!(all, gone + told.iter().sum::<f64>());
                last = all;
            }
        }
    }
}
