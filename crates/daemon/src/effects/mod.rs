//! What the machine orders, one file a family. An effect never answers: what comes of it is a fact.

pub mod command;
pub mod observe;
pub mod probe;
mod signal;
pub mod spawn;
mod sweep;
mod weigh;

use crate::fact::Fact;
use crate::history;
use crate::primary::Command;
use crate::reactor::Daemon;
use crate::usage::Usages;
use crate::watches::Report;
use crate::workers::Part;
use ostler_core::{Effect, Event, SlotId, WorkerId};
use std::time::Duration;

impl Daemon {
    /// Carries out one order.
    pub(crate) fn run_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(launch) => self.spawn(launch),
            Effect::ObserveStart { worker } => self.observe_start(worker),
            Effect::Signal { worker, signal, scope } => self.signal(worker, signal, scope),
            Effect::SendShutdown { worker } => self.send_shutdown(worker),
            Effect::Sweep { worker } => self.sweep(worker),
            Effect::Watch { slot, spec } => self.watch(slot, &spec),
            Effect::Unwatch { slot } => self.watches.unwatch(slot),
            Effect::SampleMemory { worker, every } => self.begin_sampling(worker, every),
            // Was told when it went to the journal: the answer is kept before it is given.
            Effect::Reply { .. } => {}
            Effect::Record(entry) => {
                self.told.record(&entry);
                self.history.push(entry);
            }
            Effect::Publish(notice) => self.publish(&notice),
            Effect::Probe {
                worker,
                kind,
                check,
                timeout,
                after,
            } => self.probe(worker, kind, check, timeout, after),
            Effect::Admit { worker } => self.primary.send(Command::Admit(worker)),
            Effect::Withdraw { worker } => self.primary.send(Command::Withdraw(worker)),
            Effect::Drain { worker } => self.drain(worker),
            Effect::KeepListeners { app, addresses } => self.keep_listeners(app, &addresses),
            Effect::Weigh { app } => self.weigh_app(app),
            Effect::Unlisten { app } => self.primary.send(Command::Unlisten(app)),
            Effect::Forget { slot } => self.forget(slot),
            Effect::Exit { code } => self.ending = Some(code),
        }
    }

    fn watch(&mut self, slot: SlotId, spec: &std::sync::Arc<ostler_core::Spec>) {
        let facts = self.facts.clone();
        self.watches.watch(slot, spec, move |report| {
            let fact = match report {
                Report::Changed { slot, path } => Fact::Machine(Event::FileChanged {
                    slot,
                    path: path.to_string_lossy().into_owned(),
                }),
                Report::Note(text) => Fact::Note(text),
            };
            let _ = facts.send(fact);
        });
    }

    /// A worker without a channel has nobody to tell that it has drained.
    fn drain(&self, worker: WorkerId) {
        match self
            .workers
            .get(&worker)
            .and_then(|record| record.descriptor(Part::Channel))
        {
            Some(_) => self.primary.send(Command::Drain(worker)),
            None => self.send(Fact::Machine(Event::Drained { worker })),
        }
    }

    fn begin_sampling(&mut self, worker: WorkerId, every: Duration) {
        if self.sampling.insert(worker, every).is_none() {
            self.sample_later(worker, every);
        }
    }

    fn sample_later(&self, worker: WorkerId, every: Duration) {
        let facts = self.facts.clone();
        tokio::spawn(async move {
            tokio::time::sleep(every).await;
            let _ = facts.send(Fact::SampleMemory(worker));
        });
    }

    /// Takes a sample of a worker that still runs, and arranges for the next one.
    pub(crate) fn sample_memory(&mut self, worker: WorkerId) {
        let Some(every) = self.sampling.get(&worker).copied() else {
            return;
        };
        let Some(record) = self.workers.get(&worker) else {
            return;
        };
        let bytes = Usages::memory(record.pid.0);
        self.sample_later(worker, every);
        if self.stands_still(worker) {
            // A heap snapshot takes several times what it is of. Its worker is not ended for that before it is written.
            return;
        }
        self.tell(Event::MemorySample { worker, bytes });
    }

    fn publish(&self, notice: &ostler_core::Notice) {
        let name = self
            .machine
            .slot(notice.slot)
            .map_or_else(String::new, |slot| slot.spec.name.clone());
        self.logs.event(notice.slot, name, notice.kind.as_str().to_owned());
    }

    fn forget(&mut self, slot: SlotId) {
        self.logs.forget(slot);
        self.abandon_remains(slot);
        self.forget_measures(slot);
    }

    /// Appends what was recorded since the last time to the history file.
    pub(crate) fn write_history(&mut self) {
        if self.history.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.history);
        if self.home == std::path::Path::new(crate::NOWHERE) {
            return;
        }
        let path = self.home.join(history::FILE);
        let facts = self.facts.clone();
        self.scribe.run(move || {
            if let Err(error) = history::append(&path, &entries) {
                let _ = facts.send(Fact::Note(format!(
                    "the history could not be written to {}: {error}",
                    path.display()
                )));
            }
        });
    }
}
