//! What survives a change of daemon: everything the machine knows, as records by key.
//!
//! The daemon appends each drained [`Change`] to its journal before it runs the effects of the same call. For each key the
//! last change wins, so a journal can be compacted by dropping all earlier ones of the same key. Specs, which are big,
//! are written once and named by number.

use super::roll::Roll;
use super::specs::Specs;
use super::{App, Machine};
use crate::effect::{Effect, Launch};
use crate::ids::{AppId, SlotId, Ticket, WorkerId};
use crate::listen::Address;
use crate::outcome::{Outcome, Verdict};
use crate::schedule::agenda::Key;
use crate::schedule::watch::Debounce;
use crate::settings::Settings;
use crate::slot::{Companion, Phase, Slot, SpecKey, State, first_probes};
use crate::spec::{Mode, Spec};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Something that changed. Its key is the variant's family and the id in it: `Slot` and `SlotGone` of one id share a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A spec that slots refer to by number.
    Spec {
        /// Its number, never used twice.
        key: SpecKey,
        /// The spec.
        spec: Arc<Spec>,
    },
    /// No slot refers to this spec any more.
    SpecGone {
        /// Its number.
        key: SpecKey,
    },
    /// A slot, whole but for its spec.
    Slot {
        /// Its id.
        id: SlotId,
        /// Its record.
        record: Box<Slot>,
    },
    /// A slot was forgotten.
    SlotGone {
        /// Its id.
        id: SlotId,
    },
    /// What an app's slots share.
    App {
        /// Its id.
        id: AppId,
        /// Its record.
        record: AppRecord,
    },
    /// An app has no slot any more.
    AppGone {
        /// Its id.
        id: AppId,
    },
    /// A request in flight.
    Ticket {
        /// Its ticket.
        ticket: Ticket,
        /// What is known of it.
        record: TicketRecord,
    },
    /// A request was answered. Whether the client got the answer is not known here: keep it for a client that asks again.
    Answered {
        /// Its ticket.
        ticket: Ticket,
        /// The answer.
        outcome: Outcome,
    },
    /// The machine's own numbers; one key.
    Counters(Counters),
}

/// What an app's slots share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Whose watch is set up, and by which spec.
    pub(super) watch: Option<(SlotId, SpecKey)>,
    /// A file has changed and the restart is to come.
    pub(super) debounce: Option<Debounce>,
    /// Its workers are being replaced.
    pub(super) roll: Option<Box<Roll>>,
    /// Listeners of its cluster may be open.
    pub(super) listens: bool,
    /// Where sockets that its specs declare may be open.
    #[serde(default)]
    pub(super) kept: BTreeSet<Address>,
}

/// A request in flight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TicketRecord {
    /// Its slots in the order of the answer.
    pub(super) slots: Vec<Awaited>,
}

/// A slot of a request in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    pub(super) slot: SlotId,
    pub(super) name: String,
    pub(super) verdict: Option<Verdict>,
}

/// The machine's own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub(super) next_slot: u32,
    pub(super) next_app: u32,
    pub(super) next_spec: u32,
    /// The request that ends everything.
    pub(super) shutdown: Option<Ticket>,
    /// When whatever is left then is killed.
    #[serde(default)]
    pub(super) patience: Option<Instant>,
    /// Whoever was to start everything has ended, well or not.
    #[serde(default)]
    pub(super) started: Option<bool>,
    /// It has ended by itself, with this code.
    #[serde(default)]
    pub(super) over: Option<u8>,
}

/// What is to go into the journal.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) specs: BTreeSet<SpecKey>,
    pub(super) slots: BTreeSet<SlotId>,
    pub(super) apps: BTreeSet<AppId>,
    pub(super) tickets: BTreeSet<Ticket>,
    pub(super) answered: BTreeMap<Ticket, Outcome>,
    pub(super) counters: bool,
    /// Apps that got or lost a slot in the call being handled.
    pub(super) resized: BTreeSet<AppId>,
}

