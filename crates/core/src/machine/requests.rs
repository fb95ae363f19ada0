//! What clients ask for: each request is taken apart into inputs for slots, and its ticket is opened for their verdicts.

use super::Machine;
use super::journal::Awaited;
use crate::effect::{Effect, Scope};
use crate::event::{Origin, Request, SavedInstance};
use crate::history::Cause;
use crate::ids::{AppId, SlotId, Ticket};
use crate::outcome::{Failure, Verdict};
use crate::schedule::agenda::Key;
use crate::slot::{Aim, Input, Slot, SpecKey};
use crate::spec::Spec;
use crate::time::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What is to be done with one slot for a ticket.
enum Step {
    /// Ask it to become something and wait for what becomes of it.
    Ask(Aim),
    /// Have it go, once it has finished with its connections, and wait for that.
    Retire,
    /// It has its verdict.
    Say(Verdict),
    /// Replace its worker by one that runs this.
    Replace { app: AppId, spec: SpecKey, parallel: u32 },
    /// It is being replaced already: wait for that.
    Join(AppId),
}

/// The steps of a request, in the order of its answer. Never two of one slot.
#[derive(Default)]
struct Plan(Vec<(SlotId, String, Step)>);

impl Machine {
    pub(super) fn request(&mut self, ticket: Ticket, request: Request, by: &Origin, now: Now) {
        // Whoever does not want to wait for what finishes may say so.
        let hurries = self.counters.patience.is_some() && matches!(request, Request::Shutdown);
        if self.is_shutting_down() && !hurries {
            return self.refuse(ticket, &request);
        }
        let plan = match request {
            Request::Start { specs } => self.plan_start(specs, now),
            Request::Restore { instances } => self.plan_restore(instances, now),
            Request::Restart { slots, specs } => self.plan_restart(&slots, &specs, now),
            Request::Reload {
                slots,
                specs,
                parallel,
                only_changed,
            } => self.plan_reload(&slots, &specs, parallel, only_changed, now),
            Request::Stop { slots } => self.plan_each(&slots, |_| Step::Ask(Aim::Down)),
            Request::Delete { slots } => self.plan_each(&slots, |_| Step::Ask(Aim::Gone)),
            Request::Reset { slots } => self.plan_reset(&slots, now),
            Request::Scale { slot, instances } => self.plan_scale(slot, instances, now),
            Request::Signal { slots, signal } => self.plan_signal(&slots, signal),
            Request::Shutdown => self.plan_shutdown(ticket),
            Request::WindDown { within } => self.plan_wind_down(ticket, within, now),
        };
        self.carry_through(ticket, plan, by, now);
    }

    /// Opens the ticket and does what was planned.
    fn carry_through(&mut self, ticket: Ticket, plan: Plan, by: &Origin, now: Now) {
        let awaited = plan.0.iter().map(|(slot, name, _)| Awaited {
            slot: *slot,
            name: name.clone(),
            verdict: None,
        });
        self.tickets.open(ticket, awaited.collect());
        // All of them before the first is told anything: a roll must not go on to a slot that is about to leave it.
        let asked = plan
            .0
            .iter()
            .filter(|(_, _, step)| matches!(step, Step::Ask(_) | Step::Retire));
        let asked: Vec<SlotId> = asked.map(|(slot, _, _)| *slot).collect();
        let left: BTreeSet<AppId> = asked.into_iter().filter_map(|slot| self.leave_roll(slot)).collect();
        let mut rolls: BTreeMap<AppId, (u32, Vec<(SlotId, SpecKey)>)> = BTreeMap::new();
        for (slot, _, step) in plan.0 {
            match step {
                Step::Replace { app, spec, parallel } => {
                    let (_, slots) = rolls.entry(app).or_insert((parallel, Vec::new()));
                    slots.push((slot, spec));
                }
                Step::Join(app) => {
                    self.join_roll(app, ticket);
                }
                Step::Say(verdict) => self.tickets.conclude(ticket, slot, verdict),
                Step::Ask(aim) => {
                    self.line_up(slot, ticket, aim);
                    self.tell(slot, aim.input(by.clone()), now);
                }
                Step::Retire => {
                    self.line_up(slot, ticket, Aim::Gone);
                    self.tell(slot, Input::Retire { by: by.clone() }, now);
                }
            }
        }
        for app in left {
            self.advance_roll(app, now);
        }
        for (app, (parallel, slots)) in rolls {
            let cause = Cause::Asked(by.clone());
            self.begin_roll(app, slots, parallel, cause, Some(ticket), now);
        }
        self.send_off(ticket);
    }

