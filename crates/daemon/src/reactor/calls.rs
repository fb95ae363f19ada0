//! Clients' calls that change nothing.

use super::{Daemon, now};
use crate::api::{Call, Followed, Names, Reply};
use crate::logs::{Filter, KnownSlot, StreamKind, Target};
use crate::paths;
use crate::select::select;
use crate::{VERSION, history};
use ostler_core::{Mode, Pid, SlotId, SlotView, Status, WorkerId};
use ostler_wire::control::{
    ApiError, Connections, Follow, Pong, Process, ProcessRow, ProcessRows, Processes, Reloads, Selector, Usage,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Daemon {
    /// Answers a call, or begins an operation.
    pub(super) fn call(&mut self, call: Call) {
        match call {
            Call::Ping(reply) => drop(reply.send(Ok(self.pong()))),
            Call::Rows(reply) => {
                let rows = self.rows();
                self.with_connections(rows, reply, |rows| {
                    rows.processes.iter_mut().map(|row| &mut row.connections).collect()
                });
            }
            Call::Full(reply) => {
                let full = self.full();
                self.with_connections(full, reply, |full| {
                    full.processes
                        .iter_mut()
                        .map(|process| &mut process.connections)
                        .collect()
                });
            }
            Call::Metrics(selector, reply) => {
                self.have_reported();
                let metrics = match self.metrics_of(selector.as_ref()) {
                    Ok(metrics) => metrics,
                    Err(error) => return drop(reply.send(Err(error))),
                };
                self.with_connections(metrics, reply, |metrics| {
                    metrics
                        .workers
                        .iter_mut()
                        .map(|worker| &mut worker.row.connections)
                        .collect()
                });
            }
            Call::Scrape(reply) => self.scrape(reply),
            Call::Charts(selector, reply) => drop(reply.send(self.charts(selector.as_ref()))),
            Call::Reloads(reply) => drop(reply.send(Ok(self.reloads()))),
            Call::Operate(operation, caller, reply) => self.operate(*operation, &caller, reply),
            Call::Follow(follow, reply) => drop(reply.send(self.follow(follow))),
            Call::Watch(begin, reply) => drop(reply.send(Ok(self.begin_watching(begin)))),
            Call::Web(change, reply) => self.call_web(change, reply),
            Call::Inspect(change, reply) => self.inspect(change, reply),
            Call::Names(selector, reply) => {
                let names = self.names(selector);
                // By the thread that writes the history: what has happened until now is in the file then.
                self.scribe.run(move || drop(reply.send(Ok(names))));
            }
        }
    }

    /// Answers with what workers of clusters have open, once that is known.
    pub(super) fn with_connections<L: Send + 'static>(
        &self,
        mut list: L,
        reply: Reply<L>,
        fields: fn(&mut L) -> Vec<&mut Option<Connections>>,
    ) {
        let workers: Vec<Option<WorkerId>> = self.machine.slots().map(|slot| of_cluster(&slot)).collect();
        if workers.iter().all(Option::is_none) {
            return drop(reply.send(Ok(list)));
        }
        self.primary.count(Box::new(move |counts| {
            for (field, worker) in fields(&mut list).into_iter().zip(workers) {
                *field = worker.and_then(|worker| counts.get(&worker)).copied();
            }
            // The client may have gone.
            drop(reply.send(Ok(list)));
        }));
    }

    fn pong(&self) -> Pong {
        Pong {
            version: VERSION.to_owned(),
            daemon: Pid(self.own_pid),
            keeper: Pid(self.keeper_pid),
            generation: self.generation,
        }
    }

    fn rows(&mut self) -> ProcessRows {
        let slots = self.slots();
        let usages = self.usages_of(&slots);
        ProcessRows {
            processes: slots.iter().map(|slot| self.row(slot, &usages)).collect(),
        }
    }

    pub(super) fn row(&self, slot: &SlotView, usages: &BTreeMap<WorkerId, Usage>) -> ProcessRow {
        let spec = &slot.spec;
        ProcessRow {
            id: slot.id,
            name: spec.name.clone(),
            namespace: spec.namespace.clone(),
            version: self.versions.of(&spec.program.path).map(str::to_owned),
            mode: spec.mode,
            instance: slot.instance,
            pid: slot.pid,
            uptime_ms: u64::try_from(uptime(slot).as_millis()).unwrap_or(u64::MAX),
            restarts: slot.restarts,
            status: slot.status,
            health: slot.health.clone(),
            usage: usages.get(&worker(slot)).copied(),
            connections: None,
            user: spec
                .user
                .as_ref()
                .map_or_else(|| spec.username.clone(), |user| user.user.clone()),
            watching: slot.watching,
        }
    }

    /// Takes a sample of what all workers use, unless the last one is fresh.
    pub(crate) fn sample_usages(&mut self) {
        let slots = self.slots();
        self.usages_of(&slots);
    }

    fn full(&mut self) -> Processes {
        let slots = self.slots();
        let usages = self.usages_of(&slots);
        Processes {
            processes: slots.into_iter().map(|slot| self.process(slot, &usages)).collect(),
        }
    }

    fn process(&self, view: SlotView, usages: &BTreeMap<WorkerId, Usage>) -> Process {
        let (spec, id) = (&view.spec, view.id);
        let record = self.workers.get(&worker(&view));
        Process {
            usage: usages.get(&worker(&view)).copied(),
            connections: None,
            node: self.node(&view),
            footprint: None,
            version: self.versions.of(&spec.program.path).map(str::to_owned),
            node_version: None,
            out_log: paths::log_file(&spec.logs.out, id),
            error_log: paths::log_file(&spec.logs.error, id),
            combined_log: spec.logs.combined.as_ref().map(|file| paths::log_file(file, id)),
            pid_file: paths::filled(&spec.pid_file, id),
            dropped_log_bytes: self.dropped_log_bytes(id),
            said: record.and_then(|record| record.said.clone()),
            custom: record.map(|record| record.custom.clone()).unwrap_or_default(),
            actions: record.map(|record| record.actions.clone()).unwrap_or_default(),
            view,
        }
    }

    fn reloads(&self) -> Reloads {
        let reloads = self.machine.rolls(now().instant);
        Reloads {
            connections: self.connections_left().collect(),
            reloads,
        }
    }

    fn dropped_log_bytes(&self, id: SlotId) -> u64 {
        let stats = self.logs.stats();
        stats
            .iter()
            .filter(|((slot, _), _)| *slot == id)
            .map(|(_, stats)| stats.dropped)
            .sum()
    }

    pub(super) fn usages_of(&mut self, slots: &[SlotView]) -> BTreeMap<WorkerId, Usage> {
        let running = slots
            .iter()
            .filter(|slot| matches!(slot.status, Status::Online | Status::Launching | Status::Stopping));
        let running = running.filter_map(|slot| Some((worker(slot), slot.pid?.0, uptime(slot))));
        self.usages.of(&running.collect::<Vec<_>>())
    }

    fn follow(&mut self, follow: Follow) -> Result<Followed, ApiError> {
        let slots = self.slots();
        let wanted = follow.selector.map(|selector| select(&selector, &slots)).transpose()?;
        // Names, not ids alone: an app that is deleted and started again, or scaled, goes on being followed.
        let names: Option<BTreeSet<String>> = wanted.as_ref().map(|wanted| {
            slots
                .iter()
                .filter(|slot| wanted.contains(&slot.id))
                .map(|slot| slot.spec.name.clone())
                .collect()
        });
        let whole_apps = wanted.as_ref().is_none_or(|wanted| {
            let of_names = slots
                .iter()
                .filter(|slot| names.as_ref().is_some_and(|names| names.contains(&slot.spec.name)));
            of_names.count() == wanted.len()
        });
        let chosen = move |slot: SlotId, name: &str| match (&wanted, &names) {
            (Some(_), Some(names)) if whole_apps => names.contains(name),
            (Some(wanted), _) => wanted.contains(&slot),
            (None, _) => true,
        };
        let known = slots
            .iter()
            .filter(|slot| chosen(slot.id, &slot.spec.name))
            .map(|slot| KnownSlot {
                slot: slot.id,
                name: slot.spec.name.clone(),
                out: Target::of(&slot.spec.logs, StreamKind::Out, slot.id).file,
                error: Target::of(&slot.spec.logs, StreamKind::Error, slot.id).file,
            });
        let known: Vec<KnownSlot> = known.collect();
        let follower = self.logs.follow(Filter {
            slots: Box::new(chosen),
            out: follow.out,
            error: follow.error,
            events: follow.events,
            known: known.clone(),
        });
        Ok((follower, known))
    }

    /// The history outlives the apps: a name that no longer exists is still looked up.
    fn names(&self, selector: Option<Selector>) -> Names {
        let names = selector.map(|selector| {
            let slots = self.slots();
            let chosen = select(&selector, &slots).unwrap_or_default();
            let known = slots
                .iter()
                .filter(|slot| chosen.contains(&slot.id))
                .map(|slot| slot.spec.name.clone());
            known.chain(selector.words).collect()
        });
        Names {
            names,
            path: self.home.join(history::FILE),
        }
    }
}

pub(super) fn worker(slot: &SlotView) -> WorkerId {
    WorkerId {
        slot: slot.id,
        generation: slot.generation,
    }
}

/// The worker of a cluster that runs in a slot.
fn of_cluster(slot: &SlotView) -> Option<WorkerId> {
    let runs = slot.spec.mode == Mode::Cluster && slot.pid.is_some();
    runs.then(|| worker(slot))
}

/// How long it has been up; zero unless a process runs.
fn uptime(slot: &SlotView) -> Duration {
    match (slot.pid, slot.launched) {
        (Some(_), Some(launched)) => now().instant.since(launched),
        _ => Duration::ZERO,
    }
}
