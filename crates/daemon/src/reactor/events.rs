//! What is told to whoever watches (`GET /v1/events`): after each round, what of the slots and reloads is not as it was.

use super::{Daemon, now};
use crate::api::{Begin, Watch};
use crate::events::Events;
use ostler_core::{Change, RollView, SlotId};
use ostler_wire::events::{Lost, ProcessState, Reload, ReloadEnded, Removed, Snapshot, StateEvent};
use std::collections::{BTreeMap, BTreeSet};

/// What was told last.
#[derive(Debug)]
pub struct Told {
    pub(super) events: Events,
    processes: BTreeMap<SlotId, ProcessState>,
    reloads: Vec<Reload>,
    /// Slots that may not be as they were told.
    touched: BTreeSet<SlotId>,
    /// Whether what was told is kept up to date.
    active: bool,
}

impl Told {
    /// Nothing, by the daemon of this generation.
    pub fn new(generation: u32) -> Self {
        Self {
            events: Events::new(generation),
            processes: BTreeMap::new(),
            reloads: Vec::new(),
            touched: BTreeSet::new(),
            active: false,
        }
    }

    /// The machine has changed its mind about something.
    pub(super) fn note(&mut self, change: &Change) {
        if let (true, Change::Slot { id, .. } | Change::SlotGone { id }) = (self.active, change) {
            self.touched.insert(*id);
        }
    }

    /// Something of a slot is new that the machine does not know of.
    pub(crate) fn touch(&mut self, id: SlotId) {
        if self.active {
            self.touched.insert(id);
        }
    }

    /// Something has happened to a process.
    pub(crate) fn record(&mut self, entry: &ostler_core::history::Entry) {
        if self.active {
            self.events.push(&StateEvent::History(entry.clone()));
        }
    }
}

impl Daemon {
    /// Somebody watches from now on: all there is, and whatever comes after it. One that comes back gets what it has missed instead, if
    /// that is still known.
    pub(super) fn begin_watching(&mut self, begin: Begin) -> Watch {
        // What is about to be told belongs to before.
        self.tell_watchers();
        if !self.told.active {
            self.told.active = true;
            self.told.processes = self.process_states();
            self.told.reloads = states(&self.reloads_now());
        }
        let now = now().instant;
        let lost = match begin {
            Begin::New => None,
            Begin::After(id) => match self.told.events.resume(id, now) {
                Ok(watcher) => {
                    return Watch {
                        first: Vec::new(),
                        watcher,
                    };
                }
                Err(events) => Some(Lost { events }),
            },
            Begin::Lost(events) => Some(Lost { events: Some(events) }),
        };
        let snapshot = Snapshot {
            processes: self.told.processes.values().cloned().collect(),
            reloads: self.reloads_now(),
        };
        let mut first = lost.map_or_else(Vec::new, |lost| StateEvent::Lost(lost).encode(None));
        first.extend(StateEvent::Snapshot(snapshot).encode(Some(self.told.events.last())));
        Watch {
            first,
            watcher: self.told.events.watch(now),
        }
    }

    /// Tells what has changed since the last time.
    pub(super) fn tell_watchers(&mut self) {
        if !self.told.active {
            return;
        }
        if !self.told.events.are_wanted(now().instant) {
            self.told.active = false;
            self.told.processes.clear();
            self.told.touched.clear();
            return;
        }
        for id in std::mem::take(&mut self.told.touched) {
            self.tell_process(id);
        }
        self.tell_reloads();
    }

    fn tell_process(&mut self, id: SlotId) {
        let state = self.process_state(id);
        let told = &mut self.told;
        match state {
            Some(state) if told.processes.get(&id) == Some(&state) => {}
            Some(state) => {
                told.events.push(&StateEvent::Process(state.clone()));
                told.processes.insert(id, state);
            }
            None if told.processes.remove(&id).is_some() => told.events.push(&StateEvent::Removed(Removed { id })),
            None => {}
        }
    }

    fn tell_reloads(&mut self) {
        let shown = self.reloads_now();
        let before = std::mem::replace(&mut self.told.reloads, states(&shown));
        for (state, reload) in self.told.reloads.iter().zip(shown) {
            if !before.contains(state) {
                self.told.events.push(&StateEvent::Reload(reload));
            }
        }
        for over in before {
            let app = over.roll.app;
            if self.told.reloads.iter().all(|reload| reload.roll.app != app) {
                let undone = over.roll.undoing;
                self.told
                    .events
                    .push(&StateEvent::ReloadEnded(ReloadEnded { app, undone }));
            }
        }
    }

    fn process_states(&self) -> BTreeMap<SlotId, ProcessState> {
        let ids = self.machine.slots().map(|slot| slot.id);
        ids.filter_map(|id| Some((id, self.process_state(id)?))).collect()
    }

    fn process_state(&self, id: SlotId) -> Option<ProcessState> {
        let view = self.machine.slot(id)?;
        let record = self.workers.get(&super::calls::worker(&view));
        let said = record.and_then(|record| record.said.clone());
        Some(ProcessState::new(&view, said))
    }

    fn reloads_now(&self) -> Vec<Reload> {
        let rolls = self.machine.rolls(now().instant);
        let of_roll = |roll: RollView| {
            let slots: BTreeSet<SlotId> = roll.turns.iter().map(|turn| turn.slot).collect();
            let left = self.connections_left().filter(|(slot, _)| slots.contains(slot));
            Reload {
                connections: left.collect(),
                roll,
            }
        };
        rolls.into_iter().map(of_roll).collect()
    }

    /// How many connections workers that drain have still open.
    pub(super) fn connections_left(&self) -> impl Iterator<Item = (SlotId, u32)> {
        let workers = self.workers.iter();
        workers.filter_map(|(worker, record)| Some((worker.slot, record.connections?)))
    }
}

/// Reloads without what changes by mere time.
fn states(reloads: &[Reload]) -> Vec<Reload> {
    let mut states = reloads.to_vec();
    let turns = states.iter_mut().flat_map(|reload| &mut reload.roll.turns);
    turns.for_each(|turn| turn.left_ms = None);
    states
}
