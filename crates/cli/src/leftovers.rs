//! Ending what is left of apps that nobody supervises any more: keeper and daemon were killed at once, and the apps are about to be
//! started again. Called by `ostler daemon --resurrect` only; whoever types a command decides for himself.

use crate::home::Home;
use ostler_sys::pidfd;
use ostler_sys::proc::Stat;
use rustix::process::{Pid, Signal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long they may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a killed process may take to be gone.
const DYING: Duration = Duration::from_secs(2);

/// Ends them: SIGTERM, then SIGKILL. Gives how many there were.
pub fn end(home: &Home) -> usize {
    let held = held(home);
    signal(&held, Signal::TERM);
    if !wait(&held, PATIENCE) {
        signal(&held, Signal::KILL);
        wait(&held, DYING);
    }
    held.len()
}

/// Each by its pidfd, and only if it still was one of them when that was open: a number may have passed to another process.
fn held(home: &Home) -> Vec<OwnedFd> {
    let list = || ostler_daemon::tree::survivors(&home.path().to_string_lossy());
    let opened: Vec<(i32, OwnedFd)> = list().into_iter().filter_map(|pid| Some((pid, open(pid)?))).collect();
    let still = list();
    let kept = opened.into_iter().filter(|(pid, _)| still.contains(pid));
    kept.map(|(_, held)| held).collect()
}

fn open(pid: i32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pid)?;
    let start = Stat::read(pid).ok()??.start_time;
    pidfd::open(pid, start).ok()?
}

fn signal(held: &[OwnedFd], signal: Signal) {
    for process in held {
        // One that we may not signal runs as another user; the log names those that are left.
        let _ = pidfd::signal(process, signal.as_raw());
    }
}

/// Whether all have ended in time.
fn wait(held: &[OwnedFd], limit: Duration) -> bool {
    let end = Instant::now() + limit;
    held.iter().all(|process| {
        let left = end.saturating_duration_since(Instant::now());
        pidfd::wait_for_exit(process, left).unwrap_or(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_daemon::Stage;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    fn left_behind(stage: &Stage, script: &str) -> std::process::Child {
        let marker = format!("0.1@{}", stage.session.home.path().display());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .env(ostler_daemon::tree::MARKER, marker)
            .stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("sh starts");
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(child.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut reader, &mut line).expect("it says that it runs");
        child
    }

    #[test]
    fn processes_of_this_home_are_ended_and_no_others() {
        let (stage, other) = (Stage::new("daemon"), Stage::new("daemon"));
        let waits = "echo; while :; do read x < /dev/zero; done";
        let mut ours = left_behind(&stage, waits);
        let mut theirs = left_behind(&other, waits);
        assert_eq!(end(&stage.session.home), 1);
        assert_eq!(ours.wait().expect("it has ended").signal(), Some(Signal::TERM.as_raw()));
        assert!(theirs.try_wait().expect("it can be asked").is_none());
        theirs.kill().expect("it can be killed");
        theirs.wait().expect("it has ended");
    }
}
