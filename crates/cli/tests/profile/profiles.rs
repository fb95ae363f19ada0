//! What is in the files, of whom, and that the worker goes on.

use crate::support::{SHOP, holds_class, home, json_in, left, names_function, open_shop, wait_another, written};
use ostler_testkit::{Connections, DEADLINE, Home, Load, Row, Runtime, Signal, http_get, process, skip};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Both kinds of profiles, of a worker that goes on as if nothing had been.
fn profile_both(home: &Home, port: u16, instance: &str, case: &str) {
    // V8 has optimised what runs in loops, which is the hard case for its profiler.
    home.wait_until("it to be hot", || {
        let rows = home.rows("shop");
        let row = rows.iter().find(|row| row.id().to_string() == instance);
        let log = row.and_then(|row| std::fs::read_to_string(row.text("pm_out_log_path")).ok());
        log.is_some_and(|log| log.contains("hot"))
    });
    let before = home.pids("shop");
    let output = home.ok(&["profile", "shop", "--cpu", "1s", "--instance", instance]);
    let file = written(&output);
    assert!(names_function(&json_in(&file), "grindCoffee"), "{case}: {output}");
    assert!(file.to_string_lossy().ends_with(".cpuprofile"), "{case}: {output}");
    let output = home.ok(&["profile", "shop", "--heap", "--instance", instance]);
    let file = written(&output);
    assert!(holds_class(&json_in(&file), "TeaCup"), "{case}: {output}");
    let mode = std::fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{case}: nobody else may read it");
    assert_eq!(
        file.parent(),
        Some(home.work().as_path()),
        "{case}: where the command was given"
    );
    assert!(http_get(port).is_ok(), "{case}: it serves on");
    assert_eq!(home.pids("shop"), before, "{case}");
    assert!(home.rows("shop").iter().all(|row| row.restarts() == 0), "{case}");
    assert!(left(home).is_empty(), "{case}: {:?}", left(home));
}

#[test]
fn the_busy_function_and_the_class_are_named_in_both_modes() {
    let cluster = json!({ "exec_mode": "cluster", "instances": 2 });
    for (more, instance) in [(json!({}), "0"), (cluster, "1")] {
        let home = home();
        let port = open_shop(&home, &more);
        profile_both(&home, port, instance, &more.to_string());
    }
}

#[test]
fn every_node_from_the_oldest_to_the_newest_can() {
    for major in [16, 24, 26] {
        let node = match Runtime::node(major) {
            Ok(node) => node,
            Err(reason) => {
                skip("every_node_from_the_oldest_to_the_newest_can", &reason);
                continue;
            }
        };
        for mode in ["fork", "cluster"] {
            let home = home();
            let port = open_shop(&home, &json!({ "exec_mode": mode, "interpreter": node.path }));
            profile_both(&home, port, "0", &format!("{} {mode}", node.name));
        }
    }
}

#[test]
fn the_one_that_uses_most_is_chosen_and_named_and_told_as_json() {
    let home = home();
    let app = "if (process.env.NODE_APP_INSTANCE === '1') {
        setInterval(() => { for (const end = Date.now() + 30; Date.now() < end;); }, 40);
        global.much = Buffer.alloc(200e6, 1);
    } else setInterval(() => {}, 1000);";
    home.start(json!([{ "name": "two", "script": home.script("two.js", app), "instances": 2 }]));
    home.wait_until("the busy one to be known as such", || {
        let list: Vec<Value> = serde_json::from_str(&home.ok(&["jlist"]).stdout).expect("JSON");
        list.iter()
            .any(|row| row["pm_id"] == 1 && row["monit"]["cpu"].as_f64() > Some(5.0))
    });
    let output = home.ok(&["profile", "two", "--cpu", "1s", "--json", "--output", "here.cpuprofile"]);
    let told: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let path = home.work().join("here.cpuprofile");
    assert_eq!(
        (&told["id"], &told["instance"], &told["path"]),
        (&json!(1), &json!(1), &json!(path))
    );
    assert_eq!(told["kind"], json!({ "cpu": { "for_ms": 1000 } }));
    assert_eq!(
        told["bytes"],
        json!(std::fs::metadata(&path).expect("it is there").len())
    );
    assert!(
        output.stderr.contains("two (1), instance 1") && output.stderr.contains("the most CPU"),
        "{output}"
    );
    let output = home.ok(&["profile", "two", "--heap"]);
    assert!(
        output.stderr.contains("two (1), instance 1") && output.stderr.contains("the most memory"),
        "{output}"
    );
    let output = home.ok(&["profile", "0", "--cpu", "1s"]);
    assert!(output.stderr.contains("two (0), instance 0"), "by its id: {output}");
}

