//! What the tests of real processes share. Every process they start is ended by a guard.
#![allow(dead_code, reason = "each test file uses its part")]

use ostler_sys::pidfd::{self, Waited};
use ostler_sys::proc::{StartTime, Stat};
use ostler_sys::spawn::{Command, ExecOutcome};
use ostler_sys::{ExitStatus, Pid};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_secs(10);

pub fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in a test's text")
}

/// A command by absolute path, with a plain environment.
pub fn command(argv: &[&str]) -> Command {
    let mut command = Command::new(text(argv[0]));
    command.argv = argv.iter().map(|argument| text(argument)).collect();
    command.envp = vec![
        text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        text("LC_ALL=C"),
    ];
    command
}

pub fn shell(script: &str) -> Command {
    command(&["/bin/sh", "-c", script])
}

/// A running process that is killed and reaped when the test is done with it.
pub struct Child {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    pub start: StartTime,
}

impl Child {
    pub fn run(command: Command) -> Self {
        let mut released = command
            .hold()
            .expect("a process can be made")
            .release()
            .expect("the gate opens");
        let outcome = released.outcome.wait(LIMIT).expect("the outcome can be read");
        assert_eq!(outcome, ExecOutcome::Running);
        let start = Stat::read(released.pid)
            .expect("/proc is mounted")
            .expect("it was not reaped")
            .start_time;
        Self {
            pid: released.pid,
            pidfd: released.pidfd,
            start,
        }
    }

    pub fn wait(&self) -> ExitStatus {
        wait_for_status(self.pidfd.as_fd())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = pidfd::signal(&self.pidfd, libc::SIGKILL);
        let _ = pidfd::wait_for_exit(&self.pidfd, LIMIT);
        let _ = pidfd::wait(&self.pidfd);
    }
}

pub fn wait_for_status(pidfd: BorrowedFd<'_>) -> ExitStatus {
    assert!(
        pidfd::wait_for_exit(pidfd, LIMIT).expect("poll"),
        "the process did not end"
    );
    match pidfd::wait(pidfd).expect("waitid") {
        Waited::Ended(status) => status,
        other @ (Waited::Running | Waited::NotOurs) => panic!("{other:?}"),
    }
}

/// Runs a command with its output on a pipe; what it wrote and how it ended.
pub fn output(mut command: Command) -> (String, ExitStatus) {
    let (read, write) = std::io::pipe().expect("a pipe");
    let error = write.try_clone().expect("a descriptor");
    command
        .descriptors
        .extend([(OwnedFd::from(write), 1), (OwnedFd::from(error), 2)]);
    let child = Child::run(command);
    let mut text = String::new();
    { read }.read_to_string(&mut text).expect("text");
    (text, child.wait())
}

/// Waits until a condition holds.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}
