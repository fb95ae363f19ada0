//! The scheduler's grouping by session (`sched_autogroup`, sched(7)), turned off for a while.
//!
//! With it each session has the same share of the processors as any other. Ostler's workers are sessions of their own, those of Node's cluster and of PM2 share one with their
//! primary, and whoever measures is another: on a machine that is full, who is scheduled when then depends on how many sessions there are. It has no part in services of
//! systemd and in containers, where other groups are in force.

use crate::say;
use std::fs;

const SWITCH: &str = "/proc/sys/kernel/sched_autogroup_enabled";

/// It is off as long as this lives.
pub struct Ungrouped(());

impl Ungrouped {
    /// Turns it off; none where it is off anyway, or only root may.
    pub fn begin() -> Option<Self> {
        let is_on = fs::read_to_string(SWITCH).is_ok_and(|value| value.trim() == "1");
        if !is_on {
            return None;
        }
        if let Err(error) = fs::write(SWITCH, "0") {
            say(&format!("not measured without sched_autogroup: {SWITCH}: {error}"));
            return None;
        }
        say("── once more, with sessions not scheduled as groups (sched_autogroup off)");
        Some(Self(()))
    }
}

impl Drop for Ungrouped {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, "1") {
            say(&format!("sched_autogroup stays off: {SWITCH}: {error}"));
        }
    }
}
