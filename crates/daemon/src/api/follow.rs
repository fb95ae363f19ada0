//! A followed stream as the body of a response (`POST /v1/follow`).

use super::pieces::{Gone, Next, Reader, written};
use super::respond::Body;
use crate::logs::{Follower, Frame};
use bytes::Bytes;

/// Frames for ever, or until the follower ends.
pub fn body(follower: Follower) -> Body {
    written(|reader| write(reader, follower))
}

async fn write(reader: Reader, mut follower: Follower) -> Result<(), Gone> {
    loop {
        match reader.unless_gone(follower.next()).await? {
            Next::Some(frame) => reader.send(on_the_wire(&frame)).await?,
            Next::Nothing => {}
            Next::End => return Ok(()),
        }
    }
}

/// The header as a line of JSON, then the bytes.
fn on_the_wire(frame: &Frame) -> Bytes {
    let mut bytes = serde_json::to_vec(&frame.header).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend_from_slice(&frame.bytes);
    Bytes::from(bytes)
}
