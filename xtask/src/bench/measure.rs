//! The measurements, the same for both managers, black box: commands, files, `/proc`.

use super::quantity::Quantity;
use ostler_testkit::process::{self, Memory};
use ostler_testkit::{Home, Manager, sleeper, tools, wait_within};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// What was found.
pub type Figures = std::collections::BTreeMap<Quantity, f64>;

/// How long one command or one wait may take here.
const LIMIT: Duration = Duration::from_secs(600);

/// How often a hundred programs are started.
const STARTS: usize = 7;

/// How many megabytes a log flood has.
const FLOOD: u64 = 300;

/// Megabytes in bytes, as the flooding program counts them.
const MEGABYTE: u64 = 1_000_000;

/// Measures everything of one manager, each part in a home of its own.
pub fn everything(manager: &Manager) -> Figures {
    let mut figures = Figures::new();
    commands(&Home::new(manager.clone()), &mut figures);
    hundred(&Home::new(manager.clone()), &mut figures);
    respawn(&Home::new(manager.clone()), &mut figures);
    let plain = (Quantity::LogPlain, Quantity::LogPlainCpu);
    logs(&Home::new(manager.clone()), plain, None, &mut figures);
    let stamped = (Quantity::LogStamped, Quantity::LogStampedCpu);
    logs(
        &Home::new(manager.clone()),
        stamped,
        Some("YYYY-MM-DD HH:mm:ss.SSS"),
        &mut figures,
    );
    figures
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median time of a command in milliseconds.
fn command(home: &Home, name: &str, runs: usize) -> f64 {
    median((0..runs).map(|_| home.ok(&[name]).took.as_secs_f64() * 1e3).collect())
}

fn commands(home: &Home, figures: &mut Figures) {
    home.start(json!([sleeper("one")]));
    for (name, quantity) in [
        ("list", Quantity::List),
        ("jlist", Quantity::Jlist),
        ("ping", Quantity::Ping),
    ] {
        figures.insert(quantity, command(home, name, 15));
    }
}

/// The resident memory of all the manager's processes, in MiB, and how many they are.
fn memory(home: &Home) -> (f64, f64, usize) {
    let each: Vec<Memory> = home
        .own_processes()
        .iter()
        .map(|own| process::memory(own.pid))
        .collect();
    let mebibytes = |of: fn(&Memory) -> u64| each.iter().map(of).sum::<u64>() as f64 / 1024.0;
    (
        mebibytes(|memory| memory.rss),
        mebibytes(|memory| memory.pss),
        each.len(),
    )
}

/// Starts a hundred programs under a manager that runs already; how long the command took.
fn start_hundred(home: &Home) -> Duration {
    let many: Vec<_> = (0..100).map(|number| sleeper(&format!("s{number}"))).collect();
    let file = home.ecosystem(json!(many));
    let started = home.call(&["start"]).arg(file).limit(LIMIT).ok();
    home.wait_until("a hundred processes", || {
        home.jlist().iter().filter(|row| row.pid() != 0).count() == 100
    });
    started.took
}

/// The median over several homes: a start happens once in a home that is new. In turns, since it takes both managers a tenth more or less from one
/// minute to the next.
pub fn starts<const N: usize>(managers: [(&Manager, &mut Figures); N]) {
    let mut starts = [const { Vec::new() }; N];
    for _ in 0..STARTS {
        for ((manager, _), starts) in managers.iter().zip(&mut starts) {
            let home = Home::new((*manager).clone());
            home.ok(&["ping"]);
            starts.push(start_hundred(&home).as_secs_f64());
        }
    }
    for ((_, figures), starts) in managers.into_iter().zip(starts) {
        figures.insert(Quantity::StartHundred, median(starts));
    }
}

fn hundred(home: &Home, figures: &mut Figures) {
    home.ok(&["ping"]);
    let (rss, pss, processes) = memory(home);
    figures.extend([
        (Quantity::RssEmpty, rss),
        (Quantity::PssEmpty, pss),
        (Quantity::Processes, processes as f64),
    ]);
    start_hundred(home);
    settle(home);
    let (rss, pss, _) = memory(home);
    figures.extend([
        (Quantity::RssOfHundred, rss),
        (Quantity::PssOfHundred, pss),
        (Quantity::IdleCpu, idle(home)),
    ]);
    figures.insert(Quantity::ListOfHundred, command(home, "list", 15));
    for (verb, quantity) in [
        ("restart", Quantity::RestartHundred),
        ("delete", Quantity::DeleteHundred),
    ] {
        let output = home.call(&[verb, "all"]).limit(LIMIT).ok();
        figures.insert(quantity, output.took.as_secs_f64());
    }
}

/// Waits until the manager has done what follows a start: its processor time hardly grows any more.
fn settle(home: &Home) {
    let mut before = spent(home);
    for _ in 0..20 {
        pause(Duration::from_millis(500));
        let now = spent(home);
        if now.saturating_sub(before) < Duration::from_millis(20) {
            return;
        }
        before = now;
    }
}

/// Lets time pass: here time itself is what is measured against.
fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn spent(home: &Home) -> Duration {
    home.own_processes()
        .iter()
        .map(|own| process::thread_time(own.pid))
        .sum()
}

/// Milliseconds of processor time a second over ten seconds at rest.
fn idle(home: &Home) -> f64 {
    let own: Vec<i32> = home.own_processes().iter().map(|own| own.pid).collect();
    let total = || own.iter().map(|pid| process::thread_time(*pid)).sum::<Duration>();
    loop {
        let (before, begin) = (total(), Instant::now());
        pause(Duration::from_secs(10));
        // A thread that ended meanwhile has taken its time with it: not yet at rest.
        if let Some(spent) = total().checked_sub(before) {
            return spent.as_secs_f64() * 1e3 / begin.elapsed().as_secs_f64();
        }
    }
}

/// Kills an app nine times; it writes down when each of its processes began.
fn respawn(home: &Home, figures: &mut Figures) {
    let stamps = home.work().join("stamps");
    home.start(json!([{
        "name": "stamp", "script": tools::fixture(), "interpreter": "none", "args": ["stamp", stamps],
        // An exit after this age is no unstable one, for either manager.
        "min_uptime": 1000,
    }]));
    let mut spans = Vec::new();
    for round in 1..=9 {
        home.wait_until("the app to run", || read_stamps(&stamps).len() == round);
        pause(Duration::from_millis(1300));
        let pid = home.pid("stamp");
        let killed = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        process::kill(pid);
        home.wait_until("its successor", || read_stamps(&stamps).len() == round + 1);
        let began = read_stamps(&stamps)[round];
        spans.push(began.saturating_sub(killed) as f64 / 1e6);
    }
    figures.insert(Quantity::RespawnWorst, spans.iter().copied().fold(0.0, f64::max));
    figures.insert(Quantity::Respawn, median(spans));
}

fn read_stamps(file: &Path) -> Vec<u128> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// How fast a flood reaches the log file, and what that costs the manager.
fn logs(home: &Home, (speed, cost): (Quantity, Quantity), date_format: Option<&str>, figures: &mut Figures) {
    home.start(json!([sleeper("first")]));
    let own: Vec<i32> = home.own_processes().iter().map(|own| own.pid).collect();
    let total = || own.iter().map(|pid| process::cpu_time(*pid)).sum::<Duration>();
    let log = home.work().join("flood.log");
    let mut app = json!({
        "name": "flood", "script": tools::fixture(), "interpreter": "none", "args": ["flood", FLOOD.to_string()],
        "out_file": log,
    });
    if let Some(format) = date_format {
        app["log_date_format"] = json!(format);
    }
    let lines = FLOOD * MEGABYTE / 100;
    let whole = FLOOD * MEGABYTE + date_format.map_or(0, |_| lines * "2026-11-21 08:10:32.613: ".len() as u64);
    // PM2 leaves out a timestamp now and then, where a line lies across two of its reads.
    let enough = whole / 1000 * 998;
    let file = home.ecosystem(json!([app]));
    let (before, begin) = (total(), Instant::now());
    home.call(&["start"]).arg(file).limit(LIMIT).ok();
    let size = || std::fs::metadata(&log).map_or(0, |file| file.len());
    let arrived = wait_within(LIMIT, || (size() >= enough).then_some(()));
    assert!(
        arrived.is_ok(),
        "the flood stopped at {} of {whole} bytes\n{}",
        size(),
        home.report()
    );
    figures.insert(speed, FLOOD as f64 / begin.elapsed().as_secs_f64());
    figures.insert(cost, (total() - before).as_secs_f64());
}
