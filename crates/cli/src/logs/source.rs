//! One log file that is being followed, and how far it has been shown. Used by the follower.

use super::format::Stream;
use super::lines::Lines;
use ostler_core::{LogFormat, SlotId};
use ostler_daemon::logs::Pattern;
use ostler_wire::control::Process;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
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
    /// Whether the file has exactly the bytes of this stream, so that both can be counted in one number.
    plain: bool,
    /// Up to where the file's contents have been shown, once a stream has begun.
    shown: Option<u64>,
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
        let plain = (exclusive || single) && logs.date_format.is_none() && logs.format == LogFormat::Raw;
        [(Stream::Out, &process.out_log), (Stream::Error, &process.error_log)].map(|(stream, path)| Self {
            id: process.view.id,
            name: process.view.spec.name.clone(),
            stream,
            path: (path != "/dev/null" && !logs.disabled).then(|| PathBuf::from(path)),
            plain,
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
            plain: false,
            shown: None,
            date: None,
            lines: Lines::default(),
        }
    }

    /// When the file was last written to.
    pub fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(self.path.as_ref()?).ok()?.modified().ok()
    }

    /// A stream begins at this size; gives what of the file lies between it and what was shown. A file that is smaller
    /// now was rotated or emptied meanwhile: all of it is new.
    pub fn begin(&mut self, size: u64) -> Option<Vec<u8>> {
        let shown = self.shown.replace(size)?;
        let from = if size < shown { 0 } else { shown };
        let mut file = File::open(self.path.as_ref()?).ok()?;
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut missed = Vec::new();
        file.take(size - from).read_to_end(&mut missed).ok()?;
        (!missed.is_empty()).then_some(missed)
    }

    /// So many bytes of the stream have been shown.
    pub fn advance(&mut self, bytes: usize) {
        if let Some(shown) = self.shown.as_mut().filter(|_| self.plain) {
            *shown += bytes as u64;
        }
    }

    /// The stream broke. Where bytes of stream and file cannot be compared, the file's size now is what has been shown:
    /// its writer has just died.
    pub fn broke(&mut self) {
        let size = self
            .path
            .as_ref()
            .and_then(|path| std::fs::metadata(path).ok())
            .map(|metadata| metadata.len());
        if let (false, Some(shown), Some(size)) = (self.plain, self.shown.as_mut(), size) {
            *shown = size;
        }
    }
}
