//! How workers are doing, as the control API tells it: `GET /v1/metrics` and `GET /v1/charts` (see [`crate::control`]).
//!
//! What is not known is absent or null, never 0.

use crate::control::ProcessRow;
use ostler_core::SlotId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to `GET /v1/metrics`. Asking has workers of Node report every second for a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metrics {
    /// Each slot, by id.
    pub workers: Vec<WorkerMetrics>,
    /// What was counted for each app since it was first started, also by workers that are gone: only grows.
    pub apps: Vec<AppMetrics>,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerMetrics {
    /// What lists show of it.
    #[serde(flatten)]
    pub row: ProcessRow,
    /// What a program of Node says of itself.
    pub node: Option<NodeMetrics>,
    /// What its process tree costs the machine; where that was asked for, and it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Footprint>,
    /// What the app measures itself, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, CustomMetric>,
}

/// What a worker's process tree costs the machine beside processor time and resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Footprint {
    /// How many processes it has.
    pub processes: u64,
    /// Their threads.
    pub threads: u64,
    /// Their open descriptors; null where they may not be counted.
    pub descriptors: Option<u64>,
    /// Their memory in bytes, a page that several processes have counting for each by its share (PSS); null where that is not to be known.
    pub proportional_memory: Option<u64>,
}

/// Something that an app measures itself (PM2's `axm:monitor`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomMetric {
    /// A number, or text as the app has written it.
    pub value: serde_json::Value,
    /// Its unit, in the app's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it is of, in the app's words.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it is worth a chart, says the app.
    #[serde(default)]
    pub historic: bool,
}

impl CustomMetric {
    /// The number that it is, also of one that is written as text with two decimals or with its unit behind it, as `@pm2/io` does.
    pub fn number(&self) -> Option<f64> {
        let number = match &self.value {
            serde_json::Value::String(text) => text.split_whitespace().next()?.parse().ok(),
            serde_json::Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
            value => value.as_f64(),
        };
        number.filter(|number: &f64| number.is_finite())
    }
}

/// Something that an app does when it is told to (PM2's `axm:action`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomAction {
    /// What it is called.
    #[serde(rename = "action_name")]
    pub name: String,
    /// `custom`, `internal` or `scoped`.
    #[serde(default, rename = "action_type")]
    pub kind: Option<String>,
    /// How many arguments the function behind it takes.
    #[serde(default)]
    pub arity: u32,
}

/// What a program of Node says of itself, by its last report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeMetrics {
    /// How old the report is, ms.
    pub age_ms: u64,
    /// How late the event loop was lately; null while it has next to nothing to do.
    pub loop_delay: Option<LoopDelay>,
    /// Share of the time in which the event loop had something to do, percent.
    pub loop_utilisation: Option<f64>,
    /// Share of the time in which garbage was collected and nothing else done, percent.
    pub gc: Option<f64>,
    /// Heap in use, bytes.
    pub heap: u64,
    /// What the heap may grow to, bytes.
    pub heap_limit: u64,
    /// Active handles of libuv.
    pub active_handles: u64,
    /// Requests to the system under way.
    pub active_requests: u64,
    /// HTTP requests under way.
    pub in_flight: u64,
    /// HTTP requests lately.
    pub http: Option<HttpRates>,
}

/// How late the event loop was since the report before, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoopDelay {
    /// The mean.
    pub mean: f64,
    /// Half were below.
    pub p50: f64,
    /// 99 of 100 were below.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What was counted for an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppMetrics {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// HTTP requests answered, by class of status from 1xx to 5xx.
    pub answered: Vec<u64>,
    /// HTTP requests whose connection closed before they were answered.
    pub aborted: u64,
    /// How many answers took how long, bucket by bucket.
    pub latency: Vec<LatencyBucket>,
    /// How long all of them took together, ms.
    pub latency_sum_ms: f64,
    /// Pauses for garbage.
    pub gc_pauses: u64,
    /// How long all of them were, ms.
    pub gc_ms: f64,
}

/// Answers that took so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LatencyBucket {
    /// Up to so many ms, and longer than the bucket before; null for all that took longer than that.
    pub up_to_ms: Option<f64>,
    /// How many.
    pub count: u64,
}

/// The answer to `GET /v1/charts?selector=S`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Charts {
    /// By slot and by what is measured.
    pub charts: Vec<Chart>,
}

/// One line of a chart: the last hour by minutes, the last ten minutes of it by 10 s. Where nothing was measured no point is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Chart {
    /// The slot.
    pub id: SlotId,
    /// What is measured.
    pub measure: Measure,
    /// In order of time.
    pub points: Vec<ChartPoint>,
}

/// A point of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChartPoint {
    /// How long ago its time began, ms.
    pub ago_ms: u64,
    /// For how long it stands, ms.
    pub span_ms: u64,
    /// The mean.
    pub mean: f32,
    /// The largest.
    pub largest: f32,
}

pub use ostler_core::metrics::{HttpRates, Measure};
