//! What is known of how workers are doing: sampled from `/proc`, reported by the preload, counted by the primary.
//!
//! Used by the reactor alone. A look at `/proc` every [`EVERY`] keeps the charts going while nobody looks; the preload reports as rarely
//! then, and every second while somebody does. Series are lost with the daemon; what was counted is not (`crate::records`).

mod kept;

pub use kept::{COUNTED, Kept};

use ostler_core::metrics::{Measure, Rates, Series, Tally, Totals};
use ostler_core::{AppId, Instant, SlotId, WorkerId};
use ostler_wire::control::Usage;
use ostler_wire::node_ipc::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

/// How often all workers are sampled.
pub const EVERY: Duration = Duration::from_secs(10);
/// Rates are over at least that long, or one request would be a thousand a second.
const SHORTEST: Duration = Duration::from_millis(500);
/// For how long a report says how a worker is doing now.
const FRESH: Duration = Duration::from_secs(25);
/// How often the preload is told that somebody looks; it goes on for three times as long.
const TELL: Duration = Duration::from_secs(5);

/// See the module's header.
#[derive(Debug, Default)]
pub struct Metrics {
    slots: BTreeMap<SlotId, Slot>,
    totals: BTreeMap<AppId, Totals>,
    kept: Option<Kept>,
    sampled: Instant,
    told: Option<Instant>,
}

/// What is known of a slot, over its workers.
#[derive(Debug, Default)]
struct Slot {
    series: Series,
    seen: Option<Seen>,
}

/// The last report of a worker, and what it made of the one before.
#[derive(Debug)]
struct Seen {
    worker: WorkerId,
    at: Instant,
    report: Report,
    rates: Option<Rates>,
    /// The report that rates are counted from next.
    base: (Instant, Tally),
}

/// How a worker of Node is doing.
#[derive(Clone, Copy, Debug)]
pub struct Doing<'a> {
    /// Its last report.
    pub report: &'a Report,
    /// How old that is.
    pub age: Duration,
    /// Of the time before it; none after the first report.
    pub rates: Option<Rates>,
}

impl Metrics {
    /// With what a predecessor's workers had counted, and where to keep it.
    pub fn new(kept: Option<Kept>, now: Instant) -> Self {
        let totals = kept.as_ref().map(Kept::totals).unwrap_or_default();
        Self {
            totals,
            kept,
            sampled: now,
            ..Self::default()
        }
    }

    /// Where counts are kept from now on, if nowhere yet.
    pub fn keep_in(&mut self, make: impl FnOnce() -> io::Result<Kept>) -> io::Result<()> {
        if self.kept.is_none() {
            self.kept = Some(make()?);
        }
        Ok(())
    }

    /// When all workers are to be sampled next.
    pub fn next_sample(&self) -> Instant {
        self.sampled + EVERY
    }

    /// Takes a sample of what workers use and have open.
    pub fn sample(&mut self, now: Instant, usages: &BTreeMap<WorkerId, Usage>) {
        self.sampled = now;
        for (worker, usage) in usages {
            let series = &mut self.slots.entry(worker.slot).or_default().series;
            series.record(now, Measure::Cpu, usage.cpu);
            #[expect(clippy::cast_precision_loss, reason = "a chart needs no more digits")]
            series.record(now, Measure::Memory, usage.memory as f64);
        }
    }

    /// How many connections workers have open.
    pub fn connections(&mut self, now: Instant, open: impl IntoIterator<Item = (SlotId, u64)>) {
        for (slot, open) in open {
            let series = &mut self.slots.entry(slot).or_default().series;
            #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 connections are open")]
            series.record(now, Measure::Connections, open as f64);
        }
    }

    /// A worker of Node says how it is doing.
    ///
    /// # Errors
    /// If its counts cannot be kept for a successor: no memory.
    pub fn report(&mut self, app: AppId, worker: WorkerId, report: Report, now: Instant) -> io::Result<()> {
        let tally = report.tally.clone();
        self.totals.entry(app).or_default().report(worker, tally.clone());
        let slot = self.slots.entry(worker.slot).or_default();
        let earlier = slot.seen.take().filter(|seen| seen.worker == worker);
        let (base, rates) = match earlier {
            None => ((now, tally.clone()), None),
            Some(seen) if now.since(seen.base.0) < SHORTEST => (seen.base, seen.rates),
            Some(seen) => {
                let rates = tally.rates(&seen.base.1, now.since(seen.base.0));
                ((now, tally.clone()), Some(rates))
            }
        };
        record(&mut slot.series, now, &report, rates.as_ref());
        slot.seen = Some(Seen {
            worker,
            at: now,
            report,
            rates,
            base,
        });
        self.kept
            .as_mut()
            .map_or(Ok(()), |kept| kept.counted(app, worker, &tally))
    }

    /// A worker is gone: what it had counted stays with its app.
    ///
    /// # Errors
    /// See [`report`](Self::report).
    pub fn ended(&mut self, app: AppId, worker: WorkerId) -> io::Result<()> {
        let Some(totals) = self.totals.get_mut(&app) else {
            return Ok(());
        };
        totals.end(worker);
        let ended = totals.ended().clone();
        self.kept
            .as_mut()
            .map_or(Ok(()), |kept| kept.ended(app, worker, &ended))
    }

    /// Of the workers a predecessor knew only these have not ended.
    ///
    /// # Errors
    /// See [`report`](Self::report).
    pub fn end_others(&mut self, alive: &BTreeSet<WorkerId>) -> io::Result<()> {
        let workers = self
            .totals
            .iter()
            .flat_map(|(app, totals)| totals.workers().map(|worker| (*app, worker)));
        let gone: Vec<_> = workers.filter(|(_, worker)| !alive.contains(worker)).collect();
        gone.into_iter().try_for_each(|(app, worker)| self.ended(app, worker))
    }

