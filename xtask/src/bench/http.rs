//! How many requests a second come through, beside PM2, Node's own cluster by both of its policies, and a single Node. All of
//! them run the same app and are measured in turns, since the machine's speed changes by the minute.

use super::app::App;
use super::mean::Mean;
use super::number;
use super::services::Services;
use crate::{Result, say};
use ostler_testkit::pressure::Pressure;
use ostler_testkit::{Home, Manager, apps, free_port, http_get, process, wait_within};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONNECTIONS: usize = 64;
/// Long turns, as load that is full goes on for long. In turns of a tenth of a second most of what is seen is how soon the scheduler gives processes that
/// have just been woken what is theirs, which differs by how many sessions they are of (docs/benchmarks.md).
const SPAN: Duration = Duration::from_secs(1);
const ROUNDS: usize = 3;
/// All of them are started anew so often: what a compiler makes of a program is not the same each time. Each start gives one ratio.
const STARTS: usize = 10;
/// Rounds before that, for compilers to see what is used.
const WARM: usize = 1;
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
}

impl Contender {
    const ALL: [Self; 6] = [
        Self::Node,
        Self::NodeRoundRobin,
        Self::NodeShared,
        Self::Pm2,
        Self::Ostler,
        Self::OstlerDirect,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Node => "one Node, no manager",
            Self::NodeRoundRobin => "Node's cluster, round robin",
            Self::NodeShared => "Node's cluster, shared socket",
            Self::Pm2 => "PM2",
            Self::Ostler => "Ostler, round robin",
            Self::OstlerDirect => "Ostler, direct",
        }
    }
}

/// One that runs.
struct Running {
    port: u16,
    /// Who answers.
    workers: Vec<i32>,
    /// Who is between clients and workers.
    between: Vec<i32>,
    /// Ends with it.
    _kind: Kind,
}

enum Kind {
    Plain(Child),
    Managed(Box<Home>),
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Self::Plain(child) = self {
            // Workers of Node's cluster end when their channel closes.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn start(contender: Contender, app: &App, pm2: &Manager, ostler: &Manager) -> Result<Self> {
        let port = free_port();
        let primary = apps::path("primary.js");
        let plain = |script: &str, policy: &str| {
            // A session of its own, as both managers have one: in ours it would share what our client has of the processors (sched(7)).
            let mut node = Command::new("setsid");
            node.args(["node", script])
                .env("PORT", port.to_string())
                .env("MODULE", app.module)
                .env("SCRIPT", &app.script)
                .env("POLICY", policy)
                .env("WORKERS", WORKERS.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            Kind::Plain(node.spawn().expect("node is there"))
        };
        let managed = |manager: &Manager, balance: &str| {
            let home = Home::new(manager.clone());
            home.start(json!([{
                "name": "web", "script": app.script, "exec_mode": "cluster", "instances": WORKERS,
                "env": { "PORT": port, "MODULE": app.module }, "balance": balance,
            }]));
            Kind::Managed(Box::new(home))
        };
        let kind = match contender {
            Contender::Node => plain(&app.script, ""),
            Contender::NodeRoundRobin => plain(&primary, "rr"),
            Contender::NodeShared => plain(&primary, "none"),
            Contender::Pm2 => managed(pm2, ""),
            Contender::Ostler => managed(ostler, "round-robin"),
            Contender::OstlerDirect => managed(ostler, "direct"),
        };
        let expected = if contender == Contender::Node {
            1
        } else {
            WORKERS as usize
        };
        let workers = || {
            let workers = kind.workers(contender);
            (workers.len() == expected && http_get(port).is_ok()).then_some(workers)
        };
        let workers = wait_within(Duration::from_secs(20), workers)
            .map_err(|_| format!("the app does not answer under {}", contender.title()))?;
        Ok(Self {
            port,
            workers,
            between: kind.between(contender),
            _kind: kind,
        })
    }

    /// Makes requests for one turn.
    fn press(&self, fresh: bool) -> Result<Turn> {
        let failed = |error: io::Error| format!("load on port {}: {error}", self.port);
        let mut pressure = Pressure::open(self.port, CONNECTIONS, fresh).map_err(failed)?;
        let before = (spent(&self.workers), spent(&self.between));
        let pressed = pressure.press(SPAN).map_err(failed)?;
        let requests = pressed.answered.max(1) as f64;
        let each = |pids: &[i32], before: Duration| spent(pids).saturating_sub(before).as_secs_f64() * 1e6 / requests;
        Ok(Turn {
            rate: pressed.rate(),
            p99: pressed.latency(0.99),
            of_workers: each(&self.workers, before.0),
            between: each(&self.between, before.1),
            failed: pressed.failed,
        })
    }
}

impl Kind {
    fn workers(&self, contender: Contender) -> Vec<i32> {
        match self {
            Self::Managed(home) => home.pids("web"),
            Self::Plain(child) if contender == Contender::Node => vec![child.id().cast_signed()],
            Self::Plain(child) => {
                let of_primary = process::descendants(child.id().cast_signed());
                of_primary.iter().map(|worker| worker.pid).collect()
            }
        }
    }

