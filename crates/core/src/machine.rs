//! The machine: all slots, the requests in flight, and what follows from each event.
//!
//! Called by the daemon's one deciding loop, never from elsewhere:
//!
//! ```text
//! loop {
//!     machine.handle(event, now)          // or handle_timeout(now) when next_deadline() has come
//!     journal.append(machine.drain_changes())
//!     while let Some(effect) = machine.poll_effect() { run(effect) }
//! }
//! ```
//!
//! The journal comes before the effects: a daemon that dies in between is replaced by one whose machine knows what had been
//! decided ([`Machine::restore`] says what it does about effects that were never run).
//!
//! Invariants: each ticket gets exactly one reply; whatever is transient has a deadline; all collections are
//! ordered, so the same events give the same effects.

mod app;
mod health;
mod idle;
mod journal;
mod progress;
mod requests;
mod roll;
mod specs;
mod tickets;

pub use journal::{AppRecord, Change, Counters, TicketRecord};

use crate::effect::{Effect, Launch};
use crate::event::Event;
use crate::history::Cause;
use crate::ids::{AppId, SlotId, Ticket, WorkerId};
use crate::listen::Address;
use crate::outcome::Verdict;
use crate::schedule::agenda::{Agenda, Key};
use crate::schedule::cron;
use crate::settings::Settings;
use crate::slot::{Companion, Context, Decision, Input, Press, Slot, SpecKey};
use crate::spec::Spec;
use crate::time::{Instant, Now};
use crate::view::SlotView;
use app::App;
use journal::Dirty;
use specs::Specs;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tickets::Tickets;

/// Decides everything, does nothing. See the module's header for how to drive it.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    slots: BTreeMap<SlotId, Slot>,
    apps: BTreeMap<AppId, App>,
    specs: Specs,
    tickets: Tickets,
    counters: Counters,
    /// Orders not taken yet.
    effects: VecDeque<Effect>,
    agenda: Agenda,
    /// Slots that changed in the call being handled.
    touched: BTreeSet<SlotId>,
    /// What changed since the journal was last drained.
    dirty: Dirty,
}