    /// A slot is gone. Its id may be another's at once.
    pub fn forget(&mut self, slot: SlotId) {
        self.slots.remove(&slot);
    }

    /// These apps are all that there are.
    ///
    /// # Errors
    /// See [`report`](Self::report).
    pub fn keep_only(&mut self, apps: &BTreeSet<AppId>) -> io::Result<()> {
        let gone: Vec<AppId> = self.totals.keys().filter(|app| !apps.contains(app)).copied().collect();
        for app in gone {
            self.totals.remove(&app);
            self.kept.as_mut().map_or(Ok(()), |kept| kept.forget(app))?;
        }
        Ok(())
    }

    /// Somebody looks: whether the preload is to be told now.
    pub fn is_looked_at(&mut self, now: Instant) -> bool {
        let tell = self.told.is_none_or(|told| now.since(told) >= TELL);
        if tell {
            self.told = Some(now);
        }
        tell
    }

    /// Whether somebody has looked lately.
    pub fn is_watched(&self, now: Instant) -> bool {
        self.told.is_some_and(|told| now.since(told) < TELL)
    }

    /// How a worker is doing, if it has said so lately.
    pub fn doing(&self, worker: WorkerId, now: Instant) -> Option<Doing<'_>> {
        let seen = self.slots.get(&worker.slot)?.seen.as_ref()?;
        let age = now.since(seen.at);
        (seen.worker == worker && age <= FRESH).then_some(Doing {
            report: &seen.report,
            age,
            rates: seen.rates,
        })
    }

    /// What the workers of an app have counted, also those that are gone.
    pub fn total(&self, app: AppId) -> Option<Tally> {
        self.totals.get(&app).map(Totals::all)
    }

    /// What is kept of a slot for charts.
    pub fn series(&self, slot: SlotId) -> Option<&Series> {
        self.slots.get(&slot).map(|slot| &slot.series)
    }
}

fn record(series: &mut Series, now: Instant, report: &Report, rates: Option<&Rates>) {
    #[expect(clippy::cast_precision_loss, reason = "a chart needs no more digits")]
    series.record(now, Measure::Heap, report.heap as f64);
    if let Some(delay) = &report.delay {
        series.record(now, Measure::LoopDelay, delay.p99);
    }
    let Some(rates) = rates else { return };
    series.record(now, Measure::LoopUtilisation, rates.loop_utilisation * 100.0);
    series.record(now, Measure::Requests, rates.http.requests);
    if let Some(p95) = rates.http.p95_ms {
        series.record(now, Measure::Latency, p95);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(3);

    fn worker(generation: u32) -> WorkerId {
        WorkerId::new(1, generation)
    }

    fn answered(requests: u64) -> Report {
        let tally = Tally {
            answered: [0, requests, 0, 0, 0],
            ..Tally::default()
        };
        Report {
            tally,
            ..Report::default()
        }
    }

    fn said(metrics: &mut Metrics, generation: u32, requests: u64, at: u64) -> Option<f64> {
        let report = answered(requests);
        metrics
            .report(APP, worker(generation), report, Instant(at))
            .expect("kept");
        let doing = metrics.doing(worker(generation), Instant(at)).expect("just said");
        doing.rates.map(|rates| rates.http.requests)
    }

    #[test]
    fn rates_are_of_one_worker_and_over_some_time() {
        let mut metrics = Metrics::default();
        assert_eq!(said(&mut metrics, 1, 100, 1000), None);
        assert_eq!(said(&mut metrics, 1, 150, 2000), Some(50.0));
        // Told at once, right after a report by the clock.
        assert_eq!(said(&mut metrics, 1, 151, 2001), Some(50.0));
        assert_eq!(said(&mut metrics, 1, 170, 3000), Some(20.0));
        assert_eq!(said(&mut metrics, 2, 7, 4000), None, "its successor");
        assert!(metrics.doing(worker(1), Instant(4000)).is_none());
        assert!(metrics.doing(worker(2), Instant(60_000)).is_none(), "long ago");
        assert_eq!(
            metrics.total(APP).expect("counted").answered[1],
            177,
            "of which 170 by who may end yet"
        );
    }

    #[test]
    fn whoever_gets_the_id_of_a_slot_that_is_gone_begins_anew() {
        let mut metrics = Metrics::default();
        said(&mut metrics, 1, 100, 1000);
        assert!(metrics.series(SlotId(1)).is_some());
        metrics.forget(SlotId(1));
        assert!(metrics.series(SlotId(1)).is_none());
        assert!(metrics.doing(worker(1), Instant(1000)).is_none());
    }

    #[test]
    fn a_successor_goes_on_counting() {
        let file = ostler_sys::memfd::create(COUNTED).expect("a file");
        let kept = || Kept::open(file.try_clone().expect("a copy")).expect("read");
        let mut metrics = Metrics::new(Some(kept()), Instant(0));
        said(&mut metrics, 1, 100, 1000);
        metrics.ended(APP, worker(1)).expect("kept");
        said(&mut metrics, 2, 11, 2000);
        let mut successor = Metrics::new(Some(kept()), Instant(0));
        assert_eq!(successor.total(APP).expect("known").answered[1], 111);
        said(&mut successor, 2, 12, 3000);
        successor.ended(APP, worker(2)).expect("kept");
        assert_eq!(successor.total(APP).expect("known").answered[1], 112);
        successor.keep_only(&BTreeSet::new()).expect("kept");
        assert_eq!(Metrics::new(Some(kept()), Instant(0)).total(APP), None);
    }
}
