use super::{Place, app, translate, worker};
use crate::otlp::memory::Memory;
use crate::otlp::request::ExportRequest;
use ostler_core::{Mode, Pid, SlotId, Status};
use ostler_wire::control::{Connections, Handled, ProcessRow, Usage};
use ostler_wire::metrics::{
    AppMetrics, CustomMetric, Footprint, LatencyBucket, LoopDelay, Metrics, NodeMetrics, WorkerMetrics,
};
use serde_json::Value;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

/// One that is up and of which everything is known.
fn serving(name: &str, slot: u32) -> WorkerMetrics {
    let row = ProcessRow {
        id: SlotId(slot),
        name: name.to_owned(),
        namespace: "default".to_owned(),
        version: Some("1.2.3".to_owned()),
        mode: Mode::Cluster,
        instance: 0,
        pid: Some(Pid(4711)),
        uptime_ms: 61_500,
        restarts: 2,
        status: Status::Online,
        health: ostler_core::Health {
            healthy: Some(true),
            ready: Some(false),
            why: None,
        },
        usage: Some(Usage {
            memory: 50_000_000,
            cpu: 150.0,
        }),
        connections: Some(Connections {
            accepted: Some(7),
            active: Some(2),
            refused: Some(0),
            handled: Some(Handled {
                accepted: 4711,
                refused: 1,
            }),
        }),
        user: "root".to_owned(),
        watching: false,
    };
    WorkerMetrics {
        row,
        node: Some(NodeMetrics {
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
        }),
        footprint: Some(Footprint {
            processes: 2,
            threads: 13,
            descriptors: Some(29),
            proportional_memory: Some(40_000_000),
        }),
        custom: BTreeMap::new(),
    }
}

fn custom(value: impl Into<Value>, unit: Option<&str>) -> CustomMetric {
    CustomMetric {
        value: value.into(),
        unit: unit.map(str::to_owned),
        kind: None,
        historic: false,
    }
}

/// An app with so many answers within 250 µs.
fn counted(name: &str, answers: u64) -> AppMetrics {
    let bucket = |up_to_ms, count| LatencyBucket { up_to_ms, count };
    AppMetrics {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        answered: vec![0, answers, 0, 1, 2],
        aborted: 1,
        latency: vec![bucket(Some(0.25), answers), bucket(Some(0.5), 2), bucket(None, 1)],
        latency_sum_ms: 512.5,
        gc_pauses: 5,
        gc_ms: 20.0,
    }
}

fn place(attributes: &[(&str, &str)]) -> Place {
    let attributes = attributes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Place::new("web-1".to_owned(), "/home/ann/.ostler", 4.0, attributes.collect())
}

/// What a reading at a second is to a collector.
fn sent(metrics: &Metrics, place: &Place, memory: &mut Memory, second: u64) -> Value {
    memory.begin(second * SECOND);
    let resources = translate(metrics, place, memory);
    let request = ExportRequest {
        resource_metrics: &resources,
    };
    serde_json::to_value(&request).expect("JSON")
}

fn of(workers: Vec<WorkerMetrics>, apps: Vec<AppMetrics>) -> Metrics {
    Metrics { workers, apps }
}

/// The attributes of a resource.
fn attributes(sent: &Value, resource: usize) -> BTreeMap<&str, String> {
    let attributes = sent["resourceMetrics"][resource]["resource"]["attributes"].as_array();
    attributes
        .expect("a list")
        .iter()
        .map(|attribute| {
            let value = &attribute["value"];
            let text = value["stringValue"].as_str().map(str::to_owned);
            let text = text.or_else(|| Some(value["intValue"].as_i64()?.to_string()));
            (attribute["key"].as_str().expect("a key"), text.expect("a value"))
        })
        .collect()
}

/// A metric of a resource.
fn metric<'a>(sent: &'a Value, resource: usize, name: &str) -> Option<&'a Value> {
    let metrics = sent["resourceMetrics"][resource]["scopeMetrics"][0]["metrics"].as_array()?;
    metrics.iter().find(|metric| metric["name"] == name)
}

/// Since when a counter counts, in seconds.
fn since(sent: &Value, resource: usize, name: &str) -> u64 {
    let metric = metric(sent, resource, name).expect("a metric");
    let data = ["sum", "histogram"]
        .iter()
        .find_map(|kind| metric.get(kind))
        .expect("a counter");
    let start = &data["dataPoints"][0]["startTimeUnixNano"];
    let start = start.as_u64().or_else(|| start.as_str()?.parse().ok());
    start.expect("a number") / SECOND
}

#[test]
fn a_request() {
    let mut worker = serving("web", 3);
    worker.row.namespace = "tea".to_owned();
    worker.custom = [
        ("queue".to_owned(), custom(3, None)),
        ("Heap Größe".to_owned(), custom("7.5", Some("MiB"))),
        ("mood".to_owned(), custom("fine", None)),
    ]
    .into();
    let place = place(&[("deployment.environment.name", "prod"), ("service.name", "wrong")]);
    let sent = sent(
        &of(vec![worker], vec![counted("web", 40)]),
        &place,
        &mut Memory::default(),
        1000,
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&sent).expect("JSON"));
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut worker = serving("web", 0);
    worker.row.pid = None;
    worker.row.uptime_ms = 0;
    worker.row.status = Status::Stopped;
    worker.row.version = None;
    worker.row.health = ostler_core::Health::default();
    worker.row.usage = None;
    worker.row.connections = None;
    worker.node = None;
    worker.footprint = None;
    let sent = sent(&of(vec![worker], Vec::new()), &place(&[]), &mut Memory::default(), 1000);
    let metrics = sent["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array();
    let names: Vec<&str> = metrics
        .expect("a list")
        .iter()
        .filter_map(|metric| metric["name"].as_str())
        .collect();
    assert_eq!(names, ["ostler.worker.status", "ostler.worker.restarts"]);
    let keys: Vec<&str> = attributes(&sent, 0).into_keys().collect();
    assert_eq!(keys, ["host.name", "service.instance.id", "service.name"]);
}

