//! What a metric is called, its unit and kind, and how it becomes points. Used by `worker` and `app`, which have the tables.

use crate::otlp::request::{Attribute, Data, Metric, Number, NumberPoint, Whole};

/// A metric of each `T`.
pub(super) struct Instrument<T> {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
    values: fn(&T) -> Vec<Value>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// How something is now.
    Gauge,
    /// How much there is: adds up over resources (an *UpDownCounter*).
    Amount,
    /// What was counted, and only grows.
    Counter,
}

/// One value, and what tells it from others of the same resource.
pub(super) struct Value {
    attributes: Vec<Attribute>,
    number: Number,
}

/// When something is measured, and since when it is counted.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) since: u64,
    pub(super) now: u64,
}

macro_rules! constructors {
    ($($(#[$meta:meta])* $constructor:ident $kind:ident),+) => {
        $($(#[$meta])*
        pub(super) const fn $constructor<T>(
            name: &'static str,
            unit: &'static str,
            description: &'static str,
            values: fn(&T) -> Vec<Value>,
        ) -> Instrument<T> {
            Instrument { name, unit, description, kind: Kind::$kind, values }
        })+
    };
}

constructors! {
    /// How something is now.
    gauge Gauge,
    /// How much there is.
    amount Amount,
    /// What was counted.
    counter Counter
}

impl<T> Instrument<T> {
    /// As it is sent; none if nothing is known.
    pub(super) fn measure(&self, of: &T, span: Span) -> Option<Metric> {
        let values = (self.values)(of);
        if values.is_empty() {
            return None;
        }
        let since = match self.kind {
            Kind::Gauge => None,
            Kind::Amount | Kind::Counter => Some(Whole(span.since)),
        };
        let points = values.into_iter().map(|value| NumberPoint {
            attributes: value.attributes,
            start_time_unix_nano: since,
            time_unix_nano: Whole(span.now),
            value: value.number,
        });
        let points = points.collect();
        Some(Metric {
            name: self.name.into(),
            description: self.description.into(),
            unit: self.unit.into(),
            data: match self.kind {
                Kind::Gauge => Data::gauge(points),
                Kind::Amount => Data::sum(points, false),
                Kind::Counter => Data::sum(points, true),
            },
        })
    }

    /// What it is called.
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

/// A number of things, if it is known.
pub(super) fn count(count: Option<u64>) -> Vec<Value> {
    count.map(|count| plain(Number::count(count))).into_iter().collect()
}

/// A number, if it is known.
pub(super) fn double(value: Option<f64>) -> Vec<Value> {
    value.map(|value| plain(Number::AsDouble(value))).into_iter().collect()
}

/// 1 for yes and 0 for no, if it is known.
pub(super) fn yes_or_no(answer: Option<bool>) -> Vec<Value> {
    count(answer.map(u64::from))
}

/// How many there are of each.
pub(super) fn by(key: &'static str, counts: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<Value> {
    let value = |(of, count)| Value {
        attributes: vec![Attribute::text(key, of)],
        number: Number::count(count),
    };
    counts.into_iter().map(value).collect()
}

fn plain(number: Number) -> Value {
    Value {
        attributes: Vec::new(),
        number,
    }
}
