//! Counting by `sock_diag(7)`: dumps over a netlink socket, read by offset, as `linux/inet_diag.h` and `linux/unix_diag.h` lay
//! them out.

use super::{Open, Place};
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `sizeof(struct nlmsghdr)`.
const HEADER: usize = 16;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// All of `enum tcp_state` in which a process may hold a connection: established (1), both waits for a FIN (4, 5), close wait (8), last ack
/// (9), closing (11). Not time wait, of which there may be a hundred thousand.
const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// A connected unix socket has the state of an established one.
const CONNECTED: u32 = 1 << 1;
/// `UDIAG_SHOW_NAME`, `UNIX_DIAG_NAME`, `sizeof(struct unix_diag_msg)`.
const SHOW_NAME: u32 = 1;
const NAME: u16 = 0;
const UNIX_MESSAGE: usize = 16;
/// The kernel fills up to 32 KiB a read.
const BUFFER: usize = 32 * 1024;
/// From so many ports of a family on, one dump of all connections is cheaper than one for each port.
const PORTS: usize = 4;

pub(super) fn count(places: &BTreeSet<Place>) -> io::Result<Open> {
    let mut open = Open::new();
    let mut link = Link::open()?;
    for v6 in [false, true] {
        let ports: Vec<u16> = places.iter().filter_map(|place| port_of(place, v6)).collect();
        let filters: Vec<u16> = if ports.len() > PORTS { vec![0] } else { ports };
        for port in filters {
            link.dump(&tcp_request(v6, port), |message| {
                if let Some((port, inode)) = tcp_connection(message) {
                    add(&mut open, places, Place::Tcp { v6, port }, inode);
                }
            })?;
        }
    }
    if places.iter().any(|place| matches!(place, Place::Unix(_))) {
        link.dump(&unix_request(), |message| {
            if let Some((path, inode)) = unix_connection(message) {
                add(&mut open, places, Place::Unix(path), inode);
            }
        })?;
    }
    Ok(open)
}

fn add(open: &mut Open, places: &BTreeSet<Place>, place: Place, inode: u64) {
    if inode != 0 && places.contains(&place) {
        open.entry(place).or_default().insert(inode);
    }
}

fn port_of(place: &Place, family: bool) -> Option<u16> {
    match place {
        Place::Tcp { v6, port } if *v6 == family => Some(*port),
        Place::Tcp { .. } | Place::Unix(_) => None,
    }
}

/// `struct inet_diag_req_v2`; port 0 is any.
fn tcp_request(v6: bool, port: u16) -> Vec<u8> {
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let mut request = vec![family_byte(family), TCP, 0, 0];
    request.extend(STATES.to_ne_bytes());
    request.extend(port.to_be_bytes());
    request.resize(56, 0);
    request
}

/// Local port and inode of a `struct inet_diag_msg`.
fn tcp_connection(message: &[u8]) -> Option<(u16, u64)> {
    let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(message.get(68..72)?.try_into().ok()?);
    Some((port, u64::from(inode)))
}

/// `struct unix_diag_req`.
fn unix_request() -> Vec<u8> {
    let mut request = vec![family_byte(AddressFamily::UNIX), 0, 0, 0];
    for word in [CONNECTED, 0, SHOW_NAME, 0, 0] {
        request.extend(word.to_ne_bytes());
    }
    request
}

/// Path and inode of a `struct unix_diag_msg`. An accepted socket bears the name of its listener.
fn unix_connection(message: &[u8]) -> Option<(String, u64)> {
    let inode = u32::from_ne_bytes(message.get(4..8)?.try_into().ok()?);
    let mut rest = message.get(UNIX_MESSAGE..)?;
    while let Some((length, kind)) = two_words(rest) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        if kind == NAME {
            let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
            return Some((String::from_utf8_lossy(&value[..end]).into_owned(), u64::from(inode)));
        }
        rest = rest.get(aligned(length)..)?;
    }
    None
}

fn family_byte(family: AddressFamily) -> u8 {
    u8::try_from(family.as_raw()).expect("invariant: the families used here are below 256")
}

fn two_words(bytes: &[u8]) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    Some((word(0)?, word(2)?))
}

/// Netlink messages and attributes begin at multiples of four.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

struct Link {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Link {
    fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(SOCK_DIAG),
        )?;
        // The kernel answers at once; nothing is to hang should it not.
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            sequence: 0,
        })
    }

    /// Asks, and reads everything up to the end of the answer.
    fn dump(&mut self, request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
        self.sequence += 1;
        let length = u32::try_from(HEADER + request.len()).expect("invariant: requests are short");
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(BY_FAMILY.to_ne_bytes());
        message.extend(DUMP.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(request);
        sendto(
            &self.socket,
            &message,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        loop {
            let (length, _) = match recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if length == 0 || read_messages(&self.buffer[..length], self.sequence, &mut each)? {
                return Ok(());
            }
        }
    }
}

/// Whether the last message of the answer was among them.
fn read_messages(mut bytes: &[u8], sequence: u32, each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    while let Some(header) = bytes.get(..HEADER) {
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
        let body = bytes.get(HEADER..length).ok_or(io::ErrorKind::InvalidData)?;
        if word(8) == sequence {
            match kind {
                DONE | ERROR => return ended(body).map(|()| true),
                BY_FAMILY => each(body),
                _another => {}
            }
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// The end of an answer begins with a negative errno, or 0.
fn ended(body: &[u8]) -> io::Result<()> {
    let code = body.get(..4).and_then(|code| code.try_into().ok());
    match code.map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}
