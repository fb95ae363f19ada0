//! What is done to log files as a whole: emptied, or opened anew after something else has renamed them.

use ostler_testkit::{DEADLINE, Home, Manager, Signal, apps, process, skip, sleeper, tools, wait_within};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn flush_empties_the_files_and_the_app_writes_on() {
    let home = home();
    home.ok(&["start", &apps::path("ticker"), "--name", "tick", "--interpreter", "sh"]);
    home.wait_until("a few lines", || home.out_log("tick").contains("tick 5\n"));
    home.ok(&["flush", "tick"]);
    home.wait_until("new lines", || !home.out_log("tick").is_empty());
    let log = home.out_log("tick");
    assert!(!log.contains('\0') && !log.contains("tick 5\n"), "{log:?}");
}

#[test]
fn a_flush_is_answered_when_it_is_done() {
    let Some(python) = tools::in_path("python3") else {
        return skip("a_flush_is_answered_when_it_is_done", "no python3 in PATH");
    };
    let home = home();
    let log = home.write("quiet.log", "old\n");
    let mut app = sleeper("quiet");
    app["out_file"] = json!(log);
    home.start(json!([app]));
    home.ok(&["stop", "quiet"]);
    let mut lease = Command::new(python)
        .arg(apps::path("lease.py"))
        .env("FILE", &log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut said = BufReader::new(lease.stdout.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    assert_eq!(said.next().as_deref(), Some("held"));
    let flush = home.call(&["flush", "quiet"]).spawn();
    assert_eq!(said.next().as_deref(), Some("asked"));
    let ended = || (!process::is_alive(flush.pid())).then_some(());
    wait_within(Duration::from_millis(300), ended).expect_err("answered before it was done");
    drop(lease.stdin.take());
    let output = flush.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(std::fs::read(&log).expect("a log"), b"");
    lease.wait().expect("python3 ends");
}

#[test]
fn a_flush_that_fails_says_so() {
    let home = home();
    let mut app = sleeper("deaf");
    app["out_file"] = json!(home.work().join("out.log"));
    home.start(json!([app]));
    home.ok(&["stop", "deaf"]);
    let log = home.work().join("out.log");
    let _gone = std::fs::remove_file(&log);
    std::os::unix::fs::symlink(&log, &log).expect("a link to itself");
    let output = home.call(&["flush", "deaf"]).fails();
    assert!(
        output.stderr.contains("cannot empty") && output.stderr.contains("out.log"),
        "{output}"
    );
}

fn reopened(home: &Home, by: impl Fn()) {
    home.ok(&["start", &apps::path("ticker"), "--name", "tick", "--interpreter", "sh"]);
    let (live, old) = (home.path().join("logs/tick-out.log"), home.work().join("old.log"));
    home.wait_until("a few lines", || home.out_log("tick").contains("tick 3\n"));
    std::fs::rename(&live, &old).expect("a log renamed");
    by();
    home.wait_until("a new file with lines", || home.out_log("tick").lines().count() > 3);
    let all = read(&old) + &home.out_log("tick");
    let expected: String = (0..all.lines().count())
        .map(|number| format!("tick {number}\n"))
        .collect();
    assert_eq!(all, expected, "nothing lost, nothing doubled");
}

#[test]
fn reload_logs_reopens_a_renamed_file() {
    let home = home();
    reopened(&home, || drop(home.ok(&["reloadLogs"])));
}

#[test]
fn sigusr2_to_the_daemon_reopens_a_renamed_file() {
    let home = home();
    home.start(json!([sleeper("first")]));
    reopened(&home, || {
        let daemon = if home.manager().is_ostler() {
            home.topology().daemon
        } else {
            home.own_processes()[0].pid
        };
        assert!(process::signal(daemon, Signal::USR2));
    });
}
