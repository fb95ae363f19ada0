//! Waiting for a descriptor to become readable.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the reactor.
///
/// The bound `AsFd` is what makes this sound: the number stays the same open descriptor for as long as the value lives.
///
/// # Errors
/// `epoll_ctl(2)`: `ENOMEM`, `ENOSPC`, or `EPERM` for a kind of file that is always ready.
#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that are not AsFd; ours all are"
)]
pub fn readable<T: AsFd + AsRawFd>(descriptor: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
