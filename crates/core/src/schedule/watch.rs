//! The quiet time between a file change and the restart it causes.
//!
//! Saving a project touches many files: the restart waits until `watch_delay` has passed without another change. A file that
//! is written to without end (a log that nobody told us to ignore) must not put the restart off for ever, so it comes at
//! the latest after ten times the delay.

use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A change never waits longer than this many delays.
const PATIENCE: u32 = 10;

/// A file has changed, its restart is still to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Debounce {
    /// The first changed path.
    pub(crate) path: String,
    /// When the restart is due.
    pub(crate) due: Instant,
    latest: Instant,
}

impl Debounce {
    pub(crate) fn new(path: String, delay: Duration, now: Instant) -> Self {
        Self {
            path,
            due: now + delay,
            latest: now + delay.saturating_mul(PATIENCE),
        }
    }

    /// Another change.
    pub(crate) fn again(&mut self, delay: Duration, now: Instant) {
        self.due = (now + delay).min(self.latest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_puts_the_restart_off_but_not_for_ever() {
        let delay = Duration::from_millis(100);
        let mut debounce = Debounce::new("a".into(), delay, Instant(0));
        assert_eq!(debounce.due, Instant(100));
        debounce.again(delay, Instant(90));
        assert_eq!(debounce.due, Instant(190));
        debounce.again(delay, Instant(999));
        assert_eq!(debounce.due, Instant(1000));
    }
}
