//! Holding processes by descriptor, so that a signal never reaches a process that merely got an old number.
//!
//! Called by everything that signals or waits. Invariant of Ostler: no signal is sent by pid.

use crate::poll::readable;
use crate::proc::{StartTime, Stat};
use crate::status::ExitStatus;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// What `waitid(2)` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It has not ended.
    Running,
    /// It has ended and is reaped now.
    Ended(ExitStatus),
    /// It is not our child, or was reaped before: see [`exit_status_of_foreign`].
    NotOurs,
}

/// Opens a process that started at `start`. `None` when no such process is left: the number is free, or belongs
/// to another process by now.
///
/// # Errors
/// `pidfd_open(2)` but for `ESRCH`: `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn open(pid: Pid, start: StartTime) -> io::Result<Option<OwnedFd>> {
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Looked up after opening: if the start time is right now, the descriptor holds that very process.
    Ok(Stat::read(pid)?.filter(|stat| stat.start_time == start).map(|_| pidfd))
}

/// Sends a signal, by number. Tells whether there was a process to get it.
///
/// # Errors
/// `pidfd_send_signal(2)` but for `ESRCH`: `EPERM`, `EINVAL` for a number that is no signal.
pub fn signal(pidfd: impl AsFd, signal: i32) -> io::Result<bool> {
    let fd = pidfd.as_fd().as_raw_fd();
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: takes two numbers, a null pointer that the kernel allows, and no flags.
    if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, no_info, 0_u32) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) {
        Ok(false)
    } else {
        Err(error)
    }
}

/// Whether the process has ended (as a zombie or wholly).
///
/// # Errors
/// `poll(2)`.
pub fn has_exited(pidfd: impl AsFd) -> io::Result<bool> {
    readable(pidfd, Duration::ZERO)
}

/// Waits for the process to end, at most `limit`. Reaps nothing. Tells whether it has ended.
///
/// # Errors
/// `poll(2)`.
pub fn wait_for_exit(pidfd: impl AsFd, limit: Duration) -> io::Result<bool> {
    readable(pidfd, limit)
}

/// Reaps the process if it is a child of ours that has ended. Never blocks.
///
/// # Errors
/// `waitid(2)` but for `ECHILD`.
pub fn wait(pidfd: impl AsFd) -> io::Result<Waited> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    loop {
        return match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Ok(None) => Ok(Waited::Running),
            Ok(Some(status)) => Ok(decode(&status).map_or(Waited::Running, Waited::Ended)),
            Err(Errno::CHILD) => Ok(Waited::NotOurs),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// How the process ended, without reaping it: whoever asks again, or inherits the zombie, learns it too. `None` while it
/// runs and when it is not our child.
///
/// # Errors
/// `waitid(2)` but for `ECHILD`.
pub fn peek(pidfd: impl AsFd) -> io::Result<Option<ExitStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        return match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Ok(None) | Err(Errno::CHILD) => Ok(None),
            Ok(Some(status)) => Ok(decode(&status)),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

fn decode(status: &WaitIdStatus) -> Option<ExitStatus> {
    if let Some(code) = status.exit_status() {
        return Some(ExitStatus::Code(code));
    }
    let core_dumped = status.dumped();
    status
        .terminating_signal()
        .map(|signal| ExitStatus::Signal { signal, core_dumped })
}

/// How a process ended that is or was another's child: from the pidfd itself once it has been reaped (Linux
/// 6.15), or from its zombie in `/proc` as long as nobody has reaped it (which needs the right to trace it: same
/// user or root). `None` while it runs, and when nobody can tell any more.
pub fn exit_status_of_foreign(pidfd: impl AsFd, pid: Pid, start: StartTime) -> Option<ExitStatus> {
    exit_info(pidfd).or_else(|| zombie_exit_status(pid, start))
}

/// How a reaped process ended, as its pidfd remembers (`PIDFD_GET_INFO` with `PIDFD_INFO_EXIT`, Linux 6.15). `None`
/// before it is reaped and on older kernels.
pub fn exit_info(pidfd: impl AsFd) -> Option<ExitStatus> {
    let wanted = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: all zeros is a valid pidfd_info.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = wanted;
    // SAFETY: the kernel writes at most the size encoded in the request, that of `info`.
    let done = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if done != 0 || info.mask & wanted == 0 {
        return None;
    }
    ExitStatus::from_wait_status(info.exit_code)
}

/// How an ended process that nobody has reaped yet ended, from field 52 of its `/proc/<pid>/stat`. The kernel writes
/// 0 there for those who may not trace the process, so only root and the process's own user get an answer.
pub fn zombie_exit_status(pid: Pid, start: StartTime) -> Option<ExitStatus> {
    let stat = Stat::read(pid)
        .ok()
        .flatten()
        .filter(|stat| stat.start_time == start && stat.is_zombie())?;
    may_trace(pid).then_some(())?;
    ExitStatus::from_wait_status(stat.exit_code)
}

fn may_trace(pid: Pid) -> bool {
    let us = rustix::process::geteuid();
    us.is_root() || rustix::fs::stat(format!("/proc/{pid}")).is_ok_and(|owner| owner.st_uid == us.as_raw())
}
