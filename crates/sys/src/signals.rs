//! Signals as something to poll: `signalfd(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

pub use libc::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// A set of signals, blocked for this thread and read from a descriptor instead.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks the signals and reads them from now on. `SIGHUP` and `SIGPIPE` are ignored from now on: we end when told so, not when a
    /// terminal or a reader goes away.
    ///
    /// Call it in the main thread before others are made; children made by this crate start with an empty mask.
    ///
    /// # Errors
    /// What `sigprocmask(2)` or `signalfd(2)` give.
    pub fn take(signals: &[i32]) -> io::Result<Self> {
        ignore(SIGHUP);
        ignore(SIGPIPE);
        let set = set_of(signals);
        // SAFETY: `set` is an initialised signal set; no old set is asked for.
        if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `set` is an initialised signal set; -1 asks for a new descriptor.
        let number = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else knows of it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { descriptor })
    }

    /// The next pending signal's number, if any.
    pub fn next(&self) -> Option<i32> {
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.descriptor, &mut record).ok()?;
        // The first field is `ssi_signo`, a u32 (signalfd(2)).
        let number = record.get(..4).filter(|_| read == record.len())?;
        i32::try_from(u32::from_ne_bytes(number.try_into().ok()?)).ok()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Undoes what a predecessor of this program before `execve`, or whoever started us, left blocked.
pub fn unblock_all() {
    let empty = set_of(&[]);
    // SAFETY: `empty` is an initialised signal set; no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut()) };
}

fn ignore(signal: i32) {
    // SAFETY: setting a disposition to SIG_IGN runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set; `sigaddset` gets valid signal numbers from our own callers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}
