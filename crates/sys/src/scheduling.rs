//! How the kernel shares processors out: to our threads, and to the sessions that our processes lead.

use crate::pidfd;
use rustix::process::Pid;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Has this thread take its turns as they come (`SCHED_BATCH`): becoming ready to run, it does not take the processor from whoever has it
/// before that one's turn is over. For a thread that finds more to do the later it runs and does it cheaper at once. Threads and
/// processes that it begins inherit it (sched(7): `SCHED_RESET_ON_FORK` is about others).
///
/// # Errors
/// The kernel, or a filter of system calls, does not have it: nothing has changed then. sched_setscheduler(2).
pub fn take_turns() -> io::Result<()> {
    // SAFETY: all zeroes are a valid sched_param; the kernel's own have padding or reserved fields with some C libraries.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is the calling thread; the parameters are only read during the call.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives the session of a process, which is held by `pidfd`, this niceness (0 to 19; sched(7), *The autogroup feature*). Of one that has ended nothing is changed.
///
/// # Errors
/// - `WouldBlock`: the kernel lets this be done ten times a second by all users but root together. Try again in a tenth of a second.
/// - others: the process has ended, or there is no such feature, or not for us; sessions weigh what they weigh then.
pub fn weigh_session(pid: Pid, pidfd: impl AsFd, niceness: i32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .open(format!("/proc/{}/autogroup", pid.as_raw_nonzero()))?;
    // What was opened stays what it is, so it is that very process's if that has not ended by now.
    if pidfd::has_exited(pidfd)? {
        return Ok(());
    }
    file.write_all(niceness.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn policy() -> i32 {
        // SAFETY: nothing is passed but a number; 0 is the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn the_thread_takes_turns_and_others_are_as_they_were() {
        let begun = thread::spawn(|| {
            take_turns().expect("every kernel has it");
            policy()
        });
        assert_eq!(begun.join().expect("it ends"), libc::SCHED_BATCH);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
