//! What the machine is told once, when it is made: numbers that the daemon may be configured with.

use jiff::tz::TimeZone;
use std::time::Duration;

/// Settings of a machine. They are not part of the journal: whoever restores a machine passes them again.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No back-off grows over this. PM2: 15 s.
    pub backoff_cap: Duration,
    /// A process that has been up this long starts its back-off anew. PM2: `EXP_BACKOFF_RESET_TIMER`, 30 s.
    pub backoff_reset: Duration,
    /// How often the memory of an app with a limit is sampled.
    pub memory_interval: Duration,
    /// It is over once nothing runs any more and nothing is going to: for containers.
    pub auto_exit: bool,
    /// An end that workers may finish before takes no longer, whatever their specs allow: for containers, whose time is bounded from outside.
    pub longest_end: Duration,
    /// The zone that cron patterns are read in. A field, since finding out the system's zone reads files.
    pub time_zone: TimeZone,
}

impl Settings {
    /// PM2's numbers, with cron read in `time_zone`.
    pub fn new(time_zone: TimeZone) -> Self {
        Self {
            backoff_cap: Duration::from_secs(15),
            backoff_reset: Duration::from_secs(30),
            memory_interval: Duration::from_secs(2),
            auto_exit: false,
            longest_end: Duration::MAX,
            time_zone,
        }
    }
}
