//! Apps: slots that belong together. Their instance numbers, their number of instances, their watch.

use super::{AppRecord, Machine};
use crate::effect::Effect;
use crate::history::Cause;
use crate::ids::{AppId, SlotId};
use crate::listen::Address;
use crate::schedule::agenda::Key;
use crate::schedule::watch::Debounce;
use crate::slot::{Aim, Slot, SpecKey};
use crate::spec::{Mode, Spec};
use crate::time::Now;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An app. Invariant: it exists as long as it has slots.
#[derive(Debug, Default)]
pub(super) struct App {
    /// Its slots, from the slots' own records.
    pub(super) slots: BTreeSet<SlotId>,
    pub(super) record: AppRecord,
}

impl Machine {
    /// Takes a spec in; a slot must be made or changed to use it in the same call.
    pub(super) fn add_spec(&mut self, spec: Arc<Spec>) -> SpecKey {
        let key = SpecKey(self.counters.next_spec);
        self.counters.next_spec += 1;
        self.dirty.counters = true;
        self.dirty.specs.insert(key);
        self.specs.insert(key, spec);
        key
    }

    pub(super) fn release_spec(&mut self, key: SpecKey) {
        if self.specs.release(key) {
            self.dirty.specs.insert(key);
        }
    }

    /// Makes an app without a slot; one must be added in the same call.
    pub(super) fn add_app(&mut self) -> AppId {
        let id = AppId(self.counters.next_app);
        self.counters.next_app += 1;
        self.dirty.counters = true;
        self.dirty.apps.insert(id);
        self.apps.insert(id, App::default());
        id
    }

    /// Adds a slot to an app, with this instance number if it is free, else the smallest free one.
    pub(super) fn add_slot(&mut self, app: AppId, key: SpecKey, wanted: Option<u32>, now: Now) -> SlotId {
        let id = SlotId(self.counters.next_slot);
        self.counters.next_slot += 1;
        self.dirty.counters = true;
        let instance = self.free_instance(&self.specs.get(key).name, wanted);
        self.specs.hold(key);
        self.slots.insert(id, Slot::new(id, app, instance, key));
        self.apps.entry(app).or_default().slots.insert(id);
        self.dirty.resized.insert(app);
        self.touched.insert(id);
        self.reschedule(id, now);
        id
    }

