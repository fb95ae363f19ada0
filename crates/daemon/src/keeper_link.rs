//! The daemon's side of the keeper: deposits of every vital descriptor, and a copy of each of them for the case that the
//! keeper dies and this daemon has to take its place.
//!
//! A deposit is made before the app behind it may run, and without waiting for an answer: once `sendmsg` has returned, the packet
//! lies in the keeper's socket and outlives this process.

use ostler_sys::fdpass::{self, SendError};
use ostler_wire::keeper::{Key, TableEntry, ToKeeper};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How long one deposit may wait for a keeper that does not read. It only copies descriptors, so a keeper that takes
/// longer is stopped or dead; what could not be sent is sent when it reads again.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// What is kept under one key.
#[derive(Debug, Clone, Default)]
pub struct Deposit {
    /// A few bytes.
    pub data: Vec<u8>,
    /// Descriptors.
    pub descriptors: Vec<std::sync::Arc<OwnedFd>>,
}

/// The link.
#[derive(Debug)]
pub struct KeeperLink {
    socket: std::sync::Arc<OwnedFd>,
    kept: BTreeMap<String, Deposit>,
    unsent: VecDeque<Unsent>,
}

#[derive(Debug)]
struct Unsent {
    packet: Vec<u8>,
    descriptors: Vec<std::sync::Arc<OwnedFd>>,
}

impl KeeperLink {
    /// Over the socket that the keeper gave, with what it handed over.
    pub fn new(socket: std::sync::Arc<OwnedFd>, kept: BTreeMap<String, Deposit>) -> Self {
        Self {
            socket,
            kept,
            unsent: VecDeque::new(),
        }
    }

    /// What lies under a key.
    pub fn get(&self, key: &str) -> Option<&Deposit> {
        self.kept.get(key)
    }

    /// All keys that begin so, with their deposits.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Deposit)> {
        let from = self.kept.range(prefix.to_owned()..);
        from.take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, deposit)| (key.as_str(), deposit))
    }

    /// Deposits descriptors under a key, in place of what was there.
    pub fn deposit(&mut self, key: &str, data: Vec<u8>, descriptors: Vec<OwnedFd>) {
        let descriptors: Vec<_> = descriptors.into_iter().map(std::sync::Arc::new).collect();
        let packet = ToKeeper::Deposit {
            key: Key::new(key),
            data: data.clone(),
        }
        .encode();
        self.send(packet, descriptors.clone());
        self.kept.insert(key.to_owned(), Deposit { data, descriptors });
    }

    /// Takes a deposit back.
    pub fn release(&mut self, key: &str) {
        if self.kept.remove(key).is_some() {
            self.send(ToKeeper::Release { key: Key::new(key) }.encode(), Vec::new());
        }
    }

    /// Says that clients are being answered.
    pub fn ready(&mut self) {
        self.send(ToKeeper::Ready.encode(), Vec::new());
    }

    /// Says that this daemon's end is meant, and with which exit code the keeper is to end.
    pub fn farewell(&mut self, code: u8) {
        self.send(ToKeeper::Farewell { code }.encode(), Vec::new());
    }

    /// Sends what an unresponsive keeper did not take before, if it takes it now.
    pub fn flush(&mut self) {
        while let Some(unsent) = self.unsent.pop_front() {
            if self.try_send(&unsent.packet, &unsent.descriptors) == Sent::Later {
                self.unsent.push_front(unsent);
                return;
            }
        }
    }

    fn send(&mut self, packet: Vec<u8>, descriptors: Vec<std::sync::Arc<OwnedFd>>) {
        self.flush();
        let waits_for_others = !self.unsent.is_empty();
        if waits_for_others
            || self.try_send(&packet, &descriptors) == Sent::Later && !self.patiently(&packet, &descriptors)
        {
            self.unsent.push_back(Unsent { packet, descriptors });
        }
    }

    fn patiently(&self, packet: &[u8], descriptors: &[std::sync::Arc<OwnedFd>]) -> bool {
        let mut writable = [PollFd::new(&self.socket, PollFlags::OUT)];
        let _ = poll(&mut writable, Some(&PATIENCE));
        self.try_send(packet, descriptors) == Sent::Done
    }

    fn try_send(&self, packet: &[u8], descriptors: &[std::sync::Arc<OwnedFd>]) -> Sent {
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
        match fdpass::send(self.socket.as_fd(), packet, &borrowed) {
            Err(SendError::Full | SendError::TooManyUnderWay) => Sent::Later,
            // A dead keeper: its end of file is on the way, and with it the take-over, which uses `kept`.
            Ok(()) | Err(_) => Sent::Done,
        }
    }

    /// Everything kept, as rows of the table for this process's next life as keeper.
    pub fn entries(&self) -> Vec<TableEntry> {
        self.kept.iter().map(|(key, deposit)| entry(key, deposit)).collect()
    }

    /// Every descriptor kept.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.kept
            .values()
            .flat_map(|deposit| deposit.descriptors.iter().map(|descriptor| descriptor.as_fd()))
    }
}

fn entry(key: &str, deposit: &Deposit) -> TableEntry {
    let descriptors = deposit.descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    TableEntry {
        key: Key::new(key),
        data: deposit.data.clone(),
        descriptors,
    }
}

#[derive(PartialEq, Eq)]
enum Sent {
    Done,
    Later,
}
