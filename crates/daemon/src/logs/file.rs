//! One log file: opened, appended to, rotated, and what is done when it cannot be written.
//!
//! Called by the transfer, in the log thread. Nothing here waits: a file that cannot be opened or written is tried again
//! after [`RETRY`], and until then its output is dropped and counted.

use super::archive::{Archive, Notes, delete_oldest};
use super::journal::Mark;
use super::note::{FileError, Note};
use super::outlet::Outlet;
use super::place::{end_at, end_of};
use super::rotate::{Cut, Stamp, cut, list, rotated_name};
use super::tail::unfinished;
use jiff::Zoned;
use memchr::{memchr, memrchr};
use ostler_core::Rotation;
use ostler_wire::control::LogPlace;
use rustix::fs::{FileType, Mode, OFlags, Stat, fchmod, fstat, ftruncate, open};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After this long a file that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// A file that failed must be writable for this long before that is said; on a full disk single writes may succeed.
const HEALTHY: Duration = Duration::from_secs(2);
/// After this long a rotation that failed is tried again.
const ROTATION_RETRY: Duration = Duration::from_secs(60);
/// How far back an unfinished line's beginning is looked for in a file that is opened.
const LOOK_BACK: u64 = 1 << 20;
/// A new log file's mode, less the umask.
const MODE: u32 = 0o640;

/// A log file.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    /// How many streams write to it.
    pub users: u32,
    fd: Option<OwnedFd>,
    /// How much of an unfinished line it ends with.
    line: u64,
    /// When it was created, ms since the epoch, where the file system knows.
    born: Option<i64>,
    outage: Option<Outage>,
    /// The next write follows a gap or another process' output: it must not be glued to an unfinished line.
    gap: bool,
    last_rotated: Option<Stamp>,
    no_rotation_until: Option<Instant>,
    /// It is what leads to our own output: opened by somebody else, never rotated, emptied or opened anew.
    outlet: Option<Arc<Outlet>>,
}

/// Why and until when nothing is written.
struct Outage {
    until: Instant,
    /// Since when writing works again.
    healthy: Option<Instant>,
    dropped: u64,
    error: io::Error,
}

/// What a file needs to reach beyond itself.
pub(super) struct Surroundings {
    pub archive: Archive,
    pub notes: Notes,
}

/// Bytes on their way into a file.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    /// What is left of a segment's output; not empty.
    pub rest: &'a [u8],
    /// It begins within a line.
    pub mid: bool,
    /// Nothing of this stream was written before.
    pub first: bool,
    /// The wall clock, ms since the epoch.
    pub at: i64,
}

/// What became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many are in the file (0: the file was rotated or reopened; go on).
    Wrote(usize),
    /// So many were dropped.
    Dropped(usize),
}

