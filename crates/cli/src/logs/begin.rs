//! The hand-over from files to a stream: it begins with the place at which each file ended at that moment.

use super::format::Stream;
use super::source::Key;
use crate::client::{CallError, Following};
use crate::frames::Frame;
use ostler_wire::control::{FrameKind, LogPlace};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a stream may take to begin for everything that is there.
const DEADLINE: Duration = Duration::from_millis(500);

/// What a stream has begun with.
pub struct Begun {
    /// Where each file ended at that moment, if there was one. A key may be missing: the stream ended, or took too long to begin for it.
    pub ends: BTreeMap<Key, Option<LogPlace>>,
    /// What came meanwhile, to be taken after what the files have.
    pub early: Vec<Frame>,
}

/// Waits until the stream has begun for all of these.
///
/// # Errors
///
/// As [`Following::next`].
pub async fn begin(following: &mut Following, awaited: impl Iterator<Item = &Key> + Clone) -> Result<Begun, CallError> {
    let (mut ends, mut early) = (BTreeMap::new(), Vec::new());
    let deadline = Instant::now() + DEADLINE;
    while awaited.clone().any(|key| !ends.contains_key(key)) {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(next) = timeout(left, following.next()).await else {
            break;
        };
        let Some(frame) = next? else { break };
        if let FrameKind::Begin { out, error } = frame.header.kind {
            ends.insert((frame.header.id, Stream::Out), out);
            ends.insert((frame.header.id, Stream::Error), error);
        } else {
            early.push(frame);
        }
    }
    Ok(Begun { ends, early })
}
