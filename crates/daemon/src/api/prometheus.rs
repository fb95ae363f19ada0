//! How workers are doing, as Prometheus reads it: the text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), names and base units by its conventions.
//!
//! Counters are of apps and only grow, over reloads and changes of daemon; what a worker is doing now are gauges by instance. What is not
//! known is left out.

use super::{AppRegistered, Scraped};
use ostler_core::Status;
use ostler_core::metrics::{Registered, RegisteredValue};
use ostler_wire::metrics::{AppMetrics, CustomMetric, NodeMetrics, WorkerMetrics};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the answer says it is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer.
pub fn text(scraped: &Scraped, version: &str) -> String {
    let metrics = &scraped.metrics;
    let mut page = Page::default();
    page.family("ostler_build_info", "gauge", "Ostler's version.");
    page.sample("ostler_build_info", &vec![("version".into(), version.to_owned())], 1.0);
    page.families(&WORKERS, &metrics.workers, |worker| {
        let row = &worker.row;
        let instance = row.instance.to_string();
        with(named(&row.name, &row.namespace), "worker", &instance)
    });
    page.families(&APPS, &metrics.apps, |app| named(&app.name, &app.namespace));
    page.registered(&scraped.registered);
    page.text
}

/// What apps have registered, by its name: it stands together, whoever has it.
fn by_name(apps: &[AppRegistered]) -> BTreeMap<&str, Vec<(&AppRegistered, &Registered)>> {
    let mut metrics: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for app in apps {
        for (name, metric) in &app.registry.0 {
            metrics.entry(name).or_default().push((app, metric));
        }
    }
    metrics
}

/// The labels of a value that an app has registered. One of ours that it has, too, is its own under another name, as Prometheus does it.
fn labels_of(app: &AppRegistered, value: &RegisteredValue) -> Labels {
    let mut labels = named(&app.name, &app.namespace);
    for (label, text) in &value.labels {
        let is_ours = labels.iter().any(|(ours, _)| ours == label);
        let label = if is_ours {
            format!("exported_{label}")
        } else {
            label.clone()
        };
        labels.push((label.into(), text.clone()));
    }
    labels
}