impl LogFile {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            rotation: None,
            users: 0,
            fd: None,
            line: 0,
            born: None,
            outage: None,
            gap: false,
            last_rotated: None,
            no_rotation_until: None,
            outlet: None,
        }
    }

    /// What leads to our own output.
    pub fn leading_out(outlet: Arc<Outlet>) -> Self {
        let path = PathBuf::from(format!("/proc/self/fd/{}", outlet.buffer().as_raw_fd()));
        let line = fstat(outlet.buffer()).map_or(0, |stat| unfinished_line(&path, &stat));
        Self {
            line,
            fd: outlet.buffer().try_clone().ok(),
            outlet: Some(outlet),
            ..Self::new(path)
        }
    }

    /// Whether it leads to our own output and has no room for more now; then the streams that write to it are told once it has.
    pub fn is_congested(&self) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_congested())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the last attach asked for holds for the file.
    pub fn set_rotation(&mut self, rotation: Option<Rotation>) {
        self.rotation = rotation;
    }

    /// Opens the file unless it is open; on failure its output will be dropped, and tried again.
    pub fn open_early(&mut self, around: &Surroundings) {
        if self.fd.is_some() || self.outage.is_some() {
            return;
        }
        if let Err(error) = self.open() {
            self.fail("open", error, around);
            return;
        }
        if let Some(rotation) = &self.rotation {
            around.archive.tidy(&self.path, rotation);
        }
    }

    pub fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// Where it ends now; none where there is no such file.
    pub fn end(&self) -> Option<LogPlace> {
        match &self.fd {
            Some(fd) => end_of(fd).ok(),
            None => end_at(&self.path).ok(),
        }
    }

    /// The error that keeps the file from being written, if any.
    pub fn error(&self) -> Option<String> {
        let outage = self.outage.as_ref()?;
        Some(format!("cannot write {}: {}", self.path.display(), outage.error))
    }

    /// Appends as much of the output as fits into the file. `before` is told where it will go before it goes there.
    pub fn append(&mut self, writing: Writing<'_>, around: &Surroundings, before: &mut dyn FnMut(Mark)) -> Step {
        let all = writing.rest.len();
        if self.outage.as_ref().is_some_and(|outage| Instant::now() < outage.until) {
            return self.drop_output(all);
        }
        match self.try_append(writing, around, before) {
            Ok(step) => step,
            Err((call, error)) => {
                self.fail(call, error, around);
                self.drop_output(all)
            }
        }
    }

    fn try_append(
        &mut self,
        writing: Writing<'_>,
        around: &Surroundings,
        before: &mut dyn FnMut(Mark),
    ) -> Result<Step, (&'static str, io::Error)> {
        let fd = self.opened().map_err(|error| ("open", error))?;
        let stat = fstat(fd).map_err(|error| ("examine", error.into()))?;
        if self.outlet.as_ref().is_some_and(|outlet| outlet.is_full()) {
            let error = io::Error::new(io::ErrorKind::StorageFull, "whoever reads our output does not");
            return Err(("pass on to", error));
        }
        // A memory file has no name.
        if stat.st_nlink == 0 && self.outlet.is_none() {
            self.fd = None;
            return Ok(Step::Wrote(0));
        }
        if (self.gap || writing.first) && self.line > 0 {
            self.write(b"\n").map_err(|error| ("write", error))?;
            return Ok(Step::Wrote(0));
        }
        if self.gap && writing.mid {
            let skipped = memchr(b'\n', writing.rest).map_or(writing.rest.len(), |end| end + 1);
            self.gap = skipped == writing.rest.len() && writing.rest.last() != Some(&b'\n');
            return Ok(self.drop_output(skipped));
        }
        let length = match self.room(&stat, writing) {
            Cut::Take(length) => length,
            Cut::Rotate => {
                before(Mark::default());
                super::engine::kill_point();
                self.rotate(&stat, around);
                return Ok(Step::Wrote(0));
            }
        };
        before(Mark {
            device: stat.st_dev,
            inode: stat.st_ino,
            base: size(&stat),
            from: 0,
        });
        let written = self.write(&writing.rest[..length]).map_err(|error| ("write", error))?;
        self.recovered(around);
        Ok(Step::Wrote(written))
    }

    /// How much may be written now.
    fn room(&self, stat: &Stat, writing: Writing<'_>) -> Cut {
        let all = Cut::Take(writing.rest.len());
        let Some(rotation) = &self.rotation else { return all };
        let held_off = self.no_rotation_until.is_some_and(|until| Instant::now() < until);
        if held_off || !FileType::from_raw_mode(stat.st_mode).is_file() {
            return all;
        }
        if self.line == 0 && size(stat) > 0 && self.is_old(rotation, writing.at) {
            return Cut::Rotate;
        }
        cut(writing.rest, size(stat), self.line, rotation.max_size)
    }

    fn is_old(&self, rotation: &Rotation, now: i64) -> bool {
        let (Some(age), Some(born)) = (rotation.max_age, self.born) else {
            return false;
        };
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(born) >= age
    }

    /// One successful write(2). On a full disk the log's own oldest rotated files make room.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fd = self.fd.as_ref().expect("invariant: the caller has opened the file");
        loop {
            super::engine::kill_point();
            let written = match rustix::io::write(fd, bytes) {
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(Errno::NOSPC | Errno::DQUOT) if delete_oldest(&self.path) => continue,
                Err(error) => return Err(error.into()),
            };
            super::engine::kill_point();
            if let Some(outlet) = &self.outlet {
                outlet.wake();
            }
            self.gap = false;
            match memrchr(b'\n', &bytes[..written]) {
                Some(end) => self.line = (written - end - 1) as u64,
                None => self.line += written as u64,
            }
            return Ok(written);
        }
    }

    /// Counts output that is not written.
    fn drop_output(&mut self, length: usize) -> Step {
        if let Some(outage) = &mut self.outage {
            outage.dropped += length as u64;
        }
        Step::Dropped(length)
    }

    /// Notes a failure: once, at its beginning.
    fn fail(&mut self, call: &'static str, error: io::Error, around: &Surroundings) {
        let until = Instant::now() + RETRY;
        self.gap = true;
        if let Some(outage) = &mut self.outage {
            outage.until = until;
            outage.healthy = None;
            outage.error = error;
            return;
        }
        let again = io::Error::from(error.kind());
        let again = error.raw_os_error().map_or(again, io::Error::from_raw_os_error);
        self.outage = Some(Outage {
            until,
            healthy: None,
            dropped: 0,
            error,
        });
        (around.notes)(Note::Dropping(FileError {
            call,
            path: self.path.clone(),
            error: again,
        }));
    }

    /// Notes that it works again, once.
    fn recovered(&mut self, around: &Surroundings) {
        let Some(outage) = &mut self.outage else { return };
        if outage.healthy.get_or_insert_with(Instant::now).elapsed() < HEALTHY {
            return;
        }
        if let Some(outage) = self.outage.take() {
            (around.notes)(Note::Resumed {
                path: self.path.clone(),
                dropped: outage.dropped,
            });
        }
    }

    /// How much of `output` a predecessor has appended at `mark` already. Compared byte by byte; where that cannot be
    /// done or differs, less is said: output is rather doubled than lost.
    pub fn already_there(&mut self, mark: Mark, output: &[u8]) -> usize {
        let Ok(fd) = self.opened() else { return 0 };
        let Ok(stat) = fstat(fd) else { return 0 };
        if mark.inode == 0 || (stat.st_dev, stat.st_ino) != (mark.device, mark.inode) || size(&stat) <= mark.base {
            return 0;
        }
        let length = usize::try_from(size(&stat) - mark.base)
            .unwrap_or(usize::MAX)
            .min(output.len());
        let mut there = vec![0; length];
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(&mut there, mark.base));
        if read.is_err() {
            return 0;
        }
        there
            .iter()
            .zip(output)
            .take_while(|(there, wanted)| there == wanted)
            .count()
    }

    /// Empties the file.
    pub fn truncate(&mut self) -> io::Result<()> {
        let fd = self.opened()?;
        if FileType::from_raw_mode(fstat(fd)?.st_mode).is_file() {
            ftruncate(fd, 0)?;
        }
        self.line = 0;
        Ok(())
    }

    /// Opens the path anew, for whoever has renamed the file.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.outlet.is_some() { Ok(()) } else { self.open() }
    }

    fn opened(&mut self) -> io::Result<&OwnedFd> {
        if self.fd.is_none() {
            self.open()?;
        }
        Ok(self.fd.as_ref().expect("invariant: opened just now"))
    }

    fn open(&mut self) -> io::Result<()> {
        let fd = match open_append(&self.path) {
            Err(Errno::NOENT) => {
                let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
                std::fs::create_dir_all(directory)?;
                open_append(&self.path)?
            }
            other => other?,
        };
        let stat = fstat(&fd)?;
        self.line = unfinished_line(&self.path, &stat);
        self.born = end_of(&fd).ok().and_then(|end| end.born).map(|born| born.0);
        self.fd = Some(fd);
        Ok(())
    }

    /// Renames the file and begins a new one. When that fails the old one grows on, for a while.
    fn rotate(&mut self, stat: &Stat, around: &Surroundings) {
        if let Err(error) = self.rename() {
            self.no_rotation_until = Some(Instant::now() + ROTATION_RETRY);
            (around.notes)(Note::Upkeep(FileError {
                call: "rotate",
                path: self.path.clone(),
                error,
            }));
            return;
        }
        super::engine::kill_point();
        self.fd = None;
        self.line = 0;
        if let Ok(fd) = self.opened() {
            // The mode that somebody may have given the log goes on; should that fail, the default is the safe one.
            let _ = fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o777));
        }
        super::engine::kill_point();
        if let Some(rotation) = &self.rotation {
            around.archive.tidy(&self.path, rotation);
        }
    }

    fn rename(&mut self) -> io::Result<()> {
        let last = match self.last_rotated {
            Some(stamp) => Some(stamp),
            None => list(&self.path)?.last().map(|rotated| rotated.stamp),
        };
        let stamp = Stamp::after(last, Zoned::now().datetime());
        std::fs::rename(&self.path, rotated_name(&self.path, stamp))?;
        self.last_rotated = Some(stamp);
        Ok(())
    }
}

/// Opens for appending. Never waits (a FIFO without a reader fails instead), never takes a terminal over.
fn open_append(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    open(path, flags, Mode::from_raw_mode(MODE))
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// How much of an unfinished line the file ends with. One that cannot be read counts as well ended.
fn unfinished_line(path: &Path, stat: &Stat) -> u64 {
    if !FileType::from_raw_mode(stat.st_mode).is_file() || size(stat) == 0 {
        return 0;
    }
    File::open(path)
        .and_then(|file| unfinished(&file, size(stat), LOOK_BACK))
        .unwrap_or(0)
}
