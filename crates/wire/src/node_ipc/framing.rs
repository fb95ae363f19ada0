//! Where one message of a channel ends and the next begins, whatever the cut of the stream
//! (Node: `lib/internal/child_process/serialization.js`, `parseChannelMessages`).
//!
//! Used by who reads a channel: [`Splitter::take`] says how much of what was peeked at to act upon, [`Splitter::feed`]
//! gives its frames. Holds at most one unfinished frame of [`MAX_FRAME`] bytes; a longer one is counted and dropped.

use memchr::{memchr, memrchr};
use std::ops::Range;

use super::Dialect;

/// The longest frame that is taken, bytes. A longer one is skipped whole, so that an app that never ends its line cannot
/// make us grow.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Of what a predecessor has left, the most that is looked at beyond the longest frame: it took no more than that at a time.
const MAX_PIECE: usize = 64 * 1024;

/// Bun's mark in front of an internal message.
pub(super) const BUN_MARK: u8 = 2;

const HEADER: usize = 4;

/// What stands between two ends of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// All of it, without line feed or length.
    Whole(&'a [u8]),
    /// It was longer than [`MAX_FRAME`]; its length, bytes.
    Skipped(usize),
}

/// The length of the whole frames at the beginning of `bytes`, ends included. What follows is the beginning of a frame.
pub fn complete(dialect: Dialect, bytes: &[u8]) -> usize {
    match dialect {
        Dialect::Json | Dialect::Bun => memrchr(b'\n', bytes).map_or(0, |end| end + 1),
        Dialect::Advanced => frames(dialect, bytes).map(|payload| HEADER + payload.len()).sum(),
    }
}

/// The whole frames at the beginning of `bytes`, without line feed or length.
pub fn frames(dialect: Dialect, bytes: &[u8]) -> Frames<'_> {
    Frames { dialect, rest: bytes }
}

/// Gives frame after frame; made by [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    dialect: Dialect,
    rest: &'a [u8],
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (start, end, after) = match self.dialect {
            Dialect::Json | Dialect::Bun => memchr(b'\n', self.rest).map(|end| (0, end, end + 1))?,
            Dialect::Advanced => {
                let end = HEADER + announced(self.rest)?;
                (HEADER, end, end)
            }
        };
        let payload = self.rest.get(start..end)?;
        self.rest = &self.rest[after..];
        Some(payload)
    }
}

/// The length of the payload that a frame of `advanced` begins with, if all four bytes of it are there.
fn announced(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER>()?;
    Some(u32::from_be_bytes(*header) as usize)
}

/// Joins a stream of bytes to frames, however it was cut.
#[derive(Clone, Debug)]
pub struct Splitter {
    dialect: Dialect,
    partial: Vec<u8>,
    skipping: Option<Skipping>,
}

/// A frame that is too long to be kept.
#[derive(Clone, Copy, Debug)]
struct Skipping {
    /// Bytes of it that went by.
    seen: usize,
    /// Bytes of it that are to come, where the frame told its length.
    left: Option<usize>,
}

