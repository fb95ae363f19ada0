//! The `advanced` serialisation: what V8's `ValueSerializer` writes (V8: `src/objects/value-serializer.cc`), with Node's
//! way of putting buffers into it (Node: `lib/internal/child_process/serialization.js`, `lib/v8.js`). Without the four
//! bytes of length in front; those are the framing's.
//!
//! Both directions are formats of serde, so that a message is described once for both serialisations. A reader takes any
//! bytes without a panic, nests at most [`MAX_DEPTH`] deep, and never asks for memory because of a length in the data.
//!
//! What JSON has no word for is shown as follows: `undefined` as `JSON.stringify` has it, dates as its text, boxed
//! primitives unboxed, `NaN` and infinities as `null`, sets as arrays, maps as arrays of pairs, regular expressions as their
//! source text, integers beyond 64 bits as hexadecimal text, buffers and typed arrays as
//! `{"type": "Uint8Array", "hex": "…"}`, errors as `{"name", "message", "stack", "cause"}`. What is met twice is shown
//! twice. Cycles and what lives in shared memory are [`Unreadable`].

mod bytes;
mod reader;
mod shown;
mod skip;
mod tag;
mod writer;

use super::bounded::Budget;

pub use reader::Reader;
pub use writer::write;

/// How deep objects may be in one another.
pub const MAX_DEPTH: usize = 128;

/// A sparse array that claims more elements than this is not read: its holes alone would take the memory.
pub const MAX_SPARSE: u32 = 1 << 20;

/// Bytes of data that are read another time, because of references to what was met before, until a value is given up.
pub const MAX_REPEATED: usize = 1024 * 1024;

/// The version that is written: the oldest that is met, since everybody reads older ones (Node 16: 13, Node 18 to 26: 15,
/// Deno 2.9: 16).
const VERSION: u8 = 13;

/// Why a value could not be read. The frame around it can be skipped all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It ends in the middle of something.
    #[error("cut short")]
    CutShort,
    /// These are not bytes of the serialisation; which part.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A value of a kind that means nothing outside its process; its tag.
    #[error("value of unsupported kind {:?}", char::from(*.0))]
    Unsupported(u8),
    /// It nests deeper than [`MAX_DEPTH`], or for ever.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// References show the same objects more often than [`MAX_REPEATED`] allows.
    #[error("repeated too often")]
    TooMuch,
    /// Its parts are fine, the whole is not what was asked for.
    #[error("{0}")]
    Refused(String),
}

impl serde::de::Error for Unreadable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Refused(message.to_string())
    }
}

/// Why a value could not be written: it is of a kind that our messages do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(String);

impl serde::ser::Error for Unwritable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The value that data with its header is, as JSON shows it. What follows the value is not looked at.
///
/// # Errors
/// If it cannot be read, or takes more than [`MAX_MEMORY`](super::MAX_MEMORY).
pub fn read(data: &[u8]) -> Result<serde_json::Value, Unreadable> {
    use serde::de::DeserializeSeed as _;
    let value = Budget::default().deserialize(&mut Reader::new(data)?)?;
    // `undefined` alone is no message that anybody can send.
    Ok(value.unwrap_or_default())
}

#[cfg(test)]
mod tests;
