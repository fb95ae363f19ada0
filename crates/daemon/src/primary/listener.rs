//! Listening sockets that are kept for a cluster's workers: bound, described for a successor, accepted from.

use ostler_core::{Address, AppId, WorkerId};
use ostler_sys::connections::Place;
use ostler_wire::node_ipc::{AddressType, Family, Query, SharedKind, SocketName};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Node's backlog where none is asked for (`lib/net.js`).
const BACKLOG: i32 = 511;

/// How many connections may wait in a listener that we accept from, if the system allows as many (`somaxconn`, 4,096 by default). Node's own
/// primary accepts all that come, whatever backlog was asked for, and has them wait in its memory; here they wait where they survive
/// us. A backlog that is full costs a client the second until its next attempt.
const WAITING: i32 = 4096;

/// What a successor has to know of a listener beside its descriptor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// Whose it is.
    pub app: AppId,
    /// What its workers call it.
    pub key: String,
    /// What the first worker sent along for the others.
    pub data: Value,
    /// Where it is bound, as `getsockname(2)` has it; nothing for a path.
    pub name: Option<(String, u16)>,
    /// A UDP socket, which its workers share.
    pub datagram: bool,
    /// Its workers asked for the listener itself (TLS servers of Bun).
    #[serde(default)]
    pub shared_only: bool,
    /// The path of a unix socket.
    pub path: Option<String>,
    /// Whose the queues behind the common one are.
    #[serde(default)]
    pub owners: Vec<Option<WorkerId>>,
}

impl Described {
    /// Whether its workers have the socket themselves, and nothing comes by us.
    pub fn is_shared(&self) -> bool {
        self.datagram || self.shared_only
    }

    /// Whether workers can have queues of their own: what is bound to a path has one only.
    pub fn has_room_beside(&self) -> bool {
        !self.is_shared() && self.path.is_none()
    }
}

/// An open listener.
#[derive(Debug)]
pub struct Listener {
    /// What it is.
    pub described: Described,
    /// The socket, shared with its deposit.
    pub socket: Arc<OwnedFd>,
}

/// How many connections may wait to be accepted, as a worker asks.
pub fn backlog(query: &Query) -> i32 {
    query.backlog.filter(|backlog| *backlog > 0).unwrap_or(BACKLOG)
}

/// Where a worker wants to listen.
pub fn address_of(query: &Query) -> Option<Address> {
    let port = u16::try_from(query.port.unwrap_or(0)).ok()?;
    let ip = |unspecified: IpAddr| match query.address.as_deref() {
        Some(address) => address.parse().ok(),
        None => Some(unspecified),
    };
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    Some(match query.address_type {
        Some(AddressType::Unix) => Address::Unix(query.address.clone()?),
        Some(AddressType::Udp4) => Address::Udp(SocketAddr::new(ip(v4)?, port)),
        Some(AddressType::Udp6) => Address::Udp(SocketAddr::new(ip(v6)?, port)),
        Some(AddressType::V4 | AddressType::V6) | None => Address::Tcp(SocketAddr::new(ip(v6)?, port)),
    })
}

/// Under which name workers that ask for the same share a listener. Servers on port 0 are told apart by their order.
pub fn key_of(query: &Query) -> String {
    let address = query.address.as_deref().unwrap_or("*");
    let kind = match query.address_type {
        Some(AddressType::V4) | None => "4",
        Some(AddressType::V6) => "6",
        Some(AddressType::Unix) => "unix",
        Some(AddressType::Udp4) => "udp4",
        Some(AddressType::Udp6) => "udp6",
    };
    match query.port {
        Some(0) => format!("{address}:0:{kind}:{}", query.index),
        Some(port) => format!("{address}:{port}:{kind}"),
        None => format!("{address}:{kind}"),
    }
}

