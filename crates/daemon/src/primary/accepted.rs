//! How many connections each worker has taken in its life, in memory that a successor gets.

use crate::records::Records;
use crate::workers;
use ostler_core::WorkerId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;

/// The key of its deposit.
pub const ACCEPTED: &str = "accepted";

/// See the module's header.
#[derive(Debug)]
pub struct Accepted {
    records: Records<1>,
    counts: BTreeMap<WorkerId, u64>,
}

impl Accepted {
    /// In a file that is empty, or a predecessor's.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn open(file: File) -> io::Result<Self> {
        let (records, found) = Records::open(file)?;
        let counts = found
            .into_iter()
            .filter_map(|(tag, [count])| Some((workers::tagged(tag)?, count)));
        Ok(Self {
            records,
            counts: counts.collect(),
        })
    }

    /// How many a worker has taken.
    pub fn of(&self, worker: WorkerId) -> u64 {
        self.counts.get(&worker).copied().unwrap_or_default()
    }

    /// Forgets all but these workers: others have ended while nobody was there to see it.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn forget_others(&mut self, alive: &BTreeSet<WorkerId>) -> io::Result<()> {
        let gone = self.counts.keys().filter(|worker| !alive.contains(worker));
        let gone: Vec<WorkerId> = gone.copied().collect();
        gone.into_iter().try_for_each(|worker| self.forget(worker))
    }

    /// Keeps how many a worker has taken.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn keep(&mut self, worker: WorkerId, count: u64) -> io::Result<()> {
        self.counts.insert(worker, count);
        self.records.write(workers::tag(worker), &[count])
    }

    /// A worker is gone.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn forget(&mut self, worker: WorkerId) -> io::Result<()> {
        self.counts.remove(&worker);
        self.records.remove(workers::tag(worker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_knows_what_each_worker_had_taken() {
        let file = ostler_sys::memfd::create("accepted").expect("a file");
        let mut accepted = Accepted::open(file.try_clone().expect("a copy")).expect("empty");
        for (slot, count) in [(0, 7), (1, 1 << 40), (0, 8), (2, 3)] {
            accepted.keep(WorkerId::new(slot, 5), count).expect("kept");
        }
        accepted.forget(WorkerId::new(1, 5)).expect("forgotten");
        let mut successor = Accepted::open(file.try_clone().expect("a copy")).expect("the same");
        assert_eq!([0, 1, 2].map(|slot| successor.of(WorkerId::new(slot, 5))), [8, 0, 3]);
        assert_eq!(successor.of(WorkerId::new(0, 6)), 0, "another one");
        successor.keep(WorkerId::new(9, 1), 2).expect("kept");
        successor
            .forget_others(&BTreeSet::from([WorkerId::new(9, 1)]))
            .expect("forgotten");
        let last = Accepted::open(file).expect("the same");
        assert_eq!((last.of(WorkerId::new(9, 1)), last.of(WorkerId::new(0, 5))), (2, 0));
    }
}
