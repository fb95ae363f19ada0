//! Descriptors that come from, or go to, another program by number.

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Takes over a descriptor that this process inherited, and closes it on the next `execve`.
///
/// Call it once per number, early in `main`: the number must not belong to anything else in this process.
///
/// # Errors
/// `EBADF` if no such descriptor is open.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("descriptor {number} is not ours to adopt"),
        ));
    }
    // SAFETY: only borrowed to ask whether it is open; `fcntl` on a closed number fails harmlessly.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and by this function's contract nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes a descriptor on the next `execve` after all: undoes [`bequeath`].
///
/// # Errors
/// What `fcntl(2)` gives.
pub fn withhold(descriptor: impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfd(descriptor, FdFlags::CLOEXEC)?)
}

/// Closes every descriptor but standard input, output and error on the next `execve`, whoever left it open to us: a
/// program that goes on in the background must not hold a caller's pipes and locks.
pub fn withhold_all() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number >= 3) {
        // SAFETY: only borrowed to set a flag; the number of the listing itself, closed by now, fails harmlessly.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = withhold(borrowed);
    }
}

/// Lets a descriptor survive the next `execve`; gives its number for the other side to [`adopt`].
///
/// # Errors
/// What `fcntl(2)` gives.
pub fn bequeath(descriptor: impl AsFd) -> io::Result<i32> {
    let descriptor = descriptor.as_fd();
    let flags = fcntl_getfd(descriptor)?;
    fcntl_setfd(descriptor, flags - FdFlags::CLOEXEC)?;
    Ok(descriptor.as_raw_fd())
}
