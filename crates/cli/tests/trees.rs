//! A stopped or deleted app leaves no process of its tree behind.

use ostler_testkit::{Home, Manager, apps, free_port, http_get, process};
use serde_json::json;
use std::path::Path;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

fn read_pid(home: &Home, file: &Path) -> i32 {
    home.wait_for("a pid written by the app", || {
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    })
}

/// Starts `npm start` → `sh` → `node` on a port and returns the pids of the whole tree.
fn npm(home: &Home, port: u16) -> Vec<i32> {
    let call = home
        .call(&["start", "npm", "--name", "npm", "--", "start"])
        .within(apps::path("npm-app"));
    call.env("PORT", port.to_string()).ok();
    let body = home.wait_for("an answer", || http_get(port).ok());
    let root = home.pid("npm");
    let mut tree: Vec<i32> = process::descendants(root).iter().map(|process| process.pid).collect();
    let server: i32 = body
        .split(' ')
        .nth(1)
        .and_then(|pid| pid.parse().ok())
        .expect("the server tells its pid");
    assert!(
        tree.contains(&server),
        "the server {server} is below npm {root}: {tree:?}"
    );
    tree.push(root);
    tree
}

#[test]
fn npm_start_is_stopped_with_its_shell_and_its_server() {
    let home = home();
    let port = free_port();
    let tree = npm(&home, port);
    assert!(tree.len() >= 2, "{tree:?}");
    home.ok(&["stop", "npm"]);
    assert!(tree.iter().all(|pid| !process::is_alive(*pid)), "{}", home.report());
    assert!(http_get(port).is_err(), "nobody answers any more");
}

#[test]
fn npm_start_is_restarted_without_its_port_being_taken() {
    let home = home();
    let port = free_port();
    let tree = npm(&home, port);
    home.ok(&["restart", "npm"]);
    let body = home.wait_for("an answer of the new server", || http_get(port).ok());
    assert!(
        !tree.iter().any(|pid| body.contains(&format!(" {pid} "))),
        "{body} is not of {tree:?}"
    );
    assert!(
        !home.error_log("npm").contains("EADDRINUSE"),
        "{}",
        home.error_log("npm")
    );
}

#[test]
fn a_crash_of_the_main_process_takes_its_children_along_before_the_next_launch() {
    let home = home();
    let port = free_port();
    let tree = npm(&home, port);
    let (root, below) = tree.split_last().expect("a tree");
    process::kill(*root);
    home.wait_until("a successor that serves", || {
        home.pids("npm").first().is_some_and(|pid| pid != root) && http_get(port).is_ok()
    });
    assert!(below.iter().all(|pid| !process::is_alive(*pid)), "{}", home.report());
}

#[test]
fn a_grandchild_with_a_session_of_its_own_does_not_survive_a_stop() {
    let home = home();
    let file = home.work().join("escaped");
    home.call(&["start", &apps::path("escape.py"), "--name", "escape"])
        .env("PID_FILE", &file)
        .ok();
    let escaped = read_pid(&home, &file);
    assert!(process::is_alive(escaped));
    home.ok(&["stop", "escape"]);
    assert!(
        !process::is_alive(escaped),
        "the escaped process {escaped} lives\n{}",
        home.report()
    );
}

#[test]
fn a_grandchild_with_a_session_of_its_own_does_not_survive_a_delete() {
    let home = home();
    let file = home.work().join("escaped");
    home.call(&["start", &apps::path("escape.py"), "--name", "escape"])
        .env("PID_FILE", &file)
        .ok();
    let escaped = read_pid(&home, &file);
    home.ok(&["delete", "all"]);
    assert!(
        !process::is_alive(escaped),
        "the escaped process {escaped} lives\n{}",
        home.report()
    );
}

#[test]
fn a_grandchild_does_not_survive_a_stop_after_the_daemon_was_replaced() {
    let home = home();
    let file = home.work().join("escaped");
    home.call(&["start", &apps::path("escape.py"), "--name", "escape"])
        .env("PID_FILE", &file)
        .ok();
    let escaped = read_pid(&home, &file);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
    home.ok(&["stop", "escape"]);
    assert!(
        !process::is_alive(escaped),
        "the escaped process {escaped} lives\n{}",
        home.report()
    );
}

#[test]
fn a_child_that_ignores_the_signal_is_killed_with_the_rest() {
    let home = home();
    let file = home.work().join("child");
    let script = home.script("parent.sh", "#!/bin/sh\n(trap '' INT TERM; sh -c 'echo $PPID' > $PID_FILE.part; mv $PID_FILE.part $PID_FILE; while :; do sleep 1; done) &\nwait\n");
    home.start(json!([{ "name": "parent", "script": script, "kill_timeout": 400, "env": { "PID_FILE": file } }]));
    let child = read_pid(&home, &file);
    home.ok(&["stop", "parent"]);
    assert!(!process::is_alive(child), "{}", home.report());
}

#[test]
fn without_treekill_children_are_left_alone() {
    let home = home();
    let file = home.work().join("child");
    let script = home.script(
        "parent.sh",
        "#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\necho $! > $PID_FILE\nexec sleep 1000\n",
    );
    home.start(json!([{ "name": "parent", "script": script, "treekill": false, "env": { "PID_FILE": file } }]));
    let child = read_pid(&home, &file);
    home.ok(&["stop", "parent"]);
    let survived = process::is_alive(child);
    process::kill(child);
    assert!(survived, "the child was told to live");
}

#[test]
fn children_get_the_signal_too() {
    let home = home();
    let script = home.script(
        "parent.sh",
        "#!/bin/bash\n(trap 'echo child told; exit 0' TERM; echo armed; while :; do sleep 0.05; done) &\ntrap 'wait; exit 0' TERM\nwait\n",
    );
    home.start(json!([{ "name": "parent", "script": script, "kill_signal": "SIGTERM", "kill_timeout": 8000 }]));
    home.wait_until("the child to be ready", || home.out_log("parent").contains("armed"));
    home.ok(&["stop", "parent"]);
    assert!(home.out_log("parent").contains("child told"), "{}", home.report());
}
