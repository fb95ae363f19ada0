//! What workers use: processor and memory of the whole tree, from one look at `/proc` for all of them.
//!
//! Nothing is sampled while nobody asks. A sample serves everybody who asks within [`FRESH`]; processor percentages are over
//! the time since the sample before (the process's whole life at first), as PM2 has it.

use ostler_core::WorkerId;
use ostler_sys::Pid;
use ostler_sys::proc::{ProcessTable, Stat};
use ostler_wire::control::Usage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a sample is good enough to be shown.
const FRESH: Duration = Duration::from_secs(1);

/// The last sample.
#[derive(Debug, Default)]
pub struct Usages {
    taken: Option<Instant>,
    last: BTreeMap<WorkerId, Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    cpu_millis: u64,
    usage: Usage,
}

impl Usages {
    /// Whether the last sample is good enough to be shown.
    pub fn are_fresh(&self) -> bool {
        self.taken.is_some_and(|taken| taken.elapsed() < FRESH)
    }

    /// What these workers use, and no others: main process and for how long it has been running.
    pub fn of(&mut self, workers: &[(WorkerId, i32, Duration)]) -> BTreeMap<WorkerId, Usage> {
        let now = Instant::now();
        let known = workers.iter().all(|(worker, _, _)| self.last.contains_key(worker));
        if !(self.are_fresh() && known) {
            self.sample(workers, now);
        }
        let usage = |worker: &WorkerId| Some((*worker, self.last.get(worker)?.usage));
        workers.iter().filter_map(|(worker, _, _)| usage(worker)).collect()
    }

    /// Resident memory of one worker's tree, now.
    pub fn memory(pid: i32) -> u64 {
        let below = crate::tree::below(pid);
        let stats = below
            .into_iter()
            .chain([pid])
            .filter_map(|pid| Stat::read(Pid::from_raw(pid)?).ok()?);
        stats.map(|stat| stat.usage().resident_bytes).sum()
    }

    fn sample(&mut self, workers: &[(WorkerId, i32, Duration)], now: Instant) {
        let Ok(table) = ProcessTable::scan() else { return };
        let totals = totals(&table, workers);
        let previous = std::mem::take(&mut self.last);
        for (worker, _, uptime) in workers {
            let Some(total) = totals.get(worker) else { continue };
            let before = previous.get(worker);
            let (spent, over) = before.map_or((total.cpu_millis, *uptime), |before| {
                (
                    total.cpu_millis.saturating_sub(before.cpu_millis),
                    now.duration_since(before.at),
                )
            });
            let usage = Usage {
                memory: total.resident_bytes,
                cpu: percent(spent, over),
            };
            self.last.insert(
                *worker,
                Sample {
                    at: now,
                    cpu_millis: total.cpu_millis,
                    usage,
                },
            );
        }
        self.taken = Some(now);
    }
}

/// Each process counts for the worker that is its nearest ancestor, or whose session it is in.
fn totals(table: &ProcessTable, workers: &[(WorkerId, i32, Duration)]) -> BTreeMap<WorkerId, ostler_sys::proc::Usage> {
    let roots: BTreeMap<i32, WorkerId> = workers.iter().map(|(worker, pid, _)| (*pid, *worker)).collect();
    let mut totals: BTreeMap<WorkerId, ostler_sys::proc::Usage> = BTreeMap::new();
    for stat in table.iter() {
        if let Some(worker) = owner(table, stat, &roots) {
            let total = totals.entry(worker).or_default();
            total.resident_bytes += stat.usage().resident_bytes;
            total.cpu_millis += stat.usage().cpu_millis;
        }
    }
    totals
}

fn owner(table: &ProcessTable, stat: &Stat, roots: &BTreeMap<i32, WorkerId>) -> Option<WorkerId> {
    let number = |pid: Pid| pid.as_raw_nonzero().get();
    let mut at = stat;
    loop {
        if let Some(worker) = roots.get(&number(at.pid)) {
            return Some(*worker);
        }
        let parent = at
            .parent
            .filter(|parent| number(*parent) != 1)
            .and_then(|parent| table.get(parent));
        match parent {
            Some(parent) => at = parent,
            None => return roots.get(&stat.session).copied(),
        }
    }
}

/// In percent of one processor, one decimal.
fn percent(spent_millis: u64, over: Duration) -> f64 {
    let over = over.as_secs_f64() * 1000.0;
    if over <= 0.0 {
        return 0.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of processor time are far below 2^52"
    )]
    let share = spent_millis as f64 / over * 1000.0;
    share.round() / 10.0
}
