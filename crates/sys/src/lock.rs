//! Lock files: one daemon a home.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// An exclusive lock (`flock(2)`) on a file that is made if need be (mode 0600). Held until this value and all
/// copies of its descriptor, also those in other processes, are closed; a killed holder leaves nothing behind.
#[derive(Debug)]
pub struct LockFile(File);

impl LockFile {
    /// Takes the lock, or tells by `None` that somebody else has it.
    ///
    /// # Errors
    /// When the file cannot be made or locked (a home that is read-only, file systems without locks).
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        match Self::lock(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock, however long that takes. Not for event loops.
    ///
    /// # Errors
    /// As [`LockFile::try_take`].
    pub fn take(path: &Path) -> io::Result<Self> {
        Self::lock(path, FlockOperation::LockExclusive)
    }

    fn lock(path: &Path, operation: FlockOperation) -> io::Result<Self> {
        loop {
            // std opens close-on-exec.
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            match flock(&file, operation) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // Somebody may have removed the file meanwhile: a lock on it would exclude nobody.
            let ours = file.metadata()?;
            if std::fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self(file));
            }
        }
    }
}

impl AsFd for LockFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