/// Something that each worker, or each app, has.
struct Family<T> {
    name: &'static str,
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
const WORKERS: [Family<WorkerMetrics>; 17] = [
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
    gauge(
        "ostler_worker_open_connections",
        "Connections that it has open.",
        |worker| {
            let active = worker.row.connections.and_then(|connections| connections.active);
            known(active.map(|active| active as f64))
        },
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
const APPS: [Family<AppMetrics>; 5] = [
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

type Labels = Vec<(Cow<'static, str>, String)>;

fn named(name: &str, namespace: &str) -> Labels {
    vec![
        ("app".into(), name.to_owned()),
        ("namespace".into(), namespace.to_owned()),
    ]
}

fn with(mut labels: Labels, label: &'static str, value: &str) -> Labels {
    labels.push((label.into(), value.to_owned()));
    labels
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn families<T>(&mut self, families: &[Family<T>], all: &[T], labels: fn(&T) -> Labels) {
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

    fn registered(&mut self, apps: &[AppRegistered]) {
        for (name, metrics) in by_name(apps) {
            let Some((_, first)) = metrics.first() else { continue };
            self.family(name, first.kind.as_str(), &escaped_help(&first.help));
            // What another app means by the same name cannot be told apart by Prometheus.
            for (app, metric) in metrics.iter().filter(|(_, metric)| metric.kind == first.kind) {
                for value in &metric.values {
                    self.sample(&value.name, &labels_of(app, value), value.value);
                }
            }
        }
    }

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

fn escaped_help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::metrics::{RegisteredKind, Registry, Together};
    use ostler_core::{Mode, Pid, SlotId};
    use ostler_wire::control::{Connections, ProcessRow, Usage};
    use ostler_wire::metrics::{LatencyBucket, LoopDelay, Metrics};
    use std::collections::BTreeSet;

    fn worker(name: &str, instance: u32) -> WorkerMetrics {
        let row = ProcessRow {
            id: SlotId(instance),
            name: name.to_owned(),
            namespace: "default".to_owned(),
            version: None,
            mode: Mode::Cluster,
            instance,
            pid: Some(Pid(4711)),
            uptime_ms: 61_500,
            restarts: 2,
            status: Status::Online,
            health: ostler_core::Health::default(),
            usage: Some(Usage {
                memory: 50_000_000,
                cpu: 12.5,
            }),
            connections: None,
            user: "root".to_owned(),
            watching: false,
        };
        WorkerMetrics {
            row,
            node: None,
            custom: BTreeMap::new(),
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
        let mut serving = worker("web", 0);
        serving.node = Some(node);
        serving.row.connections = Some(Connections {
            accepted: Some(7),
            active: Some(2),
        });
        let custom = |value: serde_json::Value, unit: Option<&str>| CustomMetric {
            value,
            unit: unit.map(str::to_owned),
            kind: None,
            historic: false,
        };
        serving.custom = [
            ("queue".to_owned(), custom(3.into(), None)),
            ("heap".to_owned(), custom("7.5".into(), Some("MiB"))),
            ("mood".to_owned(), custom("fine".into(), None)),
        ]
        .into();
        let mut down = worker("quo\"te\\d", 0);
        down.row.pid = None;
        down.row.status = Status::Stopped;
        down.row.usage = None;
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
        let scraped = Scraped {
            metrics,
            registered: Vec::new(),
        };
        insta::assert_snapshot!(text(&scraped, "1.2.3"));
    }

    fn registered(name: &str, kind: RegisteredKind, labels: &[(&str, &str)]) -> AppRegistered {
        let labels = labels
            .iter()
            .map(|(label, text)| ((*label).to_owned(), (*text).to_owned()));
        let value = RegisteredValue {
            name: "sold_total".to_owned(),
            labels: labels.collect(),
            value: 2.5,
        };
        let metric = Registered {
            help: "Sold.\nIn all: 1\\2.".to_owned(),
            kind,
            together: Together::Sum,
            values: vec![value],
        };
        AppRegistered {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            registry: Registry([("sold_total".to_owned(), metric)].into()),
        }
    }

    #[test]
    fn what_apps_have_registered_stands_together_by_name() {
        let scraped = Scraped {
            metrics: Metrics::default(),
            registered: vec![
                registered("bakery", RegisteredKind::Counter, &[("kind", "cake"), ("app", "till")]),
                registered("butcher", RegisteredKind::Counter, &[]),
                registered("museum", RegisteredKind::Gauge, &[]),
            ],
        };
        let text = text(&scraped, "1");
        let told: Vec<&str> = text.lines().filter(|line| line.contains("sold_total")).collect();
        assert_eq!(
            told,
            [
                r"# HELP sold_total Sold.\nIn all: 1\\2.",
                "# TYPE sold_total counter",
                r#"sold_total{app="bakery",namespace="default",exported_app="till",kind="cake"} 2.5"#,
                r#"sold_total{app="butcher",namespace="default"} 2.5"#,
            ]
        );
    }

    /// All there is to be read.
    fn families() -> BTreeSet<&'static str> {
        let workers = WORKERS.iter().map(|family| family.name);
        let apps = APPS.iter().map(|family| family.name);
        workers.chain(apps).chain(["ostler_build_info"]).collect()
    }

    /// The words of a text that name something of ours, without what a histogram adds.
    fn named_in(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = words.filter(|word| word.starts_with("ostler_"));
        ours.map(|word| word.trim_end_matches("_bucket")).collect()
    }

    #[test]
    fn the_alerts_and_the_dashboard_read_what_there_is() {
        let alerts = include_str!("../../../../docs/prometheus/alerts.yml");
        let dashboard = include_str!("../../../../docs/prometheus/dashboard.json");
        serde_json::from_str::<serde_json::Value>(dashboard).expect("the dashboard is JSON");
        let families = families();
        for text in [alerts, dashboard] {
            let named = named_in(text);
            assert!(named.len() > 5, "{named:?}");
            assert_eq!(named.difference(&families).collect::<Vec<_>>(), Vec::<&&str>::new());
        }
    }

    #[test]
    fn the_page_for_users_has_every_name_and_no_other() {
        let page = include_str!("../../../../docs/prometheus.md");
        assert_eq!(named_in(page), families());
    }
}
