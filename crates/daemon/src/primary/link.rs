//! Our end of one cluster worker's channel: what is sent over it and what became of that.
//!
//! Invariants: a frame goes out whole or not at all; at most one descriptor goes with it; a connection is held here until the
//! worker has taken it.

use super::unfinished::Unfinished;
use ostler_core::balance::{Candidate, Shares};
use ostler_core::{AppId, Balance, Pid, Runtime, WorkerId};
use ostler_sys::connections;
use ostler_sys::fdpass::{self, SendError};
use ostler_wire::control::Handled;
use ostler_wire::node_ipc::{Channel, Dialect, ToWorker};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a worker may leave a connection untaken before its clients are somebody else's.
const STALL: Duration = Duration::from_secs(1);

/// How often is looked whether a worker has read what has to be read before a descriptor may follow.
const READ_LOOK: Duration = Duration::from_millis(1);

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
    at: Instant,
    /// The listener it came from.
    pub key: String,
    /// By what it is known in the ledger.
    pub inode: Option<u64>,
    /// Our copy.
    pub socket: OwnedFd,
}

/// A message that goes with a connection.
#[derive(Debug)]
pub struct Prepared {
    key: String,
    frame: Vec<u8>,
    seq: u64,
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

/// A worker of a cluster, as the primary has to know it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Which.
    pub worker: WorkerId,
    /// Of which app.
    pub app: AppId,
    /// Its instance number.
    pub instance: u32,
    /// Its main process.
    pub pid: Pid,
    /// How its app wants connections to be shared.
    pub balance: Balance,
    /// It tells by itself when it has drained.
    pub preload: bool,
    /// What it is run by.
    pub runtime: Option<Runtime>,
}

/// One worker's channel.
#[derive(Debug)]
pub struct Link {
    pub worker: WorkerId,
    pub app: AppId,
    pub instance: u32,
    pub pid: Pid,
    pub balance: Balance,
    pub preload: bool,
    /// Its run time loses a descriptor that it reads together with plain bytes in front of it (Deno 2.9).
    keeps_apart: bool,
    /// What lies in the channel has to be read before a descriptor may follow; when that is looked at next. At first so, since we
    /// do not know what a predecessor has sent.
    pub until_read: Option<Instant>,
    /// Since when it is waited for that.
    unread_since: Instant,
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
    /// But not now: it stands still for somebody.
    pub paused: bool,
    /// It has been told to drain.
    pub draining: bool,
    /// It drains since then, and it is for us to find out when it has drained.
    pub drains_since: Option<Instant>,
    /// How many connections it had left then, at the last count.
    pub left: Option<u64>,
    /// In how many counts since then it had no connection, one after the other.
    pub empty_counts: u8,
    /// What came of the connections it was handed in its life, and what a successor knows of that.
    pub handled: Handled,
    pub kept_handled: Handled,
    /// It gets nothing before that: it has just given a connection back.
    pub rests_until: Option<Instant>,
    /// Nothing is read before what was read is in the journal: so many bytes are to be taken then.
    pub untaken: usize,
    /// Where what is taken of a message goes that has not ended; none before there was one.
    pub unfinished: Option<Unfinished>,
    /// What is to be sent once what was read is in the journal.
    pub after: Vec<Reply>,
    /// That will be when somebody has found out who has an address.
    pub awaits_explanation: bool,
    /// The channel was full when last something was sent.
    pub is_full: bool,
    /// The kernel is to tell when there is room.
    pub awaits_room: bool,
    given: VecDeque<Given>,
    /// Connections of probes that it has not taken yet, and who waits for that.
    probes: Vec<(u64, oneshot::Sender<bool>)>,
    /// When it last took something of it.
    took: Option<Instant>,
    /// Frames without a descriptor that wait for room.
    unsent: VecDeque<Vec<u8>>,
    seq: u64,
    /// Bytes sent so far, and up to where the worker is known to have read.
    sent: u64,
    read: u64,
    /// Where frames with descriptors end that are not acknowledged.
    handles: VecDeque<u64>,
}

/// An answer about a listener, to be given when what it rests on is kept.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The question's number.
    pub ack: u64,
    /// The listener's name.
    pub key: String,
    /// Why there is none, and what the worker sent along.
    pub refused: Option<(Errno, serde_json::Value)>,
}

impl Link {
    /// A channel on which nothing was sent, or by a predecessor. Numbers begin at `epoch`.
    pub fn new(member: Member, socket: Arc<OwnedFd>, dialect: Dialect, epoch: u64) -> Self {
        Self {
            worker: member.worker,
            app: member.app,
            instance: member.instance,
            pid: member.pid,
            balance: member.balance,
            preload: member.preload,
            keeps_apart: member.runtime == Some(Runtime::Deno),
            until_read: Some(Instant::now()),
            unread_since: Instant::now(),
            socket,
            channel: Channel::new(dialect),
            servers: BTreeMap::new(),
            half_told: BTreeSet::new(),
            admitted: false,
            paused: false,
            draining: false,
            drains_since: None,
            left: None,
            empty_counts: 0,
            handled: Handled::default(),
            kept_handled: Handled::default(),
            rests_until: None,
            untaken: 0,
            unfinished: None,
            after: Vec::new(),
            awaits_explanation: false,
            is_full: false,
            awaits_room: false,
            given: VecDeque::new(),
            probes: Vec::new(),
            took: None,
            unsent: VecDeque::new(),
            seq: epoch,
            sent: 0,
            read: 0,
            handles: VecDeque::new(),
        }
    }

