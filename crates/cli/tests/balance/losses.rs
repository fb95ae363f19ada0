//! What is done to the workers and to the daemon while requests come loses none.

use super::{MODES, connections, home, serving};
use ostler_testkit::{Connections, Load, apps, free_port, process, repetitions};
use serde_json::json;

#[test]
fn reloads_lose_nothing_in_any_mode() {
    for mode in MODES {
        for kept in [Connections::Fresh, Connections::KeptAlive] {
            let home = home();
            let port = serving(&home, 2, mode, json!({}));
            let load = Load::begin(port, "/", 16, kept);
            home.wait_until("load", || load.answered() > 20);
            for _ in 0..repetitions(1, 20) {
                home.ok(&["reload", "web"]);
            }
            load.end_without_loss(format_args!("{mode}, {kept:?}"));
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the figures are for whoever runs it by hand")]
fn a_killed_daemon_loses_no_more_than_the_connection_it_had_in_hand() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        let kills = repetitions(2, 20);
        for _ in 0..kills {
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 200);
            let before = home.topology();
            process::kill(before.daemon);
            home.wait_recovered(before);
        }
        let answered = load.answered();
        home.wait_until("load", || load.answered() > answered + 200);
        let report = load.end();
        eprintln!(
            "{mode}: {} lost of {} in {kills} kills",
            report.lost.len(),
            report.answered
        );
        // Workers that accept by themselves have nothing to do with it.
        let allowed = if mode == "direct" { 0 } else { kills };
        assert!(
            report.lost.len() <= allowed,
            "{mode}: {:?} of {}",
            report.lost,
            report.answered
        );
    }
}

#[test]
fn a_reload_changes_the_mode_under_load() {
    let home = home();
    let port = free_port();
    let app = |mode: &str| {
        home.ecosystem(json!([{
            "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster",
            "env": { "PORT": port }, "balance": mode,
        }]))
    };
    let path = |mode: &str| app(mode).display().to_string();
    home.ok(&["start", &path("round-robin")]);
    let load = Load::begin(port, "/", 16, Connections::Fresh);
    for mode in ["direct", "round-robin", "direct"] {
        let answered = load.answered();
        home.wait_until("load", || load.answered() > answered + 100);
        home.ok(&["reload", &path(mode)]);
        let by_themselves = home.pids("web").iter().all(|pid| connections(&home, *pid).0.is_none());
        assert_eq!(by_themselves, mode == "direct", "{mode}");
    }
    load.end_without_loss("a reload");
}

#[test]
fn scaling_loses_nothing_in_any_mode() {
    for mode in MODES {
        let home = home();
        let port = serving(&home, 2, mode, json!({}));
        let load = Load::begin(port, "/", 16, Connections::Fresh);
        for count in ["4", "1", "3"] {
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 100);
            home.ok(&["scale", "web", count]);
        }
        load.end_without_loss(mode);
    }
}
