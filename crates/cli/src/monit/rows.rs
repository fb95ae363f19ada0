//! What the table shows: apps with their workers, what they use together, in the order asked for. Pure.

use crate::terminal_text::plain;
use ostler_core::{SlotId, Status};
use ostler_wire::control::ProcessRow;
use ostler_wire::metrics::{Metrics, WorkerMetrics};
use std::collections::{BTreeMap, BTreeSet};

/// An app: its namespace and its name.
pub type App = (String, String);

/// What a row is about, whatever its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All workers of an app that has several.
    App(App),
    /// One.
    Worker(SlotId),
}

/// What is measured. Absent where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Percent of one processor.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// How late the event loop is, ms, 99 of 100 below; of several the latest.
    pub loop_delay: Option<f64>,
    /// HTTP requests a second.
    pub requests: Option<f64>,
    /// How long answers took, ms, 95 of 100 below; of several the longest.
    pub latency: Option<f64>,
    /// Open connections.
    pub connections: Option<u64>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All alike.
    All(Status),
    /// Online, and its `health` probe fails.
    Unhealthy,
    /// Online, and its `ready` probe fails.
    NotReady,
    /// So many of so many are online.
    Some { online: usize, of: usize },
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is about.
    pub subject: Subject,
    /// Its app.
    pub app: App,
    /// The app's name, fit to be shown.
    pub name: String,
    /// It belongs to the app above it.
    pub inner: bool,
    /// Its workers are hidden; absent where it has none of its own.
    pub folded: Option<bool>,
    /// Its slots.
    pub slots: Vec<SlotId>,
    /// The process, of one.
    pub pid: Option<i32>,
    /// How it is.
    pub state: State,
    /// Milliseconds; of several the longest.
    pub uptime: Option<u64>,
    /// All together.
    pub restarts: u32,
    /// What is measured.
    pub numbers: Numbers,
}

/// By what apps are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Name,
    Cpu,
    Memory,
    Requests,
}

impl Order {
    /// The next one of all.
    pub fn next(self) -> Self {
        match self {
            Self::Name => Self::Cpu,
            Self::Cpu => Self::Memory,
            Self::Memory => Self::Requests,
            Self::Requests => Self::Name,
        }
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Requests => "requests",
        }
    }
}

/// The rows of the table.
pub fn rows(metrics: &Metrics, order: Order, folded: &BTreeSet<App>) -> Vec<Row> {
    let mut apps: BTreeMap<App, Vec<&WorkerMetrics>> = BTreeMap::new();
    for worker in &metrics.workers {
        let app = (worker.row.namespace.clone(), worker.row.name.clone());
        apps.entry(app).or_default().push(worker);
    }
    let mut blocks: Vec<(Row, Vec<Row>)> = apps
        .into_iter()
        .map(|(app, workers)| block(app, &workers, folded))
        .collect();
    blocks.sort_by(|(one, _), (other, _)| {
        let amount = |row: &Row| match order {
            Order::Name => 0.0,
            Order::Cpu => row.numbers.cpu.unwrap_or(0.0),
            Order::Memory => row.numbers.memory.unwrap_or(0) as f64,
            Order::Requests => row.numbers.requests.unwrap_or(0.0),
        };
        let names = (&one.app.1, &one.app.0).cmp(&(&other.app.1, &other.app.0));
        amount(other).total_cmp(&amount(one)).then(names)
    });
    blocks
        .into_iter()
        .flat_map(|(app, workers)| std::iter::once(app).chain(workers))
        .collect()
}

/// The row of an app and those of its workers, if it has several.
fn block(app: App, workers: &[&WorkerMetrics], folded: &BTreeSet<App>) -> (Row, Vec<Row>) {
    if let [only] = workers {
        return (worker(app, only, false), Vec::new());
    }
    let hidden = folded.contains(&app);
    let inner: Vec<Row> = workers.iter().map(|one| worker(app.clone(), one, true)).collect();
    let whole = sum(app, &inner, hidden);
    (whole, if hidden { Vec::new() } else { inner })
}

