//! What apps have registered with a library for metrics: asked for when somebody reads `/metrics`, added up over an app's workers.
//!
//! What was told last is in the journal, so that what only grows does so over a change of daemon, too.

use super::changes::put_json;
use super::{Daemon, Fact};
use crate::api::{AppRegistered, Reply, Scraped};
use crate::workers;
use ostler_core::metrics::{Registries, Registry};
use ostler_core::{AppId, WorkerId};
use ostler_wire::node_ipc::ToPreload;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the keys of what a worker has registered begin with: the app and the worker follow.
pub(super) const OF_WORKERS: &str = "registered/";
/// What the keys of what workers that are gone have left begin with: the app follows.
pub(super) const OF_ENDED: &str = "registered-ended/";

/// For how long a worker is waited for. Whoever hangs is no reason to know nothing of the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known, and who waits for more.
#[derive(Debug, Default)]
pub(crate) struct RegisteredMetrics {
    apps: BTreeMap<AppId, Registries>,
    awaited: BTreeSet<WorkerId>,
    /// Who waits, and how many had asked when he had.
    waiting: Vec<(u64, Reply<Scraped>)>,
    /// How many have asked.
    rounds: u64,
}

impl RegisteredMetrics {
    /// With what a predecessor was told.
    pub(super) fn restore(ended: BTreeMap<AppId, Registry>, told: BTreeMap<(AppId, WorkerId), Registry>) -> Self {
        let mut apps: BTreeMap<AppId, Registries> = ended
            .into_iter()
            .map(|(app, ended)| (app, Registries::after(ended)))
            .collect();
        for ((app, worker), registry) in told {
            apps.entry(app).or_default().report(worker, registry);
        }
        Self {
            apps,
            ..Self::default()
        }
    }
}

impl Daemon {
    /// Answers with all there is, once those who are to be asked have said what they have.
    pub(super) fn scrape(&mut self, reply: Reply<Scraped>) {
        self.have_reported();
        let asked: Vec<WorkerId> = self
            .workers
            .keys()
            .copied()
            .filter(|worker| self.registers(*worker))
            .collect();
        if asked.is_empty() {
            return self.scraped(vec![reply]);
        }
        self.registered.rounds += 1;
        let (facts, round) = (self.facts.clone(), self.registered.rounds);
        self.registered.waiting.push((round, reply));
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let _ = facts.send(Fact::RegisteredOverdue(round));
        });
        for worker in asked {
            self.registered.awaited.insert(worker);
            self.tell_preload(worker, ToPreload::Collect);
        }
    }

    /// Whether a worker is to say what its app has registered, and can.
    fn registers(&self, worker: WorkerId) -> bool {
        self.workers.get(&worker).is_some_and(|record| {
            let runs = !record.launching && record.status.is_none();
            runs && record.launch.spec.prom_client && self.preload_of(&record.launch).is_some()
        })
    }

    /// A worker has said for the first time how it is doing: from now on it is to say what it has before it goes.
    pub(super) fn may_register(&mut self, worker: WorkerId) {
        let is_known = |registries: &Registries| registries.workers().any(|known| known == worker);
        if self.registers(worker) && !self.registered.apps.values().any(is_known) {
            self.tell_preload(worker, ToPreload::Collect);
        }
    }

    /// A worker says what it has.
    pub(super) fn hear_registered(&mut self, worker: WorkerId, registry: Registry) {
        let Some(record) = self
            .workers
            .get(&worker)
            .filter(|record| record.launch.spec.prom_client)
        else {
            return;
        };
        let app = record.launch.app;
        put_json(&mut self.journal, &of_worker(app, worker), &registry);
        self.registered.apps.entry(app).or_default().report(worker, registry);
        self.await_no_more(worker);
    }

    /// A worker is gone: what only grows of what it had stays with its app.
    pub(super) fn registered_last(&mut self, app: AppId, worker: WorkerId) {
        if let Some(registries) = self.registered.apps.get_mut(&app)
            && registries.end(worker)
        {
            // In this order, and committed as one: nothing counts twice or not at all.
            put_json(&mut self.journal, &of_ended(app), registries.ended());
            self.journal.remove(&of_worker(app, worker));
        }
        self.await_no_more(worker);
    }

    /// What workers that a predecessor knew had, and who is gone of them.
    pub(super) fn adopt_registered(&mut self) {
        let known = self.registered.apps.iter();
        let known = known.flat_map(|(app, registries)| registries.workers().map(|worker| (*app, worker)));
        let gone: Vec<_> = known.filter(|(_, worker)| !self.workers.contains_key(worker)).collect();
        for (app, worker) in gone {
            self.registered_last(app, worker);
        }
    }

    /// These apps are all that there are.
    pub(super) fn keep_registered_of(&mut self, apps: &BTreeSet<AppId>) {
        let gone: Vec<AppId> = self
            .registered
            .apps
            .keys()
            .filter(|app| !apps.contains(app))
            .copied()
            .collect();
        for app in gone {
            let registries = self.registered.apps.remove(&app).unwrap_or_default();
            for worker in registries.workers() {
                self.journal.remove(&of_worker(app, worker));
            }
            self.journal.remove(&of_ended(app));
        }
    }

    fn await_no_more(&mut self, worker: WorkerId) {
        if self.registered.awaited.remove(&worker) && self.registered.awaited.is_empty() {
            self.answer_scrapes(self.registered.rounds);
        }
    }

    /// Those who asked until then have waited long enough.
    pub(super) fn registered_overdue(&mut self, round: u64) {
        self.answer_scrapes(round);
        if self.registered.waiting.is_empty() {
            self.registered.awaited.clear();
        }
    }

    fn answer_scrapes(&mut self, until: u64) {
        let waiting = std::mem::take(&mut self.registered.waiting);
        let (done, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(round, _)| *round <= until);
        self.registered.waiting = waiting;
        self.scraped(done.into_iter().map(|(_, reply)| reply).collect());
    }

    fn scraped(&mut self, replies: Vec<Reply<Scraped>>) {
        if replies.is_empty() {
            return;
        }
        let names: BTreeMap<AppId, (String, String)> = (self.machine.slots())
            .map(|slot| (slot.app, (slot.spec.name.clone(), slot.spec.namespace.clone())))
            .collect();
        let apps = self.registered.apps.iter().filter_map(|(app, registries)| {
            let (name, namespace) = names.get(app)?.clone();
            Some(AppRegistered {
                name,
                namespace,
                registry: registries.all(),
            })
        });
        let registered: Vec<AppRegistered> = apps.collect();
        for reply in replies {
            let scraped = Scraped {
                metrics: self.metrics_of_all(),
                registered: registered.clone(),
            };
            self.with_connections(scraped, reply, |scraped| {
                let workers = scraped.metrics.workers.iter_mut();
                workers.map(|worker| &mut worker.row.connections).collect()
            });
        }
    }
}

fn of_worker(app: AppId, worker: WorkerId) -> String {
    format!("{OF_WORKERS}{app}/{worker}")
}

fn of_ended(app: AppId) -> String {
    format!("{OF_ENDED}{app}")
}

/// The app and the worker that a key behind [`OF_WORKERS`] names.
pub(super) fn named(key: &str) -> Option<(AppId, WorkerId)> {
    let (app, worker) = key.split_once('/')?;
    Some((AppId(app.parse().ok()?), workers::named(worker)?))
}
