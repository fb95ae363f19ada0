//! How many requests a second come through, beside PM2, Node's own cluster by both of its policies, and a single Node. All of
//! them run the same app and are measured in turns, since the machine's speed changes by the minute.

use super::autogroup::Ungrouped;
use super::number;
use crate::{Result, say};
use ostler_testkit::pressure::{Pressed, press};
use ostler_testkit::{Home, Manager, apps, free_port, http_get, process, wait_within};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONNECTIONS: usize = 64;
/// Short turns and many of them: the machine's speed changes within seconds, and those of one round are compared with each other.
const SPAN: Duration = Duration::from_secs(1);
const ROUNDS: usize = 11;
/// Rounds before that, for compilers to see what is used.
const WARM: usize = 2;
const WORKERS: u32 = 2;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// One process, without any manager.
    Node,
    /// Node's own primary, which hands connections out.
    NodeRoundRobin,
    /// Node's workers accepting from one shared socket.
    NodeShared,
    /// PM2's cluster mode.
    Pm2,
    /// Ostler's default.
    Ostler,
    /// Ostler, its workers accepting by themselves.
    OstlerDirect,
    /// Ostler's default, its workers without the preload that measures.
    OstlerUnmeasured,
}

impl Contender {
    const ALL: [Self; 7] = [
        Self::Node,
        Self::NodeRoundRobin,
        Self::NodeShared,
        Self::Pm2,
        Self::Ostler,
        Self::OstlerDirect,
        Self::OstlerUnmeasured,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Node => "one Node, no manager",
            Self::NodeRoundRobin => "Node's cluster, round robin",
            Self::NodeShared => "Node's cluster, shared socket",
            Self::Pm2 => "PM2",
            Self::Ostler => "Ostler, round robin",
            Self::OstlerDirect => "Ostler, direct",
            Self::OstlerUnmeasured => "Ostler, round robin, `pmx: false`",
        }
    }
}

/// One that runs.
struct Running {
    port: u16,
    kind: Kind,
}