#[test]
fn ctrl_c_ends_a_cpu_profile_early_and_what_there_is_is_written() {
    let home = home();
    open_shop(&home, &json!({}));
    let profiling = home.call(&["profile", "shop", "--cpu", "5m"]).spawn();
    // Begun: its file is there, and the daemon refuses another.
    home.wait_until("a file", || !left(&home).is_empty());
    assert!(process::signal(profiling.pid(), Signal::INT));
    let output = profiling.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    json_in(&written(&output));
    assert!(left(&home).is_empty());
}

/// An app of two, of which the first stands still: the second answers everybody for longer than probes would need to have the first replaced.
fn assert_it_is_spared(port: u16, home: &Home, stands: i32, case: &str) {
    let since = Instant::now();
    let load = Load::begin(port, "/", 4, Connections::Fresh);
    home.wait_until("answers", || {
        load.answered() > 300 && since.elapsed() > Duration::from_secs(5)
    });
    let report = load.end_without_loss(format!("{case}: one of two stands still"));
    let bodies = &report.bodies;
    assert!(!bodies.contains_key(&stands.to_string()), "{case}: {bodies:?}");
}

/// Two in a cluster whose event loops are looked after, when they are well.
fn open_two(home: &Home, more: &Value) -> u16 {
    let health = json!({ "heartbeat": true, "interval": 300, "timeout": 300, "failure_threshold": 4 });
    let mut app = json!({ "exec_mode": "cluster", "instances": 2, "health": health });
    for (key, value) in more.as_object().into_iter().flatten() {
        app[key] = value.clone();
    }
    let port = open_shop(home, &app);
    let is_well = |row: &Row| row.get("health")["healthy"] == true;
    home.wait_until("all to be well", || home.rows("shop").iter().all(is_well));
    port
}

#[test]
fn whoever_stands_still_for_a_snapshot_gets_no_connections_and_is_not_replaced() {
    for balance in ["round-robin", "direct"] {
        let home = home();
        let port = open_two(&home, &json!({ "balance": balance }));
        let before = home.pids("shop");
        // It has been asked, and takes as long as we like.
        process::signal(before[0], Signal::STOP);
        let profiling = home.call(&["profile", "0", "--heap"]).spawn();
        home.wait_until("it to be asked", || !left(&home).is_empty());
        // The worker is paused when the file is there and the daemon has answered something after that.
        home.ok(&["list"]);
        assert_it_is_spared(port, &home, before[0], balance);
        process::signal(before[0], Signal::CONT);
        let output = profiling.wait(DEADLINE);
        assert_eq!(output.code, Some(0), "{balance}: {output}");
        assert!(holds_class(&json_in(&written(&output)), "TeaCup"), "{balance}");
        assert_eq!(home.pids("shop"), before, "{balance}: nobody was replaced");
        let load = Load::begin(port, "/", 4, Connections::Fresh);
        home.wait_until("it to serve again", || {
            http_get(port).is_ok_and(|pid| pid == before[0].to_string())
        });
        load.end_without_loss(format!("{balance}: it serves again"));
    }
}

#[test]
fn a_new_daemon_spares_whoever_stands_still_in_the_middle_of_a_snapshot() {
    let home = home();
    let large = format!("{SHOP} global.much = Array.from({{ length: 500000 }}, (_, number) => ({{ number }}));");
    let port = open_two(&home, &json!({ "script": home.script("large.js", &large) }));
    let pids = home.pids("shop");
    let profiling = home.call(&["profile", "0", "--heap"]).spawn();
    // It has begun, and said so. There are many megabytes to come, and they take as long as we like.
    home.wait_until("it to be written", || {
        let sizes = left(&home)
            .into_iter()
            .map(|file| std::fs::metadata(file).map_or(0, |data| data.len()));
        sizes.sum::<u64>() > 0
    });
    process::signal(pids[0], Signal::STOP);
    let before = home.topology();
    process::kill(before.daemon);
    wait_another(&home, before);
    home.ok(&["list"]);
    assert_it_is_spared(port, &home, pids[0], "a new daemon");
    process::signal(pids[0], Signal::CONT);
    let output = profiling.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(holds_class(&json_in(&written(&output)), "TeaCup"));
    assert_eq!(home.pids("shop"), pids, "nobody was replaced");
}
