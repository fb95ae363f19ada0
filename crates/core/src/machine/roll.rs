//! Rolls: the workers of an app are replaced slot by slot, all of them or none.
//!
//! A roll takes its slots in order of instance, a few at a time. The first replacement that fails stops it: slots that were not
//! begun are left alone, and those that were replaced are rolled back, by the same steps, to what ran in them before. See
//! docs/design/0011.
//!
//! Invariant: a slot that is under way has a companion, or has just lost it and [`Machine::heard_of`] is about to be told.

use super::Machine;
use crate::effect::{Effect, Place};
use crate::history::{Cause, Entry, What};
use crate::ids::{AppId, SlotId, Ticket, WorkerId};
use crate::outcome::{Failure, Verdict};
use crate::schedule::agenda::Key;
use crate::slot::{Input, News, Slot, SpecKey};
use crate::time::{Instant, Now};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long the next slot waits for a worker that drains. Longer drains overlap.
const DRAIN_ALONE: Duration = Duration::from_secs(1);

/// The replacement of an app's workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roll {
    cause: Cause,
    /// Who waits for it.
    tickets: Vec<Ticket>,
    /// How many replacements may be under way at once.
    parallel: u32,
    /// Slots that are still to be replaced, with what is to run in them.
    waiting: VecDeque<Turn>,
    under_way: BTreeMap<SlotId, Progress>,
    /// What ran in slots that were begun, until the roll turns round.
    before: BTreeMap<SlotId, Turn>,
    /// It is being undone.
    undoing: bool,
    /// When a drain ceases to hold up the next slot.
    pub(super) until: Option<Instant>,
}

/// A slot and what is to run in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Turn {
    slot: SlotId,
    spec: SpecKey,
    place: Option<Place>,
}

/// How far the replacement in one slot is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// The new worker has not taken over yet.
    Coming,
    /// The new worker has taken over, the old one goes.
    Going { since: Instant },
}

impl Roll {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// How many of those under way hold up the next one.
    fn holding_up(&self, now: Instant) -> usize {
        let holds = |progress: &&Progress| match progress {
            Progress::Coming => true,
            Progress::Going { since } => now.since(*since) < DRAIN_ALONE,
        };
        self.under_way.values().filter(holds).count()
    }

    /// When the first drain ceases to hold up the next slot.
    fn next_release(&self, now: Instant) -> Option<Instant> {
        let going = self.under_way.values().filter_map(|progress| match progress {
            Progress::Coming => None,
            Progress::Going { since } => Some(*since + DRAIN_ALONE).filter(|until| *until > now),
        });
        going.min().filter(|_| !self.waiting.is_empty())
    }

    /// The specs it may need, each as often as it counts as their user.
    pub(super) fn specs(&self) -> impl Iterator<Item = SpecKey> {
        self.waiting.iter().chain(self.before.values()).map(|turn| turn.spec)
    }

    /// Its slots, each with whether its turn has not come yet.
    pub(super) fn slots(&self) -> impl Iterator<Item = (SlotId, bool)> {
        let waiting: BTreeSet<SlotId> = self.waiting.iter().map(|turn| turn.slot).collect();
        let begun = self.under_way.keys().chain(self.before.keys());
        let all: BTreeSet<SlotId> = begun.copied().chain(waiting.iter().copied()).collect();
        all.into_iter().map(move |slot| (slot, waiting.contains(&slot)))
    }

    /// Whether it is being undone.
    pub(super) fn is_undoing(&self) -> bool {
        self.undoing
    }

    fn has(&self, slot: SlotId) -> bool {
        let waits = self.waiting.iter().any(|turn| turn.slot == slot);
        self.under_way.contains_key(&slot) || self.before.contains_key(&slot) || waits
    }
}

impl Machine {
    /// Begins to replace the workers of these slots by workers that run what their turn says. They must be fit for it.
    pub(super) fn begin_roll(
        &mut self,
        app: AppId,
        slots: Vec<(SlotId, SpecKey)>,
        parallel: u32,
        cause: Cause,
        ticket: Option<Ticket>,
        now: Now,
    ) {
        let Some(entry) = self.apps.get_mut(&app) else { return };
        slots.iter().for_each(|(_, key)| self.specs.hold(*key));
        let waiting = slots.into_iter().map(|(slot, spec)| Turn {
            slot,
            spec,
            place: None,
        });
        entry.record.roll = Some(Box::new(Roll {
            cause,
            tickets: ticket.into_iter().collect(),
            parallel: parallel.max(1),
            waiting: waiting.collect(),
            under_way: BTreeMap::new(),
            before: BTreeMap::new(),
            undoing: false,
            until: None,
        }));
        self.advance_roll(app, now);
    }

