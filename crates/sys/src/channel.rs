//! The socket between us and a Node process (`process.send`), as `child_process.fork` makes it.

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::unix::net::UnixStream;

/// A connected pair of stream sockets, close-on-exec and blocking: one for us, one to become the child's
/// `NODE_CHANNEL_FD`.
///
/// # Errors
/// `socketpair(2)`.
pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok((ours.into(), theirs.into()))
}
