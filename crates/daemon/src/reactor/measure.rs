//! How workers are doing: samples by the clock, reports as they come, and who is told of it.

use super::calls::worker;
use super::{Daemon, now};
use crate::fact::Fact;
use crate::metrics::{COUNTED, Doing, Kept};
use crate::primary::Command;
use crate::select::select;
use ostler_core::metrics::{Histogram, Tally};
use ostler_core::{AppId, Mode, SlotId, SlotView, WorkerId};
use ostler_wire::control::{ApiError, Selector, Usage};
use ostler_wire::metrics::{AppMetrics, Chart, ChartPoint, Charts, LatencyBucket, Metrics, NodeMetrics, WorkerMetrics};
use ostler_wire::node_ipc::{Report, ToPreload};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

impl Daemon {
    /// By the clock: what all workers use and have open.
    pub(super) fn sample(&mut self) {
        let slots = self.slots();
        let usages = self.usages_of(&slots);
        self.metrics.sample(now().instant, &usages);
        if usages.is_empty() {
            return;
        }
        // So that what looking took of memory is let go of.
        self.stirred = true;
        if slots.iter().any(|slot| slot.spec.mode == Mode::Cluster) {
            let facts = self.facts.clone();
            self.primary.count(Box::new(move |counts| {
                let open = counts.iter().filter_map(|(worker, have)| Some((*worker, have.active?)));
                let _ = facts.send(Fact::Open(open.collect()));
            }));
        }
    }

    /// What was counted for the last sample.
    pub(super) fn open_now(&mut self, connections: Vec<(WorkerId, u64)>) {
        let of_slots = connections.into_iter().map(|(worker, open)| (worker.slot, open));
        self.metrics.connections(now().instant, of_slots);
    }

    /// A program of Node says how it is doing.
    pub(super) fn reported(&mut self, worker: WorkerId, report: Report) {
        let Some(app) = self.workers.get(&worker).map(|record| record.launch.app) else {
            return;
        };
        let keeper = &mut self.keeper;
        let kept = self.metrics.keep_in(|| {
            let (kept, descriptor) = Kept::create()?;
            keeper.deposit(COUNTED, Vec::new(), vec![descriptor]);
            Ok(kept)
        });
        let now = now().instant;
        if self.metrics.is_watched(now) && self.metrics.doing(worker, now).is_none() {
            self.tell_preload(worker, ToPreload::Watch);
        }
        let reported = self.metrics.report(app, worker, report, now);
        self.note_unkept(kept.and(reported));
        self.may_register(worker);
    }

    /// A worker is gone, and will count no more.
    pub(super) fn counted_last(&mut self, app: AppId, worker: WorkerId) {
        let ended = self.metrics.ended(app, worker);
        self.note_unkept(ended);
    }

    /// A slot is gone, and with its last one its app.
    pub(crate) fn forget_measures(&mut self, slot: SlotId) {
        self.metrics.forget(slot);
        self.primary.forget(slot);
        let apps = self.machine.slots().map(|slot| slot.app).collect();
        self.keep_registered_of(&apps);
        let forgotten = self.metrics.keep_only(&apps);
        self.note_unkept(forgotten);
    }

    fn note_unkept(&self, kept: io::Result<()>) {
        if let Err(error) = kept {
            self.note(&format!(
                "what workers have counted cannot be kept for a successor: {error}"
            ));
        }
    }

    /// Somebody looks: programs of Node are to say how they are doing, and go on saying so for a while.
    pub(super) fn have_reported(&mut self) {
        if !self.metrics.is_looked_at(now().instant) {
            return;
        }
        self.workers
            .keys()
            .for_each(|worker| self.tell_preload(*worker, ToPreload::Watch));
    }

    /// Tells a worker's preload something that need not be told.
    pub(super) fn tell_preload(&self, worker: WorkerId, message: ToPreload) {
        let Some(record) = self.workers.get(&worker) else {
            return;
        };
        if record.is_of_cluster() {
            self.primary.send(Command::Preload(worker, message));
        } else if self.preload_of(&record.launch).is_some() {
            // One whose channel is full has other worries.
            let _ = record.tell_preload(message);
        }
    }