    /// Lets a request wait for the roll under way.
    pub(super) fn join_roll(&mut self, app: AppId, ticket: Ticket) {
        if let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.as_mut())
            && !roll.tickets.contains(&ticket)
        {
            roll.tickets.push(ticket);
            self.dirty.apps.insert(app);
        }
    }

    /// Whether a roll is to replace this slot, or has.
    pub(super) fn is_in_roll(&self, app: AppId, slot: SlotId) -> bool {
        let roll = self.apps.get(&app).and_then(|app| app.record.roll.as_ref());
        roll.is_some_and(|roll| roll.has(slot) && !roll.undoing)
    }

    /// Whether the app's workers are being replaced.
    pub(super) fn is_rolling(&self, app: AppId) -> bool {
        self.apps.get(&app).is_some_and(|app| app.record.roll.is_some())
    }

    /// Begins whatever may begin now.
    pub(super) fn advance_roll(&mut self, app: AppId, now: Now) {
        while let Some(turn) = self.next_turn(app, now.instant) {
            self.begin_turn(app, turn, now);
        }
        let Some(entry) = self.apps.get_mut(&app) else { return };
        self.dirty.apps.insert(app);
        let Some(roll) = &mut entry.record.roll else { return };
        roll.until = roll.next_release(now.instant);
        self.agenda.set(Key::Roll(app), roll.until);
        if roll.is_over() {
            self.end_roll(app);
        }
    }

    fn next_turn(&mut self, app: AppId, now: Instant) -> Option<Turn> {
        let roll = self.apps.get_mut(&app)?.record.roll.as_mut()?;
        if roll.holding_up(now) >= roll.parallel as usize {
            return None;
        }
        // A slot whose last worker is not gone yet has to wait for that, unless it never will be; one that is just being launched, until it runs.
        let is_ready = |slot: &Slot| {
            let alone = slot.companion.is_none() && !slot.is_being_launched();
            alone || slot.has_stuck_companion()
        };
        let ready = |turn: &Turn| self.slots.get(&turn.slot).is_none_or(is_ready);
        let position = roll.waiting.iter().position(ready)?;
        roll.waiting.remove(position)
    }

    fn begin_turn(&mut self, app: AppId, turn: Turn, now: Now) {
        let fit = self.slots.get(&turn.slot).is_some_and(Slot::can_be_replaced);
        let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.as_mut()) else {
            return;
        };
        if self.slots.get(&turn.slot).is_some_and(Slot::has_stuck_companion) {
            self.release_spec(turn.spec);
            return self.cannot_begin(app, turn.slot, now);
        }
        if !fit {
            // It crashed, or was stopped, meanwhile: its next launch runs what it is to run.
            self.respecify_resting(&turn, now);
            return self.release_spec(turn.spec);
        }
        roll.under_way.insert(turn.slot, Progress::Coming);
        if let Some(slot) = self.slots.get(&turn.slot).filter(|_| !roll.undoing) {
            self.specs.hold(slot.spec);
            let old = Turn {
                slot: slot.id,
                spec: slot.spec,
                place: slot.place.clone(),
            };
            roll.before.insert(turn.slot, old);
        }
        let cause = roll.cause.clone();
        let spec = Arc::clone(self.specs.get(turn.spec));
        let Turn { slot, spec: key, place } = turn;
        self.turn(slot, now, |slot, cx| slot.replace((key, &spec), place, cause, cx));
        self.release_spec(key);
    }

    /// What is left of the worker before last cannot be killed, so there is no room for another one: what runs now stays.
    fn cannot_begin(&mut self, app: AppId, slot: SlotId, now: Now) {
        let undoing = self
            .apps
            .get(&app)
            .and_then(|app| app.record.roll.as_ref())
            .is_some_and(|roll| roll.is_undoing());
        if undoing {
            self.conclude_roll(slot, &Verdict::Failed(Failure::Unkillable));
        } else {
            self.not_replaced(app, slot, Failure::Unkillable, now);
        }
    }

    /// Gives a slot without a running worker what it is to run from its next launch on.
    fn respecify_resting(&mut self, turn: &Turn, now: Now) {
        let Some(slot) = self.slots.get_mut(&turn.slot) else {
            return;
        };
        slot.pinned.clone_from(&turn.place);
        let old = std::mem::replace(&mut slot.spec, turn.spec);
        self.specs.hold(turn.spec);
        self.release_spec(old);
        self.touched.insert(turn.slot);
        self.reschedule(turn.slot, now);
        let pid = self.slots.get(&turn.slot).and_then(Slot::pid);
        if let Some(pid) = pid {
            self.conclude_roll(turn.slot, &Verdict::Online { pid });
        } else {
            self.conclude_roll(turn.slot, &Verdict::Failed(Failure::NotRunning));
        }
    }

    /// Takes in what a slot has to say of its companion.
    pub(super) fn heard_of(&mut self, id: SlotId, news: News, now: Now) {
        self.touched.insert(id);
        let Some(app) = self.slots.get(&id).map(|slot| slot.app) else {
            return;
        };
        match news {
            News::Replaced => self.replaced(app, id, now),
            News::NotReplaced(failure) => self.not_replaced(app, id, failure, now),
            News::Alone => self.alone(app, id),
        }
        self.advance_roll(app, now);
    }

    fn replaced(&mut self, app: AppId, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.as_mut()) else {
            return;
        };
        roll.under_way.insert(id, Progress::Going { since: now.instant });
        if roll.undoing {
            // A crash must not bring back what has failed.
            slot.pinned.clone_from(&slot.place);
            return;
        }
        slot.pinned = None;
        self.reschedule(id, now);
    }

    fn alone(&mut self, app: AppId, id: SlotId) {
        let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.as_mut()) else {
            return;
        };
        let Some(Progress::Going { since: _ }) = roll.under_way.remove(&id) else {
            return;
        };
        // One that goes forward may yet be rolled back, and one that is to be rolled back is not yet.
        if !roll.undoing || roll.waiting.iter().any(|turn| turn.slot == id) {
            return;
        }
        let verdict = match self.slots.get(&id).and_then(Slot::pid) {
            Some(pid) => Verdict::RolledBack { pid },
            None => Verdict::Failed(Failure::NotRunning),
        };
        self.conclude_roll(id, &verdict);
    }

    /// The first failure turns the roll round.
    fn not_replaced(&mut self, app: AppId, id: SlotId, failure: Failure, now: Now) {
        self.conclude_roll(id, &Verdict::NotReplaced(failure));
        let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.as_mut()) else {
            return;
        };
        roll.under_way.remove(&id);
        if roll.undoing {
            // What ran before does not run any more either. What runs now is left as it is.
            return;
        }
        roll.undoing = true;
        let kept: Vec<Turn> = roll.waiting.drain(..).collect();
        let coming = roll
            .under_way
            .iter()
            .filter(|(_, progress)| **progress == Progress::Coming);
        let coming: Vec<SlotId> = coming.map(|(slot, _)| *slot).collect();
        let untouched = coming.iter().chain([&id]).filter_map(|slot| roll.before.remove(slot));
        let untouched: Vec<Turn> = untouched.collect();
        roll.under_way.retain(|_, progress| *progress != Progress::Coming);
        roll.waiting = std::mem::take(&mut roll.before).into_values().collect();
        untouched.into_iter().for_each(|turn| self.release_spec(turn.spec));
        for turn in kept {
            self.conclude_roll(turn.slot, &Verdict::Kept);
            self.release_spec(turn.spec);
        }
        for slot in coming {
            self.conclude_roll(slot, &Verdict::Kept);
            self.turn(slot, now, Slot::abandon);
        }
        self.pin(app);
    }

    /// What runs now is what is launched from now on, wherever the spec's paths lead: a reload that failed changes nothing, nor
    /// does a crash after it.
    fn pin(&mut self, app: AppId) {
        let undone: Vec<SlotId> = match self.apps.get(&app).and_then(|app| app.record.roll.as_ref()) {
            Some(roll) => roll.waiting.iter().map(|turn| turn.slot).collect(),
            None => Vec::new(),
        };
        let slots = self.apps.get(&app).map(|app| app.slots.clone()).unwrap_or_default();
        for id in slots.into_iter().filter(|id| !undone.contains(id)) {
            if let Some(slot) = self.slots.get_mut(&id) {
                if slot.place.is_some() {
                    slot.pinned.clone_from(&slot.place);
                }
                self.touched.insert(id);
            }
        }
    }

    /// Everybody has a verdict, or gets it now.
    fn end_roll(&mut self, app: AppId) {
        let Some(roll) = self.apps.get_mut(&app).and_then(|app| app.record.roll.take()) else {
            return;
        };
        self.agenda.set(Key::Roll(app), None);
        self.dirty.apps.insert(app);
        for turn in roll.before.values() {
            self.release_spec(turn.spec);
            let verdict = match self.slots.get(&turn.slot).and_then(Slot::pid) {
                Some(pid) => Verdict::Reloaded { pid },
                None => Verdict::Failed(Failure::NotRunning),
            };
            roll.tickets
                .iter()
                .for_each(|ticket| self.conclude(*ticket, turn.slot, verdict.clone()));
        }
    }

    /// Gives a slot's verdict to all who wait for the roll.
    fn conclude_roll(&mut self, slot: SlotId, verdict: &Verdict) {
        let app = self.slots.get(&slot).and_then(|slot| self.apps.get(&slot.app));
        let tickets = app
            .and_then(|app| app.record.roll.as_ref())
            .map(|roll| roll.tickets.clone());
        for ticket in tickets.unwrap_or_default() {
            self.conclude(ticket, slot, verdict.clone());
        }
    }

    /// Somebody asks something else of a slot: the roll goes on without it, once it is advanced. Gives the app whose roll it was in.
    pub(super) fn leave_roll(&mut self, id: SlotId) -> Option<AppId> {
        let app = self.slots.get(&id)?.app;
        let roll = self.apps.get_mut(&app)?.record.roll.as_mut()?;
        let had = roll.has(id);
        roll.under_way.remove(&id);
        let (left, stays): (Vec<Turn>, Vec<Turn>) = roll.waiting.drain(..).partition(|turn| turn.slot == id);
        roll.waiting = stays.into();
        let before = roll.before.remove(&id);
        left.into_iter()
            .chain(before)
            .for_each(|turn| self.release_spec(turn.spec));
        if had {
            self.conclude_roll(id, &Verdict::Superseded);
        }
        Some(app)
    }

    /// Nobody asked for it: workers that can be replaced without a gap are, others restarted. An app may have both, while it is
    /// being moved from one mode to the other.
    pub(super) fn restart_by_itself(&mut self, slots: &[SlotId], cause: &Cause, now: Now) {
        for &id in slots {
            let Some(slot) = self.slots.get(&id) else { continue };
            let app = slot.app;
            let busy = self.is_rolling(app) || slot.is_being_replaced();
            let fit = |slot: &Slot| self.is_replaceable(slot.id) && !slot.is_being_replaced();
            if !self.specs.get(slot.spec).can_overlap() {
                self.tell(id, Input::Restart { cause: cause.clone() }, now);
            } else if busy {
                // Whoever replaces it now launches what is to run.
            } else if fit(slot) {
                let slots = slots.iter().filter_map(|id| self.slots.get(id));
                let turns = slots.filter(|slot| slot.app == app && fit(slot));
                let turns = turns.map(|slot| (slot.id, slot.spec)).collect();
                self.begin_roll(app, turns, 1, cause.clone(), None, now);
            } else {
                self.tell(id, Input::Restart { cause: cause.clone() }, now);
            }
        }
    }
}

