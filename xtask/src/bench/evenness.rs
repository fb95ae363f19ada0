//! How evenly connections are shared: opened one by one, each answered before the next, and in a burst. Each is a client of its own, with an
//! address of its own: with `sticky` it decides.

use super::number;
use crate::{Result, say};
use ostler_testkit::{Home, Manager, Visitor, apps, free_port};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

const MODES: [&str; 4] = ["round-robin", "least-connections", "sticky", "direct"];
const WORKERS: [u32; 3] = [2, 4, 8];
const COUNTS: [usize; 3] = [10, 64, 1000];

/// Prints the tables of both ways; gives where round robin was less even than asked: by more than one connection one by one, by more than a fifth in
/// bursts of a thousand.
pub fn run(ostler: &Manager) -> Result<Vec<String>> {
    let mut missed = Vec::new();
    for (way, in_burst) in [("one by one", false), ("in a burst", true)] {
        let mut text = format!(
            "\nConnections opened {way}: most and fewest of a worker.\n\n| | workers | 10 | 64 | 1,000 |\n|---|---:|---:|---:|---:|\n"
        );
        for (mode, workers) in MODES
            .into_iter()
            .flat_map(|mode| WORKERS.map(|workers| (mode, workers)))
        {
            let home = Home::new(ostler.clone());
            let port = free_port();
            home.start(json!([{
                "name": "web", "script": apps::path("shared.js"), "exec_mode": "cluster", "instances": workers,
                "env": { "PORT": port }, "balance": mode,
            }]));
            let mut cells = vec![mode.to_owned(), workers.to_string()];
            for count in COUNTS {
                let shares = shares(&home, port, count, in_burst)?;
                let (most, fewest) = (shares.iter().max(), shares.iter().min());
                let (most, fewest) = (most.copied().unwrap_or(0), fewest.copied().unwrap_or(0));
                cells.push(format!("{most} / {fewest}"));
                let allowed = if in_burst { fewest * 6 / 5 } else { fewest + 1 };
                let is_asked = mode == "round-robin" && (!in_burst || count == 1000);
                if is_asked && most > allowed {
                    let ratio = number(f64::from(most) / f64::from(fewest.max(1)));
                    missed.push(format!(
                        "{count} connections {way} over {workers} workers: {most} to {fewest}, {ratio}"
                    ));
                }
            }
            text += &format!("| {} |\n", cells.join(" | "));
        }
        say(&text);
    }
    Ok(missed)
}

/// How many of so many connections each worker was given, all of them kept until the end.
fn shares(home: &Home, port: u16, count: usize, in_burst: bool) -> Result<Vec<u32>> {
    let failed = |error: std::io::Error| format!("a connection to port {port}: {error}");
    let mut tally: BTreeMap<i32, u32> = home.pids("web").into_iter().map(|pid| (pid, 0)).collect();
    let mut visitors = Vec::with_capacity(count);
    let mut answers = Vec::with_capacity(count);
    for client in (0..).take(count) {
        let [.., high, low] = u32::to_be_bytes(client);
        let mut visitor = Visitor::from(Ipv4Addr::new(127, 1, high, low), port).map_err(failed)?;
        if !in_burst {
            answers.push(visitor.get("/").map_err(failed)?);
        }
        visitors.push(visitor);
    }
    if in_burst {
        visitors
            .iter_mut()
            .try_for_each(|visitor| visitor.ask("/"))
            .map_err(failed)?;
        for visitor in &mut visitors {
            answers.push(visitor.answer().map_err(failed)?);
        }
    }
    for answer in answers {
        let by = answer.rsplit(' ').next().and_then(|pid| pid.parse().ok());
        *tally.entry(by.unwrap_or_default()).or_default() += 1;
    }
    Ok(tally.into_values().collect())
}
