//! The manager's own processes killed again and again under as many new connections as there can be: how many requests are lost.
//!
//! Not timed: the figures are what was lost, and whether the workers are still the same.

use super::number;
use crate::{Result, say};
use ostler_testkit::pressure::{Pressed, Pressure, Watched};
use ostler_testkit::{Home, Manager, Topology, apps, free_port, process};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Instant;

const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];
const WORKERS: u32 = 2;
const CONNECTIONS: usize = 64;
/// So many are answered between the last victim's replacement and the next kill, for that one to meet the full load.
const BETWEEN: u64 = 5000;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Daemon,
    Keeper,
}

impl Victim {
    fn title(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Keeper => "keeper",
        }
    }

    fn of(self, topology: Topology) -> i32 {
        match self {
            Self::Daemon => topology.daemon,
            Self::Keeper => topology.keeper,
        }
    }
}

/// What came of the kills of one process in one mode.
struct Outcome {
    mode: &'static str,
    victim: Victim,
    kills: u32,
    pressed: Pressed,
    same_workers: bool,
    /// Milliseconds from a kill until everything was as before.
    recovery: Vec<f64>,
}

/// Kills each of the two so many times in each mode; prints the table, and gives what was missed.
pub fn run(ostler: &Manager, kills: u32) -> Result<Vec<String>> {
    let mut outcomes = Vec::new();
    for mode in MODES {
        for victim in [Victim::Daemon, Victim::Keeper] {
            say(&format!("── {kills} kills of the {}, {mode}", victim.title()));
            outcomes.push(kill(ostler, mode, victim, kills)?);
        }
    }
    say(&table(&outcomes));
    Ok(outcomes.iter().filter_map(missed).collect())
}

fn kill(manager: &Manager, mode: &'static str, victim: Victim, kills: u32) -> Result<Outcome> {
    let home = Home::new(manager.clone());
    let port = free_port();
    home.start(json!([{
        "name": "web", "script": apps::path("greeter.js"), "exec_mode": "cluster", "instances": WORKERS,
        "env": { "PORT": port }, "balance": mode,
    }]));
    let workers = home.pids("web");
    let watched = Watched::default();
    let mut recovery = Vec::new();
    let pressed = std::thread::scope(|scope| {
        let load = scope.spawn(|| Pressure::open(port, CONNECTIONS, true)?.press_until(&watched));
        for _ in 0..kills {
            let answered = || watched.answered.load(Ordering::Relaxed);
            let next = answered() + BETWEEN;
            home.wait_until("the load to go on", || answered() >= next);
            let before = home.topology();
            let at = Instant::now();
            process::kill(victim.of(before));
            wait_replaced(&home, before, victim);
            recovery.push(at.elapsed().as_secs_f64() * 1e3);
        }
        watched.enough.store(true, Ordering::Relaxed);
        load.join()
    });
    let pressed = pressed.map_err(|_| "the load ended by a panic")?;
    Ok(Outcome {
        mode,
        victim,
        kills,
        pressed: pressed.map_err(|error| format!("load on port {port}: {error}"))?,
        same_workers: home.pids("web") == workers,
        recovery,
    })
}

fn wait_replaced(home: &Home, before: Topology, victim: Victim) {
    home.wait_until("it to be replaced", || {
        let now = home.topology();
        victim.of(now) != victim.of(before) && home.own_processes().len() == 2
    });
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "\n{WORKERS} workers, {CONNECTIONS} connections at once, a new one for each request, a client of one thread on the same machine.\n\n\
         | | killed | kills | connections/s | answered | lost | workers | until replaced, ms (median) |\n\
         |---|---|---:|---:|---:|---:|---|---:|\n"
    );
    for one in outcomes {
        let mut recovery = one.recovery.clone();
        recovery.sort_by(f64::total_cmp);
        let cells = [
            one.mode.to_owned(),
            one.victim.title().to_owned(),
            one.kills.to_string(),
            format!("{:.0}", one.pressed.rate()),
            one.pressed.answered.to_string(),
            one.pressed.failed.to_string(),
            if one.same_workers { "the same" } else { "**others**" }.to_owned(),
            number(recovery.get(recovery.len() / 2).copied().unwrap_or(0.0)),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// A killed daemon may lose the connection that it had in its hands: it had taken it from the kernel, and no worker has it yet. Nobody else
/// has a part in connections.
fn missed(one: &Outcome) -> Option<String> {
    let may_lose = one.victim == Victim::Daemon && one.mode != "direct";
    let allowed = if may_lose { u64::from(one.kills) } else { 0 };
    let (lost, title) = (one.pressed.failed, one.victim.title());
    (lost > allowed || !one.same_workers).then(|| {
        let workers = if one.same_workers {
            ""
        } else {
            ", and workers were replaced"
        };
        format!(
            "{}: {lost} requests lost in {} kills of the {title}{workers}",
            one.mode, one.kills
        )
    })
}
