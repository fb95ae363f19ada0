//! How workers are doing: what they use, what they count, and that it is right over reloads, crashes and new daemons.

use ostler_testkit::{Home, Manager, Visitor, apps, free_port, process, tools};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

fn metrics(home: &Home) -> Value {
    home.control("/v1/metrics").expect("an answer")
}

fn workers(home: &Home, name: &str) -> Vec<Value> {
    let metrics = metrics(home);
    let workers = metrics["workers"].as_array().expect("a list");
    workers
        .iter()
        .filter(|worker| worker["name"] == name)
        .cloned()
        .collect()
}

/// Requests of an app that were answered with 2xx and with 4xx, and that were given up.
fn counted(home: &Home, name: &str) -> Option<[u64; 3]> {
    let metrics = metrics(home);
    let app = metrics["apps"].as_array()?.iter().find(|app| app["name"] == name)?;
    Some([
        app["answered"][1].as_u64()?,
        app["answered"][3].as_u64()?,
        app["aborted"].as_u64()?,
    ])
}

const SERVER: &str = "require('http').createServer((request, response) => {
  if (request.url === '/never') return;
  response.statusCode = request.url === '/missing' ? 404 : 200;
  response.end('ok ' + process.pid);
}).listen(process.env.PORT, '127.0.0.1');";

fn serving(home: &Home, more: Value) -> u16 {
    let port = free_port();
    let mut app = json!({ "name": "web", "script": home.script("server.js", SERVER), "env": { "PORT": port } });
    if let Value::Object(more) = more {
        app.as_object_mut().expect("an object").extend(more);
    }
    home.start(json!([app]));
    home.wait_until("an answer", || Visitor::at(port).is_ok());
    port
}

/// So many requests, each over a connection of its own.
fn ask(port: u16, path: &str, times: usize) {
    for _ in 0..times {
        let mut visitor = Visitor::at(port).expect("connected");
        // What it is answered is counted there; that it is answered is all we want to know.
        drop(visitor.get(path));
    }
}

/// Waits until exactly so much has been counted, and for no moment more.
fn until_counted(home: &Home, expected: [u64; 3]) {
    home.wait_until("what was asked to be counted", || {
        let counted = counted(home, "web").unwrap_or_default();
        assert!(
            counted.iter().zip(expected).all(|(counted, all)| *counted <= all),
            "{counted:?} {expected:?}"
        );
        counted == expected
    });
}

#[test]
fn requests_are_counted_over_reloads_crashes_and_new_daemons() {
    for more in [json!({}), json!({ "exec_mode": "cluster", "instances": 2 })] {
        let home = home();
        let port = serving(&home, more);
        let is_cluster = home.pids("web").len() == 2;
        ask(port, "/", 30);
        ask(port, "/missing", 7);
        let mut given_up = Visitor::at(port).expect("connected");
        given_up.ask("/never").expect("sent");
        drop(given_up);
        until_counted(&home, [30, 7, 1]);
        if is_cluster {
            // Whoever drains says what it has counted before it goes.
            ask(port, "/", 5);
            home.ok(&["reload", "web"]);
            until_counted(&home, [35, 7, 1]);
        }
        ask(port, "/", 40 - if is_cluster { 35 } else { 30 });
        until_counted(&home, [40, 7, 1]);
        let before = home.topology();
        process::kill(before.daemon);
        home.wait_recovered(before);
        assert_eq!(
            counted(&home, "web"),
            Some([40, 7, 1]),
            "before anybody has said it again"
        );
        let pids = home.pids("web");
        for pid in &pids {
            process::kill(*pid);
        }
        home.wait_until("successors", || {
            let now = home.pids("web");
            now.len() == pids.len() && now.iter().all(|pid| !pids.contains(pid)) && Visitor::at(port).is_ok()
        });
        ask(port, "/", 3);
        until_counted(&home, [43, 7, 1]);
    }
}

