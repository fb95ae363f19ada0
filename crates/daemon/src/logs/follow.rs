//! Followers: whoever watches output live. Each has a bounded queue; a slow one loses the oldest output and is told how
//! much, and never slows the log thread down.
//!
//! Filled by the log thread, emptied by the API's tasks.

use bytes::Bytes;
use ostler_core::{SlotId, WallTime};
use ostler_wire::control::{FrameHeader, FrameKind, LogPlace, StreamKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// How many bytes wait for a follower at most.
const QUEUE_MAX: usize = 256 << 10;
/// What a frame costs besides its bytes.
const FRAME_COST: usize = 256;

/// Whether a slot, with its app's name, is wanted.
pub type SlotFilter = Box<dyn Fn(SlotId, &str) -> bool + Send>;

/// Which output a follower wants.
pub struct Filter {
    /// Which slots.
    pub slots: SlotFilter,
    /// Standard output too.
    pub out: bool,
    /// Standard error too.
    pub error: bool,
    /// Process events too.
    pub events: bool,
    /// Wanted slots that exist already, whether or not they have a process now.
    pub known: Vec<KnownSlot>,
}

/// A slot with the files that its outputs go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSlot {
    /// The slot.
    pub slot: SlotId,
    /// Its app's name.
    pub name: String,
    /// Its standard output's own file, if any.
    pub out: Option<PathBuf>,
    /// Its standard error's own file, if any.
    pub error: Option<PathBuf>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("out", &self.out)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// A frame of a followed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What precedes the bytes on the wire.
    pub header: FrameHeader,
    /// The bytes, `header.len` of them.
    pub bytes: Bytes,
}

/// The receiving end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
}

/// The sending end, in the log thread.
#[derive(Debug)]
pub(super) struct Subscription {
    pub filter: Filter,
    shared: Arc<Shared>,
    begun: BTreeSet<SlotId>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    cost: usize,
    lagged: BTreeMap<(SlotId, StreamKind), Lag>,
    ended: bool,
}

#[derive(Debug)]
struct Lag {
    name: String,
    at: WallTime,
    bytes: u64,
    /// Where the stream's file ends with the last of it.
    place: Option<LogPlace>,
}

/// Both ends of a new subscription.
pub(super) fn subscription(filter: Filter) -> (Subscription, Follower) {
    let shared = Arc::new(Shared::default());
    (
        Subscription {
            filter,
            shared: shared.clone(),
            begun: BTreeSet::new(),
        },
        Follower { shared },
    )
}

impl Follower {
    /// The next frame; none when the log thread has ended. Losing the future loses no frame.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let filled = self.shared.filled.notified();
            {
                let mut queue = self.shared.lock();
                if let Some(frame) = queue.pop() {
                    return Some(frame);
                }
                if queue.ended {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// The next frame if there is one already.
    pub fn try_next(&mut self) -> Option<Frame> {
        self.shared.lock().pop()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("invariant: nobody panics with this lock")
    }
}

impl Subscription {
    /// Whether the follower has gone.
    pub fn is_over(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// Whether the slot has begun for this follower; it has after this.
    pub fn begin(&mut self, slot: SlotId) -> bool {
        self.begun.insert(slot)
    }

    /// The slot is gone; should its number be used again, it begins anew.
    pub fn forget(&mut self, slot: SlotId) {
        self.begun.remove(&slot);
    }

    /// Hands a frame over.
    pub fn push(&self, frame: Frame) {
        self.shared.lock().push(frame);
        self.shared.filled.notify_one();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_one();
    }
}

impl Queue {
    fn push(&mut self, frame: Frame) {
        self.cost += cost(&frame);
        self.frames.push_back(frame);
        while self.cost > QUEUE_MAX && self.drop_oldest() {}
    }

    /// Turns the oldest frame of output into a count, or forgets the oldest event. Beginnings stay: there is at most one
    /// a slot.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.frames.iter().position(|frame| !is_beginning(frame));
        let Some(frame) = oldest.and_then(|at| self.frames.remove(at)) else {
            return false;
        };
        self.cost -= cost(&frame);
        match frame.header.kind {
            FrameKind::Out => self.count(StreamKind::Out, frame.header),
            FrameKind::Error => self.count(StreamKind::Error, frame.header),
            FrameKind::Begin { .. } | FrameKind::Lagged { .. } | FrameKind::Event { .. } => {}
        }
        true
    }

    fn count(&mut self, stream: StreamKind, header: FrameHeader) {
        let lag = self.lagged.entry((header.id, stream)).or_insert(Lag {
            name: header.name,
            at: header.at,
            bytes: 0,
            place: None,
        });
        lag.bytes += header.len as u64;
        lag.place = header.place;
    }

    /// What was left out comes in its place: behind beginnings, of which none is ever left out, and before what is left.
    fn pop(&mut self) -> Option<Frame> {
        let begins = self.frames.front().is_some_and(is_beginning);
        if !begins && let Some(((slot, stream), lag)) = self.lagged.pop_first() {
            let Lag { bytes, place, .. } = lag;
            let kind = FrameKind::Lagged { stream, bytes, place };
            return Some(frame(kind, slot, lag.name, lag.at, Bytes::new()));
        }
        let frame = self.frames.pop_front()?;
        self.cost -= cost(&frame);
        Some(frame)
    }
}

/// A frame of a slot.
pub(super) fn frame(kind: FrameKind, id: SlotId, name: String, at: WallTime, bytes: Bytes) -> Frame {
    Frame {
        header: FrameHeader {
            kind,
            id,
            name,
            at,
            len: bytes.len(),
            place: None,
        },
        bytes,
    }
}

fn is_beginning(frame: &Frame) -> bool {
    matches!(frame.header.kind, FrameKind::Begin { .. })
}

fn cost(frame: &Frame) -> usize {
    frame.bytes.len() + FRAME_COST
}
