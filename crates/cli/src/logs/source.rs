//! One log file that is being followed, and how far it has been shown. Used by the follower.

use super::format::Stream;
use super::lines::Lines;
use ostler_core::SlotId;
use ostler_daemon::logs::{Pattern, Span, between, end_at};
use ostler_wire::control::{LogPlace, Process};
use std::path::PathBuf;
use std::time::SystemTime;

/// Which stream of which slot.
pub type Key = (SlotId, Stream);

/// A stream of a slot with its file.
pub struct Source {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// The stream.
    pub stream: Stream,
    /// Its file, if any.
    pub path: Option<PathBuf>,
    /// Whether other streams go to the file, too.
    shared: bool,
    /// Whether a stream has begun.
    begun: bool,
    /// Up to where the file's contents have been shown; none where there was no file.
    shown: Option<LogPlace>,
    /// What the file has before each line (`log_date_format`), and live lines are given too.
    pub date: Option<Pattern>,
    /// The unfinished line.
    pub lines: Lines,
}

impl Source {
    /// The two streams of a process.
    pub fn of(process: &Process) -> [Self; 2] {
        let logs = &process.view.spec.logs;
        let exclusive = !logs.merged && process.out_log != process.error_log;
        let single = process.view.spec.instances <= 1 && process.out_log != process.error_log;
        [(Stream::Out, &process.out_log), (Stream::Error, &process.error_log)].map(|(stream, path)| Self {
            id: process.view.id,
            name: process.view.spec.name.clone(),
            stream,
            path: (path != "/dev/null" && !logs.disabled).then(|| PathBuf::from(path)),
            shared: !exclusive && !single,
            begun: false,
            shown: None,
            date: logs
                .date_format
                .as_deref()
                .filter(|format| !format.is_empty())
                .map(Pattern::new),
            lines: Lines::default(),
        })
    }

    /// A stream of a process that came after the list was read.
    pub fn unknown(id: SlotId, name: String, stream: Stream) -> Self {
        Self {
            id,
            name,
            stream,
            path: None,
            shared: false,
            begun: false,
            shown: None,
            date: None,
            lines: Lines::default(),
        }
    }

    /// When the file was last written to.
    pub fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(self.path.as_ref()?).ok()?.modified().ok()
    }

    /// What the list says of a stream that was seen before it was in a list that we have read.
    pub fn learn(&mut self, listed: Self) {
        if self.path.is_none() {
            (self.path, self.shared, self.date) = (listed.path, listed.shared, listed.date);
        }
    }

    /// A stream begins where the file ends here; gives what of the log lies between that and what was shown.
    pub fn begin(&mut self, end: Option<LogPlace>) -> Option<Span> {
        let shown = std::mem::replace(&mut self.shown, end);
        let begun = std::mem::replace(&mut self.begun, true);
        // A log that has been deleted has nothing to show.
        between(self.path.as_ref().filter(|_| begun)?, shown, end?).ok()
    }

    /// So far the stream has come, and what came since it was last shown was left out; gives that, if the log has it.
    pub fn catch_up(&mut self, place: Option<LogPlace>) -> Option<Span> {
        let path = self.path.as_ref().filter(|_| self.begun && !self.shared)?;
        let missed = between(path, self.shown, place?).ok().filter(Span::is_whole);
        self.advance(place);
        missed
    }

    /// The stream has been shown up to here.
    pub fn advance(&mut self, place: Option<LogPlace>) {
        if let (false, Some(place)) = (self.shared, place) {
            self.shown = Some(place);
        }
    }

    /// The stream broke. Who does not see all that goes to the file has been shown what it has now: its writer has just died.
    pub fn broke(&mut self) {
        if let (true, Some(path)) = (self.shared, &self.path) {
            self.shown = end_at(path).ok();
        }
    }
}
