//! Whether a process accepts connections: a sign that a server is up.
//!
//! The kernel is asked by `sock_diag(7)` which sockets listen (some 0.1 ms), and `/proc` which of them are the process's. Where that is not
//! to be had, or the process lives in another network namespace, the tables in `/proc/<pid>/net` say the same: each read of one walks the
//! kernel's hash of connections, 3 ms for 262,144 buckets.

use super::file::{leading_number, open, open_of};
use super::holder::address;
use crate::sock_diag::{Internet, LISTENING, Link, TCP};
use rustix::fs::{Dir, OFlags, readlinkat_raw};
use rustix::process::Pid;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// The sockets that listen, as of the moment at which they are asked about first.
#[derive(Debug, Default)]
pub struct ListeningSockets {
    ours: OnceCell<Option<Ours>>,
}

/// Those of our network namespace. Inodes of sockets are the kernel's own: one namespace does not have those of another.
#[derive(Debug)]
struct Ours {
    namespace: Option<PathBuf>,
    /// By inode; those of TCP with their address.
    sockets: BTreeMap<u64, Option<SocketAddr>>,
}

impl ListeningSockets {
    /// Whether a process holds one of them, its own or an inherited one. `false` for a process that is gone.
    ///
    /// # Errors
    /// When `/proc` cannot be read, or not for this process (another user's).
    pub fn are_held_by(&self, pid: Pid) -> io::Result<bool> {
        let held = socket_inodes(pid)?;
        if held.is_empty() {
            return Ok(false);
        }
        if let Some(ours) = self.ours() {
            let holds = held.iter().any(|inode| ours.sockets.contains_key(inode));
            if holds || ours.is_namespace_of(pid) {
                return Ok(holds);
            }
        }
        for (table, form) in [
            ("net/tcp", TCP_TABLE),
            ("net/tcp6", TCP_TABLE),
            ("net/unix", UNIX_TABLE),
        ] {
            let found = each_listening(pid, table, form, |inode, _| held.contains(&inode))?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where a process listens for TCP connections.
    ///
    /// # Errors
    /// As [`Self::are_held_by`].
    pub fn tcp_of(&self, pid: Pid) -> io::Result<BTreeSet<SocketAddr>> {
        let held = socket_inodes(pid)?;
        let mut found = BTreeSet::new();
        if held.is_empty() {
            return Ok(found);
        }
        if let Some(ours) = self.ours() {
            found.extend(held.iter().filter_map(|inode| *ours.sockets.get(inode)?));
            if ours.is_namespace_of(pid) {
                return Ok(found);
            }
        }
        for table in ["net/tcp", "net/tcp6"] {
            each_listening(pid, table, TCP_TABLE, |inode, line| {
                found.extend(held.contains(&inode).then(|| local_address(line)).flatten());
                false
            })?;
        }
        Ok(found)
    }

    fn ours(&self) -> Option<&Ours> {
        self.ours.get_or_init(|| Ours::by_sock_diag().ok()).as_ref()
    }
}

impl Ours {
    fn by_sock_diag() -> io::Result<Self> {
        let mut link = Link::open()?;
        let mut sockets = BTreeMap::new();
        for v6 in [false, true] {
            let asked = Internet {
                v6,
                protocol: TCP,
                states: LISTENING,
                port: 0,
            };
            link.internet(asked, |socket| {
                let ip = socket.local.ip().to_canonical();
                sockets.insert(socket.inode, Some(SocketAddr::new(ip, socket.local.port())));
            })?;
        }
        link.unix(LISTENING, |socket| {
            sockets.insert(socket.inode, None);
        })?;
        let namespace = std::fs::read_link("/proc/self/ns/net").ok();
        Ok(Self { namespace, sockets })
    }

    /// Also when that is not to be known.
    fn is_namespace_of(&self, pid: Pid) -> bool {
        let of_it = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        of_it.is_none() || self.namespace.is_none() || of_it == self.namespace
    }
}

/// The second field of a line: address and port, in hexadecimal.
fn local_address(line: &[u8]) -> Option<SocketAddr> {
    let line = std::str::from_utf8(line).ok()?;
    let (ip, port) = line.split_ascii_whitespace().nth(1)?.split_once(':')?;
    Some(SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// The inodes of all sockets that a process holds.
pub(crate) fn socket_inodes(pid: Pid) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    each_socket(pid, |_, inode| {
        inodes.insert(inode);
    })?;
    Ok(inodes)
}

/// Tells of each socket that a process holds: its descriptor there, its inode.
pub(crate) fn each_socket(pid: Pid, mut each: impl FnMut(RawFd, u64)) -> io::Result<()> {
    let Some(directory) = open(rustix::fs::CWD, format_args!("/proc/{pid}/fd"), OFlags::DIRECTORY)? else {
        return Ok(());
    };
    for entry in Dir::read_from(&directory)? {
        let Ok(entry) = entry else { break };
        let mut target = [MaybeUninit::uninit(); 32];
        // A descriptor that was closed meanwhile is none.
        let Ok((target, _)) = readlinkat_raw(&directory, entry.file_name(), &mut target) else {
            continue;
        };
        let inode = target.strip_prefix(b"socket:[").and_then(leading_number);
        let descriptor = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let (Some(inode), Some(descriptor)) = (inode, descriptor) {
            each(descriptor, inode);
        }
    }
    Ok(())
}

/// Where a line of a table shows that its socket listens, and which it is; fields counted from 0.
#[derive(Clone, Copy)]
struct Form {
    state: usize,
    listening: &'static [u8],
    inode: usize,
    /// Listening sockets come first, so that the rest need not be read.
    sorted: bool,
}

const TCP_TABLE: Form = Form {
    state: 3,
    listening: b"0A",
    inode: 9,
    sorted: true,
};
/// Flags, with `__SO_ACCEPTCON` alone.
const UNIX_TABLE: Form = Form {
    state: 3,
    listening: b"00010000",
    inode: 6,
    sorted: false,
};

/// Calls `is_it` with the inode and the line of each socket that listens, until it says so.
fn each_listening(pid: Pid, table: &str, form: Form, mut is_it: impl FnMut(u64, &[u8]) -> bool) -> io::Result<bool> {
    let Some(file) = open_of(pid, table)? else {
        return Ok(false);
    };
    let mut lines = BufReader::with_capacity(16 * 1024, std::fs::File::from(file));
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?; // the heading
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(false);
        }
        match listening_inode(&line, form) {
            Some(inode) if is_it(inode, &line) => return Ok(true),
            None if form.sorted => return Ok(false),
            Some(_) | None => {}
        }
    }
}

/// The socket's inode, if the line is of one that listens.
fn listening_inode(line: &[u8], form: Form) -> Option<u64> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    (fields.nth(form.state)? == form.listening).then_some(())?;
    leading_number(fields.nth(form.inode - form.state - 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    /// The tables are asked.
    fn without_sock_diag() -> ListeningSockets {
        ListeningSockets {
            ours: OnceCell::from(None),
        }
    }

    #[test]
    fn both_ways_find_the_same() {
        let us = rustix::process::getpid();
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let second = TcpListener::bind("[::]:0").expect("a port");
        let addresses = [&first, &second].map(|listener| listener.local_addr().expect("an address"));
        let _accepted = (TcpStream::connect(addresses[0]), first.accept());
        for listening in [ListeningSockets::default(), without_sock_diag()] {
            // Other tests of this process may listen, too.
            let found = listening.tcp_of(us).expect("/proc");
            let unspecified = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), addresses[1].port());
            assert!(
                found.contains(&addresses[0]) && found.contains(&unspecified),
                "{found:?}"
            );
            assert!(listening.are_held_by(us).expect("/proc"));
        }
    }