/// As `list` has it.
fn state(row: &ProcessRow) -> State {
    match (row.status, row.health.healthy, row.health.ready) {
        (Status::Online, Some(false), _) => State::Unhealthy,
        (Status::Online, _, Some(false)) => State::NotReady,
        (status, _, _) => State::All(status),
    }
}

fn worker(app: App, worker: &WorkerMetrics, inner: bool) -> Row {
    let row = &worker.row;
    let node = worker.node.as_ref();
    let http = node.and_then(|node| node.http);
    Row {
        subject: Subject::Worker(row.id),
        name: plain(&app.1),
        app,
        inner,
        folded: None,
        slots: vec![row.id],
        pid: row.pid.map(|pid| pid.0),
        state: state(row),
        uptime: (row.status == Status::Online).then_some(row.uptime_ms),
        restarts: row.restarts,
        numbers: Numbers {
            cpu: row.usage.map(|usage| usage.cpu),
            memory: row.usage.map(|usage| usage.memory),
            loop_delay: node.and_then(|node| node.loop_delay).map(|delay| delay.p99),
            requests: http.map(|http| http.requests),
            latency: http.and_then(|http| http.p95_ms),
            connections: row.connections.and_then(|connections| connections.active),
        },
    }
}

fn sum(app: App, workers: &[Row], hidden: bool) -> Row {
    let online = workers
        .iter()
        .filter(|row| row.state == State::All(Status::Online))
        .count();
    let alike = workers.windows(2).all(|pair| pair[0].state == pair[1].state);
    let largest = |value: fn(&Numbers) -> Option<f64>| {
        let values = workers.iter().filter_map(|row| value(&row.numbers));
        values.max_by(f64::total_cmp)
    };
    let total = |value: fn(&Numbers) -> Option<f64>| {
        workers
            .iter()
            .filter_map(|row| value(&row.numbers))
            .reduce(|a, b| a + b)
    };
    let count = |value: fn(&Numbers) -> Option<u64>| {
        workers
            .iter()
            .filter_map(|row| value(&row.numbers))
            .reduce(|a, b| a + b)
    };
    Row {
        subject: Subject::App(app.clone()),
        name: plain(&app.1),
        app,
        inner: false,
        folded: Some(hidden),
        slots: workers.iter().flat_map(|row| row.slots.clone()).collect(),
        pid: None,
        state: match workers.first() {
            Some(first) if alike => first.state,
            Some(_) | None => State::Some {
                online,
                of: workers.len(),
            },
        },
        uptime: workers.iter().filter_map(|row| row.uptime).max(),
        restarts: workers.iter().map(|row| row.restarts).sum(),
        numbers: Numbers {
            cpu: total(|numbers| numbers.cpu),
            memory: count(|numbers| numbers.memory),
            loop_delay: largest(|numbers| numbers.loop_delay),
            requests: total(|numbers| numbers.requests),
            latency: largest(|numbers| numbers.latency),
            connections: count(|numbers| numbers.connections),
        },
    }
}

/// Where the selection is now: with its subject; where that is gone, with its app; else at the place where it was.
pub fn place(rows: &[Row], selected: Option<&(Subject, App)>, at: usize) -> Option<usize> {
    let same = selected.and_then(|(subject, _)| rows.iter().position(|row| row.subject == *subject));
    let kin = || selected.and_then(|(_, app)| rows.iter().position(|row| row.app == *app));
    same.or_else(kin)
        .or_else(|| rows.len().checked_sub(1).map(|last| at.min(last)))
}

/// A word that means a slot to the daemon, if its number is not also somebody's name: names come first.
pub fn words(metrics: &Metrics, slots: &[SlotId]) -> Result<Vec<String>, String> {
    let named = |word: &str| {
        metrics
            .workers
            .iter()
            .any(|worker| worker.row.name == word || worker.row.namespace == word)
    };
    let words: Vec<String> = slots.iter().map(ToString::to_string).collect();
    match words.iter().find(|word| named(word)) {
        Some(word) => Err(format!(
            "{word} is also the name of an app or a namespace: use the command line"
        )),
        None => Ok(words),
    }
}

