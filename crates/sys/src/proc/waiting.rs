//! Whether a process waits for what comes in on a socket: a sign that a server which has inherited it is up.

use super::file::{leading_number, open, open_of};
use rustix::fs::{Dir, OFlags, readlinkat_raw};
use rustix::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::mem::MaybeUninit;

/// `EPOLLIN`.
const READABLE: u32 = 1;
/// Calls that wait for something to come in on the descriptor that is their first argument.
const ACCEPTING: [libc::c_long; 5] = [
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
];

/// Calls that wait for several descriptors, which do not show.
const WAITING: &[libc::c_long] = &[
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_io_uring_enter,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
];

/// What a process waits for, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// For none of the sockets.
    No,
    /// It has one of them, and waits for descriptors that do not show: by `poll(2)`, `select(2)` or `io_uring(7)`.
    Perhaps,
    /// For one of them: it is in an `epoll(7)` set, or a thread blocks in `accept(2)` or `recv(2)` on it.
    Yes,
}

/// Whether a process waits for what comes in on one of these sockets (by inode). `No` for a process that is gone.
///
/// # Errors
/// When `/proc` cannot be read, or not for this process (another user's).
pub fn waits_on(pid: Pid, sockets: &BTreeSet<u64>) -> io::Result<Waiting> {
    let held = Held::of(pid, sockets)?;
    if held.sockets.is_empty() {
        return Ok(Waiting::No);
    }
    for set in &held.sets {
        if text_of(pid, &format!("fdinfo/{set}"))?
            .lines()
            .any(|line| is_watched(line, sockets))
        {
            return Ok(Waiting::Yes);
        }
    }
    threads_wait(pid, &held.sockets)
}

/// What a process has open of interest, by descriptor number.
#[derive(Default)]
struct Held {
    sockets: BTreeMap<u64, u64>,
    sets: Vec<u64>,
}

impl Held {
    fn of(pid: Pid, wanted: &BTreeSet<u64>) -> io::Result<Self> {
        let mut held = Self::default();
        let Some(directory) = open(rustix::fs::CWD, format_args!("/proc/{pid}/fd"), OFlags::DIRECTORY)? else {
            return Ok(held);
        };
        for entry in Dir::read_from(&directory)? {
            let Ok(entry) = entry else { break };
            let mut target = [MaybeUninit::uninit(); 32];
            let (Some(number), Ok((target, _))) = (
                leading_number(entry.file_name().to_bytes()),
                readlinkat_raw(&directory, entry.file_name(), &mut target),
            ) else {
                continue;
            };
            if *target == *b"anon_inode:[eventpoll]" {
                held.sets.push(number);
            }
            let inode = target.strip_prefix(b"socket:[").and_then(leading_number);
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
                held.sockets.insert(number, inode);
            }
        }
        Ok(held)
    }
}

/// `tfd:        5 events: 8000001b data:                5  pos:0 ino:1a2f sdev:8` (proc(5)).
fn is_watched(line: &str, sockets: &BTreeSet<u64>) -> bool {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("tfd:") {
        return false;
    }
    let words: Vec<&str> = words.collect();
    let after = |label: &str| {
        let at = words.iter().position(|word| *word == label)?;
        words.get(at + 1).copied()
    };
    let events = after("events:").and_then(|text| u32::from_str_radix(text, 16).ok());
    let inode = words.iter().find_map(|word| word.strip_prefix("ino:"));
    let inode = inode.and_then(|text| u64::from_str_radix(text, 16).ok());
    events.is_some_and(|events| events & READABLE != 0) && inode.is_some_and(|inode| sockets.contains(&inode))
}

fn threads_wait(pid: Pid, sockets: &BTreeMap<u64, u64>) -> io::Result<Waiting> {
    let Some(tasks) = open_of(pid, "task")? else {
        return Ok(Waiting::No);
    };
    let mut waiting = Waiting::No;
    for entry in Dir::read_from(&tasks)? {
        let Ok(entry) = entry else { break };
        let Some(thread) = leading_number(entry.file_name().to_bytes()) else {
            continue;
        };
        // Kernels and containers may not tell: then it does not show.
        let call = text_of(pid, &format!("task/{thread}/syscall")).unwrap_or_default();
        let mut words = call.split_ascii_whitespace();
        let number = words.next().and_then(|word| word.parse::<libc::c_long>().ok());
        let first = words.next().and_then(|word| word.strip_prefix("0x"));
        let first = first.and_then(|text| u64::from_str_radix(text, 16).ok());
        if number.is_some_and(|number| ACCEPTING.contains(&number))
            && first.is_some_and(|descriptor| sockets.contains_key(&descriptor))
        {
            return Ok(Waiting::Yes);
        }
        if number.is_some_and(|number| WAITING.contains(&number)) {
            waiting = Waiting::Perhaps;
        }
    }
    Ok(waiting)
}

/// A small file of a process; empty when the process is gone.
fn text_of(pid: Pid, name: &str) -> io::Result<String> {
    let mut text = String::new();
    if let Some(file) = open_of(pid, name)? {
        match std::fs::File::from(file).read_to_string(&mut text) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_epoll_set_tells_which_socket_it_watches_and_for_what() {
        let sockets = BTreeSet::from([0x1a2f]);
        let line = "tfd:        5 events: 8000001b data:                5  pos:0 ino:1a2f sdev:8";
        assert!(is_watched(line, &sockets));
        assert!(!is_watched(line, &BTreeSet::from([7])));
        let only_writable = "tfd:        5 events:       1c data:                5  pos:0 ino:1a2f sdev:8";
        assert!(!is_watched(only_writable, &sockets));
        assert!(!is_watched("pos:\t0", &sockets));
        assert!(!is_watched("", &sockets));
    }
}
