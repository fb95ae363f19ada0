//! What can go wrong when a process is made, and the few bytes in which a child tells its parent.

use rustix::io::Errno;
use std::io;
use std::os::fd::RawFd;

/// Length of the message a failed child sends: the stage, three bytes of padding, errno in native order.
pub(super) const MESSAGE_LENGTH: usize = 8;

/// No process could be made.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// A system call failed in the parent.
    #[error("could not create a process: {call}: {source}{}", advice(source))]
    Call {
        /// Which.
        call: &'static str,
        /// How.
        source: io::Error,
    },
    /// Two descriptors were to have the same number.
    #[error("could not create a process: descriptor {0} is assigned twice")]
    AssignedTwice(RawFd),
    /// A descriptor was to have a negative number.
    #[error("could not create a process: {0} is no descriptor number")]
    NoNumber(RawFd),
}

impl SpawnError {
    pub(super) fn call(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Call {
            call,
            source: errno.into(),
        }
    }

    /// Whether trying again later may help.
    pub fn transient(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.raw_os_error().is_some_and(is_transient),
            Self::AssignedTwice(_) | Self::NoNumber(_) => false,
        }
    }
}

/// Whether this errno speaks of a shortage that may pass, not of something that must be changed.
pub(crate) fn is_transient(errno: i32) -> bool {
    matches!(
        errno,
        libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR | libc::ETXTBSY
    )
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "; raise the daemon's limit of open files (ulimit -n, LimitNOFILE=)",
        Some(libc::ENFILE) => "; the whole system is out of open files (sysctl fs.file-max)",
        Some(libc::EAGAIN) => "; the limit of processes is reached (ulimit -u, TasksMax=, pids.max)",
        Some(libc::ENOMEM) => "; the system is out of memory",
        _ => "",
    }
}

/// The program could not be run: which step failed in the new process, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecError {
    /// The step.
    pub stage: Stage,
    /// The error number (`errno(3)`).
    pub errno: i32,
}

/// The steps of a new process, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// `setsid(2)`.
    Session = 1,
    /// `dup3(2)` of a descriptor to its number.
    Descriptors,
    /// `prlimit(2)` of open files.
    OpenFiles,
    /// `setgroups(2)`.
    Groups,
    /// `setresgid(2)`.
    Group,
    /// `setresuid(2)`.
    User,
    /// `chdir(2)`.
    Directory,
    /// `execve(2)`.
    Exec,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Session,
        Self::Descriptors,
        Self::OpenFiles,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::Directory,
        Self::Exec,
    ];
}

impl ExecError {
    /// Runs in the child: no allocation, no panic.
    pub(super) fn encode(self) -> [u8; MESSAGE_LENGTH] {
        let [a, b, c, d] = self.errno.to_ne_bytes();
        [self.stage as u8, 0, 0, 0, a, b, c, d]
    }

    pub(super) fn decode(message: [u8; MESSAGE_LENGTH]) -> Option<Self> {
        let [stage, _, _, _, a, b, c, d] = message;
        let stage = Stage::ALL.into_iter().find(|known| *known as u8 == stage)?;
        Some(Self {
            stage,
            errno: i32::from_ne_bytes([a, b, c, d]),
        })
    }
}
