//! Counting by the tables in `/proc/net` (`proc(5)`), where `sock_diag` is not to be had.

use super::{Open, Place};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// `TCP_LISTEN`, as the tables write it.
const LISTENING: &[u8] = b"0A";
/// `SS_CONNECTED`.
const CONNECTED: &[u8] = b"03";

/// What a line of a table says.
type Reader = fn(&[u8]) -> Option<(Place, u64)>;

pub(super) fn count(places: &BTreeSet<Place>) -> io::Result<Open> {
    let mut open = Open::new();
    let wanted = |v6: bool| {
        places
            .iter()
            .any(|place| matches!(place, Place::Tcp { v6: of, .. } if *of == v6))
    };
    let unix = places.iter().any(|place| matches!(place, Place::Unix(_)));
    let mut collect = |path: &str, connection: Reader| {
        read(path, |line| {
            if let Some((place, inode)) = connection(line).filter(|(place, _)| places.contains(place)) {
                open.entry(place).or_default().insert(inode);
            }
        })
    };
    if wanted(false) {
        collect("/proc/net/tcp", |line| tcp(line, false))?;
    }
    if wanted(true) {
        collect("/proc/net/tcp6", |line| tcp(line, true))?;
    }
    if unix {
        collect("/proc/net/unix", unix_stream)?;
    }
    Ok(open)
}

fn read(path: &str, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut lines = BufReader::with_capacity(32 * 1024, File::open(path)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        each(line.trim_ascii());
        line.clear();
    }
    Ok(())
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

fn number(field: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(field).ok()?, radix).ok()
}

/// `sl local_address rem_address st … inode`; what waits to be accepted or is closed by its process has inode 0.
fn tcp(line: &[u8], v6: bool) -> Option<(Place, u64)> {
    let mut fields = fields(line);
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = number(fields.nth(5)?, 10).filter(|inode| *inode != 0)?;
    let port = local.rsplit(|byte| *byte == b':').next()?;
    let port = u16::try_from(number(port, 16)?).ok()?;
    (state != LISTENING).then_some((Place::Tcp { v6, port }, inode))
}

/// `Num RefCount Protocol Flags Type St Inode Path`.
fn unix_stream(line: &[u8]) -> Option<(Place, u64)> {
    let mut fields = fields(line);
    let state = fields.nth(5)?;
    let inode = number(fields.next()?, 10).filter(|inode| *inode != 0)?;
    // A path may have spaces in it: it is the rest of the line.
    let path = fields.next()?;
    let start = path.as_ptr().addr() - line.as_ptr().addr();
    let path = String::from_utf8_lossy(line.get(start..)?).into_owned();
    (state == CONNECTED).then_some((Place::Unix(path), inode))
}