    /// How all of them are doing; connections are to be filled in.
    pub(super) fn metrics_of_all(&mut self) -> Metrics {
        let slots = self.slots();
        let usages = self.usages_of(&slots);
        let names: BTreeMap<AppId, (&str, &str)> = slots
            .iter()
            .map(|slot| (slot.app, (slot.spec.name.as_str(), slot.spec.namespace.as_str())))
            .collect();
        let apps = names.into_iter().filter_map(|(app, (name, namespace))| {
            let total = self.metrics.total(app)?;
            Some(of_app(name, namespace, &total))
        });
        Metrics {
            apps: apps.collect(),
            workers: slots.iter().map(|slot| self.of_worker(slot, &usages)).collect(),
        }
    }

    /// How these are doing, and their apps; all if `None`.
    pub(super) fn metrics_of(&mut self, selector: Option<&Selector>) -> Result<Metrics, ApiError> {
        let mut metrics = self.metrics_of_all();
        if let Some(selector) = selector {
            let chosen = select(selector, &self.slots())?;
            metrics.workers.retain(|worker| chosen.contains(&worker.row.id));
            let has_worker = |app: &AppMetrics| {
                let mut rows = metrics.workers.iter().map(|worker| &worker.row);
                rows.any(|row| (&row.name, &row.namespace) == (&app.name, &app.namespace))
            };
            metrics.apps.retain(has_worker);
        }
        Ok(metrics)
    }

    fn of_worker(&self, slot: &SlotView, usages: &BTreeMap<WorkerId, Usage>) -> WorkerMetrics {
        WorkerMetrics {
            row: self.row(slot, usages),
            node: self.node(slot),
            footprint: None,
            custom: (self.workers.get(&worker(slot))).map_or_else(BTreeMap::new, |record| record.custom.clone()),
        }
    }

    /// What a program of Node says of itself, if it runs and has said something lately.
    pub(super) fn node(&self, slot: &SlotView) -> Option<NodeMetrics> {
        let doing = self.metrics.doing(worker(slot), now().instant);
        doing.filter(|_| slot.pid.is_some()).map(|doing| of_node(&doing))
    }

    /// What was measured in the last hour.
    pub(super) fn charts(&self, selector: Option<&Selector>) -> Result<Charts, ApiError> {
        let slots = self.slots();
        let chosen: BTreeSet<SlotId> = match selector {
            Some(selector) => select(selector, &slots)?.into_iter().collect(),
            None => slots.iter().map(|slot| slot.id).collect(),
        };
        let now = now().instant;
        let known = chosen
            .into_iter()
            .filter_map(|slot| Some((slot, self.metrics.series(slot)?)));
        let charts = known.flat_map(|(id, series)| {
            series.measures().map(move |measure| Chart {
                id,
                measure,
                points: series
                    .points(measure)
                    .into_iter()
                    .map(|point| ChartPoint {
                        ago_ms: u64::try_from(now.since(point.at).as_millis()).unwrap_or(u64::MAX),
                        span_ms: u64::try_from(point.span.as_millis()).unwrap_or(u64::MAX),
                        mean: point.mean,
                        largest: point.largest,
                    })
                    .collect(),
            })
        });
        Ok(Charts {
            charts: charts.collect(),
        })
    }
}

fn of_app(name: &str, namespace: &str, total: &Tally) -> AppMetrics {
    let buckets = total.latency.counts().iter().enumerate();
    AppMetrics {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        answered: total.answered.to_vec(),
        aborted: total.aborted,
        latency: buckets
            .map(|(bucket, count)| LatencyBucket {
                up_to_ms: Histogram::bound_ms(bucket),
                count: *count,
            })
            .collect(),
        latency_sum_ms: total.latency.sum_ms(),
        gc_pauses: total.gc_pauses,
        gc_ms: total.gc_ms,
    }
}

fn of_node(doing: &Doing<'_>) -> NodeMetrics {
    let report = doing.report;
    NodeMetrics {
        age_ms: u64::try_from(doing.age.as_millis()).unwrap_or(u64::MAX),
        loop_delay: report.delay,
        loop_utilisation: doing.rates.map(|rates| rates.loop_utilisation * 100.0),
        gc: doing.rates.map(|rates| rates.gc * 100.0),
        heap: report.heap,
        heap_limit: report.heap_limit,
        active_handles: report.handles,
        active_requests: report.requests,
        in_flight: report.in_flight,
        http: doing.rates.map(|rates| rates.http),
    }
}
