//! Connections of another process, broken off from outside.
//!
//! For the one case where a program of ours waits for strangers to hang up and cannot be asked for anything meanwhile: Node closes its inspector only when each debugger
//! has said goodbye. By copies of its descriptors (`pidfd_getfd(2)`, Linux 5.6), which needs the right to trace it: that of its parent of the same user, and of root
//! outside of containers that have it taken away.

use crate::Pid;
use crate::connections::{self, Place};
use crate::proc::each_socket;
use rustix::io::Errno;
use rustix::net::{Shutdown, getpeername, getsockname, shutdown};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Shuts every TCP connection of a process down, in both directions, whose own end is at this port of 127.0.0.1. How many there were.
/// The kernel is asked first which these are, so that a process with many others is not searched for nothing, and needs not be traced.
///
/// # Errors
/// Those of [`connections::count`], of reading `/proc/<pid>/fd`, and of `pidfd_getfd(2)`: `EPERM` where it may not be traced.
pub fn sever(pid: Pid, pidfd: impl AsFd, port: u16) -> io::Result<usize> {
    let place = Place::Tcp { v6: false, port };
    let open = connections::count(&BTreeSet::from([place.clone()]))?.remove(&place);
    let Some(open) = open.filter(|open| !open.is_empty()) else {
        return Ok(0);
    };
    let mut held = Vec::new();
    each_socket(pid, |descriptor, inode| {
        if open.contains(&inode) {
            held.push(descriptor);
        }
    })?;
    let mut severed = 0;
    for descriptor in held {
        match pidfd_getfd(&pidfd, descriptor, PidfdGetfdFlags::empty()) {
            Ok(socket) if is_connection_at(&socket, port) => {
                severed += usize::from(shutdown(&socket, Shutdown::Both).is_ok());
            }
            // Closed meanwhile, and perhaps something else by now.
            Ok(_) | Err(Errno::BADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(severed)
}

fn is_connection_at(socket: &OwnedFd, port: u16) -> bool {
    let own = getsockname(socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
    own == Some((Ipv4Addr::LOCALHOST, port).into()) && getpeername(socket).is_ok_and(|peer| peer.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_is_connected_to_a_port_is_broken_off_and_nothing_else() {
        let own = rustix::process::getpid();
        let pidfd = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).expect("a pidfd");
        let pair = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("connected");
            let (server, _) = listener.accept().expect("accepted");
            (listener, client, server)
        };
        let (listener, mut client, _server) = pair();
        let (_other, _visitor, other) = pair();
        let port = listener.local_addr().expect("its address").port();
        assert_eq!(sever(own, &pidfd, port).expect("our own process"), 1);
        assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0);
        other.set_nonblocking(true).expect("possible");
        let goes_on = (&other).read(&mut [0; 1]).expect_err("nothing was said");
        assert_eq!(goes_on.kind(), io::ErrorKind::WouldBlock);
        TcpStream::connect(("127.0.0.1", port)).expect("it listens on");
    }
}
