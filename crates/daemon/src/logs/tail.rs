//! The last lines of a file of any size, with lines of any length, in bounded memory. Pure reading; used by the command
//! line too.

use super::place::open_at;
use memchr::memrchr_iter;
use ostler_wire::control::LogPlace;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is looked at at once.
const BLOCK: usize = 64 << 10;

/// The end of a file, to be read to its end. What is appended later is not part of it.
#[derive(Debug)]
pub struct Tail {
    reader: Take<File>,
}

impl Tail {
    /// The end of it, if it has more bytes than that.
    ///
    /// # Errors
    /// That of lseek(2).
    pub fn at_most(mut self, bytes: u64) -> io::Result<Self> {
        if let Some(excess) = self.reader.limit().checked_sub(bytes) {
            let excess = i64::try_from(excess).map_err(io::Error::other)?;
            self.reader.get_mut().seek(SeekFrom::Current(excess))?;
            self.reader.set_limit(bytes);
        }
        Ok(self)
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// The last `lines` lines of a log's file; before a place of the log, if one is given, in the file of that place. An
/// unfinished last line counts as one.
///
/// # Errors
/// Those of open(2), pread(2) and lseek(2); no such file among them.
pub fn tail(log: &Path, lines: usize, before: Option<LogPlace>) -> io::Result<Tail> {
    let mut file = match before {
        Some(place) => open_at(log, place)?,
        None => File::open(log)?,
    };
    let length = file.metadata()?.len();
    let end = before.map_or(length, |place| place.size.min(length));
    let start = line_start(&file, lines, end)?;
    file.seek(SeekFrom::Start(start))?;
    Ok(Tail {
        reader: file.take(end - start),
    })
}

/// Where the last `lines` lines of `file[..end]` begin.
fn line_start(file: &File, lines: usize, end: u64) -> io::Result<u64> {
    if lines == 0 || end == 0 {
        return Ok(end);
    }
    // The line break at the very end ends the last line; it does not begin another.
    break_before(file, lines, 0..end - 1)
}

/// How much of an unfinished line `file[..size]` ends with; `limit` if it is more than that.
pub(super) fn unfinished(file: &File, size: u64, limit: u64) -> io::Result<u64> {
    Ok(size - break_before(file, 1, size.saturating_sub(limit)..size)?)
}

/// The end of the `count`-th line break from behind within the range; the range's start if there are fewer.
fn break_before(file: &File, count: usize, range: Range<u64>) -> io::Result<u64> {
    let mut left = count;
    let mut block = vec![0; BLOCK];
    let mut upper = range.end;
    while upper > range.start {
        let lower = upper.saturating_sub(BLOCK as u64).max(range.start);
        let part = &mut block[..usize::try_from(upper - lower).expect("invariant: at most one block")];
        file.read_exact_at(part, lower)?;
        for at in memrchr_iter(b'\n', part) {
            left -= 1;
            if left == 0 {
                return Ok(lower + at as u64 + 1);
            }
        }
        upper = lower;
    }
    Ok(range.start)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, tail};
    use crate::logs::place::end_at;
    use ostler_wire::control::LogPlace;
    use proptest::prelude::*;
    use std::io::Read;

    fn tailed(content: &[u8], lines: usize, size: Option<u64>) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), content).expect("content");
        let end = end_at(file.path()).expect("a place");
        let before = size.map(|size| LogPlace { size, ..end });
        let mut out = Vec::new();
        tail(file.path(), lines, before)
            .expect("a tail")
            .read_to_end(&mut out)
            .expect("a readable file");
        out
    }

    #[test]
    fn the_last_lines_are_given_also_without_a_final_line_break() {
        assert_eq!(tailed(b"a\nb\nc\n", 2, None), b"b\nc\n");
        assert_eq!(tailed(b"a\nb\nc", 2, None), b"b\nc");
        assert_eq!(tailed(b"a\n\n\n", 2, None), b"\n\n");
    }

    #[test]
    fn none_asked_for_or_an_empty_file_gives_nothing() {
        assert_eq!(tailed(b"a\nb\n", 0, None), b"");
        assert_eq!(tailed(b"", 3, None), b"");
    }

    #[test]
    fn only_what_the_file_had_at_that_size_counts() {
        assert_eq!(tailed(b"a\nb\nc\n", 1, Some(4)), b"b\n");
        assert_eq!(tailed(b"a\nb\n", 9, Some(100)), b"a\nb\n");
    }

    #[test]
    fn lines_longer_than_a_block_are_found() {
        let content = [&b"first\n"[..], &vec![b'x'; 3 * BLOCK], b"\nlast\n"].concat();
        assert_eq!(tailed(&content, 2, None), content[6..]);
    }

    proptest! {
        #[test]
        fn any_tail_is_what_splitting_the_whole_gives(
            content in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..300),
            lines in 0usize..12,
        ) {
            let all: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
            let expected = all[all.len().saturating_sub(lines)..].concat();
            prop_assert_eq!(tailed(&content, lines, None), expected);
        }
    }
}
