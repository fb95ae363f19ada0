//! Who is given connections, who is replaced, and that nobody's request is lost by it.

use crate::support::{all_say, home, probe, rows, says, serving, set, wait_replaced};
use ostler_testkit::{Connections, Load, Row, Signal, process};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn one_of_four_that_hangs_leaves_rotation_is_replaced_and_nobody_else_notices() {
    for balance in ["round-robin", "direct"] {
        let home = home();
        let health = probe(&json!({ "heartbeat": true }));
        let port = serving(
            &home,
            4,
            &json!({ "balance": balance, "health": health, "min_ready": 1000 }),
        );
        home.wait_until("all to be well", || all_say(&home, "healthy"));
        let before = rows(&home);
        let held = Load::begin(port, "/", 6, Connections::Fresh);
        home.wait_until("answers", || held.answered() > 200);
        let asked = Instant::now();
        assert!(process::signal(before[1].pid(), Signal::USR2));
        home.wait_until("it to be called unwell", || {
            let row = &rows(&home)[1];
            row.pid() != before[1].pid() || says(row, "healthy") == Some(false)
        });
        let took = asked.elapsed();
        // Two looks, and what the last may take; the rest is for a busy machine.
        assert!(took < Duration::from_millis(600 + 2000), "{balance}: {took:?}");
        let others = Load::begin(port, "/", 6, Connections::Fresh);
        let after = wait_replaced(&home, &before[1]);
        let served = others.answered();
        home.wait_until("more answers", || others.answered() > served + 200);
        let report = others.end_without_loss(format!("{balance}: a worker out of rotation is replaced"));
        assert!(!report.bodies.contains_key(&before[1].pid().to_string()), "{balance}");
        assert!(report.bodies.contains_key(&after.pid().to_string()), "{balance}");
        // What it held when it hung was one request of each client at most.
        let report = held.end();
        assert!(report.lost.len() <= 6, "{balance}: {:?}", report.lost);
        for (before, after) in before
            .iter()
            .zip(rows(&home))
            .filter(|(row, _)| row.id() != before[1].id())
        {
            assert_eq!(before.pid(), after.pid(), "{balance}: the others are what they were");
        }
        let why = home.ok(&["why", "web"]).stdout;
        assert!(why.contains("is not well") && why.contains("event loop"), "{why}");
    }
}

#[test]
fn one_of_four_that_fails_its_probe_is_replaced_without_a_lost_request() {
    for balance in ["round-robin", "direct"] {
        let home = home();
        let health = probe(&json!({ "http": "/healthz" }));
        let port = serving(&home, 4, &json!({ "balance": balance, "health": health }));
        home.wait_until("all to be well", || all_say(&home, "healthy"));
        let before = rows(&home);
        let load = Load::begin(port, "/slow", 12, Connections::KeptAlive);
        home.wait_until("answers", || load.answered() > 24);
        // Of four behind one port, the probe reaches the one that is meant.
        set(&home, &format!("sick-{}", before[2].pid()), true);
        home.wait_until("it to be called unwell", || {
            let row = &rows(&home)[2];
            row.pid() != before[2].pid() || says(row, "healthy") == Some(false)
        });
        let others = Load::begin(port, "/", 4, Connections::Fresh);
        wait_replaced(&home, &before[2]);
        let report = others.end_without_loss(format!("{balance}: out of rotation"));
        assert!(!report.bodies.contains_key(&before[2].pid().to_string()), "{balance}");
        load.end_without_loss(format!("{balance}: a worker that is not well is replaced"));
        for row in rows(&home).iter().filter(|row| row.id() != before[2].id()) {
            assert_eq!((row.restarts(), says(row, "healthy")), (0, Some(true)), "{balance}");
        }
        let why = home.ok(&["why", "web"]).stdout;
        assert!(why.contains("answered 503"), "{why}");
    }
}

#[test]
fn a_worker_that_is_briefly_not_ready_gets_nothing_meanwhile_and_is_not_restarted() {
    for balance in ["round-robin", "direct"] {
        let home = home();
        let ready = probe(&json!({ "http": "/readyz" }));
        let port = serving(&home, 2, &json!({ "balance": balance, "ready": ready }));
        let before = rows(&home);
        let load = Load::begin(port, "/", 4, Connections::Fresh);
        let flag = format!("unready-{}", before[0].pid());
        set(&home, &flag, true);
        home.wait_until("it to be not ready", || says(&rows(&home)[0], "ready") == Some(false));
        assert!(home.ok(&["list"]).stdout.contains("not ready"));
        let meanwhile = Load::begin(port, "/", 4, Connections::Fresh);
        home.wait_until("answers", || meanwhile.answered() > 200);
        let report = meanwhile.end_without_loss("the other one serves");
        assert!(!report.bodies.contains_key(&before[0].pid().to_string()), "{balance}");
        set(&home, &flag, false);
        home.wait_until("it to be ready again", || all_say(&home, "ready"));
        let again = Load::begin(port, "/", 4, Connections::Fresh);
        home.wait_until("answers", || again.answered() > 200);
        let report = again.end_without_loss("both serve");
        assert!(report.bodies.contains_key(&before[0].pid().to_string()), "{balance}");
        load.end_without_loss("one leaves and comes back");
        let after: Vec<i32> = rows(&home).iter().map(Row::pid).collect();
        assert_eq!(after, before.iter().map(Row::pid).collect::<Vec<_>>());
    }
}

#[test]
fn a_reload_whose_new_worker_is_not_ready_is_rolled_back() {
    let home = home();
    let ready = probe(&json!({ "http": "/readyz" }));
    let port = serving(&home, 2, &json!({ "ready": ready, "listen_timeout": 1500 }));
    let before: Vec<i32> = rows(&home).iter().map(Row::pid).collect();
    let load = Load::begin(port, "/", 4, Connections::Fresh);
    set(&home, "never-ready", true);
    let reload = home.run(&["reload", "web"]);
    assert_ne!(reload.code, Some(0));
    assert!(reload.stderr.contains("answered 503"), "{}", reload.stderr);
    load.end_without_loss("a reload that is rolled back");
    assert_eq!(rows(&home).iter().map(Row::pid).collect::<Vec<_>>(), before);
    set(&home, "never-ready", false);
    home.ok(&["reload", "web"]);
    assert!(all_say(&home, "ready"));
}
