use super::measured::{APPS, WORKERS};
use super::text;
use crate::api::{AppRegistered, Scraped};
use ostler_core::metrics::{Registered, RegisteredKind, RegisteredValue, Registry, Together};
use ostler_core::{Mode, Pid, SlotId, Status};
use ostler_wire::control::{Connections, Handled, ProcessRow, Usage};
use ostler_wire::metrics::{
    AppMetrics, CustomMetric, Footprint, LatencyBucket, LoopDelay, Metrics, NodeMetrics, WorkerMetrics,
};
use std::collections::{BTreeMap, BTreeSet};

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
        footprint: Some(Footprint {
            processes: 2,
            threads: 13,
            descriptors: Some(29),
            proportional_memory: None,
        }),
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
        refused: Some(0),
        active: Some(2),
        handled: Some(Handled {
            accepted: 4711,
            refused: 1,
        }),
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
        amount: 2.5.into(),
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
    let alerts = include_str!("../../../../../docs/prometheus/alerts.yml");
    let dashboard = include_str!("../../../../../docs/prometheus/dashboard.json");
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
    let page = include_str!("../../../../../docs/prometheus.md");
    assert_eq!(named_in(page), families());
}
