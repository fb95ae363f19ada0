//! Resource limits of our own processes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

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
