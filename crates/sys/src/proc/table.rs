//! All processes in one pass.

use super::file::{leading_number, open, read};
use super::stat::Stat;
use rustix::fs::{CWD, OFlags, RawDir};
use rustix::io::Errno;
use rustix::process::Pid;
use std::io;
use std::mem::MaybeUninit;

/// All processes at (nearly) one moment, by pid.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {
    /// In order of pid.
    processes: Vec<Stat>,
}

impl ProcessTable {
    /// Reads those processes of `/proc` that `wanted` says of. Which there are costs a thousandth of a millisecond each, to look at one ten
    /// times as much. Processes that end meanwhile are left out; those that start meanwhile may be.
    ///
    /// # Errors
    /// When `/proc` cannot be read: out of descriptors, not mounted.
    pub fn scan_where(mut wanted: impl FnMut(Pid) -> bool) -> io::Result<Self> {
        let proc = open(CWD, format_args!("/proc"), OFlags::DIRECTORY)?.ok_or(Errno::NOENT)?;
        let mut processes = Vec::with_capacity(256);
        let mut space = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&proc, &mut space);
        while let Some(entry) = entries.next() {
            let pid = leading_number(entry?.file_name().to_bytes());
            let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) else {
                continue;
            };
            if wanted(pid) {
                processes.extend(stat_below(&proc, pid)?);
            }
        }
        Ok(Self::from(processes))
    }

    /// One process.
    pub fn get(&self, pid: Pid) -> Option<&Stat> {
        let at = self
            .processes
            .binary_search_by_key(&pid.as_raw_nonzero(), |stat| stat.pid.as_raw_nonzero())
            .ok()?;
        self.processes.get(at)
    }

    /// All of them, by pid.
    pub fn iter(&self) -> impl Iterator<Item = &Stat> {
        self.processes.iter()
    }
}

impl From<Vec<Stat>> for ProcessTable {
    fn from(mut processes: Vec<Stat>) -> Self {
        processes.sort_unstable_by_key(|stat| stat.pid.as_raw_nonzero());
        Self { processes }
    }
}

fn stat_below(proc: &std::os::fd::OwnedFd, pid: Pid) -> io::Result<Option<Stat>> {
    let Some(file) = open(proc, format_args!("{pid}/stat"), OFlags::empty())? else {
        return Ok(None);
    };
    let mut buffer = [0; 1024];
    Ok(read(file, &mut buffer)?.and_then(Stat::parse))
}
