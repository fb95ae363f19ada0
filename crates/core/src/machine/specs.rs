//! The specs in use, each kept once however many slots share it.

use crate::slot::SpecKey;
use crate::spec::Spec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The specs in use. Invariant: a slot's key is always in here, since [`Specs::hold`] counts its users.
#[derive(Debug, Default)]
pub(super) struct Specs(BTreeMap<SpecKey, Held>);

#[derive(Debug)]
struct Held {
    spec: Arc<Spec>,
    users: u32,
}

impl Specs {
    /// Takes a spec in, without a user yet.
    pub(super) fn insert(&mut self, key: SpecKey, mut spec: Arc<Spec>) {
        if let Some((_, last)) = self.0.last_key_value() {
            share_environment(&mut spec, &last.spec);
        }
        self.0.insert(key, Held { spec, users: 0 });
    }

    /// The spec of a slot.
    pub(super) fn get(&self, key: SpecKey) -> &Arc<Spec> {
        &self
            .0
            .get(&key)
            .expect("invariant: a spec is kept as long as a slot uses it")
            .spec
    }

    /// The one that was taken in last.
    pub(super) fn last(&self) -> Option<(SpecKey, &Arc<Spec>)> {
        self.0.last_key_value().map(|(key, held)| (*key, &held.spec))
    }

    /// The spec by this number, if there is one.
    pub(super) fn find(&self, key: SpecKey) -> Option<&Arc<Spec>> {
        self.0.get(&key).map(|held| &held.spec)
    }

    /// One more slot uses it.
    pub(super) fn hold(&mut self, key: SpecKey) {
        if let Some(held) = self.0.get_mut(&key) {
            held.users += 1;
        }
    }

    /// One slot fewer uses it; true when it was the last and the spec is gone.
    pub(super) fn release(&mut self, key: SpecKey) -> bool {
        let Some(held) = self.0.get_mut(&key) else { return false };
        held.users = held.users.saturating_sub(1);
        let unused = held.users == 0;
        if unused {
            self.0.remove(&key);
        }
        unused
    }

    /// The specs nobody uses; they are taken out. A journal that was cut off may hold some.
    pub(super) fn drain_unused(&mut self) -> Vec<SpecKey> {
        let unused: Vec<SpecKey> = self
            .0
            .iter()
            .filter(|(_, held)| held.users == 0)
            .map(|(key, _)| *key)
            .collect();
        for key in &unused {
            self.0.remove(key);
        }
        unused
    }
}

/// Apps of one config file have the same shell's variables, a few kilobytes each: kept once for all of them.
fn share_environment(spec: &mut Arc<Spec>, like: &Spec) {
    let same = &like.environment.inherited;
    if let Some(spec) = Arc::get_mut(spec).filter(|spec| spec.environment.inherited == *same) {
        spec.environment.inherited = Arc::clone(same);
    }
}
