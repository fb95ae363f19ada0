//! Processor time in nanoseconds, from `/proc/<pid>/schedstat`: fine enough to see whether a program that was just
//! started has come to rest.

use super::file::{leading_number, open, open_of, read};
use rustix::fs::{Dir, OFlags};
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

/// Nanoseconds all living threads of a process have run. Falls when a thread ends.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn cpu_nanos_of_threads(pid: Pid) -> io::Result<Option<u64>> {
    let Some(tasks) = open(rustix::fs::CWD, format_args!("/proc/{pid}/task"), OFlags::DIRECTORY)? else {
        return Ok(None);
    };
    let mut sum = None;
    for entry in Dir::read_from(&tasks)? {
        let entry = entry?;
        let Some(thread) = leading_number(entry.file_name().to_bytes()) else {
            continue;
        };
        let Some(file) = open(&tasks, format_args!("{thread}/schedstat"), OFlags::empty())? else {
            continue;
        };
        let mut buffer = [0; 128];
        if let Some(nanos) = read(file, &mut buffer)?.and_then(leading_number) {
            sum = Some(sum.unwrap_or(0) + nanos);
        }
    }
    Ok(sum)
}
