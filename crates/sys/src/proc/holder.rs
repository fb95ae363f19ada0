//! Who has an address: for the message that it is in use.

use super::file::{leading_number, open};
use rustix::fs::{CWD, Dir, OFlags, readlinkat_raw};
use rustix::process::Pid;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
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
    let proc = open(CWD, format_args!("/proc"), OFlags::DIRECTORY).ok()??;
    let entries = Dir::read_from(&proc).ok()?;
    let pids = entries.filter_map(|entry| leading_number(entry.ok()?.file_name().to_bytes()));
    let mut pids = pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let pid = pids.find(|pid| has_one_of(*pid, &sockets))?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim_end().to_owned()))
}

fn has_one_of(pid: Pid, sockets: &BTreeSet<u64>) -> bool {
    let Ok(Some(directory)) = open(CWD, format_args!("/proc/{pid}/fd"), OFlags::DIRECTORY) else {
        return false;
    };
    let Ok(entries) = Dir::read_from(&directory) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let mut target = [MaybeUninit::uninit(); 32];
        readlinkat_raw(&directory, entry.file_name(), &mut target).is_ok_and(|(target, _)| {
            let inode = target.strip_prefix(b"socket:[").and_then(leading_number);
            inode.is_some_and(|inode| sockets.contains(&inode))
        })
    })
}

fn sockets_at(wanted: Bound<'_>) -> BTreeSet<u64> {
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
    let (ip, asked) = (address(ip)?, wanted.ip().to_canonical());
    let overlaps = ip == asked || ip.is_unspecified() || asked.is_unspecified();
    let is_it = port == wanted.port() && overlaps && *fields.get(3)? == state;
    fields.get(9)?.parse().ok().filter(|_| is_it)
}

/// Words of 32 bits, each in the byte order of the machine.
fn address(hex: &str) -> Option<IpAddr> {
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
