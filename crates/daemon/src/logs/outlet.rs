//! The way to our own standard output or error, which in a container is what all apps write to.
//!
//! ```text
//! log thread ── appends ──▶ buffer (memory file) ── copied ──▶ passage (pipe) ── spliced ──▶ our output
//!                                                └──────────── pump: a thread of its own ────────────┘
//! ```
//!
//! For the log thread the buffer is a log file like any other, so what a killed daemon had begun its successor goes on with. How
//! far the buffer has been passed on must outlive a daemon as exactly. It is kept where one system call changes it: `passed` and
//! `marked` are open files of the buffer's own, with the keeper, and their offsets are the two numbers.
//!
//! 1. `marked` is moved to where the passage, which is empty, is to be filled up to;
//! 2. the bytes are written into it, all at once;
//! 3. `passed` is moved there;
//! 4. they are spliced to the output, which may take as long as whoever reads it likes.
//!
//! A successor that finds bytes in the passage and `passed` before `marked` knows that they have not been counted yet (killed
//! between 2 and 3), else that they have.
//!
//! Invariants: only the pump reads the passage; only one pump lives at a time; what is not passed on is bounded ([`FULL`]), and
//! streams are not read any more well before that ([`CONGESTED`]), so that whoever writes waits, as for any pipe.

use super::vault::Pipe;
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SeekFrom, fallocate, fcntl_setfl, fstat, memfd_create, open, seek, tell,
};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, pipe_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// From so many bytes on that nobody has read, no more are taken from apps.
const CONGESTED: u64 = 256 << 10;
/// From so many bytes on, even the last words of processes that have ended are dropped.
const FULL: u64 = 8 << 20;
/// The buffer's memory is given back in pieces of this size.
const PIECE: u64 = 256 << 10;

/// What leads to one of our outputs.
#[derive(Debug)]
pub struct Outlet {
    /// Opened for appending.
    buffer: OwnedFd,
    /// Its offset is how much of the buffer has been put into the passage.
    passed: OwnedFd,
    /// Its offset is up to where the passage was last to be filled.
    marked: OwnedFd,
    passage: Pipe,
    /// The log thread waits for room.
    awaited: AtomicBool,
    news: Mutex<bool>,
    arrival: Condvar,
}

impl Outlet {
    /// How many descriptors there are to be kept.
    pub const DESCRIPTORS: usize = 5;

    /// An empty one.
    ///
    /// # Errors
    /// Those of memfd_create(2), open(2) and pipe2(2): no descriptors, no memory; no `/proc`.
    pub fn create() -> io::Result<Self> {
        let buffer = memfd_create(c"ostler-output", MemfdFlags::CLOEXEC)?;
        // An offset of its own each, which descriptors that are only copied would share.
        let path = format!("/proc/self/fd/{}", buffer.as_raw_fd());
        let again = || open(&*path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let (passed, marked) = (again()?, again()?);
        fcntl_setfl(&buffer, OFlags::RDWR | OFlags::APPEND)?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self::from_descriptors([buffer, passed, marked, read, write]))
    }

    /// A predecessor's, from copies of its [`descriptors`](Self::descriptors) in the same order.
    pub fn from_descriptors([buffer, passed, marked, read, write]: [OwnedFd; Self::DESCRIPTORS]) -> Self {
        Self {
            buffer,
            passed,
            marked,
            passage: Pipe { read, write },
            awaited: AtomicBool::new(false),
            news: Mutex::new(false),
            arrival: Condvar::new(),
        }
    }

    /// What is to be copied into the keeper before anything is written.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; Self::DESCRIPTORS] {
        let (read, write) = (self.passage.read.as_fd(), self.passage.write.as_fd());
        [
            self.buffer.as_fd(),
            self.passed.as_fd(),
            self.marked.as_fd(),
            read,
            write,
        ]
    }

    pub(super) fn buffer(&self) -> &OwnedFd {
        &self.buffer
    }

    pub(super) fn passage(&self) -> &Pipe {
        &self.passage
    }

    /// How many bytes have not been put into the passage yet.
    fn waiting(&self) -> u64 {
        let size = fstat(&self.buffer).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        size.saturating_sub(tell(&self.passed).unwrap_or(size))
    }

    /// How many bytes have not got through to whoever reads our output, or to his pipe.
    pub fn left(&self) -> u64 {
        self.waiting() + rustix::io::ioctl_fionread(&self.passage.read).unwrap_or(0)
    }

    /// Whether no more is to be taken in now. Then the pump says when it is.
    pub(super) fn is_congested(&self) -> bool {
        if self.waiting() < CONGESTED {
            return false;
        }
        self.awaited.store(true, Ordering::SeqCst);
        // It may have become free before the pump could see that somebody waits.
        self.waiting() >= CONGESTED
    }

    /// Whether nothing more can be taken in at all.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= FULL
    }

    /// Tells the pump that there is something.
    pub(super) fn wake(&self) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.arrival.notify_one();
    }

    /// Waits until somebody has called [`wake`](Self::wake) since the last time.
    pub(super) fn wait(&self) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        while !std::mem::take(&mut *news) {
            news = self.arrival.wait(news).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts what a killed predecessor had put into the passage and not counted.
    pub(super) fn recover(&self) -> io::Result<()> {
        let level = rustix::io::ioctl_fionread(&self.passage.read)?;
        let (passed, marked) = (tell(&self.passed)?, tell(&self.marked)?);
        if level > 0 && passed < marked {
            seek(&self.passed, SeekFrom::Start(passed + level))?;
        }
        Ok(())
    }

    /// Fills the empty passage. How many bytes there are in it then; whether whoever waits for room has it now.
    pub(super) fn fill(&self, bytes: &mut Vec<u8>) -> io::Result<Filled> {
        let (passed, room) = (tell(&self.passed)?, fcntl_getpipe_size(&self.passage.write)?);
        let length = usize::try_from(self.waiting()).unwrap_or(room).min(room);
        bytes.resize(length, 0);
        let length = rustix::io::pread(&self.buffer, &mut bytes[..], passed)?;
        seek(&self.marked, SeekFrom::Start(passed + length as u64))?;
        super::engine::kill_point();
        // An empty pipe takes all that it has room for at once.
        let written = rustix::io::write(&self.passage.write, &bytes[..length])?;
        super::engine::kill_point();
        seek(&self.passed, SeekFrom::Start(passed + written as u64))?;
        self.forget_before(passed);
        let room = self.waiting() < CONGESTED / 2 && self.awaited.swap(false, Ordering::SeqCst);
        Ok(Filled { length: written, room })
    }

    /// Gives back the memory of what has got through.
    fn forget_before(&self, passed: u64) {
        let length = passed / PIECE * PIECE;
        if length > 0 && passed % PIECE < u64::from(u16::MAX) + 1 {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // It only costs memory.
            let _ = fallocate(&self.passed, hole, 0, length);
        }
    }
}

/// What has been put into the passage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub length: usize,
    /// Somebody waits for room, and has it.
    pub room: bool,
}
