//! Where something is in a log: in which of its files, and how far. A log's file is renamed by rotation, compressed some
//! time later, and a new one has its path; so who was told of a moment in a file finds it here by what the file is, not by
//! what it was called. Pure reading; used by the command line too.
//!
//! A compressed file says in its header which one it was made of (RFC 1952, section 2.3.1.1, "extra field").

use super::rotate::{RotatedForm, list};
use flate2::bufread::GzDecoder;
use ostler_core::WallTime;
use ostler_wire::control::LogPlace;
use rustix::fs::{AtFlags, CWD, MemfdFlags, Statx, StatxFlags, makedev, memfd_create, statx};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What names our subfield of a compressed file's header.
const SUBFIELD: [u8; 2] = *b"OL";
/// The subfield's length: device, inode, creation.
const SUBFIELD_LENGTH: usize = 24;
/// How a creation is written that is not known.
const UNKNOWN: i64 = i64::MIN;

/// How often files are looked for that are renamed or compressed while we look.
const ATTEMPTS: usize = 3;

/// The end of an open file.
///
/// # Errors
/// Those of statx(2).
pub(super) fn end_of(file: impl AsFd) -> rustix::io::Result<LogPlace> {
    Ok(place(&statx(file, c"", AtFlags::EMPTY_PATH, WANTED)?))
}

/// The end of what lies at a path.
///
/// # Errors
/// Those of statx(2).
pub fn end_at(path: &Path) -> rustix::io::Result<LogPlace> {
    Ok(place(&statx(CWD, path, AtFlags::empty(), WANTED)?))
}

const WANTED: StatxFlags = StatxFlags::INO.union(StatxFlags::SIZE).union(StatxFlags::BTIME);

fn place(found: &Statx) -> LogPlace {
    let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let born = &found.stx_btime;
    LogPlace {
        device: makedev(found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        born: known.then(|| WallTime(born.tv_sec * 1000 + i64::from(born.tv_nsec / 1_000_000))),
        size: found.stx_size,
    }
}

/// Opens the file of a place of `log`, whatever it is called by now. One that was compressed is given as a memory file.
///
/// # Errors
/// Those of open(2) and readdir(3), and [`io::ErrorKind::NotFound`] where no file of the log is that one any more.
pub fn open_at(log: &Path, place: LogPlace) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        if let Some(file) = unchanged(log, place)? {
            return Ok(file);
        }
        for piece in pieces(log)?.iter().rev().filter(|piece| piece.is(place)) {
            if let Some(file) = piece.open()? {
                return Ok(file);
            }
        }
    }
    Err(gone(log))
}

/// What was written to `log` between two places: the rest of a file, and of later ones all up to the second place. Where
/// there was no file at first, or it is gone, all of the second place's file before it.
///
/// # Errors
/// As [`open_at`].
pub fn between(log: &Path, from: Option<LogPlace>, to: LogPlace) -> io::Result<Span> {
    for _ in 0..ATTEMPTS {
        let pieces = pieces(log)?;
        let Some(last) = pieces.iter().rposition(|piece| piece.is(to)) else {
            continue;
        };
        let first = from.and_then(|from| pieces[..=last].iter().rposition(|piece| piece.is(from)));
        let is_whole = first.is_some() || (from.is_none() && last == 0);
        let files: io::Result<Option<VecDeque<File>>> =
            pieces[first.unwrap_or(last)..=last].iter().map(Piece::open).collect();
        if let Some(files) = files? {
            return Span::new(files, from.filter(|_| first.is_some()), to, is_whole);
        }
    }
    Err(gone(log))
}

/// A part of a log, over several files.
#[derive(Debug)]
pub struct Span {
    parts: VecDeque<Take<File>>,
    is_whole: bool,
}

impl Span {
    /// Whether nothing is missing at its beginning: the file of the first place is there, or this is the first of all.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// `files[0]` from `from` on, the last one up to `to`.
    fn new(files: VecDeque<File>, from: Option<LogPlace>, to: LogPlace, is_whole: bool) -> io::Result<Self> {
        let last = files.len() - 1;
        let part = |(index, mut file): (usize, File)| {
            let end = if index == last { to.size } else { u64::MAX };
            // A file that is smaller now was emptied meanwhile: all of it is new.
            let begin = from
                .filter(|from| index == 0 && from.size <= end)
                .map_or(0, |from| from.size);
            file.seek(SeekFrom::Start(begin))?;
            Ok(file.take(end - begin))
        };
        let parts = files.into_iter().enumerate().map(part).collect::<io::Result<_>>()?;
        Ok(Self { parts, is_whole })
    }
}

