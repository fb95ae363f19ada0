//! Which connections of a listening address are open, as the kernel counts them, and which process holds them.
//!
//! Called by the daemon's primary, which gives connections away and is not told when they close. A connection is named by the
//! inode of its socket: the same for every copy of the descriptor, in the kernel's tables and in `/proc/<pid>/fd`. What waits to be
//! accepted, and what its process has closed while the kernel still says goodbye, has none and does not count.
//!
//! The kernel is asked by `sock_diag(7)`, which needs no rights. Where that is not to be had (seccomp, gVisor, a kernel without
//! it), the tables in `/proc/net` say the same, at a line for each socket of the machine.

mod diag;
mod tables;

use rustix::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;

/// Where connections arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A TCP port, of any local address. A dual-stack socket is IPv6, whatever its clients speak.
    Tcp {
        /// Whether the listening socket is of IPv6.
        v6: bool,
        /// The local port.
        port: u16,
    },
    /// A unix socket, by the path it was bound to.
    Unix(String),
}

/// The inodes of open connections by place; places without any may be missing.
pub type Open = BTreeMap<Place, BTreeSet<u64>>;

/// Counts what is open at each place.
///
/// # Errors
/// When neither `sock_diag(7)` nor `/proc/net` can be read; the error is that of the latter.
pub fn count(places: &BTreeSet<Place>) -> io::Result<Open> {
    count_by_sock_diag(places).or_else(|_| count_by_tables(places))
}

/// As [`count`], by `sock_diag(7)` only: a walk over the kernel's hash of connections (some 0.7 ms for 262,144 buckets), and 0.3 to 1 µs
/// for each that is told of.
///
/// # Errors
/// `socket(2)`: `EPROTONOSUPPORT`, `EAFNOSUPPORT`, `EPERM`, `EACCES`. `ENOENT` where the kernel was built without it.
pub fn count_by_sock_diag(places: &BTreeSet<Place>) -> io::Result<Open> {
    diag::count(places)
}

/// As [`count`], by `/proc/net` only.
///
/// # Errors
/// `open(2)`, `read(2)`.
pub fn count_by_tables(places: &BTreeSet<Place>) -> io::Result<Open> {
    tables::count(places)
}

/// The inode by which a socket is known.
///
/// # Errors
/// `fstat(2)`.
pub fn inode(socket: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(socket)?.st_ino)
}

/// The inodes of all sockets that a process holds. Costs one `readlink` a descriptor.
///
/// # Errors
/// When `/proc` cannot be read, or not for this process (another user's).
pub fn held_by(pid: Pid) -> io::Result<BTreeSet<u64>> {
    crate::proc::socket_inodes(pid)
}
