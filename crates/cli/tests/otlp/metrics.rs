//! What a collector gets is right.

use crate::collector::{Collector, Sent};
use crate::support::{Resource, ask, home, number, of_app, open_shop, otlp, quickly, resources, until_told, whole};
use ostler_testkit::{DEADLINE, Signal, apps, free_port, process, tools};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::path::Path;

/// Of each worker of Node in a cluster: what it is called, its unit, and where its points are.
const WORKERS: [(&str, &str, &str); 17] = [
    ("process.cpu.utilization", "1", "gauge"),
    ("process.memory.usage", "By", "sum"),
    ("process.thread.count", "{thread}", "sum"),
    ("process.unix.file_descriptor.count", "{file_descriptor}", "sum"),
    ("process.uptime", "s", "gauge"),
    ("nodejs.eventloop.utilization", "1", "gauge"),
    ("v8js.memory.heap.used", "By", "sum"),
    ("v8js.memory.heap.limit", "By", "sum"),
    ("http.server.active_requests", "{request}", "sum"),
    ("ostler.worker.status", "1", "sum"),
    ("ostler.worker.restarts", "{restart}", "sum"),
    ("ostler.worker.connections", "{connection}", "sum"),
    ("ostler.worker.connections.accepted", "{connection}", "sum"),
    ("ostler.worker.connections.refused", "{connection}", "sum"),
    ("ostler.worker.cpu.usage", "{cpu}", "gauge"),
    ("ostler.worker.processes", "{process}", "sum"),
    ("ostler.custom.cups_sold", "cups", "gauge"),
];

/// Of each app.
const APPS: [(&str, &str, &str); 4] = [
    ("http.server.request.duration", "s", "histogram"),
    ("v8js.gc.duration", "s", "histogram"),
    ("ostler.app.http.responses", "{response}", "sum"),
    ("ostler.app.http.aborted", "{request}", "sum"),
];

/// Since when the shop's answers are counted, when they were, how many there are, and how long they took together; consistent in itself.
fn counted(sent: &Sent) -> Option<(u64, u64, u64, f64)> {
    let (_, app) = of_app(&sent.json(), "shop");
    let app = app?;
    let points = app.points("http.server.request.duration");
    let point = points.first().expect("a point");
    let list = |key: &str| point[key].as_array().expect("a list").clone();
    let (buckets, bounds) = (list("bucketCounts"), list("explicitBounds"));
    assert_eq!((buckets.len(), bounds.len()), (25, 24));
    let count = whole(&point["count"]);
    assert_eq!(buckets.iter().map(whole).sum::<u64>(), count, "{point}");
    let bounds: Vec<f64> = bounds.iter().filter_map(Value::as_f64).collect();
    assert!(bounds.is_sorted() && bounds[0] == 0.00025, "{bounds:?}");
    let classes = app.points("ostler.app.http.responses");
    assert_eq!(classes.iter().map(|point| whole(&point["asInt"])).sum::<u64>(), count);
    let (since, at) = (whole(&point["startTimeUnixNano"]), whole(&point["timeUnixNano"]));
    assert!(since <= at, "{point}");
    Some((since, at, count, point["sum"].as_f64().expect("a sum")))
}

/// How many connections the shop's instances have taken.
fn taken(sent: &Sent) -> u64 {
    let (workers, _) = of_app(&sent.json(), "shop");
    let points = workers
        .iter()
        .flat_map(|worker| worker.points("ostler.worker.connections.accepted"));
    points.map(|point| whole(&point["asInt"])).sum()
}

/// What was counted in one request after the other only grew, from one beginning.
fn assert_only_grew(sent: &[Sent]) {
    let all: Vec<_> = sent.iter().filter_map(counted).collect();
    assert!(all.len() > 2, "{all:?}");
    for pair in all.windows(2) {
        let ((since, at, count, sum), (next_since, next_at, next_count, next_sum)) = (pair[0], pair[1]);
        assert!(
            next_since == since && next_at > at && next_count >= count && next_sum >= sum,
            "{pair:?}"
        );
    }
    let taken: Vec<u64> = sent.iter().map(taken).collect();
    assert!(taken.is_sorted(), "{taken:?}");
    let (_, _, answers, _) = all.last().expect("there are some");
    assert!(taken.last() >= Some(answers), "a connection for each: {taken:?}");
}

fn instances(sent: &Sent) -> BTreeSet<String> {
    let (workers, _) = of_app(&sent.json(), "shop");
    let ids = workers
        .iter()
        .map(|worker| worker.attribute("service.instance.id").to_owned());
    ids.collect()
}

