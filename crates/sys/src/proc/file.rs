//! Reading files of `/proc` without allocating.

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

/// Long enough for `/proc/<pid>/task/<tid>/schedstat`.
const PATH: usize = 64;

/// Opens `/proc/<pid>/<name>` for reading. `None` when there is no such process.
pub(super) fn open_of(pid: rustix::process::Pid, name: &str) -> Result<Option<OwnedFd>, Errno> {
    open(rustix::fs::CWD, format_args!("/proc/{pid}/{name}"), OFlags::empty())
}

/// Opens a path below `directory`. `None` when the process it speaks of is gone.
pub(super) fn open(
    directory: impl AsFd,
    path: std::fmt::Arguments<'_>,
    extra: OFlags,
) -> Result<Option<OwnedFd>, Errno> {
    let mut buffer = [0_u8; PATH];
    let mut rest = &mut buffer[..];
    rest.write_fmt(path).map_err(|_| Errno::NAMETOOLONG)?;
    let left = rest.len();
    let path = &buffer[..PATH - left];
    match openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC | extra, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a small file into `buffer` and gives what was read. `None` when the process has gone meanwhile.
pub(super) fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<&[u8]>, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(&fd, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(&buffer[..filled]))
}

/// The first field of a line of decimal numbers.
pub(super) fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}
