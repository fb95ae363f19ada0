//! A worker is in the middle of a long message whenever daemon or keeper is killed: the next daemon goes on where the last one was.

use ostler_testkit::{Connections, Home, Load, Manager, apps, free_port, http_get, process, repetitions};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The name of the app.
const APP: &str = "talkative";

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// Two workers that never stop talking.
fn talking(home: &Home, serialization: &str, megabytes: u32) -> u16 {
    let port = free_port();
    home.start(json!([{
        "name": APP, "script": apps::path("cluster/talkative.cjs"), "instances": 2, "exec_mode": "cluster",
        "serialization": serialization, "wait_ready": true, "shutdown_with_message": true,
        "env": { "PORT": port, "MEGABYTES": megabytes },
    }]));
    port
}

/// Which of the workers have told this daemon how they are doing, which they do over the same channel.
fn reporting(home: &Home) -> Vec<i64> {
    let metrics = home.control("/v1/metrics").unwrap_or_default();
    let workers = metrics["workers"].as_array().cloned().unwrap_or_default();
    let told = workers.iter().filter(|worker| worker["node"].is_object());
    told.filter_map(|worker| worker["pid"].as_i64()).collect()
}

/// Connections reach either worker, which has to say over its channel that it has taken one.
fn both_serve(home: &Home, port: u16) {
    let mut answers = BTreeSet::new();
    home.wait_until("answers of both workers", || {
        answers.insert(http_get(port).expect("an answer"));
        answers.len() == 2
    });
}

fn is_heard_over_deaths(serialization: &str, megabytes: u32) {
    let home = home();
    let port = talking(&home, serialization, megabytes);
    let pids = home.pids(APP);
    let load = Load::begin(port, "/", 4, Connections::KeptAlive);
    for round in 0..repetitions(2, 30) {
        let answered = load.answered();
        let before = home.topology();
        process::kill([before.daemon, before.keeper][round % 2]);
        home.wait_recovered(before);
        home.wait_until("both workers to be heard", || reporting(&home).len() == 2);
        home.wait_until("more answers", || load.answered() > answered + 100);
    }
    assert_eq!(home.pids(APP), pids);
    both_serve(&home, port);
    home.ok(&["reload", APP]);
    assert!(home.pids(APP).iter().all(|pid| !pids.contains(pid)));
    both_serve(&home, port);
    load.end_without_loss("deaths of daemon and keeper, and a reload");
    home.ok(&["stop", APP]);
    for instance in 0..2 {
        // The one before the reload, and the one after it.
        let log = home.read(&format!("logs/{APP}-out-{instance}.log"));
        assert_eq!(log.matches(r#""told":"shutdown""#).count(), 2, "{log}");
    }
    let log = home.read("ostler.log");
    assert!(
        !log.contains("over its IPC channel"),
        "nothing was misunderstood: {log}"
    );
}

#[test]
fn a_long_message_in_json_is_heard_over_deaths_of_daemon_and_keeper() {
    is_heard_over_deaths("json", 1);
}

#[test]
fn a_long_message_in_the_advanced_serialisation_is_heard_over_deaths_of_daemon_and_keeper() {
    is_heard_over_deaths("advanced", 1);
}

#[test]
fn a_message_too_long_to_be_taken_is_passed_over_to_its_end_over_a_death_of_the_daemon() {
    let home = home();
    let port = talking(&home, "advanced", 24);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    home.wait_until("both workers to be heard", || reporting(&home).len() == 2);
    let rows: Vec<Value> = home.control("/v1/processes").expect("an answer")["processes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert!(rows.iter().all(|row| row["status"] == "online"), "{rows:?}");
    both_serve(&home, port);
    home.ok(&["stop", APP]);
}