impl Listener {
    /// Binds and listens as a worker asks.
    ///
    /// # Errors
    /// What `bind(2)` and `listen(2)` give, for the worker; `EINVAL` for a descriptor number, which would be ours.
    pub fn open(app: AppId, query: &Query) -> Result<Self, Errno> {
        if query.fd.is_some_and(|fd| fd >= 0) {
            return Err(Errno::INVAL);
        }
        let backlog = backlog(query).max(WAITING);
        let socket = match query.address_type {
            Some(AddressType::Unix) => at_path(query.address.as_deref().unwrap_or_default(), query, backlog)?,
            Some(AddressType::Udp4 | AddressType::Udp6) => datagram(query)?,
            Some(AddressType::V4 | AddressType::V6) | None => stream(query, backlog)?,
        };
        let unix = query.address_type == Some(AddressType::Unix);
        let name = SocketAddr::try_from(getsockname(&socket)?).ok();
        Ok(Self {
            described: Described {
                app,
                key: key_of(query),
                data: query.data.clone(),
                name: name.map(|name| (name.ip().to_string(), name.port())),
                datagram: matches!(query.address_type, Some(AddressType::Udp4 | AddressType::Udp6)),
                shared_only: query.shared_only,
                path: query.address.clone().filter(|_| unix),
                owners: Vec::new(),
            },
            socket: Arc::new(socket),
        })
    }

    /// Where it is bound, for the worker.
    pub fn name(&self) -> Option<SocketName<'_>> {
        let (address, port) = self.described.name.as_ref()?;
        let family = if address.contains(':') { Family::V6 } else { Family::V4 };
        Some(SocketName {
            address,
            family,
            port: *port,
        })
    }

    /// What a worker that shares it gets.
    pub fn shared_kind(&self) -> SharedKind {
        match (&self.described.path, self.described.datagram) {
            (Some(_), _) => SharedKind::Unix,
            (None, true) => SharedKind::Datagram,
            (None, false) => SharedKind::Tcp,
        }
    }

    /// Where the kernel counts its connections; nothing if it has none.
    pub fn place(&self) -> Option<Place> {
        let Described {
            name, datagram, path, ..
        } = &self.described;
        match (path, name) {
            _ if *datagram => None,
            (Some(path), _) => Some(Place::Unix(path.clone())),
            (None, Some((address, port))) => Some(Place::Tcp {
                v6: address.contains(':'),
                port: *port,
            }),
            (None, None) => None,
        }
    }

    /// As people read it: `tcp 127.0.0.1:3000`.
    pub fn shown(&self) -> String {
        match (&self.described.path, &self.described.name) {
            (Some(path), _) => format!("unix {path}"),
            (None, Some((address, port))) => {
                let kind = if self.described.datagram { "udp" } else { "tcp" };
                let ip: Result<IpAddr, _> = address.parse();
                ip.map_or_else(
                    |_| format!("{kind} {address}:{port}"),
                    |ip| format!("{kind} {}", SocketAddr::new(ip, *port)),
                )
            }
            (None, None) => self.described.key.clone(),
        }
    }

    /// Whether it is in the way of somebody who wants to listen on an address.
    pub fn overlaps(&self, address: &Address) -> bool {
        let port = |datagram: bool| {
            self.described
                .name
                .as_ref()
                .filter(|_| self.described.datagram == datagram)
                .map(|(_, port)| *port)
        };
        match address {
            Address::Tcp(address) => port(false) == Some(address.port()),
            Address::Udp(address) => port(true) == Some(address.port()),
            Address::Unix(path) => self.described.path.as_ref() == Some(path),
        }
    }

    /// Listens no more, though copies of the socket are about for a while yet, and takes the path away that it stands at.
    pub fn close(&self) {
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
        if let Some(path) = &self.described.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Node: no address means all of both families, or of IPv4 where there is no IPv6.
fn stream(query: &Query, backlog: i32) -> Result<OwnedFd, Errno> {
    let port = u16::try_from(query.port.unwrap_or(0)).map_err(|_| Errno::INVAL)?;
    let only_v6 = query.flags.is_some_and(|flags| flags & 1 != 0);
    let open = |ip: IpAddr| {
        let family = if ip.is_ipv6() {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        };
        let socket = socket(family, SocketType::STREAM)?;
        set_socket_reuseaddr(&socket, true)?;
        if ip.is_ipv6() {
            set_ipv6_v6only(&socket, only_v6)?;
        }
        bind(&socket, &SocketAddr::new(ip, port))?;
        listen(&socket, backlog)?;
        Ok(socket)
    };
    match query.address.as_deref() {
        Some(address) => open(address.parse().map_err(|_| Errno::INVAL)?),
        None => match open(Ipv6Addr::UNSPECIFIED.into()) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::INVAL) => open(Ipv4Addr::UNSPECIFIED.into()),
            opened => opened,
        },
    }
}

