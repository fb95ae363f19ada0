//! The descriptors that outlive a daemon. The keeper holds a copy of each and hands them to the successor, which goes on
//! with the very byte its predecessor was killed at.
//!
//! Invariant: only one log thread uses a vault at a time (the keeper starts a daemon only after the last one's death).

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pipe, both ends.
#[derive(Debug)]
pub(super) struct Pipe {
    pub read: OwnedFd,
    pub write: OwnedFd,
}

/// The journal and the two pipes that make the way from an app's pipe to its files exact over `kill -9`.
#[derive(Debug)]
pub struct Vault {
    /// A memory file: which chunk is in flight, and each stream's state between chunks.
    pub(super) journal: OwnedFd,
    /// Bytes move here from an app's pipe by splice(2), and leave only when they are in the files. Nobody else writes to
    /// it, so its level says exactly whether a chunk is still to be done.
    pub(super) staging: Pipe,
    /// Gets a duplicate of the staging pipe's bytes by tee(2), to be read without consuming the original. Kept in the
    /// vault, rather than made anew, because a user's later pipes may be smaller (pipe(7), `pipe-user-pages-soft`).
    pub(super) peek: Pipe,
}

impl Vault {
    /// Names for [`descriptors`](Self::descriptors), in its order, to keep them by.
    pub const NAMES: [&'static str; 5] = [
        "log-journal",
        "log-staging-r",
        "log-staging-w",
        "log-peek-r",
        "log-peek-w",
    ];

    /// Makes an empty vault.
    ///
    /// # Errors
    /// Those of memfd_create(2), pipe2(2) and fcntl(2): too many descriptors, no memory.
    pub fn create() -> io::Result<Self> {
        let journal = memfd_create("ostler-log-journal", MemfdFlags::CLOEXEC)?;
        let vault = Self {
            journal,
            staging: Pipe::open()?,
            peek: Pipe::open()?,
        };
        let size = vault.staging.size()?.min(vault.peek.size()?);
        fcntl_setpipe_size(&vault.staging.write, size)?;
        fcntl_setpipe_size(&vault.peek.write, size)?;
        Ok(vault)
    }

    /// A predecessor's vault, from copies of its [`descriptors`](Self::descriptors) in the same order.
    pub fn from_descriptors(descriptors: [OwnedFd; 5]) -> Self {
        let [journal, staging_read, staging_write, peek_read, peek_write] = descriptors;
        Self {
            journal,
            staging: Pipe {
                read: staging_read,
                write: staging_write,
            },
            peek: Pipe {
                read: peek_read,
                write: peek_write,
            },
        }
    }

    /// The descriptors, to be copied into the keeper before the first [`Logs::attach`](super::Logs::attach).
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 5] {
        [
            self.journal.as_fd(),
            self.staging.read.as_fd(),
            self.staging.write.as_fd(),
            self.peek.read.as_fd(),
            self.peek.write.as_fd(),
        ]
    }

    /// A second handle on the same vault.
    ///
    /// # Errors
    /// Those of fcntl(2) `F_DUPFD_CLOEXEC`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let [journal, sr, sw, pr, pw] = self.descriptors().map(|fd| fd.try_clone_to_owned());
        Ok(Self::from_descriptors([journal?, sr?, sw?, pr?, pw?]))
    }
}

impl Pipe {
    /// A new pipe that never blocks its user.
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write })
    }

    /// How many bytes it can hold.
    fn size(&self) -> io::Result<usize> {
        Ok(fcntl_getpipe_size(&self.write)?)
    }
}
