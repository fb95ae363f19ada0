//! What is sent: OTLP's `ExportMetricsServiceRequest`, as the JSON that protobuf makes of it
//! (`opentelemetry/proto/metrics/v1/metrics.proto`; the specification of OTLP, *JSON Protobuf Encoding*): names in `lowerCamelCase`,
//! numbers of 64 bits as text, enums as numbers. Shapes only; filled in by `translate`.

use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::Display;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: a value counts from its start on, not from the value before.
const CUMULATIVE: u8 = 2;

/// One request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportRequest<'a> {
    /// What was measured, by what it was measured of.
    pub resource_metrics: &'a [ResourceMetrics],
}

/// What was measured of one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMetrics {
    resource: Resource,
    scope_metrics: [ScopeMetrics; 1],
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ScopeMetrics {
    scope: Scope,
    metrics: Vec<Metric>,
}

/// Who has measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

/// A name and what it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribute {
    /// The name.
    pub key: Cow<'static, str>,
    /// What it has.
    pub value: AnyValue,
}

/// What an attribute has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AnyValue {
    /// Text.
    StringValue(String),
    /// A whole number.
    IntValue(Whole<i64>),
}

/// A number of 64 bits. In JSON it may be a number or text (OTLP, "JSON Protobuf Encoding"): a number as long as every reader has all its digits,
/// text beyond, as times are. Some collectors lose counts that are text without a word (the crate `opentelemetry-proto`, seen in Rotel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<T>(pub T);

/// Up to which number readers that know floating point only have all digits.
const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

impl<T: Copy + Display + TryInto<i64>> Serialize for Whole<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.try_into() {
            Ok(number) if number.unsigned_abs() <= EXACT => serializer.serialize_i64(number),
            _ => serializer.collect_str(&self.0),
        }
    }
}

/// One metric of one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// What it is called.
    pub name: Cow<'static, str>,
    /// What it says, for people.
    pub description: Cow<'static, str>,
    /// Its unit, by UCUM.
    pub unit: Cow<'static, str>,
    /// What was measured.
    #[serde(flatten)]
    pub data: Data,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    /// How something is now.
    Gauge(Gauge),
    /// How much there is, or was counted: adds up over resources.
    Sum(Sum),
    /// How durations are spread.
    Histogram(Histogram),
}

/// How something is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gauge {
    data_points: Vec<NumberPoint>,
}

/// How much there is, or was counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sum {
    data_points: Vec<NumberPoint>,
    aggregation_temporality: u8,
    is_monotonic: bool,
}

/// How durations are spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    data_points: [HistogramPoint; 1],
    aggregation_temporality: u8,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberPoint {
    /// What tells it from others of its metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// When the counting began; none of a gauge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_unix_nano: Option<Whole<u64>>,
    /// When it was so.
    pub time_unix_nano: Whole<u64>,
    /// The number.
    #[serde(flatten)]
    pub value: Number,
}

/// A number, which is not infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Number {
    /// A whole one.
    AsInt(Whole<i64>),
    /// Another.
    AsDouble(f64),
}

/// How many durations there were, how long they were together, and how many were within which bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistogramPoint {
    /// When the counting began.
    pub start_time_unix_nano: Whole<u64>,
    /// When it was so.
    pub time_unix_nano: Whole<u64>,
    /// How many.
    pub count: Whole<u64>,
    /// Together, in the metric's unit.
    pub sum: f64,
    /// How many were above the bound before and not above this one; one more than there are bounds, or none at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bucket_counts: Vec<Whole<u64>>,
    /// The bounds, ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explicit_bounds: Vec<f64>,
}

impl ResourceMetrics {
    /// What we have measured of a resource.
    pub fn new(attributes: Vec<Attribute>, metrics: Vec<Metric>) -> Self {
        let scope = Scope {
            name: "ostler",
            version: env!("CARGO_PKG_VERSION"),
        };
        Self {
            resource: Resource { attributes },
            scope_metrics: [ScopeMetrics { scope, metrics }],
        }
    }

    /// How many points it has.
    pub fn points(&self) -> usize {
        self.scope_metrics[0].metrics.iter().map(Metric::points).sum()
    }
}

