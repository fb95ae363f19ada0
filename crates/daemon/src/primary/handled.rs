//! What came of the connections that each worker was handed, and all that its slot has had before it, in memory that a successor gets.

use crate::records::{Of, Records};
use ostler_core::{SlotId, WorkerId};
use ostler_wire::control::Handled;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

/// The key of its deposit.
pub const HANDLED: &str = "handled";

/// See the module's header.
#[derive(Debug)]
pub struct Accounts {
    records: Records<2>,
    workers: BTreeMap<WorkerId, Handled>,
    /// Of workers that are gone.
    ended: BTreeMap<SlotId, Handled>,
}

impl Accounts {
    /// In a file that is empty, or a predecessor's.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn open(file: File) -> io::Result<Self> {
        let (records, found) = Records::open(file)?;
        let (mut workers, mut ended) = (BTreeMap::new(), BTreeMap::new());
        for (of, [accepted, refused]) in found {
            let handled = Handled { accepted, refused };
            match of {
                Of::Worker(worker) => drop(workers.insert(worker, handled)),
                Of::Ended(slot) => drop(ended.insert(SlotId(slot), handled)),
            }
        }
        Ok(Self {
            records,
            workers,
            ended,
        })
    }

    /// What came of those that a worker was handed.
    pub fn of(&self, worker: WorkerId) -> Handled {
        self.workers.get(&worker).copied().unwrap_or_default()
    }

    /// What came of those that all workers of a slot were handed. It only grows.
    pub fn of_slot(&self, slot: SlotId) -> Handled {
        let lives = self
            .workers
            .range(WorkerId::new(slot.0, 0)..=WorkerId::new(slot.0, u32::MAX));
        let ended = self.ended.get(&slot).copied().unwrap_or_default();
        lives.fold(ended, |all, (_, handled)| all + *handled)
    }

    /// Those that a predecessor knew and that are gone have ended: others than these workers, and what was of other slots than theirs and
    /// these.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn end_others(&mut self, alive: &BTreeSet<WorkerId>, slots: &BTreeSet<SlotId>) -> io::Result<()> {
        let gone = self.workers.keys().filter(|worker| !alive.contains(worker));
        let gone: Vec<WorkerId> = gone.copied().collect();
        gone.into_iter().try_for_each(|worker| self.end(worker))?;
        let forgotten = self.ended.keys().filter(|slot| !slots.contains(slot));
        let forgotten: Vec<SlotId> = forgotten.copied().collect();
        forgotten.into_iter().try_for_each(|slot| self.forget(slot))
    }

    /// Keeps what came of those that a worker was handed.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn keep(&mut self, worker: WorkerId, handled: Handled) -> io::Result<()> {
        self.workers.insert(worker, handled);
        self.records.write(Of::Worker(worker), &words(handled))
    }

    /// A worker is gone: what was its is its slot's.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn end(&mut self, worker: WorkerId) -> io::Result<()> {
        let Some(handled) = self.workers.remove(&worker) else {
            return Ok(());
        };
        let ended = self.ended.entry(worker.slot).or_default();
        *ended = *ended + handled;
        self.records.end(worker, worker.slot.0, &words(*ended))
    }

    /// A slot is gone. Its id may be another's at once.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn forget(&mut self, slot: SlotId) -> io::Result<()> {
        self.ended.remove(&slot);
        self.records.remove(Of::Ended(slot.0))
    }
}

fn words(handled: Handled) -> [u64; 2] {
    [handled.accepted, handled.refused]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handled(accepted: u64, refused: u64) -> Handled {
        Handled { accepted, refused }
    }

    fn worker(slot: u32) -> WorkerId {
        WorkerId::new(slot, 5)
    }

    fn file() -> File {
        ostler_sys::memfd::create("handled").expect("a file")
    }

    fn opened(file: &File) -> Accounts {
        Accounts::open(file.try_clone().expect("a copy")).expect("understood")
    }

    #[test]
    fn a_successor_knows_what_each_worker_had_taken() {
        let file = file();
        let mut accounts = opened(&file);
        for (slot, count) in [(0, 7), (1, 1 << 40), (0, 8), (2, 3)] {
            accounts.keep(worker(slot), handled(count, 1)).expect("kept");
        }
        accounts.end(worker(1)).expect("ended");
        let mut successor = opened(&file);
        let of = [0, 1, 2].map(|slot| successor.of(worker(slot)));
        assert_eq!(of, [handled(8, 1), handled(0, 0), handled(3, 1)]);
        assert_eq!(successor.of(WorkerId::new(0, 6)), handled(0, 0), "another one");
        successor.keep(worker(9), handled(2, 0)).expect("kept");
        let slots = BTreeSet::from([SlotId(0), SlotId(9)]);
        successor
            .end_others(&BTreeSet::from([worker(9)]), &slots)
            .expect("ended");
        let last = opened(&file);
        assert_eq!((last.of(worker(9)), last.of(worker(0))), (handled(2, 0), handled(0, 0)));
        let slots = [0, 1, 2, 9].map(|slot| last.of_slot(SlotId(slot)));
        assert_eq!(slots, [handled(8, 1), handled(0, 0), handled(0, 0), handled(2, 0)]);
    }

    #[test]
    fn what_a_slot_has_had_never_shrinks_until_it_is_gone() {
        let file = file();
        let mut accounts = opened(&file);
        let slot = SlotId(3);
        accounts.keep(WorkerId::new(3, 0), handled(10, 2)).expect("kept");
        accounts.keep(WorkerId::new(3, 1), handled(1, 0)).expect("kept");
        assert_eq!(accounts.of_slot(slot), handled(11, 2), "the old and the new one");
        accounts.end(WorkerId::new(3, 0)).expect("ended");
        accounts.end(WorkerId::new(3, 0)).expect("it has ended already");
        assert_eq!(accounts.of_slot(slot), handled(11, 2));
        let mut successor = opened(&file);
        successor.keep(WorkerId::new(3, 1), handled(5, 1)).expect("kept");
        assert_eq!(successor.of_slot(slot), handled(15, 3));
        successor.end(WorkerId::new(3, 1)).expect("ended");
        assert_eq!(opened(&file).of_slot(slot), handled(15, 3));
        successor.forget(slot).expect("forgotten");
        assert_eq!(opened(&file).of_slot(slot), handled(0, 0));
    }
}
