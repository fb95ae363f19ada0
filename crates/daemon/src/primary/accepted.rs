//! How many connections each worker has taken in its life, in memory that a successor gets: a file of records of 16 bytes, slot + 1
//! (0: free), generation, count.

use ostler_core::{Generation, SlotId, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;

/// The key of its deposit.
pub const ACCEPTED: &str = "accepted";

const RECORD: usize = 16;

/// See the module's header.
#[derive(Debug)]
pub struct Accepted {
    file: File,
    records: BTreeMap<WorkerId, Record>,
    free: Vec<u64>,
    length: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    index: u64,
    count: u64,
}

impl Accepted {
    /// In a file that is empty, or a predecessor's.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn open(mut file: File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let (mut records, mut free) = (BTreeMap::new(), Vec::new());
        let mut length = 0;
        for (index, record) in (0..).zip(bytes.as_chunks::<RECORD>().0) {
            match decode(record) {
                Some((worker, count)) => drop(records.insert(worker, Record { index, count })),
                None => free.push(index),
            }
            length = index + 1;
        }
        Ok(Self {
            file,
            records,
            free,
            length,
        })
    }

    /// How many a worker has taken.
    pub fn of(&self, worker: WorkerId) -> u64 {
        self.records.get(&worker).map_or(0, |record| record.count)
    }

    /// Forgets all but these workers: others have ended while nobody was there to see it.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn forget_others(&mut self, alive: &BTreeSet<WorkerId>) -> io::Result<()> {
        let gone = self.records.keys().filter(|worker| !alive.contains(worker));
        let gone: Vec<WorkerId> = gone.copied().collect();
        gone.into_iter().try_for_each(|worker| self.forget(worker))
    }

    /// Keeps how many a worker has taken.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn keep(&mut self, worker: WorkerId, count: u64) -> io::Result<()> {
        let index = self.records.get(&worker).map(|record| record.index);
        let index = index.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.length += 1;
            self.length - 1
        });
        self.records.insert(worker, Record { index, count });
        self.write(index, &encode(worker, count))
    }

    /// A worker is gone.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn forget(&mut self, worker: WorkerId) -> io::Result<()> {
        let Some(record) = self.records.remove(&worker) else {
            return Ok(());
        };
        self.free.push(record.index);
        self.write(record.index, &[0; RECORD])
    }

    fn write(&self, index: u64, record: &[u8; RECORD]) -> io::Result<()> {
        self.file.write_all_at(record, index * RECORD as u64)
    }
}

fn encode(worker: WorkerId, count: u64) -> [u8; RECORD] {
    let identity = u64::from(worker.slot.0 + 1) << 32 | u64::from(worker.generation.0);
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&identity.to_ne_bytes());
    record[8..].copy_from_slice(&count.to_ne_bytes());
    record
}

fn decode(record: &[u8; RECORD]) -> Option<(WorkerId, u64)> {
    let (identity, count) = record.split_at(8);
    let identity = u64::from_ne_bytes(identity.try_into().ok()?);
    let half = |half: u64| u32::try_from(half & 0xffff_ffff).ok();
    let worker = WorkerId {
        slot: SlotId(half(identity >> 32)?.checked_sub(1)?),
        generation: Generation(half(identity)?),
    };
    Some((worker, u64::from_ne_bytes(count.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(slot: u32, generation: u32) -> WorkerId {
        WorkerId {
            slot: SlotId(slot),
            generation: Generation(generation),
        }
    }

    #[test]
    fn a_successor_knows_what_each_worker_had_taken() {
        let file = ostler_sys::memfd::create("accepted").expect("a file");
        let mut accepted = Accepted::open(file.try_clone().expect("a copy")).expect("empty");
        for (slot, count) in [(0, 7), (1, 1 << 40), (0, 8), (2, 3)] {
            accepted.keep(worker(slot, 5), count).expect("kept");
        }
        accepted.forget(worker(1, 5)).expect("forgotten");
        let mut successor = Accepted::open(file.try_clone().expect("a copy")).expect("the same");
        assert_eq!([0, 1, 2].map(|slot| successor.of(worker(slot, 5))), [8, 0, 3]);
        assert_eq!(successor.of(worker(0, 6)), 0, "another one");
        // The place of one that is gone is taken by the next.
        successor.keep(worker(9, 1), 2).expect("kept");
        assert_eq!(file.metadata().expect("a size").len(), 3 * RECORD as u64);
        successor
            .forget_others(&BTreeSet::from([worker(9, 1)]))
            .expect("forgotten");
        let last = Accepted::open(file).expect("the same");
        assert_eq!((last.of(worker(9, 1)), last.of(worker(0, 5))), (2, 0));
    }
}
