//! What the kernel tells of sockets by `sock_diag(7)`: dumps over a netlink socket, read by offset, as `linux/inet_diag.h` and
//! `linux/unix_diag.h` lay them out.
//!
//! Called where connections are counted, and where the holder of an address is looked for. Unlike the tables in `/proc/net` it tells
//! only of the sockets that are asked for: a busy server has a hundred thousand closed connections in time wait.

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// `IPPROTO_TCP` and `IPPROTO_UDP`.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// `TCP_ESTABLISHED`, `TCP_CLOSE`, `TCP_LISTEN` of `enum tcp_state`, as bits. Sockets of all families have these states.
pub(crate) const ESTABLISHED: u32 = 1 << 1;
pub(crate) const CLOSED: u32 = 1 << 7;
pub(crate) const LISTENING: u32 = 1 << 10;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `sizeof(struct nlmsghdr)`.
const HEADER: usize = 16;
/// `sizeof(struct inet_diag_req_v2)`.
const INTERNET_REQUEST: usize = 56;
/// `UDIAG_SHOW_NAME`, `UNIX_DIAG_NAME`, `sizeof(struct unix_diag_msg)`.
const SHOW_NAME: u32 = 1;
const NAME: u16 = 0;
const UNIX_MESSAGE: usize = 16;
/// The kernel fills up to 32 KiB a read.
const BUFFER: usize = 32 * 1024;

/// Which sockets of TCP or UDP to tell of.
#[derive(Clone, Copy)]
pub(crate) struct Internet {
    pub(crate) v6: bool,
    pub(crate) protocol: u8,
    pub(crate) states: u32,
    pub(crate) port: u16,
}

impl Internet {
    fn family(self) -> u8 {
        family_byte(if self.v6 {
            AddressFamily::INET6
        } else {
            AddressFamily::INET
        })
    }
}

/// A socket of TCP or UDP.
pub(crate) struct InternetSocket {
    pub(crate) local: SocketAddr,
    /// 0 when no process has it: it waits to be accepted, or was closed.
    pub(crate) inode: u64,
}

impl InternetSocket {
    /// Of a `struct inet_diag_msg`.
    fn read(message: &[u8]) -> Option<Self> {
        let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
        let address: [u8; 16] = message.get(8..24)?.try_into().ok()?;
        let ip = if *message.first()? == family_byte(AddressFamily::INET6) {
            IpAddr::from(Ipv6Addr::from(address))
        } else {
            let [a, b, c, d, ..] = address;
            IpAddr::from(Ipv4Addr::new(a, b, c, d))
        };
        let inode = u32::from_ne_bytes(message.get(68..72)?.try_into().ok()?);
        Some(Self {
            local: SocketAddr::new(ip, port),
            inode: u64::from(inode),
        })
    }
}

/// A unix socket that has a path. An accepted one bears that of its listener.
pub(crate) struct UnixSocket {
    pub(crate) path: String,
    /// See [`InternetSocket::inode`].
    pub(crate) inode: u64,
}

impl UnixSocket {
    /// Of a `struct unix_diag_msg`.
    fn read(message: &[u8]) -> Option<Self> {
        let inode = u32::from_ne_bytes(message.get(4..8)?.try_into().ok()?);
        let mut rest = message.get(UNIX_MESSAGE..)?;
        while let Some((length, kind)) = two_words(rest) {
            let length = usize::from(length);
            let value = rest.get(4..length)?;
            if kind == NAME {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                let path = String::from_utf8_lossy(&value[..end]).into_owned();
                return Some(Self {
                    path,
                    inode: u64::from(inode),
                });
            }
            rest = rest.get(aligned(length)..)?;
        }
        None
    }
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

/// A socket to ask by.
pub(crate) struct Link {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Link {
    /// # Errors
    /// `socket(2)`: `EPROTONOSUPPORT`, `EAFNOSUPPORT`, `EPERM`, `EACCES`.
    pub(crate) fn open() -> io::Result<Self> {
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

    /// Sockets of TCP or UDP that are in one of these states (a bit of `enum tcp_state` each), at a local port, or at any for port 0.
    ///
    /// # Errors
    /// `sendto(2)`, `recv(2)`; `ENOENT` where the kernel was built without it.
    pub(crate) fn internet(&mut self, asked: Internet, mut each: impl FnMut(InternetSocket)) -> io::Result<()> {
        let mut request = vec![asked.family(), asked.protocol, 0, 0];
        request.extend(asked.states.to_ne_bytes());
        request.extend(asked.port.to_be_bytes());
        request.resize(INTERNET_REQUEST, 0);
        self.dump(&request, |message| {
            if let Some(socket) = InternetSocket::read(message) {
                each(socket);
            }
        })
    }

    /// Sockets that have a path, and are in one of these states.
    ///
    /// # Errors
    /// As [`internet`](Self::internet).
    pub(crate) fn unix(&mut self, states: u32, mut each: impl FnMut(UnixSocket)) -> io::Result<()> {
        let mut request = vec![family_byte(AddressFamily::UNIX), 0, 0, 0];
        for word in [states, 0, SHOW_NAME, 0, 0] {
            request.extend(word.to_ne_bytes());
        }
        self.dump(&request, |message| {
            if let Some(socket) = UnixSocket::read(message) {
                each(socket);
            }
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
