//! Numbers in memory that a successor gets: a file (`memfd_create(2)`) of records of equal size, each a tag and some numbers of 64 bits. There
//! is one of each worker, and one of all workers together that have ended of what they belong to: a slot, an app.
//!
//! Used for what is counted while things go on, and what nobody may see shrink when a daemon is killed: connections taken, requests answered.
//! The journal is for decisions; it would be rewritten at each connection.

use ostler_core::WorkerId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Of whom a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// One worker.
    Worker(WorkerId),
    /// Those that have ended of the slot or app with this number.
    Ended(u32),
}

/// See the module's header. A tag of 0 is a place that is free.
#[derive(Debug)]
pub struct Records<const WORDS: usize> {
    file: File,
    places: BTreeMap<Of, u64>,
    free: Vec<u64>,
    length: u64,
}

/// What was found.
pub type Found<const WORDS: usize> = BTreeMap<Of, [u64; WORDS]>;

impl<const WORDS: usize> Records<WORDS> {
    /// Bytes of a record.
    const SIZE: usize = 8 * (WORDS + 1);

    /// New ones under a name that only diagnosis sees, and the descriptor for a successor.
    ///
    /// # Errors
    /// `memfd_create(2)`, `fcntl(2)`: no descriptors or no memory.
    pub fn create(name: &str) -> io::Result<(Self, OwnedFd)> {
        let file = ostler_sys::memfd::create(name)?;
        let copy = file.as_fd().try_clone_to_owned()?;
        let (records, _none) = Self::open(file)?;
        Ok((records, copy))
    }

    /// In a file that is empty, or a predecessor's.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn open(mut file: File) -> io::Result<(Self, Found<WORDS>)> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let (mut places, mut free, mut found) = (BTreeMap::new(), Vec::new(), Found::new());
        let mut length = 0;
        for (index, record) in (0..).zip(bytes.chunks_exact(Self::SIZE)) {
            let mut words = record.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            match Of::tagged(words.next().unwrap_or_default()) {
                None => free.push(index),
                Some(of) => {
                    places.insert(of, index);
                    found.insert(of, std::array::from_fn(|_| words.next().unwrap_or_default()));
                }
            }
            length = index + 1;
        }
        let records = Self {
            file,
            places,
            free,
            length,
        };
        Ok((records, found))
    }

    /// Writes what is of somebody from now on.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn write(&mut self, of: Of, words: &[u64; WORDS]) -> io::Result<()> {
        let index = self.places.get(&of).copied();
        let index = index.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.length += 1;
            self.length - 1
        });
        self.places.insert(of, index);
        let mut record = Vec::with_capacity(Self::SIZE);
        record.extend(of.tag().to_ne_bytes());
        record.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        self.file.write_all_at(&record, index * Self::SIZE as u64)
    }

    /// A worker has ended: so much is now of those that have ended of what it belonged to.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn end(&mut self, worker: WorkerId, belongs_to: u32, ended: &[u64; WORDS]) -> io::Result<()> {
        // Killed between the two, the worker counts twice, or not at all: what was shown must not shrink.
        self.write(Of::Ended(belongs_to), ended)?;
        self.remove(Of::Worker(worker))
    }

    /// Lets go of what is of somebody.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn remove(&mut self, of: Of) -> io::Result<()> {
        let Some(index) = self.places.remove(&of) else {
            return Ok(());
        };
        self.free.push(index);
        self.file.write_all_at(&0_u64.to_ne_bytes(), index * Self::SIZE as u64)
    }
}

impl Of {
    /// The tags of those that have ended begin here, those of workers are below: there are fewer slots than half of all numbers.
    const ENDED: u64 = 1 << 63;

    /// As a number that is not 0.
    fn tag(self) -> u64 {
        match self {
            Self::Worker(worker) => u64::from(worker.slot.0 + 1) << 32 | u64::from(worker.generation.0),
            Self::Ended(number) => Self::ENDED | u64::from(number),
        }
    }

    /// Whose tag it is.
    fn tagged(tag: u64) -> Option<Self> {
        let half = |half: u64| u32::try_from(half & 0xffff_ffff).ok();
        if tag & Self::ENDED != 0 {
            return half(tag).map(Self::Ended);
        }
        let slot = half(tag >> 32)?.checked_sub(1)?;
        Some(Self::Worker(WorkerId::new(slot, half(tag)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_tag_and_nobody_the_same() {
        let of = [
            Of::Worker(WorkerId::new(0, 0)),
            Of::Worker(WorkerId::new(0, u32::MAX)),
            Of::Worker(WorkerId::new(7, 1)),
            Of::Ended(0),
            Of::Ended(u32::MAX),
        ];
        assert_eq!(of.map(|of| Of::tagged(of.tag())), of.map(Some));
        assert_eq!(Of::tagged(0), None);
    }

    #[test]
    fn a_successor_finds_what_was_written_last() {
        let file = ostler_sys::memfd::create("records").expect("a file");
        let copy = || file.try_clone().expect("a copy");
        let (mut records, found) = Records::<2>::open(copy()).expect("empty");
        assert!(found.is_empty());
        let of = |slot| Of::Worker(WorkerId::new(slot, 3));
        for (slot, words) in [(7, [1, 2]), (8, [3, 4]), (7, [5, 6]), (9, [7, 8])] {
            records.write(of(slot), &words).expect("written");
        }
        records.remove(of(8)).expect("removed");
        records.remove(of(8)).expect("gone already");
        let (mut successor, found) = Records::<2>::open(copy()).expect("the same");
        assert_eq!(found, BTreeMap::from([(of(7), [5, 6]), (of(9), [7, 8])]));
        // The place of one that is gone is taken by the next.
        successor.end(WorkerId::new(5, 3), 10, &[9, 9]).expect("written");
        assert_eq!(file.metadata().expect("a size").len(), 3 * 24);
        let (_, found) = Records::<2>::open(copy()).expect("the same");
        assert_eq!(found.get(&Of::Ended(10)), Some(&[9, 9]));
        assert_eq!(found.len(), 3);
    }
}
