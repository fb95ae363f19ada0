//! Waiting for a condition, bounded.

use std::time::{Duration, Instant};

/// How long a test waits for something that ought to happen soon. Generous: a loaded machine is slow, a failure is rare.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it gives a value, at most for `limit`.
///
/// # Errors
/// Gives the limit back when the time is over, so that the caller can say what was waited for.
pub fn wait_within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T, Duration> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= end {
            return Err(limit);
        }
        std::thread::sleep(EVERY);
    }
}
