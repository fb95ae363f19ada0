//! Opening and closing the sockets that workers inherit.
//!
//! They block, as those of systemd do: a server that wants otherwise says so, and one that simply calls `accept` waits.

use ostler_core::{Address, Listen};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, shutdown, socket_with,
};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// What could not be done.
pub(crate) struct Failed {
    /// The system call.
    pub(crate) call: &'static str,
    pub(crate) error: Errno,
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Failed {
    move |error| Failed { call, error }
}

/// Binds, and listens where that is to be.
pub(crate) fn open(wanted: &Listen) -> Result<OwnedFd, Failed> {
    let socket = match &wanted.address {
        Address::Tcp(address) => internet(*address, SocketType::STREAM)?,
        Address::Udp(address) => internet(*address, SocketType::DGRAM)?,
        Address::Unix(path) => unix(path, wanted.mode)?,
    };
    listen_with(&socket, wanted).map_err(failed("listen"))?;
    Ok(socket)
}

/// Sets the backlog.
pub(super) fn listen_with(socket: &OwnedFd, wanted: &Listen) -> Result<(), Errno> {
    match wanted.address {
        Address::Tcp(_) | Address::Unix(_) => listen(socket, i32::try_from(wanted.backlog).unwrap_or(i32::MAX)),
        Address::Udp(_) => Ok(()),
    }
}

fn socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Failed> {
    socket_with(family, kind, SocketFlags::CLOEXEC, None).map_err(failed("socket"))
}

/// `[::]` is all addresses of both families, whatever the system's default is.
fn internet(address: SocketAddr, kind: SocketType) -> Result<OwnedFd, Failed> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket(family, kind)?;
    if kind == SocketType::STREAM {
        // Connections of an earlier listener that linger do not keep the port from us. For UDP it would share it.
        set_socket_reuseaddr(&socket, true).map_err(failed("setsockopt(SO_REUSEADDR)"))?;
    }
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, false).map_err(failed("setsockopt(IPV6_V6ONLY)"))?;
    }
    bind(&socket, &address).map_err(failed("bind"))?;
    Ok(socket)
}

/// A socket left at the path by somebody who is gone is replaced; where somebody answers, the address is in use.
fn unix(path: &str, mode: u32) -> Result<OwnedFd, Failed> {
    let address = SocketAddrUnix::new(path).map_err(failed("bind"))?;
    let made = socket(AddressFamily::UNIX, SocketType::STREAM)?;
    if let Err(error) = bind(&made, &address) {
        let probe = socket(AddressFamily::UNIX, SocketType::STREAM)?;
        if error != Errno::ADDRINUSE || connect(&probe, &address) != Err(Errno::CONNREFUSED) {
            return Err(Failed { call: "bind", error });
        }
        rustix::fs::unlink(path).map_err(failed("unlink"))?;
        bind(&made, &address).map_err(failed("bind"))?;
    }
    rustix::fs::chmod(path, Mode::from_bits_truncate(mode)).map_err(failed("chmod"))?;
    Ok(made)
}

/// Listens no more, though something that outlived its worker may have a copy, and takes the path away that it stands at.
pub(super) fn close(socket: &OwnedFd, address: &Address) {
    let _ = shutdown(socket, Shutdown::Both);
    if let Address::Unix(path) = address {
        let _ = std::fs::remove_file(path);
    }
}
