//! What was counted for each app, over all its workers, reloads and daemons.

use super::Place;
use super::instrument::{Instrument, Span, by, count, counter};
use crate::otlp::memory::{Amounts, Counter, Memory};
use crate::otlp::request::{Data, HistogramPoint, Metric, ResourceMetrics, Whole};
use ostler_wire::metrics::{AppMetrics, LatencyBucket};

/// Classes of status, as `AppMetrics::answered` has them.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// An app as a resource.
pub(super) fn resource(app: &AppMetrics, place: &Place, memory: &mut Memory) -> ResourceMetrics {
    let counter = Counter::App(app.namespace.clone(), app.name.clone());
    let (since, [latency_ms, gc_ms]) = memory.count(counter, amounts(app));
    let now = memory.now();
    let span = Span { since, now };
    let mut metrics = vec![latency(app, latency_ms, span)];
    metrics.extend(COUNTERS.iter().filter_map(|metric| metric.measure(app, span)));
    metrics.push(garbage(app, gc_ms, span));
    let attributes = place.attributes(&app.name, &app.namespace, None);
    ResourceMetrics::new(place.with_others(attributes), metrics)
}

const COUNTERS: [Instrument<AppMetrics>; 2] = [
    counter(
        "ostler.app.http.responses",
        "{response}",
        "HTTP requests answered, by class of status.",
        |app| {
            by(
                "ostler.http.status_class",
                CLASSES.into_iter().zip(app.answered.iter().copied()),
            )
        },
    ),
    counter(
        "ostler.app.http.aborted",
        "{request}",
        "HTTP requests whose connection closed before they were answered.",
        |app| count(Some(app.aborted)),
    ),
];

/// All that began when the app did.
fn amounts(app: &AppMetrics) -> Amounts {
    let buckets = app.latency.iter().map(|bucket| bucket.count);
    let counts = app
        .answered
        .iter()
        .copied()
        .chain([app.aborted, app.gc_pauses])
        .chain(buckets);
    Amounts {
        counts: counts.collect(),
        sums: [app.latency_sum_ms, app.gc_ms],
    }
}

fn latency(app: &AppMetrics, sum_ms: f64, span: Span) -> Metric {
    let bounds = app.latency.iter().filter_map(|bucket| bucket.up_to_ms);
    let explicit_bounds: Vec<f64> = bounds.map(|ms| ms / 1000.0).collect();
    let within = |bounded: bool| {
        let buckets = app
            .latency
            .iter()
            .filter(move |bucket| bucket.up_to_ms.is_some() == bounded);
        buckets.map(|bucket: &LatencyBucket| bucket.count)
    };
    let beyond = within(false).sum();
    let bucket_counts: Vec<u64> = within(true).chain([beyond]).collect();
    let point = HistogramPoint {
        start_time_unix_nano: Whole(span.since),
        time_unix_nano: Whole(span.now),
        count: Whole(bucket_counts.iter().sum()),
        sum: sum_ms / 1000.0,
        bucket_counts: bucket_counts.into_iter().map(Whole).collect(),
        explicit_bounds,
    };
    durations(
        "http.server.request.duration",
        "How long answers took, from the request's head to the answer's end.",
        point,
    )
}

/// How many pauses there were and how long together is known, and no more: a histogram without buckets.
fn garbage(app: &AppMetrics, sum_ms: f64, span: Span) -> Metric {
    let point = HistogramPoint {
        start_time_unix_nano: Whole(span.since),
        time_unix_nano: Whole(span.now),
        count: Whole(app.gc_pauses),
        sum: sum_ms / 1000.0,
        bucket_counts: Vec::new(),
        explicit_bounds: Vec::new(),
    };
    durations("v8js.gc.duration", "Pauses for garbage, of all kinds.", point)
}

fn durations(name: &'static str, description: &'static str, point: HistogramPoint) -> Metric {
    Metric {
        name: name.into(),
        description: description.into(),
        unit: "s".into(),
        data: Data::histogram(point),
    }
}

/// What they are called.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let histograms = ["http.server.request.duration", "v8js.gc.duration"];
    COUNTERS.iter().map(Instrument::name).chain(histograms)
}
