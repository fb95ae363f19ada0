//! What our preload has measured of its process (`node/measure.cjs`).

use crate::metrics::LoopDelay;
use ostler_core::metrics::{BUCKETS, CLASSES, Histogram, Tally};
use serde::Deserialize;
use serde_json::Value;

/// One report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What was counted since the process began.
    pub tally: Tally,
    /// HTTP requests that are under way.
    pub in_flight: u64,
    /// How late the event loop was since the last report; none where it was not looked at, since there was next to nothing to do.
    pub delay: Option<LoopDelay>,
    /// Heap in use, bytes.
    pub heap: u64,
    /// What the heap may grow to, bytes.
    pub heap_limit: u64,
    /// Handles of libuv that are active: sockets, timers, files.
    pub handles: u64,
    /// Requests to the system that are under way.
    pub requests: u64,
}

/// As it is sent. Numbers of JavaScript may come as integers or not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    answered: [f64; CLASSES],
    aborted: f64,
    durations: [f64; BUCKETS],
    duration: f64,
    in_flight: f64,
    pauses: f64,
    paused: f64,
    active: f64,
    delay: Option<[f64; 4]>,
    heap: f64,
    heap_limit: f64,
    handles: f64,
    requests: f64,
}

impl Report {
    /// Nothing if it lacks what it must have: it may be of another version's preload.
    pub(super) fn read(message: Value) -> Option<Self> {
        let raw: Raw = serde_json::from_value(message).ok()?;
        let tally = Tally {
            answered: raw.answered.map(whole),
            aborted: whole(raw.aborted),
            latency: Histogram::new(raw.durations.map(whole), raw.duration.max(0.0)),
            gc_pauses: whole(raw.pauses),
            gc_ms: raw.paused.max(0.0),
            loop_active_ms: raw.active.max(0.0),
        };
        let delay = raw.delay.map(|[mean, p50, p99, max]| LoopDelay { mean, p50, p99, max });
        Some(Self {
            tally,
            in_flight: whole(raw.in_flight),
            delay,
            heap: whole(raw.heap),
            heap_limit: whole(raw.heap_limit),
            handles: whole(raw.handles),
            requests: whole(raw.requests),
        })
    }
}

/// A number that counts something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates; nothing below 0 is counted"
)]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}
