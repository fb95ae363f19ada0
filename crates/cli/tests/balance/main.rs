//! Balancing: who gets a connection in each mode, what each worker is said to have, and that nothing is lost.

mod counts;
mod losses;
mod shares;

use ostler_testkit::{Home, Manager, Visitor, apps, free_port};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// An app that is up on a port, with so many workers and this mode.
fn serving(home: &Home, workers: u32, balance: &str, more: Value) -> u16 {
    let port = free_port();
    let mut app = json!({
        "name": "web", "script": apps::path("shared.js"), "instances": workers, "exec_mode": "cluster",
        "env": { "PORT": port }, "balance": balance,
    });
    if let Value::Object(more) = more {
        app.as_object_mut().expect("an object").extend(more);
    }
    home.start(json!([app]));
    port
}

/// Which worker answered.
fn worker(answer: &str) -> i32 {
    let pid = answer.rsplit(' ').next().and_then(|pid| pid.parse().ok());
    pid.unwrap_or_else(|| panic!("no pid in {answer:?}"))
}

fn ask(visitor: &mut Visitor) -> i32 {
    worker(&visitor.get("/").expect("an answer"))
}

/// So many connections, one by one, each kept, and by whom each was answered.
fn visits(port: u16, count: usize) -> Vec<(Visitor, i32)> {
    let visit = || {
        let mut visitor = Visitor::at(port).expect("connected");
        let by = ask(&mut visitor);
        (visitor, by)
    };
    (0..count).map(|_| visit()).collect()
}

fn tally(home: &Home, answers: impl IntoIterator<Item = i32>) -> Vec<u32> {
    let mut tally: BTreeMap<i32, u32> = home.pids("web").into_iter().map(|pid| (pid, 0)).collect();
    for by in answers {
        *tally
            .get_mut(&by)
            .unwrap_or_else(|| panic!("{by} is none of {:?}", home.pids("web"))) += 1;
    }
    tally.into_values().collect()
}

/// What `jlist` says of a worker: taken, open.
fn connections(home: &Home, pid: i32) -> (Option<u64>, Option<u64>) {
    let rows = home.rows("web");
    let row = rows.iter().find(|row| row.pid() == pid).expect("the worker");
    let of = |key: &str| row.get("connections")[key].as_u64();
    (of("accepted"), of("active"))
}

fn open(home: &Home, pid: i32) -> Option<u64> {
    connections(home, pid).1
}
