//! How workers are doing, as Prometheus reads it: the text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), names and base units by its conventions.
//!
//! Counters are of apps and only grow, over reloads and changes of daemon; what a worker is doing now are gauges by instance. What is not
//! known is left out.

use ostler_core::Status;
use ostler_wire::metrics::{AppMetrics, Metrics, NodeMetrics, WorkerMetrics};
use std::fmt::Write as _;

/// What the answer says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer.
pub fn text(metrics: &Metrics, version: &str) -> String {
    let mut page = Page::default();
    page.family("ostler_build_info", "gauge", "Ostler's version.");
    page.sample("ostler_build_info", &vec![("version", version.to_owned())], 1.0);
    for gauge in WORKERS {
        page.family(gauge.name, gauge.kind, gauge.help);
        for worker in &metrics.workers {
            if let Some(value) = (gauge.value)(worker) {
                page.sample(gauge.name, &labels(worker), value);
            }
        }
    }
    page.family(
        "ostler_worker_eventloop_delay_seconds",
        "gauge",
        "How late the event loop was lately, by quantile (1 is the largest).",
    );
    for worker in &metrics.workers {
        let Some(delay) = worker.node.and_then(|node| node.loop_delay) else {
            continue;
        };
        for (quantile, ms) in [("0.5", delay.p50), ("0.99", delay.p99), ("1", delay.max)] {
            let labels = with(labels(worker), "quantile", quantile);
            page.sample("ostler_worker_eventloop_delay_seconds", &labels, ms / 1000.0);
        }
    }
    apps(&mut page, &metrics.apps);
    page.text
}

/// Something that each worker has one of.
struct OfWorker {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&WorkerMetrics) -> Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
const WORKERS: [OfWorker; 12] = [
    of_worker("ostler_worker_up", "Whether it is online.", |worker| {
        Some(f64::from(u8::from(worker.status == Status::Online)))
    }),
    OfWorker {
        name: "ostler_worker_restarts_total",
        kind: "counter",
        help: "How often it was started again.",
        value: |worker| Some(f64::from(worker.restarts)),
    },
    of_worker(
        "ostler_worker_uptime_seconds",
        "For how long it has been up.",
        |worker| worker.pid.map(|_| worker.uptime_ms as f64 / 1000.0),
    ),
    of_worker(
        "ostler_worker_cpu_ratio",
        "Processors that its process tree keeps busy.",
        |worker| worker.usage.map(|usage| usage.cpu / 100.0),
    ),
    of_worker(
        "ostler_worker_resident_memory_bytes",
        "Resident memory of its process tree.",
        |worker| worker.usage.map(|usage| usage.memory as f64),
    ),
    of_worker(
        "ostler_worker_open_connections",
        "Connections that it has open.",
        |worker| {
            worker
                .connections
                .and_then(|connections| connections.active)
                .map(|active| active as f64)
        },
    ),
    of_worker(
        "ostler_worker_http_requests_in_flight",
        "HTTP requests under way.",
        |worker| node(worker, |node| Some(node.in_flight as f64)),
    ),
    of_worker(
        "ostler_worker_eventloop_utilization_ratio",
        "Share of the time in which the event loop had something to do.",
        |worker| node(worker, |node| node.loop_utilisation.map(|percent| percent / 100.0)),
    ),
    of_worker("ostler_worker_heap_used_bytes", "Heap of V8 in use.", |worker| {
        node(worker, |node| Some(node.heap as f64))
    }),
    of_worker(
        "ostler_worker_heap_limit_bytes",
        "What the heap of V8 may grow to.",
        |worker| node(worker, |node| Some(node.heap_limit as f64)),
    ),
    of_worker("ostler_worker_active_handles", "Active handles of libuv.", |worker| {
        node(worker, |node| Some(node.active_handles as f64))
    }),
    of_worker(
        "ostler_worker_report_age_seconds",
        "How long ago it last said how it is doing.",
        |worker| node(worker, |node| Some(node.age_ms as f64 / 1000.0)),
    ),
];

const fn of_worker(name: &'static str, help: &'static str, value: fn(&WorkerMetrics) -> Option<f64>) -> OfWorker {
    OfWorker {
        name,
        kind: "gauge",
        help,
        value,
    }
}

fn node(worker: &WorkerMetrics, value: impl Fn(&NodeMetrics) -> Option<f64>) -> Option<f64> {
    worker.node.as_ref().and_then(value)
}

