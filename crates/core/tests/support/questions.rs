//! What tests ask a world about.

use super::{Process, World};
use ostler_core::{Effect, Launch, Notice, Scope, SlotId, SlotView, Status, WorkerId, history};

impl World {
    pub fn view(&self, slot: u32) -> SlotView {
        self.machine.slot(SlotId(slot)).expect("the slot is in the list")
    }

    pub fn status(&self, slot: u32) -> Status {
        self.view(slot).status
    }

    /// The current worker of a slot.
    pub fn worker(&self, slot: u32) -> WorkerId {
        WorkerId {
            slot: SlotId(slot),
            generation: self.view(slot).generation,
        }
    }

    /// When each launch of a slot was ordered, in ms since the world began.
    pub fn launches(&self, slot: u32) -> Vec<u64> {
        let launched = |(at, effect): &(u64, Effect)| match effect {
            Effect::Spawn(launch) if launch.worker.slot == SlotId(slot) => Some(*at),
            _ => None,
        };
        self.log.iter().filter_map(launched).collect()
    }

    /// Which signals were ordered, with their time.
    pub fn signals(&self) -> Vec<(u64, i32, Scope)> {
        let signal = |(at, effect): &(u64, Effect)| match effect {
            Effect::Signal { signal, scope, .. } => Some((*at, *signal, *scope)),
            _ => None,
        };
        self.log.iter().filter_map(signal).collect()
    }

    /// Which signals were ordered for a worker.
    pub fn signals_to(&self, wanted: WorkerId) -> Vec<i32> {
        let signal = |(_, effect): &(u64, Effect)| match effect {
            Effect::Signal { worker, signal, .. } if *worker == wanted => Some(*signal),
            _ => None,
        };
        self.log.iter().filter_map(signal).collect()
    }

    /// All launches in order.
    pub fn launched(&self) -> Vec<Launch> {
        let launch = |(_, effect): &(u64, Effect)| match effect {
            Effect::Spawn(launch) => Some(launch.clone()),
            _ => None,
        };
        self.log.iter().filter_map(launch).collect()
    }

    pub fn history(&self) -> Vec<history::What> {
        let entry = |(_, effect): &(u64, Effect)| match effect {
            Effect::Record(entry) => Some(entry.what.clone()),
            _ => None,
        };
        self.log.iter().filter_map(entry).collect()
    }

    pub fn notices(&self) -> Vec<Notice> {
        let notice = |(_, effect): &(u64, Effect)| match effect {
            Effect::Publish(notice) => Some(notice.clone()),
            _ => None,
        };
        self.log.iter().filter_map(notice).collect()
    }

    /// Whether any main process or watched-over leftover is still there.
    pub fn something_runs(&self) -> bool {
        self.processes
            .values()
            .any(|process| process.main || (process.tree && process.leftovers))
    }

    /// The instance numbers of all slots, in order.
    pub fn instances(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.machine.slots().map(|slot| slot.instance).collect();
        numbers.sort_unstable();
        numbers
    }

    /// How many workers of these slots could answer a request now.
    pub fn serving(&self, slots: &[u32]) -> usize {
        let serves = |(worker, process): (&WorkerId, &Process)| {
            slots.contains(&worker.slot.0) && process.main && process.listens && process.admitted
        };
        self.processes.iter().filter(|process| serves(*process)).count()
    }
}