impl Machine {
    /// The memory of a worker's tree. A worker that has too much is replaced, where that can be done without a gap.
    /// For the history alone.
    pub(super) fn listen_failed(&mut self, worker: WorkerId, error: String, now: Now) {
        let Some(slot) = self.slots.get(&worker.slot) else {
            return;
        };
        self.effects.push_back(Effect::Record(Entry {
            at: now.wall,
            app: self.specs.get(slot.spec).name.clone(),
            slot: slot.id,
            instance: slot.instance,
            generation: worker.generation,
            what: What::ListenFailed { error },
        }));
    }

    pub(super) fn memory(&mut self, worker: WorkerId, bytes: u64, now: Now) {
        let Some(slot) = self.slots.get(&worker.slot) else {
            return;
        };
        let spec = self.specs.get(slot.spec);
        let current = slot.worker() == worker && slot.is_up();
        if let Some(limit) = spec.memory_kill.filter(|limit| current && bytes > *limit) {
            return self.turn(worker.slot, now, |slot, cx| slot.kill_for_memory(bytes, limit, cx));
        }
        let over = spec.memory_limit.filter(|limit| bytes > *limit);
        let replaceable = spec.can_overlap() && current;
        match over.filter(|_| replaceable) {
            Some(limit) => self.restart_by_itself(&[worker.slot], &Cause::MemoryLimit { bytes, limit }, now),
            None => self.fact(worker, Input::Memory { bytes }, now),
        }
    }
}
