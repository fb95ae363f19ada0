//! Whether a process accepts connections: a sign that a server is up.

use super::file::{leading_number, open, open_of};
use super::holder::address;
use super::stat::Stat;
use rustix::fs::{Dir, OFlags, readlinkat_raw};
use rustix::process::Pid;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader};
use std::mem::MaybeUninit;
use std::net::SocketAddr;

/// Whether a process holds a TCP or unix socket that listens, its own or an inherited one. Costs one `readlink` a
/// descriptor, and the kernel's tables of sockets only if any of them is a socket.
///
/// # Errors
/// When `/proc` cannot be read, or not for this process (another user's).
pub fn listens(pid: Pid) -> io::Result<bool> {
    let sockets = socket_inodes(pid)?;
    if sockets.is_empty() {
        return Ok(false);
    }
    for (table, form) in [("net/tcp", TCP), ("net/tcp6", TCP), ("net/unix", UNIX)] {
        if any_listening(pid, table, form, &sockets)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether any of these processes listens.
///
/// # Errors
/// As [`listens`].
pub fn any_listens(members: &[Stat]) -> io::Result<bool> {
    for member in members {
        if listens(member.pid)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a process listens for TCP connections.
///
/// # Errors
/// As [`listens`].
pub fn tcp_listeners(pid: Pid) -> io::Result<BTreeSet<SocketAddr>> {
    let sockets = socket_inodes(pid)?;
    let mut found = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let Some(file) = open_of(pid, table)? else { continue };
        let lines = BufReader::with_capacity(16 * 1024, std::fs::File::from(file)).lines();
        for line in lines.skip(1) {
            let line = line?;
            match listening_inode(line.as_bytes(), TCP) {
                Some(inode) if sockets.contains(&inode) => found.extend(local_address(&line)),
                Some(_) => {}
                None => break,
            }
        }
    }
    Ok(found)
}

/// The second field of a line: address and port, in hexadecimal.
fn local_address(line: &str) -> Option<SocketAddr> {
    let (ip, port) = line.split_ascii_whitespace().nth(1)?.split_once(':')?;
    Some(SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// The inodes of all sockets that a process holds.
pub(crate) fn socket_inodes(pid: Pid) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    let Some(directory) = open(rustix::fs::CWD, format_args!("/proc/{pid}/fd"), OFlags::DIRECTORY)? else {
        return Ok(inodes);
    };
    for entry in Dir::read_from(&directory)? {
        let Ok(entry) = entry else { break };
        let mut target = [MaybeUninit::uninit(); 32];
        // A descriptor that was closed meanwhile is none.
        let Ok((target, _)) = readlinkat_raw(&directory, entry.file_name(), &mut target) else {
            continue;
        };
        inodes.extend(target.strip_prefix(b"socket:[").and_then(leading_number));
    }
    Ok(inodes)
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

const TCP: Form = Form {
    state: 3,
    listening: b"0A",
    inode: 9,
    sorted: true,
};
/// Flags, with `__SO_ACCEPTCON` alone.
const UNIX: Form = Form {
    state: 3,
    listening: b"00010000",
    inode: 6,
    sorted: false,
};

fn any_listening(pid: Pid, table: &str, form: Form, sockets: &BTreeSet<u64>) -> io::Result<bool> {
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
            Some(inode) if sockets.contains(&inode) => return Ok(true),
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
