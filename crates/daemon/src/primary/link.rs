//! Our end of one cluster worker's channel: what is sent over it and what became of that.
//!
//! Invariants: a frame goes out whole or not at all; at most one descriptor goes with it; a connection is held here until the
//! worker has taken it.

use ostler_core::{AppId, WorkerId};
use ostler_sys::fdpass::{self, SendError};
use ostler_wire::node_ipc::{Channel, Dialect, ToWorker};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// How many connections a worker may have been given that it has not taken yet.
pub const WINDOW: usize = 8;

/// The longest frame that the kernel surely takes whole.
const MAX_SENT: usize = 32 * 1024;

/// Above so many bytes that may lie unread in the channel, a descriptor is sent only if no other is under way: the worker reads
/// 64 KiB at once, and where that ends within one of two frames with descriptors, one of these is lost
/// (shared facts, protocol section 4).
const STRADDLE: u64 = 60_000;

/// A connection that was given to a worker.
#[derive(Debug)]
pub struct Given {
    seq: u64,
    /// The listener it came from.
    pub key: String,
    /// Our copy.
    pub socket: OwnedFd,
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The channel is full; what was to be sent has to wait.
    Full,
    /// The worker has closed its end.
    Closed,
    /// It is longer than what goes over a channel at once.
    TooLong,
}

/// One worker's channel.
#[derive(Debug)]
pub struct Link {
    pub worker: WorkerId,
    pub app: AppId,
    /// Our end, shared with its deposit.
    pub socket: Arc<OwnedFd>,
    /// What comes from it.
    pub channel: Channel,
    /// Its servers by name, and whether they listen already.
    pub servers: BTreeMap<String, bool>,
    /// Servers it asked a predecessor for and did not say to listen yet. What it said may come once more, or not.
    pub half_told: BTreeSet<String>,
    /// It may be given connections.
    pub admitted: bool,
    /// It has been told to drain.
    pub draining: bool,
    /// It gets nothing before that: it has just given a connection back.
    pub rests_until: Option<Instant>,
    /// Nothing is read before what was read is in the journal: so many bytes are to be taken then.
    pub untaken: usize,
    /// What is to be sent once what was read is in the journal.
    pub after: Vec<Reply>,
    /// The channel was full when last something was sent.
    pub is_full: bool,
    /// The kernel is to tell when there is room.
    pub awaits_room: bool,
    given: VecDeque<Given>,
    /// Frames without a descriptor that wait for room.
    unsent: VecDeque<Vec<u8>>,
    seq: u64,
    /// Bytes sent so far, and up to where the worker is known to have read.
    sent: u64,
    read: u64,
    /// Where frames with descriptors end that are not acknowledged.
    handles: VecDeque<u64>,
}

/// An answer about a listener, to be given when it lies with the keeper.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The question's number.
    pub ack: u64,
    /// The listener's name.
    pub key: String,
}

impl Link {
    /// A channel on which nothing was sent, or by a predecessor. Numbers begin at `epoch`.
    pub fn new(worker: WorkerId, app: AppId, socket: Arc<OwnedFd>, dialect: Dialect, epoch: u64) -> Self {
        Self {
            worker,
            app,
            socket,
            channel: Channel::new(dialect),
            servers: BTreeMap::new(),
            half_told: BTreeSet::new(),
            admitted: false,
            draining: false,
            rests_until: None,
            untaken: 0,
            after: Vec::new(),
            is_full: false,
            awaits_room: false,
            given: VecDeque::new(),
            unsent: VecDeque::new(),
            seq: epoch,
            sent: 0,
            read: 0,
            handles: VecDeque::new(),
        }
    }

    /// How many connections it was given and has not taken, if it may be given one of this listener now.
    pub fn pending_if_free(&self, key: &str) -> Option<usize> {
        let free = self.admitted
            && !self.draining
            && !self.is_full
            && self.rests_until.is_none()
            && self.given.len() < WINDOW
            && self.servers.get(key) == Some(&true)
            && self.may_send_handle();
        free.then_some(self.given.len())
    }

