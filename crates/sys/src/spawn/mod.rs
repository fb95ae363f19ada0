//! Creating processes.
//!
//! Called by the daemon's effects (apps) and by the keeper (daemons). A process is created *held*: it exists, with
//! pid and pidfd, descriptors in place, but waits on a gate before `execve`. Whoever created it uses that time to hand
//! copies of its descriptors to the keeper, and then releases it; so there is no moment at which an app runs that
//! the keeper does not know. If the creator dies first, the gate closes and the process exits without having run
//! anything; unless a copy of the gate ([`Held::gate`]) was handed on too, then whoever has it opens it
//! ([`Outcome::inherited`]).
//!
//! Invariants: no descriptor but those named in the [`Command`] is open in the new program; every signal has its
//! default disposition and none is blocked there; nothing between creation and `execve` allocates, locks, panics or
//! touches thread-local storage. Of our memory a child changes nothing but its stack and the digits of its own id.
//!
//! How and why: `docs/design/0004-processes-and-trees.md`.

mod child;
mod create;
mod error;
mod image;

pub(crate) use error::is_transient;
pub use error::{ExecError, SpawnError, Stage};

use crate::pidfd;
use image::Image;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// How long a dropped [`Held`] or [`Outcome`] waits for its process to let go of memory it shares with us
/// before that memory is given up for good. Letting go takes the kernel well under a millisecond.
const LETTING_GO: Duration = Duration::from_millis(50);

/// What is to be run, and how its process is to be set up.
#[derive(Debug)]
pub struct Command {
    /// The file to execute: absolute, or relative to `cwd`. Never looked up in `PATH`; see [`crate::resolve::find`].
    pub program: CString,
    /// The arguments, `argv[0]` included.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=value` each.
    pub envp: Vec<CString>,
    /// A variable that is to name the process's own id (`LISTEN_PID` of sd_listen_fds(3)), which nobody knows before it exists: it
    /// is written by the child itself. It comes after `envp`, which must not have it.
    pub pid_variable: Option<CString>,
    /// The working directory. Entered after the change of user, as that user.
    pub cwd: CString,
    /// Descriptors and the numbers they are to have. Of 0, 1 and 2 those not named are `/dev/null`.
    pub descriptors: Vec<(OwnedFd, RawFd)>,
    /// Whom to run as; our own user when absent.
    pub credentials: Option<Credentials>,
    /// Whether to lead a new session (`setsid(2)`): the process then has no terminal and leads a group of its own.
    pub new_session: bool,
    /// Soft and hard limit of open files; ours when absent. See [`crate::limits`].
    pub nofile: Option<(u64, u64)>,
    /// The directory of a cgroup v2 to be born in. A kernel or a container that refuses is no error:
    /// [`Held::contained`] tells.
    pub cgroup: Option<OwnedFd>,
    /// The file mode creation mask; ours when absent.
    pub umask: Option<u32>,
}

/// Whom a process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// A process that exists and waits to be released. Dropping it ends the process before it has run anything.
#[derive(Debug)]
pub struct Held(Option<Parts>);

#[derive(Debug)]
struct Parts {
    pid: Pid,
    pidfd: OwnedFd,
    contained: bool,
    outcome: Outcome,
}

/// A process that was let go.
#[derive(Debug)]
pub struct Released {
    /// Its process id.
    pub pid: Pid,
    /// Its pidfd (close-on-exec): readable once it has ended.
    pub pidfd: OwnedFd,
    /// Tells whether the program runs.
    pub outcome: Outcome,
}

/// Tells whether the program of a released process runs. Its descriptor never blocks and is readable as soon as
/// there is something to tell. Keep it until [`Outcome::read`] says something else than `Pending`.
#[derive(Debug)]
pub struct Outcome {
    link: OwnedFd,
    image: Option<Box<Image>>,
    failure: Option<ExecError>,
}

/// What became of a released process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecOutcome {
    /// Not known yet: wait until the descriptor is readable.
    Pending,
    /// `execve` succeeded, or the process was killed just before it: its pidfd tells.
    Running,
    /// The program could not be run; the process has exited with code 127.
    Failed(ExecError),
}

impl Command {
    /// A command with empty environment and no arguments but its own name, run at `/` in a new session.
    pub fn new(program: CString) -> Self {
        Self {
            argv: vec![program.clone()],
            program,
            envp: Vec::new(),
            pid_variable: None,
            cwd: CString::from(c"/"),
            descriptors: Vec::new(),
            credentials: None,
            new_session: true,
            nofile: None,
            cgroup: None,
            umask: None,
        }
    }

