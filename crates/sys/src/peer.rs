//! Who is at the other end of a unix socket.

use rustix::process::Pid;
use std::io;
use std::os::fd::AsFd;

/// A peer, as it was when it connected (`SO_PEERCRED`, `unix(7)`). The kernel vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process id.
    pub pid: Pid,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

/// Asks who connected.
///
/// # Errors
/// `getsockopt(2)` on something that is no connected unix socket. The kernel gives the id 0, for which there is
/// no [`Pid`], if the peer lives in another pid namespace: that is `Unsupported` here.
pub fn of(socket: impl AsFd) -> io::Result<Peer> {
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket.as_fd());
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let place = (&raw mut peer).cast();
    // SAFETY: the kernel writes at most `length` bytes to `peer`. (rustix's own wrapper gives a Pid that must not be
    // 0, which it can be.)
    if unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = Pid::from_raw(peer.pid).ok_or(io::ErrorKind::Unsupported)?;
    Ok(Peer {
        pid,
        uid: peer.uid,
        gid: peer.gid,
    })
}
