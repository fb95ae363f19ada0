//! The environment a process was started with, `/proc/<pid>/environ`.

use super::file::open_of;
use rustix::io::Errno;
use rustix::process::Pid;
use std::io;

/// Whether a process was started with exactly this entry (`NAME=value`) in its environment. `false` also when it is
/// gone or may not be looked at. A program can overwrite that memory (as some do to set their title), so a lack
/// of the entry proves nothing.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn environment_has(pid: Pid, entry: &[u8]) -> io::Result<bool> {
    let file = match open_of(pid, "environ") {
        Ok(Some(file)) => file,
        Ok(None) | Err(Errno::ACCESS | Errno::PERM) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut search = Search {
        entry,
        matched: Some(0),
    };
    let mut buffer = [0; 8192];
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) | Err(Errno::SRCH | Errno::ACCESS | Errno::PERM) => return Ok(false),
            Ok(length) if search.found_in(&buffer[..length]) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Looks for an entry among entries ended by NUL that come in pieces.
struct Search<'entry> {
    entry: &'entry [u8],
    /// How much of it the current entry has matched so far; `None` once it differs.
    matched: Option<usize>,
}

impl Search<'_> {
    fn found_in(&mut self, piece: &[u8]) -> bool {
        piece.iter().any(|byte| self.step(*byte))
    }

    fn step(&mut self, byte: u8) -> bool {
        if byte == 0 {
            return self.matched.replace(0) == Some(self.entry.len());
        }
        self.matched = self
            .matched
            .filter(|at| self.entry.get(*at) == Some(&byte))
            .map(|at| at + 1);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Search;

    fn search(pieces: &[&[u8]]) -> bool {
        let mut search = Search {
            entry: b"OSTLER_WORKER=3.1",
            matched: Some(0),
        };
        pieces.iter().any(|piece| search.found_in(piece))
    }

    #[test]
    fn only_a_whole_entry_counts() {
        assert!(search(&[b"A=1\0OSTLER_WORKER=3.1\0B=2\0"]));
        assert!(search(&[b"OSTLER_WOR", b"KER=3.1", b"\0"]));
        assert!(!search(&[b"OSTLER_WORKER=3.12\0"]));
        assert!(!search(&[b"X=OSTLER_WORKER=3.1\0"]));
        assert!(!search(&[b"MY_OSTLER_WORKER=3.1\0OSTLER_WORKER=3\0"]));
        assert!(!search(&[b""]));
    }
}