impl Machine {
    /// What has changed since the last call: at most one change a key, in an order in which each may be applied. To be
    /// made durable before the effects of the same call are run.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changes = Vec::new();
        if dirty.counters {
            changes.push(Change::Counters(self.counters));
        }
        changes.extend(dirty.specs.iter().map(|&key| match self.specs.find(key) {
            Some(spec) => Change::Spec {
                key,
                spec: Arc::clone(spec),
            },
            None => Change::SpecGone { key },
        }));
        changes.extend(dirty.apps.iter().map(|&id| match self.apps.get(&id) {
            Some(app) => Change::App {
                id,
                record: app.record.clone(),
            },
            None => Change::AppGone { id },
        }));
        changes.extend(dirty.slots.iter().map(|&id| match self.slots.get(&id) {
            Some(slot) => Change::Slot {
                id,
                record: Box::new(slot.clone()),
            },
            None => Change::SlotGone { id },
        }));
        let open = dirty.tickets.iter().filter_map(|&ticket| {
            self.tickets.get(ticket).map(|record| Change::Ticket {
                ticket,
                record: record.clone(),
            })
        });
        changes.extend(open);
        changes.extend(
            dirty
                .answered
                .into_iter()
                .map(|(ticket, outcome)| Change::Answered { ticket, outcome }),
        );
        changes
    }

    /// A machine that goes on where the one left off whose changes these are (all of them, or the last of each key,
    /// in order).
    ///
    /// What the dead daemon had set up in the system and what it may not have got round to is ordered anew, where that is
    /// harmless: `Watch`, `SampleMemory`, `ObserveStart`, `Sweep`, and `Spawn` for launches that were ordered but not
    /// answered. A `Spawn` for a worker that is already known to whoever runs the effects is to be answered with its
    /// `Spawned` (and its `Exited`) instead of a second launch. Signals are not repeated, since a program may take a
    /// second SIGINT for "at once": one that was lost is made good for by SIGKILL at its deadline. An answer that was
    /// lost is in [`Change::Answered`]. Of a shutdown that was complete but for the last step, `Exit` is ordered again.
    pub fn restore(settings: Settings, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut machine = Self::new(settings);
        let mut specs = BTreeMap::new();
        for change in changes {
            machine.apply(change, &mut specs);
        }
        for (key, spec) in specs {
            machine.specs.insert(key, spec);
        }
        machine.relink();
        machine.order_anew();
        machine
    }

    fn apply(&mut self, change: Change, specs: &mut BTreeMap<SpecKey, Arc<Spec>>) {
        match change {
            Change::Spec { key, spec } => drop(specs.insert(key, spec)),
            Change::SpecGone { key } => drop(specs.remove(&key)),
            Change::Slot { id, record } => drop(self.slots.insert(id, *record)),
            Change::SlotGone { id } => drop(self.slots.remove(&id)),
            Change::App { id, record } => drop(self.apps.insert(
                id,
                App {
                    record,
                    ..App::default()
                },
            )),
            Change::AppGone { id } => drop(self.apps.remove(&id)),
            Change::Ticket { ticket, record } => self.tickets.restore(ticket, record),
            Change::Answered { ticket, outcome: _ } => self.tickets.forget(ticket),
            Change::Counters(counters) => self.counters = counters,
        }
    }

    /// Rebuilds what is derived from the records. A slot whose spec is missing (a journal that was damaged) is left out:
    /// nothing could be decided about it.
    fn relink(&mut self) {
        let known = |key: &SpecKey| self.specs.find(*key).is_some();
        self.slots.retain(|_, slot| slot.specs().iter().all(known));
        for app in self.apps.values_mut() {
            app.record.roll.take_if(|roll| !roll.specs().all(|key| known(&key)));
        }
        for (&id, slot) in &self.slots {
            slot.specs().iter().for_each(|key| self.specs.hold(*key));
            self.apps.entry(slot.app).or_default().slots.insert(id);
            self.agenda
                .set(Key::Slot(id), slot.deadline(self.specs.get(slot.spec), &self.settings));
        }
        self.apps.retain(|_, app| !app.slots.is_empty());
        for (&id, app) in &self.apps {
            if let Some(roll) = &app.record.roll {
                roll.specs().for_each(|key| self.specs.hold(key));
                self.agenda.set(Key::Roll(id), roll.until);
            }
            self.agenda.set(
                Key::Watch(id),
                app.record.debounce.as_ref().map(|debounce| debounce.due),
            );
        }
        self.dirty.specs = self.specs.drain_unused().into_iter().collect();
    }

    fn order_anew(&mut self) {
        let watches = self.apps.values().filter_map(|app| app.record.watch);
        let watches = watches.filter_map(|(slot, key)| {
            self.specs.find(key).map(|spec| Effect::Watch {
                slot,
                spec: Arc::clone(spec),
            })
        });
        self.effects.extend(watches);
        for slot in self.slots.values() {
            self.effects
                .extend(anew(slot, self.specs.get(slot.spec), &self.settings));
            if let Some(companion) = &slot.companion {
                self.effects.extend(companion_anew(slot, companion, &self.specs));
                self.effects.extend(companion_probes(slot, companion, &self.specs));
            }
        }
        if self
            .counters
            .shutdown
            .is_some_and(|ticket| self.tickets.get(ticket).is_none())
        {
            self.effects.push_back(Effect::Exit { code: 0 });
        }
        if let Some(code) = self.counters.over {
            self.effects.push_back(Effect::Exit { code });
        }
        self.agenda.set(Key::Patience, self.counters.patience);
    }
}

