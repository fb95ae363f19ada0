//! What each worker is said to have, and drains that are found out by counting.

use super::{MODES, ask, connections, home, open, serving, tally, visits, worker};
use ostler_testkit::{Connections, Home, Load, Visitor, free_port, process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_worker_is_said_to_have_what_it_has() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let pids = home.pids("web");
        // What a worker accepts by itself only it could count.
        let taken_is_known = mode != "direct";
        let none = (taken_is_known.then_some(0), Some(0));
        assert!(pids.iter().all(|pid| connections(&home, *pid) == none));
        let mut held = visits(port, 9);
        let expected = |held: &[(Visitor, i32)]| -> Vec<u64> {
            pids.iter()
                .map(|pid| held.iter().filter(|(_, by)| by == pid).count() as u64)
                .collect()
        };
        let all = expected(&held);
        let seen = |home: &Home| -> Vec<_> { pids.iter().map(|pid| connections(home, *pid)).collect() };
        let both = |taken: &[u64], open: &[u64]| -> Vec<_> {
            taken
                .iter()
                .zip(open)
                .map(|(taken, open)| (taken_is_known.then_some(*taken), Some(*open)))
                .collect()
        };
        home.wait_until("all to be counted", || seen(&home) == both(&all, &all));
        held.truncate(4);
        let left = expected(&held);
        home.wait_until("five to be closed", || seen(&home) == both(&all, &left));
        // What is known is known to a successor.
        let before = home.topology();
        process::kill(before.daemon);
        home.wait_recovered(before);
        home.wait_until("a successor to count", || seen(&home) == both(&all, &left));
        let described = home.ok(&["describe", "0"]).stdout;
        let row = |title: &str| described.lines().find(|line| line.contains(title)).map(str::to_owned);
        let shows = |title: &str, number: &str| row(title).is_some_and(|row| row.contains(&format!(" {number} ")));
        let taken = if taken_is_known {
            all[0].to_string()
        } else {
            "—".to_owned()
        };
        assert!(
            shows("connections taken", &taken) && shows("connections open", &left[0].to_string()),
            "{described}"
        );
        let listed: Value = serde_json::from_str(&home.ok(&["list", "--json"]).stdout).expect("JSON");
        assert_eq!(
            listed["processes"][0]["connections"]["accepted"],
            json!(taken_is_known.then_some(all[0])),
            "{listed}"
        );
        // A worker's numbers are its own, not its slot's.
        drop(held);
        home.ok(&["restart", "web"]);
        assert!(home.pids("web").iter().all(|pid| connections(&home, *pid) == none));
    }
}

#[test]
fn connections_of_a_unix_socket_are_counted_and_shared() {
    for mode in MODES {
        let home = home();
        let path = home.work().join("web.sock");
        serving(&home, 2, mode, json!({ "env": { "PORT": path } }));
        let visit = || {
            let mut visitor = Visitor::at_path(&path).expect("connected");
            let by = ask(&mut visitor);
            (visitor, by)
        };
        let held: Vec<_> = (0..6).map(|_| visit()).collect();
        assert_eq!(tally(&home, held.iter().map(|(_, by)| *by)), [3, 3], "{mode}");
        let open_are = |count: u64| home.pids("web").iter().all(|pid| open(&home, *pid) == Some(count));
        home.wait_until("them to be counted", || open_are(3));
        drop(held);
        home.wait_until("them to be closed", || open_are(0));
    }
}

#[test]
fn fork_apps_have_no_counts_and_stopped_workers_none() {
    let home = home();
    serving(&home, 1, "round-robin", json!({}));
    home.start(json!([ostler_testkit::sleeper("other")]));
    assert!(home.row("other").get("connections").is_null());
    assert!(!home.ok(&["describe", "other"]).stdout.contains("connections"));
    home.ok(&["stop", "web"]);
    assert!(home.row("web").get("connections").is_null());
}

#[test]
fn without_the_preload_a_worker_drains_until_its_last_connection_closes() {
    let home = home();
    // Far beyond what the test takes: only counting can end the drain.
    let port = free_port();
    let env = json!({ "PORT": port, "SLOW_MS": 2500 });
    serving(
        &home,
        1,
        "round-robin",
        json!({ "pmx": false, "drain_timeout": 120_000, "env": env }),
    );
    let old = home.pid("web");
    let mut kept = Visitor::at(port).expect("connected");
    assert_eq!(ask(&mut kept), old);
    kept.ask("/slow").expect("asked");
    let reload = home.call(&["reload", "web"]).spawn();
    let newer = home.wait_for("a replacement", || {
        Visitor::at(port)
            .ok()
            .map(|mut new| ask(&mut new))
            .filter(|by| *by != old)
    });
    // What is under way is answered by the old one, which then still serves on this connection.
    assert_eq!(worker(&kept.answer().expect("an answer")), old);
    assert_eq!(ask(&mut kept), old);
    assert!(process::is_alive(old));
    drop(kept);
    assert!(process::wait_end(old, Duration::from_secs(20)), "{}", home.report());
    assert_eq!(reload.wait(Duration::from_secs(30)).code, Some(0));
    assert_eq!(home.pid("web"), newer);
}

