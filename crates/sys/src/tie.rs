//! Children that must not outlive the command that started them.
//!
//! Called by `ostler-config` for the runtimes that evaluate configs.

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the kernel kill the child when the thread that spawns it ends (`PR_SET_PDEATHSIG`, prctl(2)), however it ends: by
/// Ctrl-C, by SIGKILL. That thread must therefore be the one that waits for the child. What the child starts is not tied.
pub fn end_with_spawner(command: &mut Command) {
    let spawner = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The spawner may have died before the call, and then nothing tells.
        if getppid() == Some(spawner) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: between fork and exec only two system calls are made, and nothing is allocated or locked.
    unsafe { command.pre_exec(tie) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    #[test]
    fn a_tied_child_dies_with_the_thread_that_started_it() {
        let mut child = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("100000").stdin(Stdio::null());
            end_with_spawner(&mut command);
            command.spawn().expect("sleep starts")
        })
        .join()
        .expect("the thread does not panic");
        let status = child.wait().expect("it ended");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}
