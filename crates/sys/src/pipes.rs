//! Pipes: what apps write their output to.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A pipe's read and write end, both close-on-exec and blocking.
///
/// # Errors
/// `pipe2(2)`.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Makes one end not block. The flag belongs to this end alone: the app at the other one still blocks, as programs
/// expect of their output.
///
/// # Errors
/// `fcntl(2)`.
pub fn set_nonblocking(end: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&end)?;
    Ok(rustix::fs::fcntl_setfl(&end, flags | rustix::fs::OFlags::NONBLOCK)?)
}

/// How many bytes wait to be read.
///
/// # Errors
/// `ioctl(FIONREAD)`.
pub fn unread(end: impl AsFd) -> io::Result<u64> {
    Ok(rustix::io::ioctl_fionread(end)?)
}

/// Whether nobody is left who could write into the pipe of this read end. What was written before may still wait in it.
///
/// # Errors
/// `poll(2)`.
pub fn writers_are_gone(end: impl AsFd) -> io::Result<bool> {
    let now = rustix::event::Timespec::default();
    // `POLLHUP` is told without being asked for.
    let mut ends = [PollFd::new(&end, PollFlags::empty())];
    loop {
        match poll(&mut ends, Some(&now)) {
            Ok(_) => return Ok(ends[0].revents().contains(PollFlags::HUP)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Moves at most `length` bytes from one pipe to another (or to a file or socket) inside the kernel, without
/// waiting on either pipe. `Ok(0)` is the end of input.
///
/// # Errors
/// `splice(2)`: `WouldBlock` when there is nothing to read or no room to write.
pub fn splice(from: impl AsFd, to: impl AsFd, length: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(rustix::pipe::splice(from, None, to, None, length, flags)?)
}
