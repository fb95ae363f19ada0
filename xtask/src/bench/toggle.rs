//! What measuring costs, found within one process: `node/test/toggle.cjs` turns it on and off by turns of 50 ms while requests come.
//!
//! Two processes of one program differ by hundredths, so what they say of a cost of hundredths takes hundreds of starts. Within a process nothing changes
//! from one turn to the next but what is asked.

use super::app::App;
use super::mean::Mean;
use crate::{Result, say};
use ostler_testkit::pressure::Pressure;
use ostler_testkit::{free_port, http_get, wait_within};
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONNECTIONS: usize = 64;
const STARTS: usize = 5;
/// Of requests, for compilers to see what is used.
const WARM: Duration = Duration::from_secs(5);
/// Of turns, some 270 pairs.
const SPAN: Duration = Duration::from_secs(30);
/// For the script to say what it found.
const SAID: Duration = Duration::from_secs(2);
/// Of the pairs that have the highest ratios, and of those with the lowest, so many do not count: something else ran in one of their turns.
const TRIMMED: f64 = 0.1;
/// How much of the requests without measuring is asked of those with it.
const ASKED: f64 = 0.99;

/// Of two turns: with, of without.
#[derive(Clone, Copy, Deserialize)]
struct Pair {
    /// Requests a second.
    rate: f64,
    /// Processor time for each, of all threads.
    each: f64,
    /// That of the turn without, in microseconds.
    micros: f64,
}

/// Measures, prints a table, and gives what was missed.
pub fn run() -> Result<Vec<String>> {
    let mut missed = Vec::new();
    let mut text = format!(
        "\nMeasuring turned on and off within one process by turns of 50 ms, on of off: {CONNECTIONS} connections at once, {STARTS} starts of {} s each. \
         Standard errors are of pairs of turns.\n\n| | requests/s | processor time for each | without it, µs | pairs |\n|---|---:|---:|---:|---:|\n",
        SPAN.as_secs()
    );
    for (title, app) in [
        ("a bare server", App::bare()),
        ("an app of Express", App::of_express()?),
    ] {
        for (kind, fresh) in [("requests over kept connections", false), ("new connections", true)] {
            let mut pairs = Vec::new();
            for _ in 0..STARTS {
                pairs.extend(measure(&app, fresh)?);
            }
            let rate = trimmed(pairs.iter().map(|pair| pair.rate));
            let each = trimmed(pairs.iter().map(|pair| pair.each));
            let micros = trimmed(pairs.iter().map(|pair| pair.micros)).value;
            text += &format!(
                "| {title}, {kind} | {rate} | {each} | {micros:.1} | {} |\n",
                pairs.len()
            );
            if rate.value < ASKED {
                missed.push(format!(
                    "{title}, {kind}: {rate} of those without measuring, asked {ASKED}"
                ));
            }
        }
    }
    say(&text);
    Ok(missed)
}

/// The mean of those in the middle. Its standard error is that of Tukey and McLaughlin, from all of them with the outer ones brought in.
fn trimmed(ratios: impl Iterator<Item = f64>) -> Mean {
    let mut ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_by(f64::total_cmp);
    let cut = (ratios.len() as f64 * TRIMMED) as usize;
    let inner = &ratios[cut..ratios.len() - cut];
    let (Some(low), Some(high)) = (inner.first(), inner.last()) else {
        return Mean::of([]);
    };
    let brought_in = ratios.iter().map(|ratio| ratio.clamp(*low, *high));
    Mean {
        value: Mean::of(inner.iter().copied()).value,
        error: Mean::of(brought_in).error / (1.0 - 2.0 * TRIMMED),
    }
}

/// One start.
fn measure(app: &App, fresh: bool) -> Result<Vec<Pair>> {
    let port = free_port();
    let toggle = concat!(env!("CARGO_MANIFEST_DIR"), "/../node/test/toggle.cjs");
    let mut node = Command::new("node");
    node.args(["--require", toggle, &app.script])
        .env("PORT", port.to_string())
        .env("MODULE", app.module)
        .env("WARM", WARM.as_millis().to_string())
        .env("SPAN", SPAN.as_millis().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut node = Ended(node.spawn().map_err(|error| format!("node: {error}"))?);
    wait_within(Duration::from_secs(20), || http_get(port).is_ok().then_some(()))
        .map_err(|_| format!("nothing answers on port {port}"))?;
    let failed = |error| format!("load: {error}");
    let mut pressure = Pressure::open(port, CONNECTIONS, fresh).map_err(failed)?;
    let pressed = pressure.press(WARM + SPAN + SAID).map_err(failed)?;
    if pressed.failed > 0 {
        return Err(format!("{} requests failed", pressed.failed));
    }
    node.0.kill().map_err(|error| format!("kill: {error}"))?;
    let said = node.0.stdout.take().expect("invariant: it is piped, and taken once");
    let lines = BufReader::new(said).lines();
    let pairs = lines.filter_map(|line| line.ok().filter(|line| line.starts_with('{')));
    let pairs: Vec<Pair> = pairs
        .map(|line| serde_json::from_str(&line).map_err(|error| format!("{line}: {error}")))
        .collect::<Result<_>>()?;
    if pairs.is_empty() {
        return Err(format!("{toggle} said nothing within {} s", SAID.as_secs()));
    }
    Ok(pairs)
}

/// A child that does not outlive us.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_the_others_does_not_count() {
        let ratios = [0.98, 1.0, 0.99, 0.98, 1.0, 0.98, 1.0, 0.99, 7.0, 0.1];
        let mean = trimmed(ratios.into_iter());
        assert!((mean.value - 0.99).abs() < 1e-9 && mean.error < 0.01, "{mean}");
        assert_eq!(trimmed([].into_iter()), Mean::of([]));
    }
}