enum Kind {
    Plain(Child),
    Managed(Box<Home>),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Kind::Plain(child) = &mut self.kind {
            // Workers of Node's cluster end when their channel closes.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn start(contender: Contender, pm2: &Manager, ostler: &Manager) -> Result<Self> {
        let port = free_port();
        let plain = |script: &str, policy: &str| {
            let mut node = Command::new("node");
            node.arg(apps::path(script))
                .env("PORT", port.to_string())
                .env("POLICY", policy)
                .env("WORKERS", WORKERS.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            Kind::Plain(node.spawn().expect("node is there"))
        };
        let managed = |manager: &Manager, balance: &str, preload: bool| {
            let home = Home::new(manager.clone());
            home.start(json!([{
                "name": "web", "script": apps::path("shared.js"), "exec_mode": "cluster", "instances": WORKERS,
                "env": { "PORT": port }, "balance": balance, "pmx": preload,
            }]));
            Kind::Managed(Box::new(home))
        };
        let kind = match contender {
            Contender::Node => plain("shared.js", ""),
            Contender::NodeRoundRobin => plain("primary.js", "rr"),
            Contender::NodeShared => plain("primary.js", "none"),
            Contender::Pm2 => managed(pm2, "", true),
            Contender::Ostler => managed(ostler, "round-robin", true),
            Contender::OstlerDirect => managed(ostler, "direct", true),
            Contender::OstlerUnmeasured => managed(ostler, "round-robin", false),
        };
        let answers = || http_get(port).is_ok().then_some(());
        let one = Self { port, kind };
        match wait_within(Duration::from_secs(20), answers) {
            Ok(()) => Ok(one),
            Err(_) => Err(format!("the app does not answer under {}", contender.title())),
        }
    }

    /// The processor time of whatever is between clients and workers.
    fn between(&self, contender: Contender) -> Duration {
        match (&self.kind, contender) {
            (Kind::Plain(_), Contender::Node) => Duration::ZERO,
            (Kind::Plain(child), _) => i32::try_from(child.id()).map(process::thread_time).unwrap_or_default(),
            (Kind::Managed(home), _) => home
                .own_processes()
                .iter()
                .map(|own| process::thread_time(own.pid))
                .sum(),
        }
    }
}

/// What was found of one contender.
#[derive(Default)]
struct Found {
    fresh: Rounds,
    kept: Rounds,
    /// Milliseconds of processor time between clients and workers for 10,000 fresh connections.
    between: Vec<f64>,
    failed: u64,
}

/// Measures, prints tables and what is asked, and gives what was missed with the machine as it is. Where that schedules sessions as groups, all is measured
/// once more without.
pub fn run(pm2: &Manager, ostler: &Manager) -> Result<Vec<String>> {
    let missed = once(pm2, ostler)?;
    if let Some(_ungrouped) = Ungrouped::begin() {
        once(pm2, ostler)?;
    }
    Ok(missed)
}

fn once(pm2: &Manager, ostler: &Manager) -> Result<Vec<String>> {
    let running: Vec<(Contender, Running)> = Contender::ALL
        .into_iter()
        .map(|contender| Ok((contender, Running::start(contender, pm2, ostler)?)))
        .collect::<Result<_>>()?;
    let mut found: BTreeMap<Contender, Found> = BTreeMap::new();
    for round in 0..WARM + ROUNDS {
        let mut turns: Vec<&(Contender, Running)> = running.iter().collect();
        // Nobody always comes after the same one.
        turns.rotate_left(round % running.len());
        for (contender, one) in turns {
            let before = one.between(*contender);
            let fresh = pressed(one.port, true)?;
            let spent = one.between(*contender).saturating_sub(before);
            let kept = pressed(one.port, false)?;
            if round >= WARM {
                let of = found.entry(*contender).or_default();
                of.between
                    .push(spent.as_secs_f64() * 1e3 * 1e4 / fresh.answered.max(1) as f64);
                of.fresh.push((fresh.rate(), fresh.latency(0.99)));
                of.kept.push((kept.rate(), kept.latency(0.99)));
                of.failed += fresh.failed + kept.failed;
            }
        }
    }
    say(&table(&found));
    Ok(missed(&found))
}

fn pressed(port: u16, fresh: bool) -> Result<Pressed> {
    press(port, CONNECTIONS, fresh, SPAN).map_err(|error| format!("load on port {port}: {error}"))
}

fn median<T>(values: impl IntoIterator<Item = T>, of: impl Fn(T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// By round, requests a second and the 99th percentile.
type Rounds = Vec<(f64, Duration)>;

fn rate(rounds: &Rounds) -> f64 {
    median(rounds, |(rate, _)| *rate)
}

/// How much of another's rate, in the middle of all rounds.
fn ratio(own: &Rounds, peer: &Rounds) -> f64 {
    median(own.iter().zip(peer), |((own, _), (peer, _))| own / peer)
}

fn table(found: &BTreeMap<Contender, Found>) -> String {
    let mut text = format!(
        "\n{WORKERS} workers, {CONNECTIONS} connections at once, a client of one thread on the same machine; medians of {ROUNDS} rounds.\n\n\
         | | connections/s | p99, ms | between, ms per 10,000 | kept: requests/s | p99, ms | failed |\n\
         |---|---:|---:|---:|---:|---:|---:|\n"
    );
    let millis = |values: &Rounds| number(median(values, |(_, p99)| p99.as_secs_f64() * 1e3));
    for (contender, one) in found {
        let cells = [
            contender.title().to_owned(),
            format!("{:.0}", rate(&one.fresh)),
            millis(&one.fresh),
            format!("{:.0}", median(&one.between, |spent| *spent)),
            format!("{:.0}", rate(&one.kept)),
            millis(&one.kept),
            one.failed.to_string(),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// What is asked. Of the default mode 1.6 times PM2's connections and 1.2 times Node's own round robin, of the direct one 2.4 times PM2's and 0.95 of
/// what Node's workers accept by themselves; and of kept connections 0.97 of everybody's who has as many workers. What the preload measures may cost
/// a hundredth.
fn missed(found: &BTreeMap<Contender, Found>) -> Vec<String> {
    let mut missed = Vec::new();
    let mut ask = |what: &str, own: Contender, peer: Contender, asked: f64, of: fn(&Found) -> &Rounds| {
        let (Some(of_own), Some(of_peer)) = (found.get(&own), found.get(&peer)) else {
            return;
        };
        let ratio = ratio(of(of_own), of(of_peer));
        let line = format!(
            "{}: {} of the {what} of {}, asked {asked}",
            own.title(),
            number(ratio),
            peer.title()
        );
        say(&line);
        if ratio < asked {
            missed.push(line);
        }
    };
    for (own, peer, asked) in [
        (Contender::Ostler, Contender::Pm2, 1.6),
        (Contender::Ostler, Contender::NodeRoundRobin, 1.2),
        (Contender::OstlerDirect, Contender::Pm2, 2.4),
        (Contender::OstlerDirect, Contender::NodeShared, 0.95),
    ] {
        ask("connections", own, peer, asked, |found| &found.fresh);
    }
    for own in [Contender::Ostler, Contender::OstlerDirect] {
        for peer in [Contender::Pm2, Contender::NodeRoundRobin, Contender::NodeShared] {
            ask("requests over kept connections", own, peer, 0.97, |found| &found.kept);
        }
    }
    let (own, peer) = (Contender::Ostler, Contender::OstlerUnmeasured);
    ask("connections", own, peer, 0.99, |found| &found.fresh);
    ask("requests over kept connections", own, peer, 0.99, |found| &found.kept);
    missed
}
