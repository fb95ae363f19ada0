//! Processor time in nanoseconds, from `/proc/<pid>/schedstat`: fine enough to see whether a program that was just
//! started has come to rest.

use super::file::{leading_number, open_of, read};
use rustix::process::Pid;
use std::io;

/// Nanoseconds the first thread of a process has run. `None` when it is gone, or the kernel keeps no such account
/// (`CONFIG_SCHED_INFO`).
///
/// # Errors
/// When `/proc` cannot be read.
pub fn cpu_nanos(pid: Pid) -> io::Result<Option<u64>> {
    let mut buffer = [0; 128];
    let Some(file) = open_of(pid, "schedstat")? else {
        return Ok(None);
    };
    Ok(read(file, &mut buffer)?.and_then(leading_number))
}
