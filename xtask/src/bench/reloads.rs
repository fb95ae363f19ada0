//! Reload after reload under load, in every mode of balancing and under PM2: how many requests are lost.
//!
//! Half of the clients keep their connections, the others open one for each request; each request has to be answered whole. The app is
//! unmodified and has no shutdown code. Not timed: the figure is what was lost.

use super::number;
use crate::{Result, say};
use ostler_testkit::{Connections, Home, Load, Manager, apps, free_port, process};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];
const WORKERS: u32 = 2;
/// Of each kind.
const CLIENTS: usize = 16;
/// PM2 shows what it does in fewer.
const OF_PM2: u32 = 25;

/// What came of the reloads of one app.
struct Outcome {
    title: String,
    reloads: u32,
    failed: u32,
    took: Duration,
    answered: u64,
    /// Lost requests by what was seen of them.
    lost: BTreeMap<String, u64>,
}

/// Reloads an app so many times in all, in the modes by turns, and under PM2; prints the table, and gives what was missed.
pub fn run(pm2: &Manager, ostler: &Manager, reloads: u32) -> Result<Vec<String>> {
    let each = reloads.div_ceil(u32::try_from(MODES.len()).map_err(|error| error.to_string())?);
    let mut outcomes = vec![reload(pm2, "", "PM2", OF_PM2.min(reloads))];
    for mode in MODES {
        say(&format!("── {each} reloads, {mode}"));
        outcomes.push(reload(ostler, mode, &format!("Ostler, {mode}"), each));
    }
    say(&table(&outcomes));
    Ok(outcomes.iter().skip(1).filter_map(missed).collect())
}

fn reload(manager: &Manager, balance: &str, title: &str, reloads: u32) -> Outcome {
    let home = Home::new(manager.clone());
    let port = free_port();
    home.start(json!([{
        "name": "web", "script": apps::path("shared.js"), "exec_mode": "cluster", "instances": WORKERS,
        "env": { "PORT": port }, "balance": balance, "min_ready": 0,
    }]));
    let loads = [Connections::KeptAlive, Connections::Fresh].map(|kind| Load::begin(port, "/", CLIENTS, kind));
    let answered = || loads.iter().map(Load::answered).sum::<u64>();
    home.wait_until("load", || answered() > 100);
    let began = Instant::now();
    let mut failed = 0;
    for _ in 0..reloads {
        let before = home.pids("web");
        let ended_well = home.run(&["reload", "web"]).code == Some(0);
        let replaced = home
            .pids("web")
            .iter()
            .all(|pid| !before.contains(pid) && process::is_alive(*pid));
        failed += u32::from(!(ended_well && replaced));
    }
    let took = began.elapsed();
    let mut outcome = Outcome {
        title: title.to_owned(),
        reloads,
        failed,
        took,
        answered: 0,
        lost: BTreeMap::new(),
    };
    for report in loads.map(Load::end) {
        outcome.answered += report.answered;
        for reason in report.lost {
            *outcome.lost.entry(reason).or_default() += 1;
        }
    }
    outcome
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "\n{WORKERS} workers, {CLIENTS} clients with kept connections and {CLIENTS} with a new one for each request.\n\n\
         | | reloads | failed | seconds each | requests | lost | |\n|---|---:|---:|---:|---:|---:|---|\n"
    );
    for one in outcomes {
        let kinds: Vec<String> = one
            .lost
            .iter()
            .map(|(reason, count)| format!("{count} × {reason}"))
            .collect();
        let cells = [
            one.title.clone(),
            one.reloads.to_string(),
            one.failed.to_string(),
            number(one.took.as_secs_f64() / f64::from(one.reloads.max(1))),
            one.answered.to_string(),
            one.lost.values().sum::<u64>().to_string(),
            kinds.join(", "),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

fn missed(one: &Outcome) -> Option<String> {
    let lost: u64 = one.lost.values().sum();
    (lost > 0 || one.failed > 0).then(|| format!("{}: {lost} requests lost, {} reloads failed", one.title, one.failed))
}