fn assert_named(resource: &Resource, expected: &[(&str, &str, &str)]) {
    for (name, unit, kind) in expected {
        let metric = resource.metric(name).unwrap_or_else(|| panic!("{name}: {resource:?}"));
        assert_eq!(metric["unit"], *unit, "{name}");
        assert!(
            metric
                .get(kind)
                .is_some_and(|data| !data["dataPoints"].as_array().expect("points").is_empty()),
            "{name}"
        );
        assert!(
            metric["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn what_is_counted_is_sent_as_it_is_and_only_grows_over_a_reload_and_a_new_daemon() {
    let home = home();
    let port = open_shop(&home);
    let collector = Collector::start();
    let sending = quickly(&home, &collector)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20tea,x-own=1")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod%20eu")
        .spawn();
    ask(port, "/", 9);
    ask(port, "/missing", 2);
    until_told(&home, &collector, 11);
    let before = instances(&collector.sent()[0]);
    assert_eq!(before.len(), 2, "{before:?}");
    let pids: BTreeSet<i32> = home.pids("shop").into_iter().collect();
    home.ok(&["reload", "shop"]);
    ask(port, "/", 4);
    until_told(&home, &collector, 15);
    let daemon = home.topology();
    process::kill(daemon.daemon);
    home.wait_recovered(daemon);
    ask(port, "/", 1);
    until_told(&home, &collector, 16);
    let sent = collector.sent();
    assert_only_grew(&sent);
    let last = sent.last().expect("something");
    assert!(last.head.starts_with("post /v1/metrics http/1.1\r\n"), "{}", last.head);
    for header in [
        "content-type: application/json",
        "authorization: bearer tea",
        "x-own: 1",
        "user-agent: ostler/",
    ] {
        assert!(last.head.contains(header), "{header}: {}", last.head);
    }
    let (workers, app) = of_app(&last.json(), "shop");
    assert_eq!(instances(last), before, "the same instances, by other processes");
    let now: BTreeSet<i32> = workers
        .iter()
        .map(|worker| worker.attribute("process.pid").parse().expect("a pid"))
        .collect();
    assert!(
        now.is_disjoint(&pids) && now == home.pids("shop").into_iter().collect(),
        "{now:?}"
    );
    let responses = app.expect("the app").points("ostler.app.http.responses");
    let class = |class: &str| {
        let mut points = responses.iter();
        let point = points.find(|point| point["attributes"][0]["value"]["stringValue"] == class);
        whole(&point.expect("a point")["asInt"])
    };
    assert_eq!((class("2xx"), class("4xx")), (14, 2));
    process::signal(sending.pid(), Signal::TERM);
    let output = sending.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn names_and_units_are_those_of_the_conventions_and_what_is_not_known_is_left_out() {
    let home = home();
    let port = open_shop(&home);
    home.start(json!([ostler_testkit::sleeper("sleep")]));
    let collector = Collector::start();
    let _sending = quickly(&home, &collector)
        .env("OTEL_RESOURCE_ATTRIBUTES", "team=tea")
        .spawn();
    ask(port, "/", 3);
    until_told(&home, &collector, 3);
    let sent = home.wait_for("all that workers of Node tell", || {
        let last = collector.sent().pop()?.json();
        let (workers, _) = of_app(&last, "shop");
        let all = workers
            .iter()
            .all(|worker| WORKERS.iter().all(|(name, ..)| worker.metric(name).is_some()));
        (workers.len() == 2 && all).then_some(last)
    });
    let (workers, app) = of_app(&sent, "shop");
    for worker in &workers {
        assert_named(worker, &WORKERS);
        let named: BTreeMap<&str, &str> = [
            ("service.namespace", "tea"),
            ("process.runtime.name", "nodejs"),
            ("team", "tea"),
        ]
        .into();
        for (key, value) in named {
            assert_eq!(worker.attribute(key), value, "{key}");
        }
        let memory = worker.number("process.memory.usage").expect("known");
        assert!(memory > 20e6 && worker.number("v8js.memory.heap.used").expect("known") < memory);
        assert!(
            worker.number("process.cpu.utilization").expect("known")
                <= worker.number("ostler.worker.cpu.usage").expect("known")
        );
        assert_eq!(worker.number("ostler.custom.cups_sold"), Some(3.0));
        let states: Vec<f64> = worker
            .points("ostler.worker.status")
            .iter()
            .filter_map(number)
            .collect();
        assert_eq!((states.len(), states.iter().sum::<f64>()), (6, 1.0));
    }
    assert_named(&app.expect("the app"), &APPS);
    let (sleeping, none) = of_app(&sent, "sleep");
    assert!(none.is_none(), "nothing is counted for it");
    assert_eq!(sleeping.len(), 1);
    assert!(sleeping[0].number("process.memory.usage").is_some());
    for name in [
        "v8js.memory.heap.used",
        "http.server.active_requests",
        "ostler.worker.ready",
        "ostler.worker.connections",
    ] {
        assert!(sleeping[0].metric(name).is_none(), "{name}");
    }
    for key in ["service.namespace", "process.runtime.name"] {
        assert_eq!(sleeping[0].attribute(key), "", "{key}");
    }
}

#[test]
fn the_official_definition_knows_all_that_is_sent() {
    let name = "the_official_definition_knows_all_that_is_sent";
    let python = match tools::pip(&["opentelemetry-proto==1.45.2"], "python") {
        Ok(python) => python,
        Err(reason) => return ostler_testkit::skip(name, &reason),
    };
    let home = home();
    let port = open_shop(&home);
    let collector = Collector::start();
    let _sending = quickly(&home, &collector).spawn();
    ask(port, "/", 5);
    until_told(&home, &collector, 5);
    let last = collector.sent().pop().expect("a request");
    let file = home.write("request.json", &last.body);
    let read = home.program(python).arg(apps::path("metrics/otlp.py")).arg(file).ok();
    let told: Value = serde_json::from_str(&read.stdout).expect("JSON");
    let sent = resources(&last.json());
    assert_eq!(told["resources"], sent.len(), "{told}");
    let names: BTreeSet<&str> = sent
        .iter()
        .flat_map(|resource| resource.metrics.iter().filter_map(|metric| metric["name"].as_str()))
        .collect();
    assert_eq!(told["names"], json!(names), "{told}");
    assert_eq!(told["answers"], 5, "{told}");
    assert_eq!(
        told["temporalities"],
        json!(["AGGREGATION_TEMPORALITY_CUMULATIVE"]),
        "{told}"
    );
}

#[test]
fn a_collector_in_use_reads_every_point() {
    let name = "a_collector_in_use_reads_every_point";
    // Rotel shows what it gets. Its program lies in the package.
    let python = match tools::pip(&["rotel==0.0.1a15"], "python") {
        Ok(python) => python,
        Err(reason) => return ostler_testkit::skip(name, &reason),
    };
    let home = home();
    let place = "import importlib.util; print(importlib.util.find_spec('rotel').submodule_search_locations[0])";
    let package = home.program(python).args(&["-c", place]).ok().stdout;
    let rotel = Path::new(package.trim()).join("rotel-agent");
    let (http, grpc) = (free_port(), free_port());
    home.start(json!([{
        "name": "collector", "script": rotel, "interpreter": "none",
        "args": ["start", "--otlp-http-endpoint", format!("127.0.0.1:{http}"), "--otlp-grpc-endpoint", format!("127.0.0.1:{grpc}"),
            "--debug-log", "metrics", "--debug-log-verbosity", "detailed", "--exporter", "blackhole",
            "--pid-file", home.work().join("pid")],
    }]));
    home.wait_until("the collector", || TcpStream::connect(("127.0.0.1", http)).is_ok());
    let port = open_shop(&home);
    let collector = Collector::start();
    let _sending = quickly(&home, &collector).spawn();
    ask(port, "/", 5);
    until_told(&home, &collector, 5);
    home.call(&["otlp", "--once", "--endpoint", &format!("http://127.0.0.1:{http}")])
        .ok();
    let sent = resources(&collector.sent().pop().expect("a request").json());
    let shown = || {
        home.ok(&["logs", "collector", "--raw", "--nostream", "--lines", "100000"])
            .stdout
    };
    home.wait_until("what it got", || shown().contains("Name: http.server.request.duration"));
    let shown = shown();
    for name in sent
        .iter()
        .flat_map(|resource| &resource.metrics)
        .map(|metric| metric["name"].as_str())
    {
        let line = format!("-> Name: {}\n", name.expect("a name"));
        assert!(shown.contains(&line), "{line} {shown}");
    }
    let lines = |text: &str| shown.lines().filter(|line| line.trim_start().starts_with(text)).count();
    assert_eq!(lines("-> DataType: Empty"), 0, "{shown}");
    assert!(lines("NumberDataPoints #") > 20, "{shown}");
    assert_eq!(lines("Value:"), lines("NumberDataPoints #"), "{shown}");
    assert_eq!(lines("Count: 5"), 1, "{shown}");
}

#[test]
fn it_runs_under_ostler_itself() {
    let home = home();
    let collector = Collector::start();
    let url = collector.url();
    let program = env!("CARGO_BIN_EXE_ostler");
    let words = [
        "start",
        program,
        "--interpreter",
        "none",
        "--name",
        "otlp",
        "--",
        "otlp",
        "--endpoint",
        &url,
    ];
    home.call(&words).env("OTEL_METRIC_EXPORT_INTERVAL", "200").ok();
    home.wait_until("what it tells of itself", || {
        let last = collector.sent().pop();
        let (workers, _) = last.map(|sent| of_app(&sent.json(), "otlp")).unwrap_or_default();
        workers
            .first()
            .is_some_and(|own| own.number("process.memory.usage").is_some())
    });
    let output = home.ok(&["stop", "otlp"]);
    assert!(!output.stderr.contains("killed"), "{output}");
    let errors = home.error_log("otlp");
    assert!(errors.contains("sending metrics to http://127.0.0.1"), "{errors}");
    otlp(&home, &collector, &["--once"]).ok();
}