    /// Creates the process, held. It costs one `clone` that copies no page tables (unless the user changes) and
    /// never waits for the child.
    ///
    /// # Errors
    /// When no process can be made at all: out of descriptors, processes or memory, or a descriptor number given
    /// twice. What goes wrong inside the new process is told by its [`Outcome`].
    pub fn hold(self) -> Result<Held, SpawnError> {
        create::hold(self)
    }
}

/// Lets go of memory that is kept for the next processes that are created. To be called when there is nothing to do.
pub fn let_go_of_stacks() {
    image::let_go_of_stacks();
}

impl Held {
    fn parts(&self) -> &Parts {
        self.0
            .as_ref()
            .expect("invariant: a Held is emptied only by release, which consumes it")
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.parts().pid
    }

    /// Its pidfd, to be duplicated for the keeper.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.parts().pidfd.as_fd()
    }

    /// The gate's descriptor, to be duplicated for the keeper: with it a successor can open the gate if we cannot any
    /// more, and hear what came of it.
    pub fn gate(&self) -> BorrowedFd<'_> {
        self.parts().outcome.link.as_fd()
    }

    /// Whether it was put into the cgroup its command named. `false` when none was named.
    pub fn contained(&self) -> bool {
        self.parts().contained
    }

    /// Opens the gate. A process that has failed or died meanwhile is no error here: its outcome and its pidfd tell.
    ///
    /// # Errors
    /// When the gate cannot be opened (`send(2)`); the process is then ended.
    pub fn release(mut self) -> io::Result<Released> {
        open(&self.parts().outcome.link)?;
        let Parts {
            pid, pidfd, outcome, ..
        } = self.0.take().expect("invariant: taken only here");
        Ok(Released { pid, pidfd, outcome })
    }
}

/// Sends the go byte. One that is sent twice is read once.
fn open(gate: impl AsFd) -> io::Result<()> {
    match rustix::net::send(gate, b"g", SendFlags::NOSIGNAL) {
        Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(Parts { pidfd, outcome, .. }) = self.0.take() else {
            return;
        };
        // All three are best effort: the closing gate alone already ends the child.
        let _ = pidfd::signal(&pidfd, libc::SIGKILL);
        let _ = pidfd::wait_for_exit(&pidfd, LETTING_GO);
        let _ = pidfd::wait(&pidfd);
        drop(outcome);
    }
}

impl Outcome {
    /// From a copy of the gate of a process that a predecessor created, and may have let go or not: opens the gate.
    ///
    /// # Errors
    /// When the gate cannot be opened (`send(2)`).
    pub fn inherited(gate: OwnedFd) -> io::Result<Self> {
        open(&gate)?;
        Ok(Self {
            link: gate,
            image: None,
            failure: None,
        })
    }

    /// What is known by now. Never blocks.
    ///
    /// # Errors
    /// When the descriptor cannot be read (`recv(2)`), which no child can bring about.
    pub fn read(&mut self) -> io::Result<ExecOutcome> {
        let mut message = [0_u8; error::MESSAGE_LENGTH];
        loop {
            match rustix::net::recv(&self.link, &mut message, RecvFlags::DONTWAIT) {
                // The end of the stream, or a child that was killed before it took the go byte. Either way the
                // child's end is closed, and the kernel closes it only after the child has left our memory.
                Ok((0, _)) | Err(Errno::CONNRESET) => {
                    self.image = None;
                    return Ok(self.failure.map_or(ExecOutcome::Running, ExecOutcome::Failed));
                }
                Ok(_) => self.failure = ExecError::decode(message),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(ExecOutcome::Pending),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the outcome, at most `limit`: for those who have no event loop.
    ///
    /// # Errors
    /// As [`Outcome::read`], and `poll(2)`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExecOutcome> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let known = self.read()?;
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if known != ExecOutcome::Pending || left.is_zero() {
                return Ok(known);
            }
            crate::poll::readable(&self.link, left)?;
        }
    }
}

impl AsFd for Outcome {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl AsRawFd for Outcome {
    fn as_raw_fd(&self) -> RawFd {
        self.link.as_raw_fd()
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if self.image.is_none() {
            return;
        }
        if !matches!(self.wait(LETTING_GO), Ok(ExecOutcome::Running | ExecOutcome::Failed(_))) {
            // The child may still use its stack and arguments: lose 80 kB rather than pull them from under it.
            std::mem::forget(self.image.take());
        }
    }
}