    fn between(&self, contender: Contender) -> Vec<i32> {
        match self {
            Self::Managed(home) => home.own_processes().iter().map(|own| own.pid).collect(),
            Self::Plain(_) if contender == Contender::Node => Vec::new(),
            Self::Plain(child) => vec![child.id().cast_signed()],
        }
    }
}

fn spent(pids: &[i32]) -> Duration {
    pids.iter().copied().map(process::thread_time).sum()
}

/// What came of one turn.
struct Turn {
    /// Requests a second.
    rate: f64,
    p99: Duration,
    /// Microseconds of processor time for each request, of the workers and of whatever is between.
    of_workers: f64,
    between: f64,
    failed: u64,
}

/// What was found of one contender, round by round.
#[derive(Default)]
struct Found {
    fresh: Vec<Turn>,
    kept: Vec<Turn>,
}

/// Measures, prints tables and what is asked, and gives what was missed: with the machine as it is, and where there can be control groups once more as
/// services.
pub fn run(pm2: &Manager, ostler: &Manager) -> Result<Vec<String>> {
    let bench = Bench { pm2, ostler };
    let mut missed = bench.measure(None)?;
    if let Some(services) = Services::begin() {
        let of_services = bench.measure(Some(&services))?;
        missed.extend(of_services.into_iter().map(|line| format!("as services, {line}")));
    }
    Ok(missed)
}

struct Bench<'a> {
    pm2: &'a Manager,
    ostler: &'a Manager,
}

impl Bench<'_> {
    fn measure(&self, services: Option<&Services>) -> Result<Vec<String>> {
        let app = App::bare();
        let enter = |group: &str| match services {
            Some(services) => services
                .enter(group)
                .map_err(|error| format!("the control group {group}: {error}")),
            None => Ok(()),
        };
        let start = |contender: &Contender| {
            enter(&format!("{contender:?}"))?;
            Ok((*contender, Running::start(*contender, &app, self.pm2, self.ostler)?))
        };
        let mut found: BTreeMap<Contender, Found> = BTreeMap::new();
        for _ in 0..STARTS {
            let running: Vec<(Contender, Running)> = Contender::ALL.iter().map(start).collect::<Result<_>>()?;
            enter("client")?;
            // Kept connections first: the garbage of many new ones is collected for a while after them.
            for (contender, turn) in rounds(&running, false)? {
                found.entry(contender).or_default().kept.push(turn);
            }
            for (contender, turn) in rounds(&running, true)? {
                found.entry(contender).or_default().fresh.push(turn);
            }
        }
        say(&table(&found));
        Ok(missed(&found))
    }
}

fn rounds(running: &[(Contender, Running)], fresh: bool) -> Result<Vec<(Contender, Turn)>> {
    let mut all = Vec::new();
    for round in 0..WARM + ROUNDS {
        let mut turns: Vec<&(Contender, Running)> = running.iter().collect();
        // Each comes at each place, and half of the time after the one that it comes before in the other half.
        turns.rotate_left(round % running.len());
        if round % 2 == 1 {
            turns.reverse();
        }
        for (contender, one) in turns {
            let turn = one.press(fresh)?;
            if round >= WARM {
                all.push((*contender, turn));
            }
        }
    }
    Ok(all)
}

fn median<T>(values: impl IntoIterator<Item = T>, of: impl Fn(T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// How much of another's rate, start by start.
fn ratio(own: &[Turn], peer: &[Turn]) -> Mean {
    let rate = |turns: &[Turn]| turns.iter().map(|turn| turn.rate).sum::<f64>();
    let starts = own.chunks(ROUNDS).zip(peer.chunks(ROUNDS));
    Mean::of(starts.map(|(own, peer)| rate(own) / rate(peer)))
}

fn table(found: &BTreeMap<Contender, Found>) -> String {
    let mut text = format!(
        "\n{WORKERS} workers, {CONNECTIONS} connections at once, a client of one thread on the same machine; medians of {} rounds of {} s. \
         *Workers* and *between* are microseconds of their processor time for each request.\n\n\
         | | connections/s | p99, ms | workers | between | kept: requests/s | p99, ms | workers | failed |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        STARTS * ROUNDS,
        SPAN.as_secs()
    );
    let rate = |turns: &[Turn]| format!("{:.0}", median(turns, |turn| turn.rate));
    let p99 = |turns: &[Turn]| number(median(turns, |turn| turn.p99.as_secs_f64() * 1e3));
    let of_workers = |turns: &[Turn]| number(median(turns, |turn| turn.of_workers));
    for (contender, Found { fresh, kept }) in found {
        let cells = [
            contender.title().to_owned(),
            rate(fresh),
            p99(fresh),
            of_workers(fresh),
            number(median(fresh, |turn| turn.between)),
            rate(kept),
            p99(kept),
            of_workers(kept),
            fresh
                .iter()
                .chain(kept)
                .map(|turn| turn.failed)
                .sum::<u64>()
                .to_string(),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// What is asked. Of the default mode 1.6 times PM2's connections and 1.2 times Node's own round robin, of the direct one 2.4 times PM2's and 0.95 of
/// what Node's workers accept by themselves; and of kept connections 0.97 of everybody's who has as many workers.
fn missed(found: &BTreeMap<Contender, Found>) -> Vec<String> {
    let mut missed = Vec::new();
    let mut ask = |what: &str, own: Contender, peer: Contender, asked: f64, of: fn(&Found) -> &Vec<Turn>| {
        let (Some(of_own), Some(of_peer)) = (found.get(&own), found.get(&peer)) else {
            return;
        };
        let ratio = ratio(of(of_own), of(of_peer));
        let line = format!(
            "{}: {} of the {what} of {}, asked {asked}",
            own.title(),
            ratio,
            peer.title()
        );
        say(&line);
        if ratio.value < asked {
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
    missed
}
