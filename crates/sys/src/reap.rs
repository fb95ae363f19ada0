//! Inheriting and reaping children.
//!
//! Called by the keeper, which everything orphaned falls to, and by the daemon, whose apps' own orphans do.

use crate::status::ExitStatus;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, set_child_subreaper};
use std::io;

/// Reaps one child that has ended, whichever: for processes that are parent of all kinds of orphans. It takes the
/// statuses from under everybody who waits for a certain child. `None` when none has ended or there is none.
///
/// # Errors
/// `wait4(2)` but for `ECHILD`.
pub fn reap_any() -> io::Result<Option<(Pid, ExitStatus)>> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if let Some(status) = ExitStatus::from_wait_status(status.as_raw()) {
                    return Ok(Some((pid, status)));
                }
            }
            Ok(None) | Err(Errno::CHILD) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes this process the one that orphaned descendants fall to. Children do not inherit it; it survives `execve`.
///
/// # Errors
/// `prctl(2)`; never on Linux 3.4 and later.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}
