//! Numbers in memory that a successor gets: a file (`memfd_create(2)`) of records of equal size, each a tag and some numbers of 64 bits.
//!
//! Used for what is counted while things go on, and what nobody may see shrink when a daemon is killed: connections taken, requests answered.
//! The journal is for decisions; it would be rewritten at each connection.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// See the module's header. A tag of 0 is a place that is free.
#[derive(Debug)]
pub struct Records<const WORDS: usize> {
    file: File,
    places: BTreeMap<u64, u64>,
    free: Vec<u64>,
    length: u64,
}

/// What was found, by tag.
pub type Found<const WORDS: usize> = BTreeMap<u64, [u64; WORDS]>;

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
            match words.next().unwrap_or_default() {
                0 => free.push(index),
                tag => {
                    places.insert(tag, index);
                    found.insert(tag, std::array::from_fn(|_| words.next().unwrap_or_default()));
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

    /// Writes what is under a tag from now on.
    ///
    /// # Errors
    /// `write(2)`: no memory.
    pub fn write(&mut self, tag: u64, words: &[u64; WORDS]) -> io::Result<()> {
        let index = self.places.get(&tag).copied();
        let index = index.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.length += 1;
            self.length - 1
        });
        self.places.insert(tag, index);
        let mut record = Vec::with_capacity(Self::SIZE);
        record.extend(tag.to_ne_bytes());
        record.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        self.file.write_all_at(&record, index * Self::SIZE as u64)
    }

    /// Lets go of what is under a tag.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn remove(&mut self, tag: u64) -> io::Result<()> {
        let Some(index) = self.places.remove(&tag) else {
            return Ok(());
        };
        self.free.push(index);
        self.file.write_all_at(&0_u64.to_ne_bytes(), index * Self::SIZE as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_finds_what_was_written_last() {
        let file = ostler_sys::memfd::create("records").expect("a file");
        let copy = || file.try_clone().expect("a copy");
        let (mut records, found) = Records::<2>::open(copy()).expect("empty");
        assert!(found.is_empty());
        for (tag, words) in [(7, [1, 2]), (8, [3, 4]), (7, [5, 6]), (9, [7, 8])] {
            records.write(tag, &words).expect("written");
        }
        records.remove(8).expect("removed");
        records.remove(8).expect("gone already");
        let (mut successor, found) = Records::<2>::open(copy()).expect("the same");
        assert_eq!(found, BTreeMap::from([(7, [5, 6]), (9, [7, 8])]));
        // The place of one that is gone is taken by the next.
        successor.write(10, &[9, 9]).expect("written");
        assert_eq!(file.metadata().expect("a size").len(), 3 * 24);
        let (_, found) = Records::<2>::open(copy()).expect("the same");
        assert_eq!(found.get(&10), Some(&[9, 9]));
        assert_eq!(found.len(), 3);
    }
}
