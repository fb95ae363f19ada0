//! The ways to look at a worker, and the ways to reach it.

use crate::support::{all_say, home, probe, rows, says, serving, set, wait_replaced};
use ostler_testkit::{Row, Signal, apps, http_get, process};
use serde_json::json;

#[test]
fn in_fork_mode_the_port_is_found_and_one_that_is_not_well_is_restarted() {
    let home = home();
    let health = probe(&json!({ "http": "/healthz" }));
    let port = serving(&home, 1, &json!({ "exec_mode": "fork", "health": health }));
    home.wait_until("it to be well", || all_say(&home, "healthy"));
    let before = rows(&home).remove(0);
    set(&home, &format!("sick-{}", before.pid()), true);
    wait_replaced(&home, &before);
    home.wait_until("its successor to be well", || all_say(&home, "healthy"));
    assert!(http_get(port).is_ok());
    let why = home.ok(&["why", "web"]).stdout;
    assert!(why.contains("not well: GET /healthz: answered 503"), "{why}");
}

#[test]
fn in_fork_mode_a_hung_event_loop_is_noticed_too() {
    let home = home();
    let health = probe(&json!({ "heartbeat": true }));
    serving(
        &home,
        2,
        &json!({ "exec_mode": "fork", "health": health, "env": { "SOCKET": home.work().join("a.sock"), "FLAGS": home.work() }, "instances": 1 }),
    );
    home.wait_until("it to be well", || all_say(&home, "healthy"));
    let before = rows(&home).remove(0);
    assert!(process::signal(before.pid(), Signal::USR2));
    wait_replaced(&home, &before);
    let why = home.ok(&["why", "web"]).stdout;
    assert!(why.contains("the event loop: it does not turn"), "{why}");
}

#[test]
fn in_fork_mode_a_start_waits_for_readiness_and_leaves_running_what_is_late() {
    let home = home();
    set(&home, "unready-all", true);
    let app = json!({
        "name": "web", "script": apps::path("health.cjs"), "listen_timeout": 1200, "ready": probe(&json!({ "http": "/readyz" })),
        "env": { "PORT": ostler_testkit::free_port(), "FLAGS": home.work() },
    });
    let file = home.ecosystem(json!([app]));
    let start = home.run(&["start", &file.to_string_lossy()]);
    assert_ne!(start.code, Some(0), "{}", start.stdout);
    assert!(start.stderr.contains("GET /readyz: answered 503"), "{}", start.stderr);
    let before = rows(&home).remove(0);
    assert_eq!((before.status(), says(&before, "ready")), ("online", Some(false)));
    set(&home, "unready-all", false);
    home.wait_until("it to be ready", || all_say(&home, "ready"));
    assert_eq!((rows(&home)[0].pid(), rows(&home)[0].restarts()), (before.pid(), 0));
}

#[test]
fn a_server_of_tls_takes_connections_of_probes() {
    let home = home();
    let health = probe(&json!({ "tcp": true }));
    let script = apps::path("cluster/https.cjs");
    serving(&home, 2, &json!({ "script": script, "health": health }));
    home.wait_until("both to be well", || all_say(&home, "healthy"));
    let before = rows(&home);
    assert!(process::signal(before[0].pid(), Signal::STOP));
    home.wait_until("one to be unwell", || {
        rows(&home)[0].pid() != before[0].pid() || says(&rows(&home)[0], "healthy") == Some(false)
    });
    let after = wait_replaced(&home, &before[0]);
    home.wait_until("its successor to be well", || all_say(&home, "healthy"));
    assert_ne!(after.pid(), before[0].pid());
    assert_eq!(rows(&home)[1].pid(), before[1].pid());
}

#[test]
fn behind_a_unix_socket_the_very_worker_is_reached() {
    let home = home();
    let health = probe(&json!({ "http": "/healthz" }));
    let environment = json!({ "SOCKET": home.work().join("web.sock"), "FLAGS": home.work() });
    serving(&home, 2, &json!({ "health": health, "env": environment }));
    home.wait_until("both to be well", || all_say(&home, "healthy"));
    let before = rows(&home);
    set(&home, &format!("sick-{}", before[1].pid()), true);
    wait_replaced(&home, &before[1]);
    assert_eq!(rows(&home)[0].pid(), before[0].pid());
}

#[test]
fn a_new_daemon_calls_nobody_unwell_and_goes_on_looking() {
    let home = home();
    let (health, ready) = (
        probe(&json!({ "heartbeat": true })),
        probe(&json!({ "http": "/readyz" })),
    );
    serving(&home, 3, &json!({ "health": health, "ready": ready }));
    home.wait_until("all to be well", || {
        all_say(&home, "healthy") && all_say(&home, "ready")
    });
    let before = rows(&home);
    for _ in 0..3 {
        let topology = home.topology();
        process::kill(topology.daemon);
        home.wait_recovered(topology);
        assert!(
            all_say(&home, "healthy") && all_say(&home, "ready"),
            "{}",
            home.report()
        );
    }
    let pids = |rows: &[Row]| rows.iter().map(Row::pid).collect::<Vec<_>>();
    assert_eq!(pids(&rows(&home)), pids(&before));
    let flag = format!("unready-{}", before[2].pid());
    set(&home, &flag, true);
    home.wait_until("it to be not ready", || says(&rows(&home)[2], "ready") == Some(false));
    let topology = home.topology();
    process::kill(topology.daemon);
    home.wait_recovered(topology);
    assert_eq!(
        says(&rows(&home)[2], "ready"),
        Some(false),
        "what was known is known yet"
    );
    set(&home, &flag, false);
    home.wait_until("it to be ready again", || all_say(&home, "ready"));
    assert!(process::signal(before[0].pid(), Signal::USR2));
    wait_replaced(&home, &before[0]);
}