    fn may_send_handle(&self) -> bool {
        self.handles.is_empty() || self.sent - self.read <= STRADDLE
    }

    /// Gives it a connection.
    ///
    /// # Errors
    /// The connection comes back with the reason.
    pub fn give(&mut self, key: &str, socket: OwnedFd) -> Result<(), (OwnedFd, Unsent)> {
        let seq = self.seq;
        match self.send_with(&ToWorker::NewConnection { key }, Some(socket.as_fd())) {
            Ok(()) => {
                self.given.push_back(Given {
                    seq,
                    key: key.to_owned(),
                    socket,
                });
                Ok(())
            }
            Err(reason) => Err((socket, reason)),
        }
    }

    /// Sends a message with a descriptor, now or never.
    pub fn send_with(
        &mut self,
        message: &ToWorker<'_>,
        handle: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> Result<(), Unsent> {
        let frame = self.frame(message);
        if !self.unsent.is_empty() {
            return Err(Unsent::Full);
        }
        self.put(&frame, handle)?;
        self.count(message, frame.len(), handle.is_some());
        Ok(())
    }

    /// Sends a message, now or when there is room.
    pub fn send(&mut self, message: &ToWorker<'_>) -> Result<(), Unsent> {
        let frame = self.frame(message);
        if frame.len() > MAX_SENT {
            return Err(Unsent::TooLong);
        }
        self.count(message, frame.len(), false);
        if self.unsent.is_empty() {
            match self.put(&frame, None) {
                Err(Unsent::Full) => self.unsent.push_back(frame),
                sent => return sent,
            }
        } else {
            self.unsent.push_back(frame);
        }
        Ok(())
    }

    /// There is room in the channel again.
    pub fn flush(&mut self) {
        self.is_full = false;
        while let Some(frame) = self.unsent.pop_front() {
            match self.put(&frame, None) {
                Ok(()) => {}
                Err(Unsent::Full) => return self.unsent.push_front(frame),
                Err(Unsent::Closed | Unsent::TooLong) => self.unsent.clear(),
            }
        }
    }

    fn frame(&self, message: &ToWorker<'_>) -> Vec<u8> {
        let mut frame = Vec::with_capacity(192);
        message.encode(self.seq, self.channel.dialect(), &mut frame);
        frame
    }

    fn count(&mut self, message: &ToWorker<'_>, length: usize, handle: bool) {
        if message.is_numbered() {
            self.seq += 1;
        }
        self.sent += length as u64;
        if handle {
            self.handles.push_back(self.sent);
        }
    }

    fn put(&mut self, frame: &[u8], handle: Option<std::os::fd::BorrowedFd<'_>>) -> Result<(), Unsent> {
        let handles: Vec<_> = handle.into_iter().collect();
        match fdpass::send(&*self.socket, frame, &handles) {
            Ok(()) => Ok(()),
            Err(SendError::Full | SendError::TooManyUnderWay) => {
                self.is_full = true;
                Err(Unsent::Full)
            }
            Err(SendError::Closed) => Err(Unsent::Closed),
            Err(SendError::TooLong(_) | SendError::TooManyDescriptors(_) | SendError::Empty) => Err(Unsent::TooLong),
            Err(SendError::Call(_)) => Err(Unsent::Closed),
        }
    }

    /// A descriptor has arrived.
    pub fn handle_arrived(&mut self) {
        if let Some(end) = self.handles.pop_front() {
            self.read = end;
        }
    }

    /// The worker has taken a connection, or not: then it comes back. Acks of a predecessor's are of no concern.
    pub fn taken(&mut self, seq: u64) -> Option<Given> {
        let position = self.given.iter().position(|given| given.seq == seq)?;
        self.given.remove(position)
    }

    /// What it has not taken and, since it is gone, never will.
    pub fn take_back(&mut self) -> Vec<Given> {
        self.given.drain(..).collect()
    }
}