    /// Numbers are unique per name, also among apps that were forced to share one.
    fn free_instance(&self, name: &str, wanted: Option<u32>) -> u32 {
        let taken: BTreeSet<u32> = self
            .slots
            .values()
            .filter(|slot| self.specs.get(slot.spec).name == name)
            .map(|slot| slot.instance)
            .collect();
        let smallest = || (0..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
        wanted.filter(|number| !taken.contains(number)).unwrap_or_else(smallest)
    }

    /// The app's slots with the highest instance numbers, as many as it has too many of, highest first.
    pub(super) fn surplus(&self, app: AppId, instances: u32) -> Vec<SlotId> {
        let mut slots: Vec<&Slot> = self.slots_of(app).collect();
        slots.sort_by_key(|slot| std::cmp::Reverse((slot.instance, slot.id)));
        let surplus = slots.len().saturating_sub(instances.max(1) as usize);
        slots.into_iter().take(surplus).map(|slot| slot.id).collect()
    }

    /// How many slots an app lacks.
    pub(super) fn missing(&self, app: AppId, instances: u32) -> u32 {
        instances.saturating_sub(self.instances(app))
    }

    pub(super) fn slots_of(&self, app: AppId) -> impl Iterator<Item = &Slot> {
        self.apps
            .get(&app)
            .into_iter()
            .flat_map(|app| &app.slots)
            .filter_map(|id| self.slots.get(id))
    }

    /// A slot is gone from its app.
    pub(super) fn leave_app(&mut self, app: AppId, slot: SlotId) {
        if let Some(entry) = self.apps.get_mut(&app) {
            entry.slots.remove(&slot);
            self.dirty.resized.insert(app);
        }
    }

    /// Says that its workers are another number now. What is not up yet is weighed when it is.
    pub(super) fn weigh_as_due(&mut self, id: AppId) {
        let runs = |slot: &Slot| self.specs.get(slot.spec).mode == Mode::Cluster && slot.may_run();
        if self.slots_of(id).any(runs) {
            self.effects.push_back(Effect::Weigh { app: id });
        }
    }

    /// Closes the app's listeners once none of its workers is to be up any more.
    pub(super) fn unlisten_as_due(&mut self, id: AppId) {
        let wanted = self.slots_of(id).any(|slot| slot.aim() == Aim::Up);
        let opened = self
            .slots_of(id)
            .any(|slot| self.specs.get(slot.spec).mode == Mode::Cluster && slot.may_run());
        let Some(app) = self.apps.get_mut(&id) else { return };
        if opened && wanted && !app.record.listens {
            app.record.listens = true;
            self.dirty.apps.insert(id);
        } else if !wanted && app.record.listens {
            app.record.listens = false;
            self.dirty.apps.insert(id);
            self.effects.push_back(Effect::Unlisten { app: id });
        }
    }

    /// Lets go of sockets that no spec in use declares any more.
    pub(super) fn keep_listeners_as_due(&mut self, id: AppId) {
        let Some(app) = self.apps.get(&id) else { return };
        let used = self.slots_of(id).filter(|slot| slot.is_in_use()).flat_map(Slot::specs);
        let rolled = app.record.roll.iter().flat_map(|roll| roll.specs());
        let declared = used.chain(rolled).flat_map(|key| &self.specs.get(key).listen);
        let mut wanted: BTreeSet<Address> = declared.map(|listen| listen.address.clone()).collect();
        if self.slots_of(id).any(Slot::is_leaving_behind) {
            // What is being ended, or replaced, may run what its slot's spec does not say any more.
            wanted.extend(app.record.kept.iter().cloned());
        }
        let Some(app) = self.apps.get_mut(&id).filter(|app| app.record.kept != wanted) else {
            return;
        };
        app.record.kept.clone_from(&wanted);
        self.dirty.apps.insert(id);
        // Before the launches that were ordered in the same call: an address that overlaps one of theirs must be free by then.
        self.effects.push_front(Effect::KeepListeners {
            app: id,
            addresses: wanted,
        });
    }

    /// Sees to it that exactly the watch is set up that the app's slots ask for: one an app, which its first watched slot
    /// stands for.
    pub(super) fn watch_as_due(&mut self, id: AppId) {
        let watcher = self.slots_of(id).find(|slot| slot.watching(self.specs.get(slot.spec)));
        let wanted = watcher.map(|slot| (slot.id, slot.spec));
        let Some(app) = self.apps.get_mut(&id) else { return };
        if app.record.watch != wanted {
            let old = app.record.watch.map(|(slot, _)| slot);
            if let Some(slot) = old.filter(|slot| wanted.is_none_or(|(new, _)| new != *slot)) {
                self.effects.push_back(Effect::Unwatch { slot });
            }
            if let Some((slot, key)) = wanted {
                self.effects.push_back(Effect::Watch {
                    slot,
                    spec: Arc::clone(self.specs.get(key)),
                });
            }
            app.record.watch = wanted;
            self.dirty.apps.insert(id);
        }
        if wanted.is_none() && app.record.debounce.take().is_some() {
            self.dirty.apps.insert(id);
            self.agenda.set(Key::Watch(id), None);
        }
        if app.slots.is_empty() {
            self.apps.remove(&id);
            self.dirty.apps.insert(id);
        }
    }

    /// A file changed: the restart comes after the quiet time.
    pub(super) fn file_changed(&mut self, slot: SlotId, path: String, now: Now) {
        let Some(app) = self.slots.get(&slot).map(|slot| slot.app) else {
            return;
        };
        let Some(entry) = self.apps.get_mut(&app) else { return };
        let Some((_, key)) = entry.record.watch else { return };
        let delay = self
            .specs
            .get(key)
            .watch
            .as_ref()
            .map(|watch| watch.delay)
            .unwrap_or_default();
        if delay.is_zero() {
            return self.restart_watched(app, &path, now);
        }
        let debounce = match entry.record.debounce.take() {
            Some(mut debounce) => {
                debounce.again(delay, now.instant);
                debounce
            }
            None => Debounce::new(path, delay, now.instant),
        };
        self.agenda.set(Key::Watch(app), Some(debounce.due));
        entry.record.debounce = Some(debounce);
        self.dirty.apps.insert(app);
    }

    /// The quiet time after a change is over.
    pub(super) fn watch_due(&mut self, id: AppId, now: Now) {
        let Some(app) = self.apps.get_mut(&id) else { return };
        let Some(debounce) = app.record.debounce.take_if(|debounce| debounce.due <= now.instant) else {
            return;
        };
        self.agenda.set(Key::Watch(id), None);
        self.dirty.apps.insert(id);
        self.restart_watched(id, &debounce.path, now);
    }

    fn restart_watched(&mut self, app: AppId, path: &str, now: Now) {
        if self.is_shutting_down() {
            return;
        }
        let watched = self
            .slots_of(app)
            .filter(|slot| slot.watching(self.specs.get(slot.spec)));
        let watched: Vec<SlotId> = watched.map(|slot| slot.id).collect();
        self.restart_by_itself(&watched, &Cause::FileChanged { path: path.to_owned() }, now);
    }
}
