//! Signalling the members of a process tree, each held by its pidfd.
//!
//! Called by the daemon's effects, with what [`crate::proc::Tree::members`] found. Nothing is signalled by pid: a
//! member that has ended since, and whose number belongs to another process now, is passed over.

use crate::pidfd;
use crate::proc::Stat;
use rustix::process::Pid;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What became of a signal to many.
#[derive(Debug, Default)]
pub struct Signalled {
    /// How many processes got it.
    pub delivered: usize,
    /// Who could not be signalled, and why: `EPERM` for processes that changed their user, `EMFILE` and the like when
    /// no pidfd could be opened. Those that are gone are not among them.
    pub refused: Vec<(Pid, io::Error)>,
}

impl Signalled {
    fn note(&mut self, pid: Pid, result: io::Result<bool>) {
        match result {
            Ok(delivered) => self.delivered += usize::from(delivered),
            Err(error) => self.refused.push((pid, error)),
        }
    }
}

/// Sends a signal to each member in turn, through a pidfd opened for that moment: one descriptor at a time, however
/// large the tree.
pub fn signal(members: &[Stat], signal: i32) -> Signalled {
    let mut signalled = Signalled::default();
    for member in members {
        let result = match pidfd::open(member.pid, member.start_time) {
            Ok(None) => Ok(false),
            Ok(Some(held)) => pidfd::signal(held, signal),
            Err(error) => Err(error),
        };
        signalled.note(member.pid, result);
    }
    signalled
}

/// The members of a tree, each held by a pidfd: to be signalled again later, whatever has become of their parents by
/// then, and to be watched until the last has ended.
#[derive(Debug, Default)]
pub struct TreeHold {
    /// In the order in which they are signalled: deepest first.
    held: Vec<(Stat, OwnedFd)>,
}

impl TreeHold {
    /// Holds these members, but for those that are gone already.
    ///
    /// # Errors
    /// `pidfd_open(2)`: `EMFILE`, `ENFILE`, `ENOMEM`; [`signal`] needs one descriptor only.
    pub fn open(members: &[Stat]) -> io::Result<Self> {
        let mut held = Vec::with_capacity(members.len());
        for member in members {
            held.extend(pidfd::open(member.pid, member.start_time)?.map(|pidfd| (*member, pidfd)));
        }
        Ok(Self { held })
    }

    /// Sends a signal to all that live, deepest first.
    pub fn signal(&self, signal: i32) -> Signalled {
        let mut signalled = Signalled::default();
        for (member, pidfd) in &self.held {
            signalled.note(member.pid, pidfd::signal(pidfd, signal));
        }
        signalled
    }

    /// Lets go of those that have ended. Tells how many are left.
    ///
    /// # Errors
    /// `poll(2)`.
    pub fn drop_ended(&mut self) -> io::Result<usize> {
        let mut failure = None;
        self.held.retain(|(_, pidfd)| match pidfd::has_exited(pidfd) {
            Ok(exited) => !exited,
            Err(error) => {
                failure = Some(error);
                true
            }
        });
        failure.map_or(Ok(self.held.len()), Err)
    }

    /// Who is held, with the pidfds to wait on.
    pub fn members(&self) -> impl Iterator<Item = (&Stat, BorrowedFd<'_>)> {
        self.held.iter().map(|(member, pidfd)| (member, pidfd.as_fd()))
    }
}