impl Machine {
    /// A machine without any app.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            slots: BTreeMap::new(),
            apps: BTreeMap::new(),
            specs: Specs::default(),
            tickets: Tickets::default(),
            counters: Counters::default(),
            effects: VecDeque::new(),
            agenda: Agenda::default(),
            touched: BTreeSet::new(),
            dirty: Dirty::default(),
        }
    }

    /// Takes a fact or a request in. Facts about workers of the past, and about slots that are gone, change nothing.
    pub fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Request { ticket, request, by } => self.request(ticket, request, &by, now),
            Event::Spawned { worker, pid, place } => self.fact(worker, Input::Spawned { pid, place }, now),
            Event::SpawnFailed { worker, error } => self.fact(worker, Input::SpawnFailed { error }, now),
            Event::Exited {
                worker,
                status,
                oom_killed,
            } => {
                self.fact(worker, Input::Exited { status, oom_killed }, now);
            }
            Event::TreeGone { worker } => self.fact(worker, Input::TreeGone, now),
            Event::ReadyMessage { worker } => self.fact(worker, Input::Ready, now),
            Event::StoppingMessage { worker } => self.fact(worker, Input::Stopping, now),
            Event::Settled { worker } => self.fact(worker, Input::Settled, now),
            Event::Listening { worker, missing } => self.fact(worker, Input::Listening { missing }, now),
            Event::ListenFailed { worker, error } => self.listen_failed(worker, error, now),
            Event::Drained { worker } => self.fact(worker, Input::Drained, now),
            Event::MemorySample { worker, bytes } => self.memory(worker, bytes, now),
            Event::Probed {
                worker,
                kind,
                result,
                took,
            } => self.probed(worker, kind, result, took, now),
            Event::FileChanged { slot, path } => self.file_changed(slot, path, now),
            Event::ClockStepped => self.reschedule_all(now),
            Event::StarterEnded { status } => self.starter_ended(status),
            Event::Hurry => self.hurry(Press::Further, now),
        }
        self.settle();
    }

    /// Does what is due. Calling it early, late or twice is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        for key in self.agenda.due(now.instant) {
            match key {
                Key::Slot(slot) => self.slot_due(slot, now),
                Key::Watch(app) => self.watch_due(app, now),
                Key::Roll(app) => self.advance_roll(app, now),
                Key::Patience => self.out_of_patience(now),
            }
        }
        self.settle();
    }

    /// When [`Machine::handle_timeout`] is to be called next, unless an event comes first.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// The next order, in the order they are to be carried out.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// All slots by id.
    pub fn slots(&self) -> impl Iterator<Item = SlotView> + '_ {
        self.slots.values().map(|slot| slot.view(self.specs.get(slot.spec)))
    }

    /// One slot.
    pub fn slot(&self, id: SlotId) -> Option<SlotView> {
        self.slots.get(&id).map(|slot| slot.view(self.specs.get(slot.spec)))
    }

    /// Whether a worker's main process runs or may run as far as the machine knows: its launch has been ordered, and its end
    /// not been told. A daemon that goes on for another takes such a worker over, whatever its slot shows: the slot of a
    /// launch whose end was asked for before it was answered is `stopping` and has no pid yet.
    pub fn may_run(&self, worker: WorkerId) -> bool {
        let slot = self.slots.get(&worker.slot);
        let companion = |slot: &Slot| {
            slot.companion_worker() == Some(worker) && slot.companion.as_ref().is_some_and(Companion::may_run)
        };
        slot.is_some_and(|slot| slot.generation == worker.generation && slot.may_run() || companion(slot))
    }

    /// What a worker is that runs or may run, as it was launched.
    pub fn launch_of(&self, worker: WorkerId) -> Option<Launch> {
        let slot = self.slots.get(&worker.slot)?;
        let companion = slot
            .companion
            .as_ref()
            .filter(|_| slot.companion_worker() == Some(worker));
        let key = match companion {
            Some(companion) => companion.spec,
            None if slot.generation == worker.generation => slot.spec,
            None => return None,
        };
        Some(Launch {
            worker,
            app: slot.app,
            instance: slot.instance,
            spec: Arc::clone(self.specs.get(key)),
            place: companion.map_or_else(|| slot.place.clone(), |companion| companion.place.clone()),
        })
    }

    /// Where sockets that an app's specs declare are to be open.
    pub fn kept_listeners(&self, app: AppId) -> impl Iterator<Item = &Address> + '_ {
        self.apps.get(&app).into_iter().flat_map(|app| &app.record.kept)
    }

    /// How many workers make up an app, those included that are not up.
    pub fn instances(&self, app: AppId) -> u32 {
        u32::try_from(self.slots_of(app).count()).unwrap_or(u32::MAX)
    }

    /// Whether listeners of an app's cluster are to be open.
    pub fn listens(&self, app: AppId) -> bool {
        self.apps.get(&app).is_some_and(|app| app.record.listens)
    }

    /// All workers that are known to run.
    pub fn running(&self) -> impl Iterator<Item = WorkerId> + '_ {
        let both = |slot: &Slot| {
            let current = slot.pid().map(|_| slot.worker());
            let companion = slot.companion.as_ref().and_then(Companion::pid);
            current
                .into_iter()
                .chain(companion.and_then(|_| slot.companion_worker()))
                .collect::<Vec<_>>()
        };
        self.slots.values().flat_map(both)
    }

    /// All workers that run or may run.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        let both = |slot: &Slot| std::iter::once(slot.worker()).chain(slot.companion_worker());
        self.slots.values().flat_map(move |slot| both(slot).collect::<Vec<_>>())
    }

    /// Whether the machine is stopping everything for good.
    pub fn is_shutting_down(&self) -> bool {
        self.counters.shutdown.is_some() || self.counters.over.is_some()
    }

    fn fact(&mut self, worker: WorkerId, input: Input, now: Now) {
        let Some(slot) = self.slots.get(&worker.slot) else {
            return;
        };
        if slot.generation == worker.generation {
            self.tell(worker.slot, input, now);
        } else if slot.companion_worker() == Some(worker) {
            self.turn(worker.slot, now, |slot, cx| slot.on_companion(input, cx));
        }
    }

    /// Tells a slot something and takes in what comes of it.
    fn tell(&mut self, id: SlotId, input: Input, now: Now) {
        self.turn(id, now, |slot, cx| slot.on(input, cx));
    }

    /// Lets a slot decide on something and takes in what comes of it.
    fn turn(&mut self, id: SlotId, now: Now, decide: impl FnOnce(&mut Slot, &mut Context<'_>) -> Decision) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let (mut verdicts, mut news) = (Vec::new(), Vec::new());
        let (app, was_being_launched) = (slot.app, slot.is_being_launched());
        let used = slot.specs();
        let (spec, other) = (Arc::clone(self.specs.get(slot.spec)), slot.companion.as_ref());
        let other = other.map(|companion| Arc::clone(self.specs.get(companion.spec)));
        let decision = decide(
            slot,
            &mut Context {
                now,
                settings: &self.settings,
                spec: &spec,
                other: other.as_ref(),
                effects: &mut self.effects,
                verdicts: &mut verdicts,
                news: &mut news,
            },
        );
        let uses = slot.specs();
        self.exchange_specs(&used, &uses);
        match decision {
            Decision::Took => {
                self.touched.insert(id);
            }
            Decision::Forget => self.remove(id),
            Decision::Ignored(_) => {}
        }
        for (ticket, verdict) in verdicts {
            self.conclude(ticket, id, verdict);
        }
        for news in news {
            self.heard_of(id, news, now);
        }
        let is_being_launched = self.slots.get(&id).is_some_and(Slot::is_being_launched);
        if was_being_launched && !is_being_launched && self.is_rolling(app) {
            self.advance_roll(app, now);
        }
    }

    /// Counts the users of specs anew after a slot's have changed.
    fn exchange_specs(&mut self, used: &[SpecKey], uses: &[SpecKey]) {
        uses.iter().for_each(|key| self.specs.hold(*key));
        used.iter().for_each(|key| self.release_spec(*key));
    }

    /// Puts a verdict into its ticket, and sends the ticket off when it is complete.
    fn conclude(&mut self, ticket: Ticket, slot: SlotId, verdict: Verdict) {
        self.tickets.conclude(ticket, slot, verdict);
        self.send_off(ticket);
    }

    fn send_off(&mut self, ticket: Ticket) {
        self.dirty.tickets.insert(ticket);
        let Some(outcome) = self.tickets.take_complete(ticket) else {
            return;
        };
        self.dirty.answered.insert(ticket, outcome.clone());
        self.effects.push_back(Effect::Reply { ticket, outcome });
        if self.counters.shutdown == Some(ticket) {
            self.effects.push_back(Effect::Exit { code: 0 });
        }
    }

    fn slot_due(&mut self, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get(&id) else { return };
        let own = slot.own_deadline(self.specs.get(slot.spec), &self.settings);
        let cron = slot.cron;
        let companion = slot.companion.as_ref().and_then(Companion::deadline);
        if own.is_some_and(|at| at <= now.instant) {
            self.tell(id, Input::Deadline, now);
        }
        if companion.is_some_and(|at| at <= now.instant) {
            self.turn(id, now, |slot, cx| slot.on_companion(Input::Deadline, cx));
        }
        if let Some(due) = cron.filter(|due| due.at <= now.instant) {
            self.cron_due(id, due, now);
        }
    }

    /// Cron's time has come by the monotonic clock; the wall clock may still be short of it, by a slow step.
    fn cron_due(&mut self, id: SlotId, due: cron::Due, now: Now) {
        let pattern = self
            .slots
            .get(&id)
            .and_then(|slot| self.specs.get(slot.spec).cron.clone());
        if let Some(pattern) = pattern.filter(|_| now.wall >= due.wall && !self.is_shutting_down()) {
            self.restart_by_itself(&[id], &Cause::Cron { pattern }, now);
        }
        self.reschedule(id, now);
    }

    fn reschedule_all(&mut self, now: Now) {
        let ids: Vec<SlotId> = self.slots.keys().copied().collect();
        for id in ids {
            self.reschedule(id, now);
        }
    }

    /// Finds a slot's next cron occurrence.
    fn reschedule(&mut self, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let pattern = self.specs.get(slot.spec).cron.as_deref();
        let due = pattern.and_then(|pattern| cron::next(pattern, &self.settings.time_zone, now));
        if slot.cron != due {
            slot.cron = due;
            self.touched.insert(id);
        }
    }

    /// Brings what is derived from the slots up to date after each call: deadlines, watches, the journal's to-do list.
    fn settle(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        let mut apps = BTreeSet::new();
        for id in touched {
            let Some(slot) = self.slots.get(&id) else { continue };
            self.agenda
                .set(Key::Slot(id), slot.deadline(self.specs.get(slot.spec), &self.settings));
            apps.insert(slot.app);
            self.dirty.slots.insert(id);
        }
        let resized = std::mem::take(&mut self.dirty.resized);
        for &app in &resized {
            self.weigh_as_due(app);
        }
        // The watch of an app that lost a slot may need another to stand for it.
        apps.extend(resized);
        for app in apps {
            self.unlisten_as_due(app);
            self.keep_listeners_as_due(app);
            self.watch_as_due(app);
        }
        self.exit_when_idle();
    }

    /// Takes a slot out of the list.
    fn remove(&mut self, id: SlotId) {
        let Some(slot) = self.slots.remove(&id) else { return };
        self.agenda.set(Key::Slot(id), None);
        self.touched.remove(&id);
        self.dirty.slots.insert(id);
        slot.specs().iter().for_each(|key| self.release_spec(*key));
        self.leave_app(slot.app, id);
        if self.slots.is_empty() {
            self.counters.next_slot = 0;
            self.dirty.counters = true;
        }
    }

    /// The spec that a slot runs.
    fn spec_of(&self, id: SlotId) -> Option<Arc<Spec>> {
        self.slots.get(&id).map(|slot| Arc::clone(self.specs.get(slot.spec)))
    }
}