type Labels = Vec<(&'static str, String)>;

fn labels(worker: &WorkerMetrics) -> Labels {
    let instance = worker.instance.to_string();
    with(named(&worker.name, &worker.namespace), "instance", &instance)
}

fn of(app: &AppMetrics) -> Labels {
    named(&app.name, &app.namespace)
}

fn named(name: &str, namespace: &str) -> Labels {
    vec![("app", name.to_owned()), ("namespace", namespace.to_owned())]
}

fn with(mut labels: Labels, label: &'static str, value: &str) -> Labels {
    labels.push((label, value.to_owned()));
    labels
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point numbers")]
fn apps(page: &mut Page, apps: &[AppMetrics]) {
    page.family(
        "ostler_http_requests_total",
        "counter",
        "HTTP requests answered, by class of status.",
    );
    for app in apps {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(&app.answered) {
            page.sample(
                "ostler_http_requests_total",
                &with(of(app), "class", class),
                *count as f64,
            );
        }
    }
    page.family(
        "ostler_http_requests_aborted_total",
        "counter",
        "HTTP requests whose connection closed before they were answered.",
    );
    for app in apps {
        page.sample("ostler_http_requests_aborted_total", &of(app), app.aborted as f64);
    }
    page.family(
        "ostler_http_request_duration_seconds",
        "histogram",
        "How long answers took, from the request's head to the answer's end.",
    );
    for app in apps {
        let mut count = 0;
        for bucket in &app.latency {
            count += bucket.count;
            let bound = bucket
                .up_to_ms
                .map_or("+Inf".to_owned(), |ms| (ms / 1000.0).to_string());
            let labels = with(of(app), "le", &bound);
            page.sample("ostler_http_request_duration_seconds_bucket", &labels, count as f64);
        }
        page.sample(
            "ostler_http_request_duration_seconds_sum",
            &of(app),
            app.latency_sum_ms / 1000.0,
        );
        page.sample("ostler_http_request_duration_seconds_count", &of(app), count as f64);
    }
    page.family("ostler_gc_pauses_total", "counter", "Pauses for garbage.");
    for app in apps {
        page.sample("ostler_gc_pauses_total", &of(app), app.gc_pauses as f64);
    }
    page.family(
        "ostler_gc_pause_seconds_total",
        "counter",
        "How long pauses for garbage were together.",
    );
    for app in apps {
        page.sample("ostler_gc_pause_seconds_total", &of(app), app.gc_ms / 1000.0);
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        self.line(format_args!("{name}"));
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            self.line(format_args!("{before}{label}=\"{}\"", escaped(text)));
        }
        self.line(format_args!("}} {value}\n"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("invariant: writing to memory does not fail");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::{Pid, SlotId};
    use ostler_wire::control::{Connections, Usage};
    use ostler_wire::metrics::{LatencyBucket, LoopDelay};

    fn worker(name: &str, instance: u32) -> WorkerMetrics {
        WorkerMetrics {
            id: SlotId(instance),
            name: name.to_owned(),
            namespace: "default".to_owned(),
            instance,
            pid: Some(Pid(4711)),
            status: Status::Online,
            uptime_ms: 61_500,
            restarts: 2,
            usage: Some(Usage {
                memory: 50_000_000,
                cpu: 12.5,
            }),
            connections: None,
            node: None,
        }
    }

    #[test]
    fn a_page() {
        let node = NodeMetrics {
            age_ms: 800,
            loop_delay: Some(LoopDelay {
                mean: 0.5,
                p50: 0.25,
                p99: 4.0,
                max: 12.0,
            }),
            loop_utilisation: Some(25.0),
            gc: Some(1.0),
            heap: 9_000_000,
            heap_limit: 4_000_000_000,
            active_handles: 3,
            active_requests: 0,
            in_flight: 1,
            http: None,
        };
        let serving = WorkerMetrics {
            connections: Some(Connections {
                accepted: Some(7),
                active: Some(2),
            }),
            node: Some(node),
            ..worker("web", 0)
        };
        let down = WorkerMetrics {
            pid: None,
            status: Status::Stopped,
            usage: None,
            ..worker("quo\"te\\d", 0)
        };
        let bucket = |up_to_ms, count| LatencyBucket { up_to_ms, count };
        let app = AppMetrics {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            answered: vec![0, 40, 0, 1, 2],
            aborted: 1,
            latency: vec![bucket(Some(0.25), 40), bucket(Some(0.5), 2), bucket(None, 1)],
            latency_sum_ms: 512.5,
            gc_pauses: 5,
            gc_ms: 20.0,
        };
        let metrics = Metrics {
            workers: vec![serving, down],
            apps: vec![app],
        };
        insta::assert_snapshot!(text(&metrics, "1.2.3"));
    }
}