    /// Joins those who wait for the same of a slot. The latest request is the one that a slot answers to: whoever waits for
    /// something else is overtaken.
    fn line_up(&mut self, id: SlotId, ticket: Ticket, aim: Aim) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.watched = aim == Aim::Up;
        self.touched.insert(id);
        for overtaken in slot.await_by(ticket, aim) {
            self.conclude(overtaken, id, Verdict::Superseded);
        }
    }

    /// A request that comes while everything is being stopped for good.
    fn refuse(&mut self, ticket: Ticket, request: &Request) {
        let name = |slot: &SlotId| (*slot, self.name(*slot));
        let slots: Vec<(SlotId, String)> = match request {
            Request::Start { specs } => self.nameless(specs.iter().map(|spec| spec.name.clone())),
            Request::Restore { instances } => self.nameless(instances.iter().map(|saved| saved.spec.name.clone())),
            Request::Restart { slots, specs: _ }
            | Request::Reload { slots, .. }
            | Request::Stop { slots }
            | Request::Delete { slots }
            | Request::Reset { slots }
            | Request::Signal { slots, signal: _ } => slots.iter().map(name).collect(),
            Request::Scale { slot, instances: _ } => vec![name(slot)],
            Request::Shutdown | Request::WindDown { within: _ } => self.slots.keys().map(name).collect(),
        };
        let refused = slots.into_iter().map(|(slot, name)| Awaited {
            slot,
            name,
            verdict: Some(Verdict::Superseded),
        });
        self.tickets.open(ticket, refused.collect());
        self.send_off(ticket);
    }

    /// Apps that were not made: under the ids they would have had.
    fn nameless(&self, names: impl Iterator<Item = String>) -> Vec<(SlotId, String)> {
        (self.counters.next_slot..).map(SlotId).zip(names).collect()
    }

    fn name(&self, slot: SlotId) -> String {
        self.spec_of(slot).map(|spec| spec.name.clone()).unwrap_or_default()
    }

    /// The same for each slot. One that is not there has nothing to act on.
    fn plan_each(&self, slots: &[SlotId], step: impl Fn(SlotId) -> Step) -> Plan {
        let mut seen = BTreeSet::new();
        let mut plan = Plan::default();
        for &slot in slots.iter().filter(|slot| seen.insert(**slot)) {
            match self.spec_of(slot) {
                Some(spec) => plan.0.push((slot, spec.name.clone(), step(slot))),
                None => plan
                    .0
                    .push((slot, String::new(), Step::Say(Verdict::Failed(Failure::NotRunning)))),
            }
        }
        plan
    }

    fn plan_start(&mut self, specs: Vec<Spec>, now: Now) -> Plan {
        let mut plan = Plan::default();
        for spec in specs {
            let (instances, autostart) = (spec.instances.max(1), spec.autostart);
            let app = self.add_app();
            let key = self.add_spec(Arc::new(spec));
            for _ in 0..instances {
                let slot = self.add_slot(app, key, None, now);
                plan.0.push((slot, self.name(slot), first_step(autostart)));
            }
        }
        plan
    }

    /// Saved instances that were started together become one app again.
    fn plan_restore(&mut self, instances: Vec<SavedInstance>, now: Now) -> Plan {
        let mut plan = Plan::default();
        let mut apps: BTreeMap<(String, String, String), (AppId, SpecKey)> = BTreeMap::new();
        for SavedInstance {
            spec,
            instance,
            running,
        } in instances
        {
            let together = (
                spec.name.clone(),
                spec.namespace.clone(),
                spec.environment.unique_id.clone(),
            );
            let known = apps.get(&together).copied();
            let app = known.map_or_else(|| self.add_app(), |(app, _)| app);
            let key = match known {
                Some((_, key)) if *self.specs.get(key) == spec => key,
                Some(_) | None => self.add_spec(spec),
            };
            apps.insert(together, (app, key));
            let slot = self.add_slot(app, key, Some(instance), now);
            plan.0.push((slot, self.name(slot), first_step(running)));
        }
        plan
    }

    /// New specs take effect at once, also for the way the running process is stopped. An app whose declared number of
    /// instances differs from what was declared before is scaled to it.
    fn plan_restart(&mut self, slots: &[SlotId], specs: &[Arc<Spec>], now: Now) -> Plan {
        let resized = self.respecify(slots, specs, now);
        let mut plan = self.plan_each(slots, |_| Step::Ask(Aim::Up));
        for (app, (key, instances)) in resized {
            let surplus = self.surplus(app, instances);
            plan.0.retain(|(slot, _, _)| !surplus.contains(slot));
            self.plan_size(app, key, instances, now, &mut plan);
        }
        plan
    }

    /// As a restart, but running workers that can be replaced without a gap are, one after the other.
    fn plan_reload(
        &mut self,
        slots: &[SlotId],
        specs: &[Arc<Spec>],
        parallel: u32,
        only_changed: bool,
        now: Now,
    ) -> Plan {
        let spec_of = |id: &SlotId| {
            let position = slots.iter().position(|slot| slot == id)?;
            specs.get(position)
        };
        let is_unchanged = |machine: &Self, id: &SlotId| {
            let running = machine.slots.get(id).filter(|slot| slot.is_up());
            let running = running.map(|slot| machine.specs.get(slot.spec));
            only_changed
                && running
                    .zip(spec_of(id))
                    .is_some_and(|(running, spec)| running.runs_like(spec))
        };
        // Workers that run beside a roll or another worker that comes. What does not run is simply started.
        let is_busy = |machine: &Self, slot: &SlotId| {
            let running = machine.slots.get(slot).filter(|slot| slot.is_up());
            running.is_some_and(|slot| machine.is_rolling(slot.app) || slot.is_being_replaced())
        };
        let mut seen = BTreeSet::new();
        let once = slots.iter().filter(|slot| seen.insert(**slot));
        let (unchanged, changed): (Vec<SlotId>, Vec<SlotId>) = once.partition(|slot| is_unchanged(self, slot));
        let (busy, free): (Vec<SlotId>, Vec<SlotId>) = changed.iter().partition(|slot| is_busy(self, slot));
        let mut plan = self.plan_each(&unchanged, |_| Step::Say(Verdict::Unchanged));
        plan.0
            .append(&mut self.plan_each(&busy, |id| self.join_or_refuse(id, specs.is_empty())).0);
        // Who ceases to take connections from where his predecessor does binds the port himself, which must be free then.
        let stays = |id: &SlotId| {
            let old = self.slots.get(id).map(|slot| self.specs.get(slot.spec));
            old.is_none_or(|old| old.can_overlap_with(spec_of(id).unwrap_or(old)))
        };
        let (replaced, restarted): (Vec<SlotId>, Vec<SlotId>) =
            free.iter().partition(|id| self.is_replaceable(**id) && stays(id));
        // Another number of instances is taken over without touching those that are there.
        let declared = |id: &SlotId| spec_of(id).map(Arc::clone);
        let specs_of_unchanged: Vec<Arc<Spec>> = unchanged.iter().filter_map(declared).collect();
        let mut resized = self.respecify_resized(&unchanged, &specs_of_unchanged, now);
        for id in replaced {
            let Some((app, old)) = self.slots.get(&id).map(|slot| (slot.app, slot.spec)) else {
                continue;
            };
            let spec = self.key_for(old, spec_of(&id));
            let (declared, wanted) = (self.specs.get(old).instances, self.specs.get(spec).instances);
            if declared != wanted {
                resized.entry(app).or_insert((spec, wanted.max(1)));
            }
            plan.0.push((id, self.name(id), Step::Replace { app, spec, parallel }));
        }
        let specs: Vec<Arc<Spec>> = restarted.iter().filter_map(|id| spec_of(id).map(Arc::clone)).collect();
        plan.0.append(&mut self.plan_restart(&restarted, &specs, now).0);
        for (app, (key, instances)) in resized {
            let surplus = self.surplus(app, instances);
            plan.0.retain(|(slot, _, _)| !surplus.contains(slot));
            self.plan_size(app, key, instances, now, &mut plan);
        }
        plan
    }

    /// As [`Machine::respecify`], for those alone that are to have another number of instances.
    fn respecify_resized(
        &mut self,
        slots: &[SlotId],
        specs: &[Arc<Spec>],
        now: Now,
    ) -> BTreeMap<AppId, (SpecKey, u32)> {
        let differs = |(id, spec): &(&SlotId, &Arc<Spec>)| {
            let slot = self.slots.get(id);
            slot.is_some_and(|slot| self.specs.get(slot.spec).instances != spec.instances)
        };
        let (slots, specs): (Vec<SlotId>, Vec<Arc<Spec>>) = slots
            .iter()
            .zip(specs)
            .filter(differs)
            .map(|(id, spec)| (*id, Arc::clone(spec)))
            .unzip();
        self.respecify(&slots, &specs, now)
    }

    /// Whether its worker runs, and another one could serve beside it.
    pub(super) fn is_replaceable(&self, id: SlotId) -> bool {
        let slot = self.slots.get(&id);
        slot.is_some_and(|slot| slot.is_up() && self.specs.get(slot.spec).can_overlap())
    }

    /// A roll that is under way serves whoever brings nothing new.
    fn join_or_refuse(&self, id: SlotId, nothing_new: bool) -> Step {
        match self.slots.get(&id) {
            Some(slot) if nothing_new && self.is_in_roll(slot.app, id) => Step::Join(slot.app),
            Some(_) | None => Step::Say(Verdict::Failed(Failure::Busy)),
        }
    }

    /// The number of a spec: the old one's if it says the same.
    fn key_for(&mut self, old: SpecKey, new: Option<&Arc<Spec>>) -> SpecKey {
        match new {
            Some(new) if **self.specs.get(old) != **new => match self.specs.last() {
                Some((key, last)) if **last == **new => key,
                Some(_) | None => self.add_spec(Arc::clone(new)),
            },
            Some(_) | None => old,
        }
    }

    /// Gives slots their new specs, and says which apps are to have another number of instances.
    fn respecify(&mut self, slots: &[SlotId], specs: &[Arc<Spec>], now: Now) -> BTreeMap<AppId, (SpecKey, u32)> {
        let mut resized = BTreeMap::new();
        let mut last: Option<(SpecKey, &Arc<Spec>)> = None;
        for (&id, spec) in slots.iter().zip(specs) {
            let Some((app, old)) = self.slots.get(&id).map(|slot| (slot.app, slot.spec)) else {
                continue;
            };
            let declared = self.specs.get(old);
            if **declared == **spec {
                continue;
            }
            let resize = declared.instances != spec.instances;
            let key = match last {
                Some((key, same)) if same == spec => key,
                Some(_) | None => self.add_spec(Arc::clone(spec)),
            };
            last = Some((key, spec));
            self.specs.hold(key);
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.spec = key;
            }
            self.release_spec(old);
            self.touched.insert(id);
            self.reschedule(id, now);
            if resize {
                resized.entry(app).or_insert((key, spec.instances.max(1)));
            }
        }
        resized
    }

    fn plan_scale(&mut self, slot: SlotId, instances: u32, now: Now) -> Plan {
        let Some((app, key)) = self.slots.get(&slot).map(|slot| (slot.app, slot.spec)) else {
            return self.plan_each(&[slot], |_| Step::Say(Verdict::Failed(Failure::NotRunning)));
        };
        let mut plan = Plan::default();
        self.plan_size(app, key, instances, now, &mut plan);
        plan
    }

    /// Adds copies, or deletes the slots with the highest instance numbers.
    fn plan_size(&mut self, app: AppId, key: SpecKey, instances: u32, now: Now, plan: &mut Plan) {
        for slot in self.surplus(app, instances) {
            plan.0.push((slot, self.name(slot), Step::Retire));
        }
        for _ in 0..self.missing(app, instances) {
            let slot = self.add_slot(app, key, None, now);
            plan.0.push((slot, self.name(slot), Step::Ask(Aim::Up)));
        }
    }

    fn plan_reset(&mut self, slots: &[SlotId], now: Now) -> Plan {
        for id in slots {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.ledger.reset(now);
                self.touched.insert(*id);
            }
        }
        self.plan_each(slots, |_| Step::Say(Verdict::Reset))
    }

    fn plan_signal(&mut self, slots: &[SlotId], signal: i32) -> Plan {
        let plan = self.plan_each(slots, |id| match self.slots.get(&id).and_then(Slot::pid) {
            Some(_) => Step::Say(Verdict::Signalled),
            None => Step::Say(Verdict::Failed(Failure::NotRunning)),
        });
        for (id, _, step) in &plan.0 {
            if let (Step::Say(Verdict::Signalled), Some(slot)) = (step, self.slots.get(id)) {
                self.effects.push_back(Effect::Signal {
                    worker: slot.worker(),
                    signal,
                    scope: Scope::Main,
                });
            }
        }
        plan
    }

    /// What is being deleted already is deleted, the rest is stopped and stays in the list.
    fn plan_shutdown(&mut self, ticket: Ticket) -> Plan {
        self.counters.shutdown = Some(ticket);
        self.dirty.counters = true;
        let slots: Vec<SlotId> = self.slots.keys().copied().collect();
        self.plan_each(&slots, |id| {
            Step::Ask(match self.slots.get(&id).map(Slot::aim) {
                Some(Aim::Gone) => Aim::Gone,
                Some(Aim::Up | Aim::Down) | None => Aim::Down,
            })
        })
    }

    /// New connections go nowhere from now on; what was accepted is finished with.
    fn plan_wind_down(&mut self, ticket: Ticket, within: Option<Duration>, now: Now) -> Plan {
        self.counters.shutdown = Some(ticket);
        self.counters.patience = Some(now.instant + within.unwrap_or_else(|| self.patience()));
        self.dirty.counters = true;
        self.agenda.set(Key::Patience, self.counters.patience);
        self.close_clusters();
        let slots: Vec<SlotId> = self.slots.keys().copied().collect();
        self.plan_each(&slots, |_| Step::Retire)
    }
}

/// The first step with a new slot.
fn first_step(launch: bool) -> Step {
    if launch {
        Step::Ask(Aim::Up)
    } else {
        Step::Say(Verdict::Registered)
    }
}