impl Attribute {
    /// One with text.
    pub fn text(key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: AnyValue::StringValue(value.into()),
        }
    }

    /// One with a whole number.
    pub fn whole(key: &'static str, value: i64) -> Self {
        Self {
            key: key.into(),
            value: AnyValue::IntValue(Whole(value)),
        }
    }
}

impl Metric {
    fn points(&self) -> usize {
        match &self.data {
            Data::Gauge(gauge) => gauge.data_points.len(),
            Data::Sum(sum) => sum.data_points.len(),
            Data::Histogram(histogram) => histogram.data_points.len(),
        }
    }
}

impl Data {
    /// How something is now.
    pub fn gauge(data_points: Vec<NumberPoint>) -> Self {
        Self::Gauge(Gauge { data_points })
    }

    /// What was counted (`is_monotonic`), or how much there is.
    pub fn sum(data_points: Vec<NumberPoint>, is_monotonic: bool) -> Self {
        Self::Sum(Sum {
            data_points,
            aggregation_temporality: CUMULATIVE,
            is_monotonic,
        })
    }

    /// How durations are spread.
    pub fn histogram(point: HistogramPoint) -> Self {
        Self::Histogram(Histogram {
            data_points: [point],
            aggregation_temporality: CUMULATIVE,
        })
    }
}

impl Number {
    /// A number of things.
    pub fn count(count: u64) -> Self {
        Self::AsInt(Whole(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_text_where_readers_would_lose_digits_and_enums_are_numbers() {
        let point = |value| NumberPoint {
            attributes: vec![Attribute::text("a", "b")],
            start_time_unix_nano: Some(Whole(u64::MAX)),
            time_unix_nano: Whole(2),
            value,
        };
        let metric = |data| Metric {
            name: "n".into(),
            description: "d".into(),
            unit: "s".into(),
            data,
        };
        let histogram = HistogramPoint {
            start_time_unix_nano: Whole(1),
            time_unix_nano: Whole(2),
            count: Whole(3),
            sum: 0.5,
            bucket_counts: vec![Whole(1), Whole(2)],
            explicit_bounds: vec![0.25],
        };
        let resource = ResourceMetrics::new(
            vec![Attribute::whole("process.pid", 7)],
            vec![
                metric(Data::sum(vec![point(Number::count(u64::MAX))], true)),
                metric(Data::gauge(vec![NumberPoint {
                    attributes: Vec::new(),
                    start_time_unix_nano: None,
                    ..point(Number::AsDouble(1.0))
                }])),
                metric(Data::histogram(histogram)),
            ],
        );
        assert_eq!(resource.points(), 3);
        let request = ExportRequest {
            resource_metrics: &[resource],
        };
        let written = serde_json::to_value(&request).expect("JSON");
        let expected = json!({ "resourceMetrics": [{
            "resource": { "attributes": [{ "key": "process.pid", "value": { "intValue": 7 } }] },
            "scopeMetrics": [{
                "scope": { "name": "ostler", "version": env!("CARGO_PKG_VERSION") },
                "metrics": [
                    { "name": "n", "description": "d", "unit": "s", "sum": {
                        "dataPoints": [{
                            "attributes": [{ "key": "a", "value": { "stringValue": "b" } }],
                            "startTimeUnixNano": "18446744073709551615", "timeUnixNano": 2, "asInt": "9223372036854775807",
                        }],
                        "aggregationTemporality": 2, "isMonotonic": true,
                    } },
                    { "name": "n", "description": "d", "unit": "s",
                        "gauge": { "dataPoints": [{ "timeUnixNano": 2, "asDouble": 1.0 }] } },
                    { "name": "n", "description": "d", "unit": "s", "histogram": {
                        "dataPoints": [{
                            "startTimeUnixNano": 1, "timeUnixNano": 2, "count": 3, "sum": 0.5,
                            "bucketCounts": [1, 2], "explicitBounds": [0.25],
                        }],
                        "aggregationTemporality": 2,
                    } },
                ],
            }],
        }] });
        assert_eq!(written, expected);
    }
}