impl Read for Span {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = self.parts.front_mut() {
            match part.read(buffer)? {
                0 if !buffer.is_empty() => drop(self.parts.pop_front()),
                length => return Ok(length),
            }
        }
        Ok(0)
    }
}

/// The extra field of a compressed file's header.
pub(super) fn extra_field(of: LogPlace) -> Vec<u8> {
    let born = of.born.map_or(UNKNOWN, |born| born.0);
    let mut field = SUBFIELD.to_vec();
    field.extend((SUBFIELD_LENGTH as u16).to_le_bytes());
    field.extend(of.device.to_le_bytes());
    field.extend(of.inode.to_le_bytes());
    field.extend(born.to_le_bytes());
    field
}

/// The file that a compressed one was made of, if its header says so. Its size is not known from there.
fn original(extra: &[u8]) -> Option<LogPlace> {
    let mut rest = extra;
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (content, next) = behind.split_at_checked(length)?;
        if head[..2] == SUBFIELD && length == SUBFIELD_LENGTH {
            let word = |index: usize| content[index * 8..][..8].try_into().expect("invariant: three words");
            let born = i64::from_le_bytes(word(2));
            return Some(LogPlace {
                device: u64::from_le_bytes(word(0)),
                inode: u64::from_le_bytes(word(1)),
                born: (born != UNKNOWN).then_some(WallTime(born)),
                size: 0,
            });
        }
        rest = next;
    }
    None
}

/// One of a log's files.
struct Piece {
    path: PathBuf,
    is_compressed: bool,
    /// Which file it is, or was made of.
    file: LogPlace,
}

impl Piece {
    fn is(&self, place: LogPlace) -> bool {
        self.file.is_same_file(place)
    }

    /// None where another file has its path meanwhile, or none.
    fn open(&self) -> io::Result<Option<File>> {
        if !self.is_compressed {
            return unchanged(&self.path, self.file);
        }
        let Some(file) = if_there(File::open(&self.path))? else {
            return Ok(None);
        };
        let mut inflated = File::from(memfd_create(c"ostler-log", MemfdFlags::CLOEXEC)?);
        io::copy(&mut GzDecoder::new(BufReader::new(file)), &mut inflated)?;
        Ok(Some(inflated))
    }
}

/// The files of a log that say which ones they are, oldest first, the log itself last.
fn pieces(log: &Path) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for rotated in list(log)? {
        let file = match rotated.form {
            RotatedForm::Plain => if_there(end_at(&rotated.path).map_err(io::Error::from))?,
            RotatedForm::Compressed => if_there(File::open(&rotated.path))?.and_then(|file| {
                let decoder = GzDecoder::new(BufReader::new(file));
                original(decoder.header()?.extra()?)
            }),
            RotatedForm::Unfinished => None,
        };
        pieces.extend(file.map(|file| Piece {
            path: rotated.path,
            is_compressed: rotated.form == RotatedForm::Compressed,
            file,
        }));
    }
    // Compressed, but not yet deleted: the same content twice.
    pieces.dedup_by(|later, earlier| later.is(earlier.file));
    pieces.extend(if_there(end_at(log).map_err(io::Error::from))?.map(|file| Piece {
        path: log.to_owned(),
        is_compressed: false,
        file,
    }));
    Ok(pieces)
}

/// The file at a path, if it is the one of this place.
fn unchanged(path: &Path, place: LogPlace) -> io::Result<Option<File>> {
    let Some(file) = if_there(File::open(path))? else {
        return Ok(None);
    };
    let is_it = end_of(&file)?.is_same_file(place);
    Ok(is_it.then_some(file))
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn gone(log: &Path) -> io::Error {
    let text = format!("a file of {} has been deleted or moved away", log.display());
    io::Error::new(io::ErrorKind::NotFound, text)
}

#[cfg(test)]
mod tests;