fn datagram(query: &Query) -> Result<OwnedFd, Errno> {
    let port = u16::try_from(query.port.unwrap_or(0)).map_err(|_| Errno::INVAL)?;
    let v6 = query.address_type == Some(AddressType::Udp6);
    let flags = query.flags.unwrap_or(0);
    let unspecified = if v6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    };
    let ip = match query.address.as_deref() {
        Some(address) => address.parse().map_err(|_| Errno::INVAL)?,
        None => unspecified,
    };
    let socket = socket(
        if v6 { AddressFamily::INET6 } else { AddressFamily::INET },
        SocketType::DGRAM,
    )?;
    set_socket_reuseaddr(&socket, flags & 4 != 0)?;
    if v6 {
        set_ipv6_v6only(&socket, flags & 1 != 0)?;
    }
    bind(&socket, &SocketAddr::new(ip, port))?;
    Ok(socket)
}

/// A socket left at the path by somebody who is gone is replaced; where somebody answers, the address is in use.
fn at_path(path: &str, query: &Query, backlog: i32) -> Result<OwnedFd, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let made = socket(AddressFamily::UNIX, SocketType::STREAM)?;
    if let Err(error) = bind(&made, &address) {
        let probe = socket(AddressFamily::UNIX, SocketType::STREAM)?;
        if error != Errno::ADDRINUSE || connect(&probe, &address) != Err(Errno::CONNREFUSED) {
            return Err(error);
        }
        rustix::fs::unlink(path)?;
        bind(&made, &address)?;
    }
    let mut mode = 0o700;
    for (wanted, bits) in [(query.readable_all, 0o044), (query.writable_all, 0o022)] {
        mode |= if wanted { bits } else { 0 };
    }
    if mode != 0o700 {
        rustix::fs::chmod(path, rustix::fs::Mode::from_bits_truncate(mode))?;
    }
    listen(&made, backlog)?;
    Ok(made)
}

/// A listener that a predecessor deposited.
pub fn adopted(described: Described, socket: Arc<OwnedFd>) -> Listener {
    let _ = rustix::io::ioctl_fionbio(socket.as_fd(), true);
    Listener { described, socket }
}

#[cfg(test)]
mod tests {
    use super::{BACKLOG, Listener};
    use ostler_core::AppId;
    use ostler_wire::node_ipc::{AddressType, Query};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};

    #[test]
    #[expect(clippy::print_stderr, reason = "says where it cannot be tested")]
    fn more_connections_wait_in_it_than_a_worker_asks_for() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("read");
        let many = BACKLOG as usize + 100;
        if allowed.trim().parse::<usize>().expect("a number") < many {
            return eprintln!("the system allows no more than {allowed}");
        }
        let query = Query {
            index: 0,
            data: serde_json::Value::Null,
            address: Some("127.0.0.1".into()),
            port: Some(0),
            address_type: Some(AddressType::V4),
            fd: None,
            flags: None,
            backlog: Some(5),
            readable_all: false,
            writable_all: false,
            shared_only: false,
        };
        let listener = Listener::open(AppId(1), &query).expect("a listener");
        let address = getsockname(&*listener.socket).expect("its address");
        let connected: Vec<_> = (0..many)
            .map(|number| {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let client = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
                let begun = connect(&client, &address);
                assert!(matches!(begun, Ok(()) | Err(Errno::INPROGRESS)), "{begun:?}");
                let mut polled = [PollFd::new(&client, PollFlags::OUT)];
                let long = Timespec { tv_sec: 10, tv_nsec: 0 };
                assert_eq!(poll(&mut polled, Some(&long)), Ok(1), "the {number}th has no place");
                client
            })
            .collect();
        drop(connected);
    }
}
