//! A Node IPC channel as its primary sees it: bytes in, messages out, and back (Node: `lib/internal/child_process.js`,
//! `lib/internal/child_process/serialization.js`, `lib/internal/cluster/`). Pure: no I/O, no descriptors.
//!
//! The reactor reads channels of fork apps with [`Decoder`] and writes with [`encode`]; the primary reads those of cluster
//! workers with [`Channel`] and writes [`ToWorker`]. Whatever the bytes are, nothing here panics, and memory is bounded by
//! [`MAX_FRAME`] for a frame and [`MAX_MEMORY`] for the values in it.

pub mod advanced;
mod bounded;
mod custom;
mod framing;
mod from_worker;
mod inspector;
mod registered;
mod report;
mod scalar;
mod to_worker;

use std::ops::Range;

pub use bounded::MAX_MEMORY;
pub use custom::{Custom, custom};
pub use framing::{Frame, Frames, MAX_FRAME, Splitter, complete, frames};
pub use from_worker::{AddressType, FromPreload, FromWorker, Query, SocketQuestion, SocketsAsked, parse};
pub use inspector::{FromInspector, InspectorSaid, ToInspector};
pub use registered::registered;
pub use report::Report;
pub use to_worker::{Family, SharedKind, SocketName, ToPreload, ToWorker};

/// The `cmd` of Node's cluster module.
const CLUSTER: &str = "NODE_CLUSTER";

/// The `cmd` that our daemon and our preload have among themselves.
const OURS: &str = "NODE_OSTLER";

/// How messages are put on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// One JSON text a line.
    #[default]
    Json,
    /// Four bytes of length, most significant first, then the data of V8's `ValueSerializer`.
    Advanced,
    /// `Json` with a byte 2 in front of internal messages, and no envelope around those with a descriptor.
    Bun,
}

/// Reads one worker's channel: the stream cut anyhow, to messages.
#[derive(Clone, Debug)]
pub struct Channel {
    splitter: Splitter,
}

impl Channel {
    /// For a channel of which nothing has been read, or of which a predecessor has taken whole frames.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            splitter: Splitter::new(dialect),
        }
    }

    /// For a channel in the middle of a frame; see [`Splitter::resume`].
    ///
    /// # Errors
    /// Those of `bytes_at`.
    pub fn resume<E>(
        dialect: Dialect,
        length: usize,
        bytes_at: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let splitter = Splitter::resume(dialect, length, bytes_at)?;
        Ok(Self { splitter })
    }

    /// What the channel speaks, as far as it is known: `Json` becomes `Bun` by what a worker of Bun says first.
    pub fn dialect(&self) -> Dialect {
        self.splitter.dialect()
    }

    /// How many of the `peeked` bytes to [`feed`](Self::feed) and then to take out of the socket. `capacity` is what the
    /// peek could have given: a frame that fills it has to be taken piece by piece.
    pub fn take(&self, peeked: &[u8], capacity: usize) -> usize {
        self.splitter.take(peeked, capacity)
    }

    /// Takes the next bytes of the stream and hands out the messages that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut deliver: impl FnMut(FromWorker)) {
        // The mark of Bun's is understood in either of its dialects, so it is no matter which is known here.
        let dialect = self.dialect();
        self.splitter.feed(bytes, |frame| {
            if let Some(message) = parse(dialect, frame) {
                deliver(message);
            }
        });
    }

    /// Bytes of an unfinished frame that are being kept.
    pub fn pending(&self) -> usize {
        self.splitter.pending()
    }

    /// Whether a frame has begun and not ended: who goes on here has to know what was taken of it.
    pub fn is_within_frame(&self) -> bool {
        self.splitter.is_within_frame()
    }

    /// Whether that frame is too long to be kept; see [`Splitter::is_skipping`].
    pub fn is_skipping(&self) -> bool {
        self.splitter.is_skipping()
    }
}

/// What a fork app says over its channel, as far as it matters there.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// `process.send('ready')`.
    Ready,
    /// Node's own housekeeping (`cmd` begins with `NODE_`): not for anybody's eyes.
    Internal,
    /// Anything else.
    User(serde_json::Value),
    /// What our preload has measured.
    Report(Box<Report>),
    /// Our preload answers that the event loop turns.
    Beat,
    /// What our preload says of a profile or of its inspector.
    Inspected(Box<FromInspector>),
    /// A line that is not JSON; its length.
    Garbage(usize),
}

impl From<FromWorker> for Message {
    fn from(message: FromWorker) -> Self {
        match message {
            FromWorker::Ready => Self::Ready,
            FromWorker::User(value) => Self::User(value),
            FromWorker::Report(report) => Self::Report(report),
            FromWorker::Inspected(said) => Self::Inspected(said),
            FromWorker::Garbage(length) => Self::Garbage(length),
            FromWorker::Online | FromWorker::QueryServer { .. } | FromWorker::Listening(_) => Self::Internal,
            FromWorker::Close { .. } | FromWorker::ExitedAfterDisconnect { .. } => Self::Internal,
            FromWorker::Accepted { .. } | FromWorker::HandleAck | FromWorker::HandleNack => Self::Internal,
            FromWorker::Handle { .. } | FromWorker::Sockets(_) => Self::Internal,
            FromWorker::Ostler(FromPreload::Beat) => Self::Beat,
            FromWorker::Ostler(_) | FromWorker::OtherInternal => Self::Internal,
        }
    }
}

/// Joins the stream of a fork app's channel to messages, however it was cut.
#[derive(Debug)]
pub struct Decoder {
    channel: Channel,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            channel: Channel::new(Dialect::Json),
        }
    }
}

impl Decoder {
    /// Takes the next bytes of the stream and gives the messages that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        self.channel.feed(bytes, |message| messages.push(message.into()));
        messages
    }

    /// Bytes of an unfinished line that are being kept.
    pub fn pending(&self) -> usize {
        self.channel.pending()
    }
}

/// A message for a fork app as bytes for the channel.
pub fn encode(message: &serde_json::Value) -> Vec<u8> {
    line(&ToWorker::User(message))
}

/// A message for the preload of a fork app as bytes for the channel.
pub fn encode_for_preload(message: ToPreload) -> Vec<u8> {
    line(&ToWorker::Ostler(message))
}

fn line(message: &ToWorker<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    message.encode(0, Dialect::Json, &mut line);
    line
}

#[cfg(test)]
mod tests;
