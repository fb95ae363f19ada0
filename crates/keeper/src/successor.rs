//! Starting a daemon, and how soon after the last one.

use crate::deposits::Deposits;
use crate::{KEEPER_VARIABLE, OPEN_FILES_VARIABLE};
use ostler_sys::fdpass::SendError;
use ostler_sys::{ExitStatus, fdpass, inherit, own_program, pipes};
use ostler_wire::keeper::ToDaemon;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon that takes longer than this to take one message of the hand-over is stuck.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// A daemon that lived this long has earned an immediate successor.
const HEALTHY: Duration = Duration::from_secs(2);
/// How many daemons may die young one after the other before their successors have to wait.
const FREE_ATTEMPTS: u32 = 3;
/// The first and the longest wait before a successor.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The running daemon.
#[derive(Debug)]
pub struct Daemon {
    pid: i32,
    /// Our end of the socket pair.
    pub socket: OwnedFd,
    /// It has said that it answers clients.
    pub ready: bool,
    pidfd: OwnedFd,
}

impl Daemon {
    /// Starts one and hands everything over.
    pub fn start(
        hello: &ToDaemon,
        deposits: &Deposits,
        reaped: &[(i32, i32)],
        open_files: Option<(u64, u64)>,
    ) -> io::Result<Self> {
        let (socket, theirs) = fdpass::pair()?;
        pipes::set_nonblocking(&socket)?;
        let open_files = open_files.map_or_else(String::new, |(soft, hard)| format!("{soft}:{hard}"));
        let number = inherit::bequeath(&theirs)?;
        let child = Command::new(own_program())
            .arg0("ostler")
            .arg("__daemon")
            .env(KEEPER_VARIABLE, number.to_string())
            .env(OPEN_FILES_VARIABLE, open_files)
            .env_remove(crate::TABLE_VARIABLE)
            .env_remove(crate::READY_VARIABLE)
            .stdin(Stdio::null())
            // Of its own, so that a terminal's Ctrl-C reaches the keeper alone, which passes it on once.
            .process_group(0)
            .spawn()?;
        drop(theirs);
        // Race-free: it is our own child and not yet waited for.
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let daemon = Self {
            pid: i32::try_from(child.id()).map_err(io::Error::other)?,
            socket,
            ready: false,
            pidfd,
        };
        match daemon.hand_over(hello, deposits, reaped) {
            Ok(()) => Ok(daemon),
            Err(error) => {
                daemon.bury(&[]);
                Err(error)
            }
        }
    }

    fn hand_over(&self, hello: &ToDaemon, deposits: &Deposits, reaped: &[(i32, i32)]) -> io::Result<()> {
        self.send(hello, &[])?;
        for (message, descriptors) in deposits.messages() {
            let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            self.send(&message, &descriptors)?;
        }
        for (pid, status) in reaped {
            self.send(
                &ToDaemon::Reaped {
                    pid: *pid,
                    status: *status,
                },
                &[],
            )?;
        }
        self.send(&ToDaemon::Go, &[])
    }

    fn send(&self, message: &ToDaemon, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = message.encode();
        loop {
            match fdpass::send(self.socket.as_fd(), &packet, descriptors) {
                Err(SendError::Full | SendError::TooManyUnderWay) => {
                    let mut writable = [PollFd::new(&self.socket, PollFlags::OUT)];
                    if poll(&mut writable, Some(&PATIENCE))? == 0 {
                        return Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            "the daemon does not take the hand-over",
                        ));
                    }
                }
                other => return other.map_err(io::Error::other),
            }
        }
    }

    /// Tells the daemon something without waiting. Whether it could be told.
    pub fn tell(&self, message: &ToDaemon) -> bool {
        fdpass::send(self.socket.as_fd(), &message.encode(), &[]).is_ok()
    }

    /// Passes a signal on.
    pub fn signal(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            let _ = pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Makes sure that it is dead and waited for. `reaped` is what was waited for before, newest last.
    pub fn bury(self, reaped: &[(i32, i32)]) -> End {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let status = match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (None, Some(signal)) => Some(ExitStatus::Signal {
                    signal,
                    core_dumped: status.dumped(),
                }),
                (code, _) => code.map(ExitStatus::Code),
            },
            Ok(None) | Err(_) => {
                let newest = reaped.iter().rev().find(|(pid, _)| *pid == self.pid);
                newest.and_then(|(_, status)| ExitStatus::from_wait_status(*status))
            }
        };
        End {
            status,
            was_ready: self.ready,
        }
    }
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    status: Option<ExitStatus>,
    was_ready: bool,
}

impl End {
    /// Somebody killed one that was up: no fault of its own, and none that its successor could have.
    fn is_murder(self) -> bool {
        let kill = Signal::KILL.as_raw();
        self.was_ready && matches!(self.status, Some(ExitStatus::Signal { signal, .. }) if signal == kill)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(ExitStatus::Code(code)) => write!(f, "exit code {code}"),
            Some(ExitStatus::Signal { signal, .. }) => write!(f, "signal {signal}"),
            None => f.write_str("unknown status"),
        }
    }
}

/// How long to wait before the next daemon.
#[derive(Debug, Default)]
pub struct Pace {
    started: Option<Instant>,
    young_deaths: u32,
    earliest: Option<Instant>,
}

impl Pace {
    /// Time left before a daemon may be started; `None` when it may be now.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.earliest?
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Notes that one is being started.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Notes that it has ended; without an end, that it could not be started.
    pub fn died(&mut self, now: Instant, end: Option<End>) {
        let young = self.started.is_some_and(|start| now.duration_since(start) < HEALTHY);
        let to_blame = young && !end.is_some_and(End::is_murder);
        self.young_deaths = if to_blame { self.young_deaths + 1 } else { 0 };
        let doublings = self.young_deaths.checked_sub(FREE_ATTEMPTS + 1);
        self.earliest = doublings.map(|count| now + WAITS.0.saturating_mul(1 << count.min(16)).min(WAITS.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_after_a_life_of(pace: &mut Pace, now: &mut Instant, life: Duration) -> Duration {
        pace.started(*now);
        *now += life;
        pace.died(*now, None);
        let wait = pace.remaining(*now).unwrap_or_default();
        *now += wait;
        wait
    }

    #[test]
    fn the_first_young_deaths_cost_no_wait_and_later_ones_a_growing_bounded_one() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let young = Duration::from_millis(10);
        let waits: Vec<u128> = (0..14)
            .map(|_| wait_after_a_life_of(&mut pace, &mut now, young).as_millis())
            .collect();
        assert_eq!(
            waits,
            [0, 0, 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]
        );
    }

    #[test]
    fn daemons_that_were_up_and_killed_are_replaced_at_once_however_often() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let killed = ExitStatus::from_wait_status(Signal::KILL.as_raw());
        for was_ready in [[true; 20], [false; 20]].concat() {
            pace.started(now);
            pace.died(
                now,
                Some(End {
                    status: killed,
                    was_ready,
                }),
            );
            assert!(pace.remaining(now).is_none() || !was_ready);
        }
        assert!(
            pace.remaining(now).is_some(),
            "those killed before they were up have to wait"
        );
    }

    #[test]
    fn a_daemon_that_lived_long_is_replaced_at_once_and_clears_the_account() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..10 {
            wait_after_a_life_of(&mut pace, &mut now, Duration::ZERO);
        }
        assert_eq!(wait_after_a_life_of(&mut pace, &mut now, HEALTHY), Duration::ZERO);
        assert_eq!(
            wait_after_a_life_of(&mut pace, &mut now, Duration::ZERO),
            Duration::ZERO
        );
    }
}
