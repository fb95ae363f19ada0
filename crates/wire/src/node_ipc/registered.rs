//! What our preload has found in an app's registry of `prom-client` (`node/registered.cjs`): a message of the app's kind,
//! `{type: "ostler:registered", data: […]}`, of what `getMetricsAsJSON()` of version 15 gives.

use ostler_core::metrics::{Registered, RegisteredKind, RegisteredValue, Registry, Together};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many values of a worker are taken. More are a mistake of the app's, such as a label for each visitor.
const MOST: usize = 10_000;

#[derive(Deserialize)]
struct Message {
    data: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    #[serde(default)]
    help: String,
    #[serde(rename = "type")]
    kind: RegisteredKind,
    #[serde(default)]
    aggregator: Option<String>,
    values: Vec<Measured>,
}

#[derive(Deserialize)]
struct Measured {
    /// Not a number as null.
    value: Option<f64>,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default, rename = "metricName")]
    name: Option<String>,
}

/// What a worker's message says that it has registered; nothing if it is about something else, or of another shape. What has no name that
/// Prometheus would take is left out.
pub fn registered(message: &Value) -> Option<Registry> {
    if message.get("type")? != "ostler:registered" {
        return None;
    }
    let Message { data } = Message::deserialize(message).ok()?;
    let mut room = MOST;
    let mut metrics = BTreeMap::new();
    for metric in data.into_iter().filter(|metric| is_name(&metric.name)) {
        let values = metric.values.into_iter().filter_map(|value| told(&metric.name, value));
        let values: Vec<RegisteredValue> = values.take(room).collect();
        room -= values.len();
        let registered = Registered {
            help: metric.help,
            kind: metric.kind,
            together: together(metric.aggregator.as_deref()),
            values,
        };
        metrics.insert(metric.name, registered);
    }
    Some(Registry(metrics))
}

fn told(metric: &str, measured: Measured) -> Option<RegisteredValue> {
    let name = measured.name.unwrap_or_else(|| metric.to_owned());
    if !is_name(&name) {
        return None;
    }
    let labels = measured.labels.into_iter().filter(|(label, _)| is_label(label));
    Some(RegisteredValue {
        name,
        labels: labels
            .filter_map(|(label, value)| Some((label, text(value)?)))
            .collect(),
        amount: measured.value?.into(),
    })
}

/// As prom-client writes it.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn together(aggregator: Option<&str>) -> Together {
    match aggregator {
        Some("first") => Together::First,
        Some("min") => Together::Min,
        Some("max") => Together::Max,
        Some("average") => Together::Average,
        Some("omit") => Together::Omit,
        Some(_) | None => Together::Sum,
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, and none of ours.
fn is_name(name: &str) -> bool {
    is_of(name, |c| c == '_' || c == ':') && !name.starts_with("ostler_")
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_label(name: &str) -> bool {
    is_of(name, |c| c == '_')
}

fn is_of(name: &str, more: impl Fn(char) -> bool) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || more(c);
    name.starts_with(begins) && name.chars().all(|c| begins(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_prom_client_gives_is_understood() {
        let message = json!({ "type": "ostler:registered", "data": [
            { "help": "Sold.", "name": "sold_total", "type": "counter", "values": [{ "value": 3, "labels": { "kind": "cake", "size": 2 } }], "aggregator": "sum" },
            { "help": "", "name": "age", "type": "gauge", "values": [{ "value": 1.5, "labels": {} }], "aggregator": "max" },
            { "name": "took", "help": "", "type": "histogram", "aggregator": "sum", "values": [
                { "labels": { "le": 0.5 }, "value": 1, "metricName": "took_bucket", "exemplar": null },
                { "labels": { "le": "+Inf" }, "value": 2, "metricName": "took_bucket" },
                { "labels": {}, "value": 1.25, "metricName": "took_sum" } ] },
        ] });
        let registry = registered(&message).expect("understood");
        let sold = &registry.0["sold_total"];
        assert_eq!(
            (sold.kind, sold.together, sold.help.as_str()),
            (RegisteredKind::Counter, Together::Sum, "Sold.")
        );
        let labels = [
            ("kind".to_owned(), "cake".to_owned()),
            ("size".to_owned(), "2".to_owned()),
        ];
        let value = RegisteredValue {
            name: "sold_total".to_owned(),
            labels: labels.into(),
            amount: 3.0.into(),
        };
        assert_eq!(sold.values, [value]);
        assert_eq!(registry.0["age"].together, Together::Max);
        let names: Vec<&str> = registry.0["took"]
            .values
            .iter()
            .map(|value| value.name.as_str())
            .collect();
        assert_eq!(names, ["took_bucket", "took_bucket", "took_sum"]);
        assert_eq!(registry.0["took"].values[0].labels["le"], "0.5");
    }

    #[test]
    fn what_prometheus_would_not_take_is_left_out() {
        let value = json!([{ "value": 1, "labels": { "good": "a", "b-a-d": "b", "none": null } }]);
        let metric = |name: &str| json!({ "name": name, "type": "gauge", "values": value });
        let message = json!({ "type": "ostler:registered", "data": [metric("good"), metric("b-a-d"), metric("ostler_worker_up"), metric("")] });
        let registry = registered(&message).expect("understood");
        assert_eq!(registry.0.keys().collect::<Vec<_>>(), ["good"]);
        let labels: Vec<&String> = registry.0["good"].values[0].labels.keys().collect();
        assert_eq!(labels, ["good"]);
        for other in [
            json!("ready"),
            json!({ "type": "axm:monitor", "data": {} }),
            json!({ "type": "ostler:registered", "data": 1 }),
        ] {
            assert_eq!(registered(&other), None, "{other}");
        }
    }

    #[test]
    fn an_app_that_makes_up_ever_more_labels_has_ten_thousand() {
        let values: Vec<Value> = (0..MOST + 5)
            .map(|n| json!({ "value": n, "labels": { "visitor": n } }))
            .collect();
        let metric = |name: &str| json!({ "name": name, "type": "gauge", "values": values });
        let message = json!({ "type": "ostler:registered", "data": [metric("a"), metric("b")] });
        let registry = registered(&message).expect("understood");
        assert_eq!(
            registry.0.values().map(|metric| metric.values.len()).sum::<usize>(),
            MOST
        );
    }
}