impl Splitter {
    /// For a stream of which nothing has been read, or of which a predecessor has taken whole frames.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            partial: Vec::new(),
            skipping: None,
        }
    }

    /// For a stream of which a predecessor has taken `length` bytes since a beginning of a frame, and acted upon the frames that end
    /// among them. `bytes_at` gives any of these bytes; of a frame longer than [`MAX_FRAME`] all but its header may have become 0.
    ///
    /// # Errors
    /// Those of `bytes_at`.
    pub fn resume<E>(
        dialect: Dialect,
        length: usize,
        mut bytes_at: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let mut splitter = Self::new(dialect);
        if length <= HEADER + MAX_FRAME + MAX_PIECE {
            let bytes = bytes_at(0..length)?;
            splitter.keep(&bytes[complete(dialect, &bytes)..]);
            return Ok(splitter);
        }
        let end = match dialect {
            Dialect::Json | Dialect::Bun => {
                let last = length - MAX_PIECE..length;
                memrchr(b'\n', &bytes_at(last.clone())?).map(|end| last.start + end + 1)
            }
            Dialect::Advanced => announced(&bytes_at(0..HEADER)?).map(|payload| HEADER + payload),
        };
        match end.filter(|end| *end <= length) {
            Some(end) => {
                let bytes = bytes_at(end..length)?;
                splitter.keep(&bytes[complete(dialect, &bytes)..]);
            }
            None => {
                splitter.skipping = Some(Skipping {
                    seen: length,
                    left: end.map(|end| end - length),
                });
            }
        }
        Ok(splitter)
    }

    /// What the channel speaks. `Json` becomes `Bun` by the first frame that says so.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Bytes of an unfinished frame that are being kept.
    pub fn pending(&self) -> usize {
        self.partial.len()
    }

    /// Whether a frame has begun and not ended.
    pub fn is_within_frame(&self) -> bool {
        !self.partial.is_empty() || self.skipping.is_some()
    }

    /// Whether it is within a frame that is too long to be kept: only its header and how much of it went by still matter.
    pub fn is_skipping(&self) -> bool {
        self.skipping.is_some()
    }

    /// How many of the `peeked` bytes to [`feed`](Self::feed) and then to take out of the socket: those of whole frames.
    /// A frame that fills a buffer of `capacity` bytes without an end cannot be waited for and is taken piece by piece.
    pub fn take(&self, peeked: &[u8], capacity: usize) -> usize {
        let end = self.end_of_current(peeked);
        let whole = end.map_or(0, |end| end + complete(self.dialect, &peeked[end..]));
        if whole == 0 && (self.is_within_frame() || peeked.len() >= capacity) {
            return peeked.len();
        }
        whole
    }

    /// Takes the next bytes of the stream and hands out the frames that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut deliver: impl FnMut(Frame<'_>)) {
        let mut rest = bytes;
        if self.is_within_frame() {
            rest = self.go_on(rest, &mut deliver);
        }
        if self.is_within_frame() {
            return;
        }
        let whole = complete(self.dialect, rest);
        for payload in frames(self.dialect, &rest[..whole]) {
            self.hand_out(payload, &mut deliver);
        }
        self.keep(&rest[whole..]);
    }

    /// Adds to the unfinished frame, hands it out if that was its end, and gives what is left of the bytes.
    fn go_on<'a>(&mut self, bytes: &'a [u8], deliver: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        let Some(end) = self.end_of_current(bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (last, rest) = bytes.split_at(end);
        self.keep(last);
        if let Some(skipped) = self.skipping.take() {
            deliver(Frame::Skipped(skipped.seen - self.ending()));
            return rest;
        }
        let frame = std::mem::take(&mut self.partial);
        for payload in frames(self.dialect, &frame) {
            self.hand_out(payload, deliver);
        }
        rest
    }

    fn hand_out(&mut self, payload: &[u8], deliver: &mut impl FnMut(Frame<'_>)) {
        if self.dialect == Dialect::Json && payload.first() == Some(&BUN_MARK) {
            self.dialect = Dialect::Bun;
        }
        deliver(if payload.len() > MAX_FRAME {
            Frame::Skipped(payload.len())
        } else {
            Frame::Whole(payload)
        });
    }

    /// How much of `bytes` belongs to the frame that has begun, if its end is among them.
    fn end_of_current(&self, bytes: &[u8]) -> Option<usize> {
        if !self.is_within_frame() {
            return Some(0);
        }
        let left = match self.dialect {
            Dialect::Json | Dialect::Bun => return memchr(b'\n', bytes).map(|end| end + 1),
            Dialect::Advanced => self.left(bytes)?,
        };
        (bytes.len() >= left).then_some(left)
    }

    /// The bytes that an unfinished frame of `advanced` still lacks, if `bytes` come next; unknown while its length is.
    fn left(&self, bytes: &[u8]) -> Option<usize> {
        if let Some(skipping) = self.skipping {
            return skipping.left;
        }
        let header: Vec<u8> = self.partial.iter().chain(bytes).take(HEADER).copied().collect();
        Some(HEADER + announced(&header)? - self.partial.len())
    }

    /// Bytes of an ending that are no part of a frame's length.
    fn ending(&self) -> usize {
        match self.dialect {
            Dialect::Json | Dialect::Bun => 1,
            Dialect::Advanced => HEADER,
        }
    }

    /// Keeps bytes of a frame without an end, or counts them if it is too long.
    fn keep(&mut self, bytes: &[u8]) {
        if let Some(skipping) = &mut self.skipping {
            skipping.seen += bytes.len();
            skipping.left = skipping.left.map(|left| left.saturating_sub(bytes.len()));
            return;
        }
        let length = self.partial.len() + bytes.len();
        if !self.is_too_long(bytes) {
            self.partial.extend_from_slice(bytes);
            return;
        }
        self.skipping = Some(Skipping {
            seen: length,
            left: self.left(bytes).map(|left| left.saturating_sub(bytes.len())),
        });
        self.partial = Vec::new();
    }

    fn is_too_long(&self, bytes: &[u8]) -> bool {
        let length = self.partial.len() + bytes.len();
        match self.dialect {
            Dialect::Json | Dialect::Bun => length > MAX_FRAME + self.ending(),
            Dialect::Advanced => self
                .left(bytes)
                .is_some_and(|left| self.partial.len() + left > HEADER + MAX_FRAME),
        }
    }
}
