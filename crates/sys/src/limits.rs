//! Resource limits of our own processes.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsFd, RawFd};

/// Raises this process's limit of open files as far as it may be. Returns what it was, soft and hard
/// (`u64::MAX` for none), which children are to get back: some programs misbehave with a high soft limit
/// (`select(2)`, loops over all descriptors).
///
/// # Errors
/// `setrlimit(2)`; the limit is then as it was.
pub fn raise_open_files() -> io::Result<(u64, u64)> {
    let before = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: before.maximum,
            maximum: before.maximum,
        },
    )?;
    Ok((before.current.unwrap_or(u64::MAX), before.maximum.unwrap_or(u64::MAX)))
}

/// Has the kernel make room for `count` descriptors in this process's table, while it has one thread only. A table that
/// several threads share is doubled at the price of an RCU grace period (`expand_fdtable` in the kernel's `fs/file.c`):
/// 10 to 20 ms each time, in the middle of starting programs.
pub fn reserve_descriptors(count: u32) {
    let wanted = RawFd::try_from(count.saturating_sub(1)).unwrap_or(RawFd::MAX);
    // The copy is closed at once, the room stays. Above the limit of open files there is none to be had: EINVAL, and the
    // table grows as it must.
    let _ = fcntl_dupfd_cloexec(io::stdin().as_fd(), wanted);
}