#[test]
fn requests_that_queue_on_a_connection_are_measured_each_from_its_turn() {
    const SLOW: &str = "require('http').createServer((request, response) => {
      if (request.url === '/slow') setTimeout(() => response.end('slow'), 400);
      else response.end('quick');
    }).listen(process.env.PORT, '127.0.0.1');";
    let home = home();
    let port = free_port();
    let script = home.script("server.js", SLOW);
    home.start(json!([{ "name": "web", "script": script, "env": { "PORT": port } }]));
    home.wait_until("an answer", || Visitor::at(port).is_ok());
    let mut visitor = Visitor::at(port).expect("connected");
    visitor.get("/").expect("an answer");
    for path in ["/slow", "/"] {
        visitor.ask(path).expect("sent");
    }
    assert_eq!(visitor.answer().expect("an answer"), "slow");
    // It came at once, but its turn was when the one before it was answered.
    assert_eq!(visitor.answer().expect("an answer"), "quick");
    visitor.get("/").expect("an answer");
    until_counted(&home, [4, 0, 0]);
    let metrics = metrics(&home);
    let buckets = metrics["apps"][0]["latency"].as_array().expect("buckets");
    let slow = |bucket: &&Value| bucket["up_to_ms"].as_f64().is_none_or(|up_to| up_to > 256.0);
    let slow: u64 = buckets
        .iter()
        .filter(slow)
        .filter_map(|bucket| bucket["count"].as_u64())
        .sum();
    assert_eq!(slow, 1, "{buckets:?}");
    let all = metrics["apps"][0]["latency_sum_ms"].as_f64().expect("a number");
    assert!((300.0..60_000.0).contains(&all), "{all}");
}

#[test]
fn a_busy_event_loop_shows_and_an_idle_one_is_left_alone() {
    let home = home();
    let busy = "setInterval(() => { const end = Date.now() + 150; while (Date.now() < end); }, 200);";
    home.start(json!([
        { "name": "busy", "script": home.script("busy.js", busy) },
        { "name": "idle", "script": home.script("idle.js", "setInterval(() => {}, 1000);") },
        { "name": "dark", "script": home.script("dark.js", "setInterval(() => {}, 1000);"), "pmx": false },
    ]));
    let node = |name: &str| workers(&home, name)[0]["node"].clone();
    home.wait_until("what the busy one says", || {
        let busy = node("busy");
        let (delay, utilisation) = (&busy["loop_delay"]["max"], &busy["loop_utilisation"]);
        delay.as_f64().is_some_and(|ms| (100.0..2000.0).contains(&ms))
            && utilisation
                .as_f64()
                .is_some_and(|percent| percent > 50.0 && percent <= 100.0)
    });
    home.wait_until("what the idle one says", || {
        node("idle")["heap"].as_u64().is_some_and(|heap| heap > 1_000_000)
    });
    assert_eq!(node("dark"), Value::Null, "`pmx: false` leaves it alone");
    assert!(home.rows("dark")[0].status() == "online");
}

/// Processor time that a process took a second, ours and the daemon's measure of it, in percent.
fn processor(home: &Home, name: &str, pid: i32) -> (f64, f64) {
    metrics(home);
    let (begin, used) = (Instant::now(), process::cpu_time(pid));
    home.wait_until("some time", || begin.elapsed() > Duration::from_millis(1500));
    let told = workers(home, name)
        .iter()
        .filter_map(|worker| worker["usage"]["cpu"].as_f64())
        .sum();
    let spent = process::cpu_time(pid).saturating_sub(used);
    (spent.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0, told)
}

fn rss(pid: i32) -> u64 {
    process::memory(pid).rss * 1024
}

fn node_below(home: &Home, name: &str) -> i32 {
    home.wait_for("the program", || {
        let root = home.pid(name);
        let below = process::descendants(root)
            .into_iter()
            .map(|process| process.pid)
            .chain([root]);
        below.into_iter().find(|pid| {
            process::program(*pid).is_some_and(|program| program.ends_with("node"))
                && process::read(*pid).is_some_and(|process| process.command.contains("use.js"))
        })
    })
}

#[test]
fn processor_and_memory_are_those_of_the_whole_tree() {
    let home = home();
    // Beside some 45 MB that Node takes itself.
    let spinner = "const held = Buffer.alloc(255e6, 1); setTimeout(() => { for (;;) held[0]++; }, 300);";
    home.script("use.js", spinner);
    home.write(
        "package.json",
        r#"{ "name": "use", "scripts": { "start": "node use.js" } }"#,
    );
    let work = home.work();
    for (name, app) in [
        ("direct", json!({ "script": "use.js" })),
        ("npm", json!({ "script": "npm", "args": "start" })),
        ("cluster", json!({ "script": "use.js", "exec_mode": "cluster" })),
    ] {
        let mut app = app;
        let more = json!({ "name": name, "cwd": work, "kill_timeout": 100 });
        app.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        home.start(json!([app]));
        let pid = node_below(&home, name);
        home.wait_until("the same by both measures", || {
            let (ours, told) = processor(&home, name, pid);
            // Where others take a part of the processor there are fewer than a hundred to be had.
            ours > 20.0 && (told - ours).abs() < 8.0 && told < 106.0
        });
        let tree: u64 = process::descendants(home.pid(name))
            .iter()
            .map(|process| rss(process.pid))
            .sum();
        let all = tree + rss(home.pid(name));
        let told = workers(&home, name)[0]["usage"]["memory"].as_u64().expect("known");
        assert!(told.abs_diff(all) < 10_000_000, "{name}: {told} of {all}");
        assert!(
            name == "npm" || (290_000_000..330_000_000).contains(&told),
            "{name}: {told}"
        );
        home.ok(&["delete", name]);
    }
}

