//! What a person who knows only the requests expects.

use crate::support::World;
use ostler_core::{Effect, SlotId, Ticket, Verdict};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What the requests so far mean for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Up,
    Down,
    Gone,
}

/// The reference model: nothing but the last request about each slot.
#[derive(Default)]
pub struct Model {
    pub wanted: BTreeMap<SlotId, Wanted>,
    /// What each request wanted of each slot.
    wishes: Vec<(Ticket, SlotId, Wanted)>,
    /// Reloads: whoever asks for a restart overtakes them, too.
    pub reloads: BTreeSet<Ticket>,
    /// How much of the log has been checked.
    read: usize,
}

impl Model {
    /// The next request wants this.
    pub fn set(&mut self, world: &World, slots: impl IntoIterator<Item = SlotId>, wanted: Wanted) {
        let ticket = Ticket(world.asked.len() as u64 + 1);
        for slot in slots {
            if let Some(entry) = self.wanted.get_mut(&slot) {
                *entry = wanted;
                self.wishes.push((ticket, slot, wanted));
            }
        }
    }

    /// Nobody is overtaken but by a later request for something else.
    pub fn check_overtaken(&self, world: &World) {
        for (ticket, outcome) in &world.replies {
            let overtaken = outcome.slots.iter().filter(|told| told.verdict == Verdict::Superseded);
            for told in overtaken.filter(|_| !self.reloads.contains(ticket)) {
                let about = |wish: &&(Ticket, SlotId, Wanted)| wish.1 == told.slot;
                let own = self.wishes.iter().filter(about).find(|wish| wish.0 == *ticket);
                let mut later = self.wishes.iter().filter(about).filter(|wish| wish.0 > *ticket);
                let own = own.expect("only what was wanted can be overtaken").2;
                assert!(
                    later.any(|wish| wish.2 != own),
                    "{ticket:?} wanted slot {} {own:?} and was overtaken by nobody",
                    told.slot
                );
            }
        }
    }

    /// Slots that came with the last request are wanted up, those that are gone are not wanted.
    pub fn adopt(&mut self, world: &World) {
        let present: BTreeSet<SlotId> = world.machine.slots().map(|slot| slot.id).collect();
        self.wanted.retain(|slot, _| present.contains(slot));
        for slot in present {
            if let Entry::Vacant(new) = self.wanted.entry(slot) {
                new.insert(Wanted::Up);
                self.wishes.push((Ticket(world.asked.len() as u64), slot, Wanted::Up));
            }
        }
    }

    /// Nothing is launched in a slot that is to be down, unless cron does it.
    pub fn check_launches(&mut self, world: &World) {
        for (at, effect) in &world.log[self.read..] {
            if let Effect::Spawn(launch) = effect {
                let wanted = self.wanted.get(&launch.worker.slot).copied().unwrap_or(Wanted::Up);
                let allowed = wanted == Wanted::Up || (wanted == Wanted::Down && launch.spec.cron.is_some());
                assert!(
                    allowed,
                    "{} is launched at {at} though it is to be {wanted:?}",
                    launch.worker
                );
            }
        }
        self.read = world.log.len();
    }
}
