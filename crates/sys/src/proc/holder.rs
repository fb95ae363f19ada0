//! Who has an address: for the message that it is in use.

use super::file::{leading_number, open};
use super::socket_inodes;
use crate::sock_diag::{CLOSED, Internet, LISTENING, Link, TCP, UDP};
use rustix::fs::{CWD, Dir, OFlags};
use rustix::process::Pid;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where something is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound<'a> {
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A UDP socket.
    Udp(SocketAddr),
    /// A unix socket's path.
    Unix(&'a str),
}

/// A process that has a socket bound so that `wanted` is in use, and its name. `None` when `/proc` does not tell: another user's,
/// another container's, or gone. Looks through the descriptors of all processes: for the path of an error.
pub fn holder_of(wanted: Bound<'_>) -> Option<(Pid, String)> {
    let sockets = sockets_at(wanted);
    if sockets.is_empty() {
        return None;
    }
    let proc = open(CWD, format_args!("/proc"), OFlags::DIRECTORY).ok()??;
    let entries = Dir::read_from(&proc).ok()?;
    let pids = entries.filter_map(|entry| leading_number(entry.ok()?.file_name().to_bytes()));
    let mut pids = pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let pid = pids.find(|pid| socket_inodes(*pid).is_ok_and(|held| !held.is_disjoint(&sockets)))?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim_end().to_owned()))
}

fn sockets_at(wanted: Bound<'_>) -> BTreeSet<u64> {
    by_sock_diag(wanted).unwrap_or_else(|_not_to_be_had| by_tables(wanted))
}

fn by_sock_diag(wanted: Bound<'_>) -> io::Result<BTreeSet<u64>> {
    let mut link = Link::open()?;
    let mut sockets = BTreeSet::new();
    let (address, protocol, states) = match wanted {
        Bound::Tcp(address) => (address, TCP, LISTENING),
        Bound::Udp(address) => (address, UDP, CLOSED),
        Bound::Unix(path) => {
            link.unix(LISTENING | CLOSED, |socket| {
                sockets.extend((socket.path == path).then_some(socket.inode));
            })?;
            return Ok(sockets);
        }
    };
    for v6 in [false, true] {
        let asked = Internet {
            v6,
            protocol,
            states,
            port: address.port(),
        };
        link.internet(asked, |socket| {
            let is_it = overlap(socket.local.ip().to_canonical(), address.ip());
            sockets.extend(is_it.then_some(socket.inode));
        })?;
    }
    Ok(sockets)
}

/// Whether an address is in use when the other is. All addresses include the one.
fn overlap(ip: IpAddr, wanted: IpAddr) -> bool {
    ip == wanted.to_canonical() || ip.is_unspecified() || wanted.is_unspecified()
}

fn by_tables(wanted: Bound<'_>) -> BTreeSet<u64> {
    let (tables, state): (&[&str], &str) = match wanted {
        Bound::Tcp(_) => (&["tcp", "tcp6"], "0A"),
        Bound::Udp(_) => (&["udp", "udp6"], "07"),
        Bound::Unix(_) => (&["unix"], ""),
    };
    let mut sockets = BTreeSet::new();
    for table in tables {
        let text = std::fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        let found = text.lines().skip(1).filter_map(|line| match wanted {
            Bound::Tcp(address) | Bound::Udp(address) => internet(line, address, state),
            Bound::Unix(path) => unix(line, path),
        });
        sockets.extend(found);
    }
    sockets
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode`.
fn internet(line: &str, wanted: SocketAddr, state: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let is_it = port == wanted.port() && overlap(address(ip)?, wanted.ip()) && *fields.get(3)? == state;
    fields.get(9)?.parse().ok().filter(|_| is_it)
}

/// Words of 32 bits, each in the byte order of the machine.
pub(super) fn address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()),
        _ => None,
    }
}

/// `Num RefCount Protocol Flags Type St Inode Path`.
fn unix(line: &str, path: &str) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let inode = fields.nth(6)?.parse().ok()?;
    let at = line.find(path)?;
    line[at..].trim_end().eq(path).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    #[test]
    fn both_ways_find_the_same_sockets() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.sock");
        let _unix = UnixListener::bind(&path).expect("a socket");
        let datagram = UdpSocket::bind("[::]:0").expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let _accepted = (TcpStream::connect(address), listener.accept());
        let wanted = [
            Bound::Unix(path.to_str().expect("text")),
            Bound::Udp(datagram.local_addr().expect("an address")),
            Bound::Tcp(address),
        ];
        for wanted in wanted {
            let sockets = by_sock_diag(wanted).expect("told");
            assert_eq!(sockets.len(), 1, "{wanted:?}");
            assert_eq!(sockets, by_tables(wanted), "{wanted:?}");
        }
    }
}