#[test]
fn instances_are_told_apart_by_host_home_and_slot_for_good() {
    let metrics = of(vec![serving("web", 0), serving("web", 7)], vec![counted("web", 1)]);
    let id = |place: &Place, resource| {
        let sent = sent(&metrics, place, &mut Memory::default(), 1);
        attributes(&sent, resource)["service.instance.id"].clone()
    };
    let here = place(&[]);
    // These must not change from one version to the next.
    assert_eq!(id(&here, 0), "web-1:df9353e9:0");
    assert_eq!(id(&here, 1), "web-1:df9353e9:7");
    assert_eq!(id(&here, 2), "web-1:df9353e9", "the app, with all its workers here");
    let other_home = Place::new("web-1".to_owned(), "/home/bob/.ostler", 4.0, Vec::new());
    assert_ne!(id(&here, 0), id(&other_home, 0));
    assert!(id(&place(&[("host.name", "named")]), 0).starts_with("named:"));
}

#[test]
fn what_is_said_of_all_does_not_hide_what_is_known_of_each() {
    let others = [
        ("service.name", "wrong"),
        ("service.instance.id", "wrong"),
        ("service.version", "wrong"),
        ("process.pid", "wrong"),
        ("service.namespace", "wrong"),
        ("host.name", "named"),
        ("team", "tea"),
    ];
    let mut worker = serving("web", 0);
    worker.row.namespace = "own".to_owned();
    let sent = sent(
        &of(vec![worker, serving("api", 1)], Vec::new()),
        &place(&others),
        &mut Memory::default(),
        1,
    );
    let own = attributes(&sent, 0);
    assert!(own.values().all(|value| *value != "wrong"), "{own:?}");
    assert_eq!(
        ["host.name", "team", "service.namespace"].map(|key| own[key].as_str()),
        ["named", "tea", "own"]
    );
    assert_eq!(
        attributes(&sent, 1)["service.namespace"],
        "wrong",
        "there it says the most that is known"
    );
}

#[test]
fn counters_go_on_over_a_reload_and_begin_anew_when_they_do() {
    let (place, mut memory) = (place(&[]), Memory::default());
    let reading = |answers, pid, restarts| {
        let mut worker = serving("web", 0);
        worker.row.pid = Some(Pid(pid));
        worker.row.uptime_ms = 1000;
        worker.row.restarts = restarts;
        of(vec![worker], vec![counted("web", answers)])
    };
    let mut at = |second, answers, pid, restarts| {
        let sent = sent(&reading(answers, pid, restarts), &place, &mut memory, second);
        [
            since(&sent, 1, "http.server.request.duration"),
            since(&sent, 1, "v8js.gc.duration"),
            since(&sent, 1, "ostler.app.http.responses"),
            since(&sent, 0, "ostler.worker.restarts"),
            since(&sent, 0, "process.memory.usage"),
        ]
    };
    assert_eq!(at(1000, 40, 7, 1), [1000, 1000, 1000, 1000, 999]);
    assert_eq!(at(1010, 50, 8, 1), [1000, 1000, 1000, 1000, 1009], "another process");
    assert_eq!(at(1020, 50, 8, 0), [1000, 1000, 1000, 1010, 1009], "`ostler reset`");
    assert_eq!(
        at(1030, 3, 8, 0),
        [1020, 1020, 1020, 1010, 1009],
        "deleted and started again"
    );
}

#[test]
fn a_program_of_node_that_hangs_is_one_of_node() {
    let (place, mut memory) = (place(&[]), Memory::default());
    let mut metrics = of(vec![serving("web", 0)], Vec::new());
    sent(&metrics, &place, &mut memory, 1);
    metrics.workers[0].node = None;
    let hanging = sent(&metrics, &place, &mut memory, 2);
    assert_eq!(attributes(&hanging, 0)["process.runtime.name"], "nodejs");
    assert!(metric(&hanging, 0, "v8js.memory.heap.used").is_none());
}

#[test]
fn every_bucket_of_the_histogram_is_there_and_they_add_up() {
    let sent = sent(
        &of(Vec::new(), vec![counted("web", 40)]),
        &place(&[]),
        &mut Memory::default(),
        1,
    );
    let metric = metric(&sent, 0, "http.server.request.duration").expect("a histogram");
    let point = &metric["histogram"]["dataPoints"][0];
    assert_eq!(point["explicitBounds"], serde_json::json!([0.00025, 0.0005]));
    assert_eq!(point["bucketCounts"], serde_json::json!([40, 2, 1]));
    assert_eq!((&point["count"], &point["sum"]), (&43.into(), &0.5125.into()));
}

#[test]
fn each_metric_has_a_name_of_its_own_and_stands_in_the_documentation() {
    let page = include_str!("../../../../../docs/otlp.md");
    let mut names: Vec<&str> = worker::names().chain(app::names()).collect();
    for name in &names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