    /// A program that listens at the path it is given when it is told to.
    const LISTENER: &str = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\n\
        print(flush=True)\nsys.stdin.read(1)\ns.listen()\nprint(flush=True)\nsys.stdin.read()";

    /// What is found of a program before it listens and while it does; `None` where it cannot be run.
    fn before_and_after(wrapper: &[&str]) -> Option<[bool; 2]> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let words = wrapper
            .iter()
            .copied()
            .chain(["python3", "-c", LISTENER])
            .map(String::from);
        let words: Vec<String> = words.chain([path.display().to_string()]).collect();
        let mut command = Command::new(&words[0]);
        let spawned = command
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.ok()?;
        let (mut input, mut output) = (child.stdin.take()?, child.stdout.take()?);
        let pid = Pid::from_raw(i32::try_from(child.id()).ok()?)?;
        let found = ["", "\n"].map(|word| {
            input.write_all(word.as_bytes()).ok()?;
            output.read_exact(&mut [0]).ok()?;
            let ways = [ListeningSockets::default(), without_sock_diag()];
            let found = ways.map(|listening| listening.are_held_by(pid).expect("/proc"));
            assert_eq!(found[0], found[1], "both ways find the same");
            Some(found[0])
        });
        drop(input);
        child.wait().expect("it ends with its input");
        let [before, after] = found;
        Some([before?, after?])
    }

    #[test]
    fn a_unix_socket_is_found_when_it_listens() {
        if let Some(found) = before_and_after(&[]) {
            assert_eq!(found, [false, true]);
        }
    }

    #[test]
    fn it_is_found_in_another_network_too() {
        // Needs rights; without them the program ends at once.
        if let Some(found) = before_and_after(&["unshare", "--net"]) {
            assert_eq!(found, [false, true]);
        }
    }
}