#[test]
fn prometheus_reads_what_we_write() {
    let python = match tools::pip(&["prometheus-client==0.23.1"], "python") {
        Ok(python) => python,
        Err(reason) => return ostler_testkit::skip("prometheus_reads_what_we_write", &reason),
    };
    let home = home();
    let port = serving(&home, json!({ "exec_mode": "cluster", "instances": 2 }));
    ask(port, "/", 9);
    until_counted(&home, [9, 0, 0]);
    let reader = home.program(python).arg(apps::path("metrics/read.py"));
    let read = reader.arg(home.path().join("ostler.sock")).ok();
    let told: Value = serde_json::from_str(&read.stdout).expect("JSON");
    assert_eq!(
        told["ostler_http_requests_total app=web class=2xx namespace=default"], 9.0,
        "{told}"
    );
    assert_eq!(
        told["ostler_worker_up app=web namespace=default worker=1"], 1.0,
        "{told}"
    );
    assert_eq!(
        told["ostler_http_request_duration_seconds_count app=web namespace=default"], 9.0,
        "{told}"
    );
}

#[test]
fn the_daemon_comes_to_rest_also_where_programs_never_listen_or_never_rest() {
    let home = home();
    let timer = home.script("timer.js", "setInterval(() => {}, 60000);\n");
    let waiting = home.script("waiting.sh", "sleep 100000\n");
    home.start(json!([
        { "name": "timer", "script": timer },
        { "name": "waiting", "script": waiting, "interpreter": "/bin/sh" },
        { "name": "busy", "script": "/usr/bin/nice", "interpreter": "none",
          "args": ["-n", "19", "/bin/sh", "-c", "while :; do :; done"] },
    ]));
    let daemon = home.topology().daemon;
    let mut last = (process::reads(daemon), Instant::now());
    home.wait_until("half a second in which it has read nothing", || {
        let reads = process::reads(daemon);
        if reads != last.0 {
            last = (reads, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(500)
    });
    assert!(last.0 > 0, "its reads can be seen");
}

/// A program with a child, thirty files and memory of its own.
const HEAVY: &str = "const fs = require('fs');
globalThis.files = Array.from({ length: 30 }, () => fs.openSync(__filename));
globalThis.memory = Buffer.alloc(64 << 20, 1);
require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
require('http').createServer().listen(0, '127.0.0.1');";

#[test]
fn what_a_process_tree_costs_the_machine_is_shown() {
    let home = home();
    let script = home.script("heavy.js", HEAVY);
    home.start(json!([{ "name": "heavy", "script": script }, { "name": "light", "script": "sleep", "args": "1000", "interpreter": "none" }]));
    let described = || {
        let shown = home.ok(&["describe", "heavy", "--json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        shown["processes"][0].clone()
    };
    // Resident memory is that of the last sample, which may be from before it had any.
    home.wait_until("all it has", || {
        let (process, number) = (described(), |value: &Value| value.as_u64().unwrap_or(0));
        let resident = number(&process["usage"]["memory"]);
        let footprint = &process["footprint"];
        let share = number(&footprint["proportional_memory"]);
        let has_memory = share > 64 << 20 && share <= resident + (resident >> 4);
        has_memory && footprint["processes"] == 2 && number(&footprint["descriptors"]) > 30
    });
    let threads = described()["footprint"]["threads"].as_u64();
    assert!(threads > Some(5), "those of Node: {threads:?}");
    for title in ["memory by share", "open descriptors"] {
        assert!(home.ok(&["describe", "heavy"]).stdout.contains(title), "{title}");
    }
    let chosen = home
        .control("/v1/metrics?footprint=true&selector=light")
        .expect("an answer");
    let names: Vec<&str> = chosen["workers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|worker| worker["name"].as_str())
        .collect();
    assert_eq!(names, ["light"]);
    assert_eq!(chosen["workers"][0]["footprint"]["processes"], 1);
    assert!(metrics(&home)["workers"][0]["footprint"].is_null(), "not asked for");
    let page = home.control_text("/metrics").expect("an answer");
    let line = "ostler_worker_threads{app=\"light\",namespace=\"default\",worker=\"0\"} 1\n";
    assert!(page.contains(line), "{page}");
    home.ok(&["stop", "heavy"]);
    assert!(described()["footprint"].is_null());
}