    /// How it stands for connections of this listener, of which workers had these shares, with so many connections open.
    pub fn candidate(&self, key: &str, shares: &Shares, open: Option<u64>, now: Instant) -> Candidate {
        let silent = self.silent_since().map(|since| now.saturating_duration_since(since));
        let given = self.given.front().map(|given| given.at);
        // What lies in the channel may be connections that a predecessor gave.
        let oldest = given.or(self.until_read.and(Some(self.unread_since)));
        Candidate {
            worker: self.worker,
            instance: self.instance,
            in_rotation: self.is_in_rotation(key),
            rests: self.rests_until.is_some(),
            stalls: oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) > STALL),
            is_writable: !self.is_full && self.may_send_handle(),
            untaken: self.given.len(),
            is_awaited: silent.is_some_and(|silent| shares.waits_for(self.worker, silent)),
            behind: shares.behind(self.worker),
            open,
        }
    }

    /// Whether connections of this listener may go to it.
    pub fn is_in_rotation(&self, key: &str) -> bool {
        self.admitted && !self.paused && !self.draining && self.servers.get(key) == Some(&true)
    }

    /// Since when it has taken nothing of what it was given; nothing if it has taken all.
    pub fn silent_since(&self) -> Option<Instant> {
        let given = self.given.front()?.at;
        Some(self.took.map_or(given, |took| took.max(given)))
    }

    /// For how long it has had nothing to take; not at all if it has something.
    pub fn idle(&self, now: Instant) -> Duration {
        match self.took {
            _ if !self.given.is_empty() => Duration::ZERO,
            Some(took) => now.saturating_duration_since(took),
            None => Duration::MAX,
        }
    }

    /// Whether nothing is on its way to it.
    pub fn has_taken_all(&self) -> bool {
        self.given.is_empty()
    }

    fn may_send_handle(&self) -> bool {
        self.until_read.is_none() && (self.handles.is_empty() || self.sent - self.read <= STRADDLE)
    }

    /// Looks whether what had to be read first has been.
    pub fn look_whether_read(&mut self, now: Instant) {
        if self.until_read.is_some_and(|until| until <= now) {
            // A channel that cannot be asked is closed, which shows elsewhere.
            let is_read = fdpass::unread_by_peer(&*self.socket).map_or(true, |unread| unread == 0);
            self.until_read = (!is_read).then(|| now + READ_LOOK);
        }
    }

    /// What goes with a connection, made before there is one: a connection is ours alone until it is sent.
    pub fn prepare(&self, key: &str) -> Prepared {
        let message = ToWorker::NewConnection { key };
        let frame = self.frame(&message);
        Prepared {
            key: key.to_owned(),
            frame,
            seq: self.seq,
        }
    }

    /// Gives it a connection, with what was prepared after the last message to it; the inode is what the ledger knows it by.
    ///
    /// # Errors
    /// The connection comes back with the reason.
    pub fn give(&mut self, prepared: Prepared, socket: OwnedFd) -> Result<Option<u64>, (OwnedFd, Unsent)> {
        let Prepared { key, frame, seq } = prepared;
        if !self.unsent.is_empty() || seq != self.seq {
            return Err((socket, Unsent::Full));
        }
        if let Err(reason) = self.put(&frame, Some(socket.as_fd())) {
            return Err((socket, reason));
        }
        self.count(&ToWorker::NewConnection { key: &key }, frame.len(), true);
        let inode = connections::inode(&socket).ok();
        self.given.push_back(Given {
            seq,
            at: Instant::now(),
            key,
            inode,
            socket,
        });
        Ok(inode)
    }

    /// Sends a message with a descriptor, now or never.
    pub fn send_with(&mut self, message: &ToWorker<'_>, handle: Option<BorrowedFd<'_>>) -> Result<(), Unsent> {
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
        } else if self.keeps_apart {
            let now = Instant::now();
            if self.until_read.is_none() {
                self.unread_since = now;
            }
            self.until_read = Some(now);
        }
    }

    fn put(&mut self, frame: &[u8], handle: Option<BorrowedFd<'_>>) -> Result<(), Unsent> {
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
        self.took = Some(Instant::now());
        self.given.remove(position)
    }

    /// Hands it a connection of ours, which is nobody else's if it does not take it. One that has not taken the last one in time gets no
    /// other.
    ///
    /// # Errors
    /// `Full` also for that.
    pub fn probe(&mut self, key: &str, socket: BorrowedFd<'_>, taken: oneshot::Sender<bool>) -> Result<(), Unsent> {
        let owing = self.probes.iter().any(|(_, taken)| taken.is_closed());
        if owing || self.is_full || !self.may_send_handle() {
            return Err(Unsent::Full);
        }
        let seq = self.seq;
        self.send_with(&ToWorker::NewConnection { key }, Some(socket))?;
        self.probes.push((seq, taken));
        Ok(())
    }

    /// Whether this is about the connection of a probe; then whoever waits for it is told.
    pub fn probe_taken(&mut self, seq: u64, accepted: bool) -> bool {
        let Some(place) = self.probes.iter().position(|(probe, _)| *probe == seq) else {
            return false;
        };
        let (_, taken) = self.probes.swap_remove(place);
        let _ = taken.send(accepted);
        true
    }

    /// What it has not taken and, since it is gone, never will.
    pub fn take_back(&mut self) -> Vec<Given> {
        self.given.drain(..).collect()
    }
}
