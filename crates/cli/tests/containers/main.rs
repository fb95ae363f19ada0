//! `ostler runtime`: output, exit codes, signals, and commands beside it.

mod codes;
mod isolation;
mod output;
mod signals;

use ostler_testkit::{DEADLINE, Home, Manager, Output, Running};
use serde_json::{Value, json};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// A shell script as an app that is run once.
fn job(name: &str, script: &str) -> Value {
    json!({ "name": name, "script": "/bin/sh", "args": ["-c", script], "interpreter": "none", "autorestart": false })
}

/// Runs these apps in the foreground, with these options.
fn begin(home: &Home, apps: Value, options: &[&str]) -> Running {
    let file = home.ecosystem(apps);
    home.call(&["runtime"]).arg(file).args(options).spawn()
}

/// Waits until an app is up that somebody else has just begun to start.
fn up(home: &Home, name: &str) -> i32 {
    let online = || home.rows(name).into_iter().find(|row| row.status() == "online");
    home.wait_for(&format!("{name} to be up"), online).pid()
}

fn run(home: &Home, apps: Value, options: &[&str]) -> Output {
    begin(home, apps, options).wait(DEADLINE)
}
