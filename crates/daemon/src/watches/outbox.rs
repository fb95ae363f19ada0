//! What is to be reported for one slot: makes one report of a burst.
//!
//! Called by the slot's tree (changes) and by the thread (time). One save is several events (a temporary file, a rename,
//! a write in pieces); the window that opens with the first of them collects the others.

use super::{Report, Reporter};
use ostler_core::SlotId;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long changes are collected.
const WINDOW: Duration = Duration::from_millis(10);
/// How many paths are remembered, to name one that still exists.
const REMEMBERED: usize = 8;

/// Changes of one slot that are not reported yet.
pub(super) struct Outbox {
    slot: SlotId,
    report: Reporter,
    changed: Vec<PathBuf>,
    due: Option<Instant>,
}

impl Outbox {
    pub fn new(slot: SlotId, report: Reporter) -> Self {
        Self {
            slot,
            report,
            changed: Vec::new(),
            due: None,
        }
    }

    /// Something changed that is not ignored.
    pub fn changed(&mut self, path: &Path) {
        self.due.get_or_insert_with(|| Instant::now() + WINDOW);
        if self.changed.len() < REMEMBERED && !self.changed.iter().any(|known| known == path) {
            self.changed.push(path.to_owned());
        }
    }

    /// Tells the daemon's log.
    pub fn note(&self, text: String) {
        (self.report)(Report::Note(text));
    }

    /// When [`flush`](Self::flush) has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Reports if it is time.
    pub fn flush(&mut self, now: Instant) {
        if self.due.take_if(|due| *due <= now).is_none() {
            return;
        }
        // Editors write beside the file and rename: the temporary name would tell the user nothing.
        let still_there = self.changed.iter().position(|path| path.symlink_metadata().is_ok());
        let path = self.changed.swap_remove(still_there.unwrap_or(0));
        self.changed.clear();
        (self.report)(Report::Changed { slot: self.slot, path });
    }
}
