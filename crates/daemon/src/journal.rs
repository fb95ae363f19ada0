//! What a daemon must not forget when it is killed, in a memfd of which the keeper holds a copy.
//!
//! A key-value store written as a log: each change is appended, then the committed length in the header is moved
//! over it. A SIGKILL between the two leaves a tail that nobody reads. Only memory is written, so a full disk or a slow
//! one does not matter; what must survive the machine's death is the saved list (`state`).
//!
//! Called by the reactor alone. Invariant: the index names the newest value of each live key.

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{pread, pwrite};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

const MAGIC: [u8; 8] = *b"ostler\x00\x01";
const HEADER: u64 = 16;
/// Bytes of record before key and value: kind, key length, value length.
const PREFIX: usize = 1 + 2 + 4;
const PUT: u8 = 1;
const REMOVE: u8 = 2;
/// Below this much waste the log is left as it is.
const COMPACT_ABOVE: u64 = 1024 * 1024;

/// The journal.
#[derive(Debug)]
pub struct Journal {
    memfd: OwnedFd,
    length: u64,
    live: u64,
    index: BTreeMap<String, Span>,
    buffer: Vec<u8>,
}

/// Where a value lies in the memfd.
#[derive(Clone, Copy, Debug)]
struct Span {
    offset: u64,
    length: u32,
    record: u64,
}

impl Journal {
    /// An empty journal in a new memfd.
    ///
    /// # Errors
    /// What `memfd_create(2)` or `pwrite(2)` give.
    pub fn create() -> io::Result<Self> {
        let memfd = memfd_create(c"ostler-journal", MemfdFlags::CLOEXEC)?;
        let mut journal = Self {
            memfd,
            length: HEADER,
            live: 0,
            index: BTreeMap::new(),
            buffer: Vec::new(),
        };
        write_all(&journal.memfd, &MAGIC, 0)?;
        journal.commit()?;
        Ok(journal)
    }

    /// A predecessor's journal.
    ///
    /// # Errors
    /// What `pread(2)` gives, or `InvalidData` if the memfd holds no journal.
    pub fn open(memfd: OwnedFd) -> io::Result<Self> {
        let mut header = [0; HEADER as usize];
        read_exact(&memfd, &mut header, 0)?;
        let (magic, length) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the journal has no header"));
        }
        let length = u64::from_le_bytes(
            length
                .try_into()
                .expect("invariant: the header's second half is 8 bytes"),
        );
        let mut journal = Self {
            memfd,
            length: HEADER,
            live: 0,
            index: BTreeMap::new(),
            buffer: Vec::new(),
        };
        while journal.length < length {
            journal.replay_one(length)?;
        }
        Ok(journal)
    }

    /// The memfd, to be handed to the keeper. Changes when [`compact`](Self::compact) says so.
    pub fn memfd(&self) -> &OwnedFd {
        &self.memfd
    }

    /// Adds a change; it is kept from the next [`commit`](Self::commit) on.
    pub fn put(&mut self, key: &str, value: &[u8]) {
        let record = (PREFIX + key.len() + value.len()) as u64;
        let start = self.length + self.buffer.len() as u64;
        let length = self.append(PUT, key, value);
        let span = Span {
            offset: start + (PREFIX + key.len()) as u64,
            length,
            record,
        };
        self.live += record;
        if let Some(old) = self.index.insert(key.to_owned(), span) {
            self.live -= old.record;
        }
    }

    /// Forgets a key, from the next [`commit`](Self::commit) on.
    pub fn remove(&mut self, key: &str) {
        if let Some(old) = self.index.remove(key) {
            self.live -= old.record;
            self.append(REMOVE, key, &[]);
        }
    }

    /// Makes everything added so far count.
    ///
    /// # Errors
    /// What `pwrite(2)` gives (`ENOSPC` if memory is short).
    pub fn commit(&mut self) -> io::Result<()> {
        write_all(&self.memfd, &self.buffer, self.length)?;
        let length = self.length + self.buffer.len() as u64;
        write_all(&self.memfd, &length.to_le_bytes(), MAGIC.len() as u64)?;
        self.length = length;
        self.buffer.clear();
        self.buffer.shrink_to(64 * 1024);
        Ok(())
    }

    /// Rewrites the journal into a new memfd if most of it is outdated. True when it did: the new
    /// [`memfd`](Self::memfd) must then be deposited before the next change.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit); the old memfd stays in use then.
    pub fn compact(&mut self) -> io::Result<bool> {
        if self.length < COMPACT_ABOVE + HEADER + 2 * self.live {
            return Ok(false);
        }
        let mut fresh = Self::create()?;
        for (key, value) in self.entries()? {
            fresh.put(&key, &value);
        }
        fresh.commit()?;
        *self = fresh;
        Ok(true)
    }

    /// Every live key with its value, by key.
    ///
    /// # Errors
    /// What `pread(2)` gives.
    pub fn entries(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.index
            .iter()
            .map(|(key, span)| Ok((key.clone(), self.value(*span)?)))
            .collect()
    }

    fn value(&self, span: Span) -> io::Result<Vec<u8>> {
        let mut value = vec![0; span.length as usize];
        read_exact(&self.memfd, &mut value, span.offset)?;
        Ok(value)
    }

    fn append(&mut self, kind: u8, key: &str, value: &[u8]) -> u32 {
        let key_length = u16::try_from(key.len()).expect("invariant: journal keys are short");
        let length = u32::try_from(value.len()).expect("invariant: journal values are below 4 GiB");
        self.buffer.push(kind);
        self.buffer.extend_from_slice(&key_length.to_le_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(value);
        length
    }

    fn replay_one(&mut self, end: u64) -> io::Result<()> {
        let mut prefix = [0; PREFIX];
        read_exact(&self.memfd, &mut prefix, self.length)?;
        let key_length = u16::from_le_bytes([prefix[1], prefix[2]]);
        let length = u32::from_le_bytes([prefix[3], prefix[4], prefix[5], prefix[6]]);
        let mut key = vec![0; usize::from(key_length)];
        read_exact(&self.memfd, &mut key, self.length + PREFIX as u64)?;
        let key = String::from_utf8(key).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let offset = self.length + PREFIX as u64 + u64::from(key_length);
        let record = PREFIX as u64 + u64::from(key_length) + u64::from(length);
        if self.length + record > end {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a journal record is cut short",
            ));
        }
        self.length += record;
        let old = match prefix[0] {
            PUT => {
                self.live += record;
                self.index.insert(key, Span { offset, length, record })
            }
            _ => self.index.remove(&key),
        };
        self.live -= old.map_or(0, |span| span.record);
        Ok(())
    }
}