/// How many of something, largest number first: for the head of the page.
pub fn totals(metrics: &Metrics) -> (usize, usize, Numbers) {
    let app = |worker: &WorkerMetrics| (worker.row.namespace.clone(), worker.row.name.clone());
    let apps: BTreeSet<App> = metrics.workers.iter().map(app).collect();
    let all: Vec<Row> = metrics.workers.iter().map(|one| worker(app(one), one, true)).collect();
    let whole = sum(App::default(), &all, true);
    let online = all.iter().filter(|row| row.state == State::All(Status::Online)).count();
    (apps.len(), online, whole.numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monit::samples::{metrics, worker as sample};

    fn shown(rows: &[Row]) -> Vec<String> {
        let mark = |row: &Row| match (row.inner, row.folded) {
            (true, _) => format!("  {}", row.slots[0]),
            (false, _) => row.name.clone(),
        };
        rows.iter().map(mark).collect()
    }

    #[test]
    fn apps_have_their_workers_below_and_what_they_use_together() {
        let rows = rows(&metrics(), Order::Name, &BTreeSet::new());
        assert_eq!(shown(&rows), ["api", "  0", "  1", "  2", "  3", "mailer", "report"]);
        assert_eq!(rows[0].state, State::Some { online: 3, of: 4 });
        assert_eq!(rows[0].numbers.cpu, Some(63.0));
        assert_eq!(rows[0].numbers.memory, Some(3 * (60 << 20) + (3 << 20)));
        assert_eq!(rows[0].numbers.loop_delay, Some(12.5));
        assert_eq!(rows[0].restarts, 2);
        assert_eq!(
            rows[6].numbers,
            Numbers::default(),
            "what is down uses nothing that is known"
        );
    }

    #[test]
    fn what_probes_say_is_seen() {
        let mut metrics = metrics();
        metrics.workers[0].row.health.healthy = Some(false);
        metrics.workers[1].row.health.ready = Some(false);
        metrics.workers[5].row.health.healthy = Some(false);
        let rows = rows(&metrics, Order::Name, &BTreeSet::new());
        let states: Vec<State> = rows.iter().map(|row| row.state).collect();
        assert_eq!(
            states[..3],
            [State::Some { online: 1, of: 4 }, State::Unhealthy, State::NotReady]
        );
        assert_eq!(states[6], State::All(Status::Stopped), "one that is down is neither");
    }

    #[test]
    fn apps_can_be_folded_and_ordered() {
        let folded = [("default".to_owned(), "api".to_owned())].into();
        let by = |order| shown(&rows(&metrics(), order, &folded));
        assert_eq!(by(Order::Name), ["api", "mailer", "report"]);
        assert_eq!(by(Order::Cpu), ["mailer", "api", "report"]);
        assert_eq!(by(Order::Memory), ["api", "mailer", "report"]);
    }

    #[test]
    fn the_selection_stays_with_what_it_was_on() {
        let all = rows(&metrics(), Order::Name, &BTreeSet::new());
        let on = |at: usize| (all[at].subject.clone(), all[at].app.clone());
        let others = rows(&metrics(), Order::Cpu, &BTreeSet::new());
        assert_eq!(place(&others, Some(&on(2)), 2), Some(3), "it has moved");
        let folded = rows(&metrics(), Order::Name, &[all[0].app.clone()].into());
        assert_eq!(place(&folded, Some(&on(2)), 2), Some(0), "its app is left");
        assert_eq!(place(&folded[..1], Some(&on(6)), 6), Some(0), "nothing of it is left");
        assert_eq!(place(&[], Some(&on(6)), 6), None);
        assert_eq!(place(&all, None, 0), Some(0));
    }

    #[test]
    fn an_id_that_is_also_a_name_is_not_used() {
        let mut metrics = metrics();
        assert_eq!(
            words(&metrics, &[SlotId(0), SlotId(12)]),
            Ok(vec!["0".into(), "12".into()])
        );
        metrics.workers.push(sample(9, "12"));
        assert!(words(&metrics, &[SlotId(0), SlotId(12)]).is_err());
    }
}
