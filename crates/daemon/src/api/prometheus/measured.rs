//! What we measure: of each worker, and of each app over all of them.

use super::page::{Labels, Page};
use ostler_core::Status;
use ostler_wire::control::Handled;
use ostler_wire::metrics::{AppMetrics, CustomMetric, NodeMetrics, WorkerMetrics};

/// Something that each worker, or each app, has.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: fn(&T) -> Vec<Sample>,
}

/// One value of one of them.
struct Sample {
    /// What the family's name is continued by.
    suffix: &'static str,
    /// What tells it from others of the same worker or app.
    labels: Labels,
    value: f64,
}

const fn gauge<T>(name: &'static str, help: &'static str, samples: fn(&T) -> Vec<Sample>) -> Family<T> {
    Family {
        name,
        kind: "gauge",
        help,
        samples,
    }
}

const fn counter<T>(name: &'static str, help: &'static str, samples: fn(&T) -> Vec<Sample>) -> Family<T> {
    Family {
        name,
        kind: "counter",
        help,
        samples,
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
/// Of each worker.
pub(super) const WORKERS: [Family<WorkerMetrics>; 22] = [
    gauge("ostler_worker_up", "Whether it is online.", |worker| {
        one(f64::from(u8::from(worker.row.status == Status::Online)))
    }),
    gauge(
        "ostler_worker_status",
        "1 for what it is: online, launching, stopping, stopped, errored or waiting restart.",
        |worker| labelled("status", [(worker.row.status.as_str(), 1.0)]),
    ),
    gauge(
        "ostler_worker_healthy",
        "Whether its `health` probe passes.",
        |worker| known(worker.row.health.healthy.map(|passes| f64::from(u8::from(passes)))),
    ),
    gauge("ostler_worker_ready", "Whether its `ready` probe passes.", |worker| {
        known(worker.row.health.ready.map(|passes| f64::from(u8::from(passes))))
    }),
    counter(
        "ostler_worker_restarts_total",
        "How often it was started again.",
        |worker| one(f64::from(worker.row.restarts)),
    ),
    gauge(
        "ostler_worker_uptime_seconds",
        "For how long it has been up.",
        |worker| known(worker.row.pid.map(|_| worker.row.uptime_ms as f64 / 1000.0)),
    ),
    gauge(
        "ostler_worker_cpu_ratio",
        "Processors that its process tree keeps busy.",
        |worker| known(worker.row.usage.map(|usage| usage.cpu / 100.0)),
    ),
    gauge(
        "ostler_worker_resident_memory_bytes",
        "Resident memory of its process tree.",
        |worker| known(worker.row.usage.map(|usage| usage.memory as f64)),
    ),
    gauge("ostler_worker_processes", "Processes of its tree.", |worker| {
        known(worker.footprint.map(|footprint| footprint.processes as f64))
    }),
    gauge("ostler_worker_threads", "Threads of its process tree.", |worker| {
        known(worker.footprint.map(|footprint| footprint.threads as f64))
    }),
    gauge(
        "ostler_worker_open_descriptors",
        "Descriptors that its process tree has open.",
        |worker| {
            let open = worker.footprint.and_then(|footprint| footprint.descriptors);
            known(open.map(|open| open as f64))
        },
    ),
    gauge(
        "ostler_worker_open_connections",
        "Connections that it has open.",
        |worker| {
            let active = worker.row.connections.and_then(|connections| connections.active);
            known(active.map(|active| active as f64))
        },
    ),
    counter(
        "ostler_worker_connections_accepted_total",
        "Connections that it, and those before it at its instance, were handed and have taken.",
        |worker| handled(worker, |handled| handled.accepted),
    ),
    counter(
        "ostler_worker_connections_refused_total",
        "Connections that it, and those before it at its instance, were handed and have given back.",
        |worker| handled(worker, |handled| handled.refused),
    ),
    gauge(
        "ostler_worker_http_requests_in_flight",
        "HTTP requests under way.",
        |worker| of_node(worker, |node| Some(node.in_flight as f64)),
    ),
    gauge(
        "ostler_worker_eventloop_utilization_ratio",
        "Share of the time in which the event loop had something to do.",
        |worker| of_node(worker, |node| node.loop_utilisation.map(|percent| percent / 100.0)),
    ),
    gauge("ostler_worker_heap_used_bytes", "Heap of V8 in use.", |worker| {
        of_node(worker, |node| Some(node.heap as f64))
    }),
    gauge(
        "ostler_worker_heap_limit_bytes",
        "What the heap of V8 may grow to.",
        |worker| of_node(worker, |node| Some(node.heap_limit as f64)),
    ),
    gauge("ostler_worker_active_handles", "Active handles of libuv.", |worker| {
        of_node(worker, |node| Some(node.active_handles as f64))
    }),
    gauge(
        "ostler_worker_report_age_seconds",
        "How long ago it last said how it is doing.",
        |worker| of_node(worker, |node| Some(node.age_ms as f64 / 1000.0)),
    ),
    gauge(
        "ostler_worker_eventloop_delay_seconds",
        "How late the event loop was lately, by quantile (1 is the largest).",
        |worker| {
            let Some(delay) = worker.node.and_then(|node| node.loop_delay) else {
                return Vec::new();
            };
            let quantiles = [("0.5", delay.p50), ("0.99", delay.p99), ("1", delay.max)];
            labelled("quantile", quantiles.map(|(quantile, ms)| (quantile, ms / 1000.0)))
        },
    ),
    gauge(
        "ostler_worker_custom",
        "What the app measures itself, if it is a number.",
        |worker| {
            let sample = |(name, metric): (&String, &CustomMetric)| {
                let mut labels: Labels = vec![("metric".into(), name.clone())];
                labels.extend(metric.unit.clone().map(|unit| ("unit".into(), unit)));
                Some(Sample {
                    suffix: "",
                    labels,
                    value: metric.number()?,
                })
            };
            worker.custom.iter().filter_map(sample).collect()
        },
    ),
];

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
/// Of each app.
pub(super) const APPS: [Family<AppMetrics>; 5] = [
    counter(
        "ostler_http_requests_total",
        "HTTP requests answered, by class of status.",
        |app| {
            let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&app.answered);
            labelled("class", classes.map(|(class, count)| (class, *count as f64)))
        },
    ),
    counter(
        "ostler_http_requests_aborted_total",
        "HTTP requests whose connection closed before they were answered.",
        |app| one(app.aborted as f64),
    ),
    Family {
        name: "ostler_http_request_duration_seconds",
        kind: "histogram",
        help: "How long answers took, from the request's head to the answer's end.",
        samples: latency,
    },
    counter("ostler_gc_pauses_total", "Pauses for garbage.", |app| {
        one(app.gc_pauses as f64)
    }),
    counter(
        "ostler_gc_pause_seconds_total",
        "How long pauses for garbage were together.",
        |app| one(app.gc_ms / 1000.0),
    ),
];

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
fn latency(app: &AppMetrics) -> Vec<Sample> {
    let mut count = 0;
    let mut samples = Vec::new();
    for bucket in &app.latency {
        count += bucket.count;
        let bound = bucket
            .up_to_ms
            .map_or("+Inf".to_owned(), |ms| (ms / 1000.0).to_string());
        samples.push(Sample {
            suffix: "_bucket",
            labels: vec![("le".into(), bound)],
            value: count as f64,
        });
    }
    for (suffix, value) in [("_sum", app.latency_sum_ms / 1000.0), ("_count", count as f64)] {
        samples.push(Sample {
            suffix,
            labels: Labels::new(),
            value,
        });
    }
    samples
}

fn one(value: f64) -> Vec<Sample> {
    known(Some(value))
}

fn known(value: Option<f64>) -> Vec<Sample> {
    let sample = |value| Sample {
        suffix: "",
        labels: Labels::new(),
        value,
    };
    value.map(sample).into_iter().collect()
}

/// Unknown where workers accept by themselves, and while none runs.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
fn handled(worker: &WorkerMetrics, count: fn(Handled) -> u64) -> Vec<Sample> {
    let handled = worker.row.connections.and_then(|connections| connections.handled);
    known(handled.map(|handled| count(handled) as f64))
}

fn of_node(worker: &WorkerMetrics, value: impl Fn(&NodeMetrics) -> Option<f64>) -> Vec<Sample> {
    known(worker.node.as_ref().and_then(value))
}

fn labelled(label: &'static str, values: impl IntoIterator<Item = (&'static str, f64)>) -> Vec<Sample> {
    let sample = |(of, value): (&str, f64)| Sample {
        suffix: "",
        labels: vec![(label.into(), of.to_owned())],
        value,
    };
    values.into_iter().map(sample).collect()
}

impl Page {
    /// Each family, of all who have it.
    pub(super) fn families<T>(&mut self, families: &[Family<T>], all: &[T], labels: fn(&T) -> Labels) {
        for family in families {
            self.family(family.name, family.kind, family.help);
            for one in all {
                for sample in (family.samples)(one) {
                    let labels = [labels(one), sample.labels].concat();
                    self.sample(&format!("{}{}", family.name, sample.suffix), &labels, sample.value);
                }
            }
        }
    }
}