#[test]
fn without_the_preload_a_reload_loses_no_request_of_fresh_connections() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({ "pmx": false }));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        home.wait_until("load", || load.answered() > 20);
        let before = Instant::now();
        home.ok(&["reload", "web"]);
        assert!(
            before.elapsed() < Duration::from_secs(25),
            "the drain ended at its deadline"
        );
        load.end_without_loss(mode);
    }
}

#[test]
fn an_app_that_serves_nothing_drains_at_once_without_the_preload() {
    let home = home();
    let script = home.script("idle.js", "setInterval(() => {}, 1000)");
    let app = json!({
        "name": "web", "script": script, "exec_mode": "cluster", "pmx": false, "drain_timeout": 120_000,
    });
    home.start(json!([app]));
    let old = home.pid("web");
    home.ok(&["reload", "web"]);
    assert_ne!(home.pid("web"), old);
    assert!(!process::is_alive(old));
    assert!(
        home.row("web").get("connections")["active"].is_null(),
        "nothing of ours is listened on"
    );
}

/// What Prometheus is told of each instance of `web`.
fn counted(home: &Home, what: &str) -> Vec<(String, u64)> {
    let page = home.control_text("/metrics").expect("an answer");
    let name = format!("ostler_worker_connections_{what}_total{{app=\"web\",");
    let samples = page
        .lines()
        .filter_map(|line| line.strip_prefix(&name)?.rsplit_once(' '));
    let understood = samples.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a whole number")));
    understood.collect()
}

fn all(counted: &[(String, u64)]) -> u64 {
    counted.iter().map(|(_, count)| count).sum()
}

#[test]
fn what_instances_have_taken_is_counted_over_reloads_and_daemons() {
    for mode in ["round-robin", "least-connections", "sticky"] {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let taken = || counted(&home, "accepted");
        let fresh = taken();
        assert_eq!((fresh.len(), all(&fresh)), (2, 0), "{mode}: {fresh:?}");
        drop(visits(port, 9));
        home.wait_until("all to be counted", || all(&taken()) == 9);
        let (old, before) = (home.pids("web"), taken());
        let reload = home.call(&["reload", "web"]).spawn();
        home.wait_until("the workers to be replaced", || {
            // One that is about to begin is not there for a moment.
            let now = taken();
            assert!(
                now.iter().all(|instance| before.contains(instance)),
                "{now:?} after {before:?}"
            );
            home.pids("web").iter().all(|pid| !old.contains(pid))
        });
        assert_eq!(reload.wait(Duration::from_secs(30)).code, Some(0));
        assert_eq!(taken(), before, "{mode}");
        drop(visits(port, 4));
        home.wait_until("all to be counted", || all(&taken()) == 13);
        let (before, topology) = (taken(), home.topology());
        process::kill(topology.daemon);
        home.wait_recovered(topology);
        home.wait_until("a successor to know", || taken() == before);
        drop(visits(port, 2));
        home.wait_until("a successor to go on", || all(&taken()) == 15);
        home.ok(&["restart", "web"]);
        let now = taken();
        assert_eq!(all(&now), 15, "{mode}: {now:?}");
        assert_eq!(all(&counted(&home, "refused")), 0, "{mode}");
        // Another app at the same place begins anew.
        home.ok(&["delete", "web"]);
        let port = serving(&home, 2, mode, json!({}));
        let fresh = taken();
        assert_eq!((fresh.len(), all(&fresh)), (2, 0), "{mode}: {fresh:?}");
        drop(visits(port, 1));
        home.wait_until("it to be counted", || all(&taken()) == 1);
    }
    let home = home();
    serving(&home, 2, "direct", json!({}));
    let none: &[(String, u64)] = &[];
    assert_eq!(
        counted(&home, "accepted"),
        none,
        "what a worker accepts by itself only it could count"
    );
}

#[test]
fn who_gives_connections_back_is_said_to() {
    let home = home();
    let path = home.work().join("refuses.js");
    // The first instance says of each connection that it does not take it; another one gets it then.
    let script = "
        const refuses = process.env.NODE_APP_INSTANCE === '0';
        const send = process.send;
        if (refuses) process.send = function (message, ...more) {
            if (message && message.accepted) message.accepted = false;
            return send.call(this, message, ...more);
        };
        const server = require('http').createServer((request, response) => response.end(`I am ${process.pid}`));
        if (refuses) server.on('connection', (socket) => socket.destroy());
        server.listen(process.env.PORT);
    ";
    std::fs::write(&path, script).expect("written");
    let port = serving(&home, 2, "round-robin", json!({ "script": path }));
    let other = home.pids("web")[1];
    let visits = visits(port, 6);
    assert!(visits.iter().all(|(_, by)| *by == other), "{visits:?}");
    home.wait_until("it to be counted", || all(&counted(&home, "refused")) > 0);
    home.wait_until("all to be counted", || all(&counted(&home, "accepted")) == 6);
    let described = |id: &str| home.ok(&["describe", id]).stdout.contains("connections given back");
    assert_eq!((described("0"), described("1")), (true, false));
}
