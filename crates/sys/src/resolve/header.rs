//! What the first bytes of a program say about how it is to be run.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many bytes the kernel looks at (`BINPRM_BUF_SIZE`).
const LOOKED_AT: usize = 256;

/// What kind of program a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A script whose first line names its interpreter.
    Script {
        /// The interpreter.
        interpreter: PathBuf,
        /// Whether the line ends in a carriage return, which the kernel takes as part of the name.
        carriage_return: bool,
    },
    /// A binary for this processor, with the loader it asks for, if any.
    Binary {
        /// The loader (`PT_INTERP`).
        loader: Option<PathBuf>,
    },
    /// A binary for another processor or of another word size.
    ForeignBinary,
    /// Nothing in it.
    Empty,
    /// Neither: a script without a first line, or data.
    Other,
}

/// Looks at a file. `None` when it cannot be read.
pub(super) fn kind(file: &Path) -> Option<Kind> {
    let file = File::open(file).ok()?;
    let mut start = [0; LOOKED_AT];
    let length = file.read_at(&mut start, 0).ok()?;
    let start = &start[..length];
    Some(match start {
        [] => Kind::Empty,
        [b'#', b'!', line @ ..] => script(line),
        [0x7f, b'E', b'L', b'F', ..] => binary(&file, start).unwrap_or(Kind::ForeignBinary),
        _ => Kind::Other,
    })
}

fn script(line: &[u8]) -> Kind {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    match words.next() {
        None => Kind::Other,
        Some(word) => Kind::Script {
            interpreter: PathBuf::from(OsStr::from_bytes(word.strip_suffix(b"\r").unwrap_or(word))),
            carriage_return: word.ends_with(b"\r"),
        },
    }
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// Reads an ELF header as `elf(5)` has it. `None` when it is not for us.
fn binary(file: &File, start: &[u8]) -> Option<Kind> {
    const CLASS_64_LITTLE: &[u8] = &[2, 1];
    const LOADER: u32 = 3;
    if start.get(4..6)? != CLASS_64_LITTLE || u16_at(start, 18)? != MACHINE {
        return None;
    }
    let (table, size, count) = (u64_at(start, 32)?, u16_at(start, 54)?, u16_at(start, 56)?);
    for index in 0..u64::from(count) {
        let mut header = [0; 56];
        file.read_exact_at(&mut header, table.checked_add(index * u64::from(size))?)
            .ok()?;
        if u32_at(&header, 0)? == LOADER {
            let loader = read_path(file, u64_at(&header, 8)?, u64_at(&header, 32)?);
            return Some(Kind::Binary { loader });
        }
    }
    Some(Kind::Binary { loader: None })
}

fn read_path(file: &File, offset: u64, length: u64) -> Option<PathBuf> {
    let mut path = vec![0; usize::try_from(length.min(4096)).ok()?];
    file.read_exact_at(&mut path, offset).ok()?;
    let path = path.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
