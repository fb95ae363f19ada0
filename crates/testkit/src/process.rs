//! Processes as `/proc` shows them, and signals sent only through a pidfd.
//!
//! Called by [`Home`](crate::Home) to find what a manager runs and leaves, and by benchmarks to measure it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// When it was started, in clock ticks since boot: with the id, its identity (`/proc/PID/stat` field 22).
    pub started: u64,
    /// `R`, `S`, `Z`, … (`/proc/PID/stat` field 3).
    pub state: char,
    /// Processor time used so far by itself, clock ticks (fields 14 and 15).
    pub ticks: u64,
    /// Its command line, words joined by spaces; empty for a zombie.
    pub command: String,
}

/// The memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident, KiB.
    pub rss: u64,
    /// Resident with shared pages divided among those who share them, KiB.
    pub pss: u64,
}

/// Reads one process; `None` when there is none of this id.
pub fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything, also parentheses: count from the last one.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: number(19)?,
        state: fields.first()?.chars().next()?,
        ticks: number(11)? + number(12)?,
        command: command_line(pid),
    })
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// Every process of the machine that can be read.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

/// Whether a process of this id exists and is more than a zombie.
pub fn is_alive(pid: i32) -> bool {
    read(pid).is_some_and(|process| process.state != 'Z')
}

/// The running processes whose environment, command line, working directory or program lies in `directory`.
pub fn naming(directory: &Path) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| process.state != 'Z' && names(process, directory))
        .collect()
}

fn names(process: &Process, directory: &Path) -> bool {
    let link_within = |name: &str| {
        fs::read_link(format!("/proc/{}/{name}", process.pid)).is_ok_and(|target| target.starts_with(directory))
    };
    let text = directory.as_os_str().as_bytes();
    contains(process.command.as_bytes(), text)
        || environment_contains(process.pid, text)
        || link_within("cwd")
        || link_within("exe")
}

/// Whether the environment a process was started with contains these bytes. False when it cannot be read.
pub fn environment_contains(pid: i32, text: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| contains(&environment, text))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The program a process runs, also when its file has been replaced since.
pub fn program(pid: i32) -> Option<PathBuf> {
    let target = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let text = target.to_string_lossy();
    Some(
        text.strip_suffix(" (deleted)")
            .map_or_else(|| target.clone(), PathBuf::from),
    )
}

/// The processes below `pid`, nearest first.
pub fn descendants(pid: i32) -> Vec<Process> {
    let everything = all();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for process in everything.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// The memory of a process (`/proc/PID/smaps_rollup`); zeros when it is gone.
pub fn memory(pid: i32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Memory {
        rss: field("Rss:").unwrap_or(0),
        pss: field("Pss:").unwrap_or(0),
    }
}

/// The descriptors a process has open, as what they lead to.
pub fn descriptors(pid: i32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let read = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?))
    };
    entries.flatten().filter_map(read).collect()
}

/// Sends a signal through a pidfd. Returns whether there was a process to send it to.
///
/// # Panics
/// When the process may not be signalled: a test has only to do with its own processes.
pub fn signal(pid: i32, signal: Signal) -> bool {
    let pid = Pid::from_raw(pid).expect("invariant: a process id is above 0");
    match pidfd_open(pid, PidfdFlags::empty()).and_then(|handle| pidfd_send_signal(handle, signal)) {
        Ok(()) => true,
        Err(Errno::SRCH) => false,
        Err(error) => panic!("signal {signal:?} to {pid:?}: {error}"),
    }
}

/// Waits until a process has ended (it may be a zombie then), at most for `limit`. Returns whether it has.
///
/// # Panics
/// When the process cannot be watched at all.
pub fn wait_end(pid: i32, limit: Duration) -> bool {
    let pid = Pid::from_raw(pid).expect("invariant: a process id is above 0");
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return true,
        Err(error) => panic!("pidfd_open {pid:?}: {error}"),
    };
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("invariant: a test's limit fits");
        // A pidfd is readable once its process has ended (pidfd_open(2)).
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll of pidfd {pid:?}: {error}"),
        }
    }
}

/// The processor time a process has used since it began, in steps of a clock tick (10 ms as a rule).
pub fn cpu_time(pid: i32) -> Duration {
    let ticks = read(pid).map_or(0, |process| process.ticks);
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The processor time of a process's living threads to the nanosecond (`/proc/PID/task/TID/schedstat`, field 1).
pub fn thread_time(pid: i32) -> Duration {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    let spent = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(entries.flatten().filter_map(spent).sum())
}

/// How often a process has read from anything since it began (proc(5), `/proc/pid/io`, `syscr`); 0 for one that is gone.
#[must_use]
pub fn reads(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("syscr:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// SIGKILL through a pidfd. Returns whether there was a process to kill.
pub fn kill(pid: i32) -> bool {
    signal(pid, Signal::KILL)
}

/// A list of processes for people, one a line.
pub fn describe(processes: &[Process]) -> String {
    let line = |process: &Process| format!("  {} (parent {}) {}\n", process.pid, process.parent, process.command);
    processes.iter().map(line).collect()
}
