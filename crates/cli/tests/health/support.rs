//! What tests of probes have in common: the app `health.cjs`, and what is seen of its workers.

use ostler_testkit::{Home, Manager, Row, apps, free_port, process};
use serde_json::{Value, json};

pub fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The app `web`, up on a port.
pub fn serving(home: &Home, workers: u32, more: &Value) -> u16 {
    let port = free_port();
    let mut app = json!({
        "name": "web", "script": apps::path("health.cjs"), "instances": workers, "exec_mode": "cluster",
        "min_ready": 300, "drain_timeout": 5000, "env": { "PORT": port, "FLAGS": home.work() },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        app[key] = value.clone();
    }
    home.start(json!([app]));
    port
}

/// Looks five times a second; two failures are believed. Who is slow on a busy machine has not failed.
pub fn probe(check: &Value) -> Value {
    let mut probe = json!({ "interval": 200, "timeout": 1000, "failure_threshold": 2 });
    for (key, value) in check.as_object().into_iter().flatten() {
        probe[key] = value.clone();
    }
    probe
}

pub fn rows(home: &Home) -> Vec<Row> {
    home.rows("web")
}

pub fn says(row: &Row, what: &str) -> Option<bool> {
    row.get("health")[what].as_bool()
}

pub fn all_say(home: &Home, what: &str) -> bool {
    rows(home).iter().all(|row| says(row, what) == Some(true))
}

pub fn set(home: &Home, flag: &str, on: bool) {
    let path = home.work().join(flag);
    if on {
        home.write(flag, "");
    } else {
        std::fs::remove_file(path).expect("it was set");
    }
}

/// The one that replaced this worker, once that is gone.
pub fn wait_replaced(home: &Home, before: &Row) -> Row {
    home.wait_for("the worker to be replaced", || {
        let row = rows(home).into_iter().find(|row| row.id() == before.id())?;
        let replaced = row.pid() != before.pid() && row.status() == "online" && row.restarts() == 1;
        (replaced && !process::is_alive(before.pid())).then_some(row)
    })
}