/// The orders that a slot's state rests on.
fn anew(slot: &Slot, spec: &Arc<Spec>, settings: &Settings) -> Vec<Effect> {
    let worker = slot.worker();
    let sample = spec.is_weighed().then_some(Effect::SampleMemory {
        worker,
        every: settings.memory_interval,
    });
    match &slot.state {
        State::Stopping(stopping) if stopping.ladder.is_draining() && spec.mode == Mode::Cluster => {
            vec![Effect::Drain { worker }]
        }
        State::Down { .. } | State::Waiting { .. } | State::Stopping(_) | State::Leaving { .. } => Vec::new(),
        State::Spawning(_) => {
            vec![Effect::Spawn(Launch {
                worker,
                app: slot.app,
                instance: slot.instance,
                spec: Arc::clone(spec),
                place: slot.pinned.clone(),
            })]
        }
        // It was to say that it is ready, and is given nothing before.
        State::Launching { .. } => sample.into_iter().chain(first_probes(worker, spec)).collect(),
        State::Online(_) => {
            let observed = spec.mode == Mode::Fork && (slot.is_awaited() || spec.can_overlap());
            let observe = observed.then_some(Effect::ObserveStart { worker });
            let admit = admit(worker, spec).filter(|_| slot.vitals.serves(&spec.probes));
            let probes = first_probes(worker, spec);
            sample.into_iter().chain(observe).chain(admit).chain(probes).collect()
        }
        State::Sweeping(_) => vec![Effect::Sweep { worker }],
        State::Stuck(stuck) if stuck.main.is_none() => vec![Effect::Sweep { worker }],
        State::Stuck(_) => Vec::new(),
    }
}

fn admit(worker: WorkerId, spec: &Spec) -> Option<Effect> {
    (spec.mode == Mode::Cluster).then_some(Effect::Admit { worker })
}

/// The probes of a companion that comes.
fn companion_probes(slot: &Slot, companion: &Companion, specs: &Specs) -> Vec<Effect> {
    let comes = matches!(companion.phase, Phase::Starting(_) | Phase::Proving { .. });
    let worker = slot.companion_worker().filter(|_| comes);
    let probes = worker.map(|worker| first_probes(worker, specs.get(companion.spec)));
    probes.into_iter().flatten().collect()
}

/// The orders that the companion's phase rests on.
fn companion_anew(slot: &Slot, companion: &Companion, specs: &Specs) -> Option<Effect> {
    let mode = specs.get(companion.spec).mode;
    let worker = WorkerId {
        slot: slot.id,
        generation: companion.generation,
    };
    match &companion.phase {
        Phase::Spawning { .. } | Phase::Abandoned { .. } => Some(Effect::Spawn(Launch {
            worker,
            app: slot.app,
            instance: slot.instance,
            spec: Arc::clone(specs.get(companion.spec)),
            place: companion.place.clone(),
        })),
        Phase::Starting(_) if mode == Mode::Fork => Some(Effect::ObserveStart { worker }),
        Phase::Draining { .. } if mode == Mode::Cluster => Some(Effect::Drain { worker }),
        Phase::Sweeping { .. } | Phase::Stuck { pid: None } => Some(Effect::Sweep { worker }),
        Phase::Starting(_)
        | Phase::Proving { .. }
        | Phase::Draining { .. }
        | Phase::Ending { .. }
        | Phase::Stuck { pid: Some(_) } => None,
    }
}