fn write_all(fd: impl AsFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = pwrite(fd.as_fd(), bytes, offset)?;
        offset += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}

fn read_exact(fd: impl AsFd, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = pread(fd.as_fd(), &mut *buffer, offset)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the journal is shorter than it says",
            ));
        }
        offset += read as u64;
        buffer = &mut buffer[read..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::io::dup;

    fn reopened(journal: &Journal) -> Journal {
        Journal::open(dup(journal.memfd()).expect("dup")).expect("open")
    }

    fn content(journal: &Journal) -> BTreeMap<String, Vec<u8>> {
        journal.entries().expect("entries").into_iter().collect()
    }

    #[test]
    fn what_was_not_committed_is_not_there() {
        let mut journal = Journal::create().expect("create");
        journal.put("a", b"1");
        journal.commit().expect("commit");
        journal.put("a", b"2");
        assert_eq!(
            content(&reopened(&journal)),
            BTreeMap::from([("a".to_owned(), b"1".to_vec())])
        );
    }

    #[test]
    fn a_half_written_tail_is_not_read() {
        let mut journal = Journal::create().expect("create");
        journal.put("a", b"1");
        journal.commit().expect("commit");
        write_all(journal.memfd(), b"\x01garbage", journal.length).expect("write");
        assert_eq!(
            content(&reopened(&journal)),
            BTreeMap::from([("a".to_owned(), b"1".to_vec())])
        );
    }

    #[test]
    fn compaction_keeps_what_lives_and_drops_what_does_not() {
        let mut journal = Journal::create().expect("create");
        let value = vec![7; 100_000];
        for _ in 0..30 {
            journal.put("big", &value);
            journal.commit().expect("commit");
        }
        assert!(journal.compact().expect("compact"));
        assert!(journal.length < 200_000, "{}", journal.length);
        assert_eq!(
            content(&reopened(&journal)),
            BTreeMap::from([("big".to_owned(), value)])
        );
        assert!(!journal.compact().expect("compact"), "there is nothing left to gain");
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let memfd = memfd_create(c"not-a-journal", MemfdFlags::CLOEXEC).expect("memfd");
        write_all(&memfd, &[9; 64], 0).expect("write");
        assert_eq!(
            Journal::open(memfd).expect_err("no journal").kind(),
            io::ErrorKind::InvalidData
        );
    }

    proptest! {
        #[test]
        fn a_successor_reads_what_was_committed(changes in proptest::collection::vec(("[a-d]", proptest::option::of("[a-z]{0,20}")), 0..60)) {
            let mut journal = Journal::create().expect("create");
            let mut model = BTreeMap::new();
            for (key, value) in changes {
                match value {
                    Some(value) => { journal.put(&key, value.as_bytes()); model.insert(key, value.into_bytes()); }
                    None => { journal.remove(&key); model.remove(&key); }
                }
                journal.commit().expect("commit");
            }
            prop_assert_eq!(content(&journal), model.clone());
            prop_assert_eq!(content(&reopened(&journal)), model);
        }
    }
}
