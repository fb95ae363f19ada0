//! What the preload costs as a whole: the same app with it and without it, each with one worker that accepts by itself, so that nothing but the
//! client is beside it on two processors.
//!
//! Two processes of the very same program differ by some hundredths, so this says whether there is a surprise; what measuring costs is found within one
//! process (`toggle`). Turns are long, for a process that has just been woken is slow whatever it does.

use super::app::App;
use super::mean::Mean;
use crate::{Result, say};
use ostler_testkit::pressure::Pressure;
use ostler_testkit::{Home, Manager, free_port, http_get, process, wait_within};
use serde_json::json;
use std::io;
use std::time::Duration;

const CONNECTIONS: usize = 64;
const SPAN: Duration = Duration::from_secs(1);
/// Turns of each over kept connections before that, for compilers to see what is used and the preload whether there is much to measure.
const WARM: usize = 3;
/// And with new connections after those.
const WARM_AGAIN: usize = 1;
const ROUNDS: usize = 3;
const STARTS: usize = 6;

/// What was found of one of both since it was started.
#[derive(Clone, Copy, Default)]
struct Found {
    answered: f64,
    seconds: f64,
    /// Of processor time, of the worker.
    spent: f64,
}

impl Found {
    fn rate(self) -> f64 {
        self.answered / self.seconds
    }

    fn each(self) -> f64 {
        self.spent / self.answered
    }
}

/// With the preload, without it.
type Pair = [Found; 2];

/// What was found since both were started.
struct Started {
    kept: Pair,
    fresh: Pair,
}

/// Measures, and prints a table.
pub fn run(ostler: &Manager) -> Result {
    let mut text = format!(
        "\nWith the preload, of the same without it: one worker, {CONNECTIONS} connections at once; {STARTS} starts of {ROUNDS} turns of {} s each. \
         Standard errors are of starts.\n\n| | requests/s | processor time for each | without it, µs |\n|---|---:|---:|---:|\n",
        SPAN.as_secs()
    );
    for (title, app) in [
        ("a bare server", App::bare()),
        ("an app of Express", App::of_express()?),
    ] {
        let starts = (0..STARTS).map(|start| measure(ostler, &app, start));
        let starts: Vec<Started> = starts.collect::<Result<_>>()?;
        let kept: Vec<Pair> = starts.iter().map(|start| start.kept).collect();
        let fresh: Vec<Pair> = starts.iter().map(|start| start.fresh).collect();
        for (kind, pairs) in [("requests over kept connections", kept), ("new connections", fresh)] {
            let rate = Mean::of(pairs.iter().map(|[with, without]| with.rate() / without.rate()));
            let each = Mean::of(pairs.iter().map(|[with, without]| with.each() / without.each()));
            let micros = Mean::of(pairs.iter().map(|[_, without]| without.each() * 1e6));
            text += &format!("| {title}, {kind} | {rate} | {each} | {:.1} |\n", micros.value);
        }
    }
    say(&text);
    Ok(())
}

/// Starts both, and has them take turns.
fn measure(ostler: &Manager, app: &App, start: usize) -> Result<Started> {
    let home = Home::new(ostler.clone());
    let ports = [free_port(), free_port()];
    let mut apps = [("with", ports[0], true), ("without", ports[1], false)].map(|(name, port, preload)| {
        json!({
            "name": name, "script": app.script, "exec_mode": "cluster", "instances": 1, "balance": "direct", "pmx": preload,
            "env": { "PORT": port, "MODULE": app.module },
        })
    });
    if start % 2 == 1 {
        apps.reverse();
    }
    home.start(json!(apps));
    for port in ports {
        wait_within(Duration::from_secs(20), || http_get(port).is_ok().then_some(()))
            .map_err(|_| format!("nothing answers on port {port}"))?;
    }
    let workers = ["with", "without"].map(|name| home.pids(name));
    Ok(Started {
        kept: take_turns(&workers, ports, WARM, false)?,
        fresh: take_turns(&workers, ports, WARM_AGAIN, true)?,
    })
}

fn take_turns(workers: &[Vec<i32>; 2], ports: [u16; 2], warm: usize, fresh: bool) -> Result<Pair> {
    let failed = |error: io::Error| format!("load: {error}");
    let [with, without] = ports.map(|port| Pressure::open(port, CONNECTIONS, fresh).map_err(failed));
    let mut pressures = [with?, without?];
    let mut found = Pair::default();
    for round in 0..warm + ROUNDS {
        for turn in [round % 2, 1 - round % 2] {
            let spent = || {
                workers[turn]
                    .iter()
                    .copied()
                    .map(process::thread_time)
                    .sum::<Duration>()
            };
            let before = spent();
            let pressed = pressures[turn].press(SPAN).map_err(failed)?;
            let of_turn = spent().saturating_sub(before);
            if pressed.failed > 0 {
                return Err(format!("{} requests failed", pressed.failed));
            }
            if round >= warm {
                found[turn].answered += pressed.answered as f64;
                found[turn].seconds += pressed.took.as_secs_f64();
                found[turn].spent += of_turn.as_secs_f64();
            }
        }
    }
    Ok(found)
}
