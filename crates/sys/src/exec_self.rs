//! Becoming another program without ceasing to be this process: pid and children stay.
//!
//! Called by a daemon whose keeper has died, and by upgrades.

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::null;

/// The running binary itself, also when its file was replaced or removed meanwhile.
pub const OURSELVES: &CStr = c"/proc/self/exe";

/// Executes `program` in place of this one, with the descriptors in `keep` open under their present numbers and all
/// others that are close-on-exec closed. All other threads end. Ignored and blocked signals stay so.
///
/// Returns only if that fails; then everything is as before.
///
/// # Errors
/// `fcntl(2)`, `execve(2)`.
pub fn replace(program: &CStr, argv: &[CString], envp: &[CString], keep: &[BorrowedFd<'_>]) -> io::Error {
    let mut opened = Vec::with_capacity(keep.len());
    for fd in keep {
        match let_through(*fd) {
            Ok(true) => opened.push(*fd),
            Ok(false) => {}
            Err(error) => return close_again(&opened, error),
        }
    }
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: both arrays end with null, and they and the strings live until the call returns, if it does.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    let error = io::Error::last_os_error();
    close_again(&opened, error)
}

/// Clears close-on-exec. Tells whether it was set.
fn let_through(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = fcntl_getfd(fd)?;
    fcntl_setfd(fd, flags - FdFlags::CLOEXEC)?;
    Ok(flags.contains(FdFlags::CLOEXEC))
}

fn close_again(opened: &[BorrowedFd<'_>], error: io::Error) -> io::Error {
    for fd in opened {
        // It could be cleared, so it can be set.
        let _ = fcntl_setfd(*fd, FdFlags::CLOEXEC);
    }
    error
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}
