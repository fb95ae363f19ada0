//! Who was given which connection, and which of them are still open. We know the first, the kernel the second: an app does not
//! tell when a connection closes. So connections are written down when they are given, and struck out when a count of the
//! kernel's, asked for afterwards, does not have them.

use crate::ids::WorkerId;
use std::collections::{BTreeMap, BTreeSet};

/// How often it is asked who holds a connection that we have not given anybody: it may be on its way to a worker.
const LOOKS: u8 = 3;

/// How many connections are written down, beyond twice those that were open, before they have to be counted.
const SLACK: usize = 4096;

/// The connections of an app, by the inode of their sockets, which is the same for all copies of one and in the kernel's tables.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<u64, Entry>,
    open: BTreeMap<WorkerId, u64>,
    /// What is open and belongs to nobody we know, and how often it was asked whose it is.
    strangers: BTreeMap<u64, u8>,
    /// Counts begun so far.
    counts: u64,
    /// How many were open at the last count.
    counted: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    worker: WorkerId,
    /// After how many counts were begun it was given.
    since: u64,
}

impl Ledger {
    /// A worker is given a connection.
    pub fn give(&mut self, connection: u64, worker: WorkerId) {
        self.strike(connection);
        let since = self.counts;
        self.entries.insert(connection, Entry { worker, since });
        *self.open.entry(worker).or_default() += 1;
    }

    /// A connection is nobody's: its worker has given it back, or it is closed.
    pub fn strike(&mut self, connection: u64) {
        if let Some(entry) = self.entries.remove(&connection)
            && let Some(open) = self.open.get_mut(&entry.worker)
        {
            *open -= 1;
        }
    }

    /// A worker is gone, and with it what it had.
    pub fn forget(&mut self, worker: WorkerId) {
        self.entries.retain(|_, entry| entry.worker != worker);
        self.open.remove(&worker);
    }

    /// How many connections a worker has, by what is known.
    pub fn open(&self, worker: WorkerId) -> u64 {
        self.open.get(&worker).copied().unwrap_or(0)
    }

    /// Whether so much was written down since the last count that it is time for one.
    pub fn is_full(&self) -> bool {
        self.entries.len() > 2 * self.counted + SLACK
    }

    /// A count of the kernel's is asked for. Gives its number, for [`settle`](Self::settle).
    pub fn begin(&mut self) -> u64 {
        self.counts += 1;
        self.counts
    }

    /// The count of that number is there: strikes out what it does not have and was given before. Gives those that it has and
    /// nobody was given: they were given by a predecessor, or accepted by workers themselves.
    pub fn settle(&mut self, number: u64, open: &BTreeSet<u64>) -> Vec<u64> {
        let closed = self
            .entries
            .iter()
            .filter(|(inode, entry)| entry.since < number && !open.contains(inode));
        let closed: Vec<u64> = closed.map(|(inode, _)| *inode).collect();
        closed.into_iter().for_each(|inode| self.strike(inode));
        self.strangers.retain(|inode, _| open.contains(inode));
        self.counted = self.entries.len();
        let (entries, strangers) = (&self.entries, &self.strangers);
        let unknown = open.iter().filter(|inode| {
            let looks = strangers.get(*inode).copied().unwrap_or(0);
            !entries.contains_key(inode) && looks < LOOKS
        });
        unknown.copied().collect()
    }

    /// It was asked who holds these: those found are written down, of the others it is asked again at the next counts, a few times.
    pub fn claim(&mut self, asked: &[u64], found: &BTreeMap<u64, WorkerId>) {
        for inode in asked {
            match found.get(inode) {
                // What was given meanwhile is known better.
                Some(_) if self.entries.contains_key(inode) => {}
                Some(worker) => {
                    self.strangers.remove(inode);
                    self.give(*inode, *worker);
                }
                None => *self.strangers.entry(*inode).or_default() += 1,
            }
        }
    }
}
