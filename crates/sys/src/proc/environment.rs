//! The environment a process was started with, `/proc/<pid>/environ`.

use super::file::open_of;
use super::stat::{StartTime, Stat};
use rustix::io::Errno;
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer entries are no markers.
const LONGEST: usize = 256;

/// The variable by which processes are known that broke away from their app.
pub const MARKER: &str = "OSTLER_WORKER";

/// For how long a process that is between two programs is waited for: `execve` takes well under a millisecond there.
const BETWEEN: Duration = Duration::from_millis(10);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// The first entry of that name (`NAME=value`, at most 256 bytes) in the environment a process was started with.
/// `None` also when the process is gone or may not be looked at. A program can overwrite that memory (as some do to
/// set their title), so a lack of the entry proves nothing. One that is in the middle of `execve` is waited for, a few milliseconds.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn environment_entry(pid: Pid, name: &str) -> io::Result<Option<Vec<u8>>> {
    Ok(match settled(pid, name)? {
        Found::Entry(entry) => Some(entry),
        Found::None | Found::Nothing => None,
    })
}

/// What an environment has.
enum Found {
    Entry(Vec<u8>),
    /// Others, or nobody may look.
    None,
    /// Nothing at all: it is empty, or not there yet.
    Nothing,
}

/// What there is when the process is not between two programs.
fn settled(pid: Pid, name: &str) -> io::Result<Found> {
    let deadline = Instant::now() + BETWEEN;
    loop {
        let found = look(pid, name)?;
        if !matches!(found, Found::Nothing) || !is_between_programs(pid) || Instant::now() >= deadline {
            return Ok(found);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// In the middle of `execve` a process has its new memory, but no environment in it yet.
fn is_between_programs(pid: Pid) -> bool {
    let stat = Stat::read(pid).ok().flatten();
    stat.is_some_and(|stat| stat.environment_end == 0 && !stat.is_zombie())
}

fn look(pid: Pid, name: &str) -> io::Result<Found> {
    let file = match open_of(pid, "environ") {
        Ok(Some(file)) => file,
        Ok(None) | Err(Errno::ACCESS | Errno::PERM) => return Ok(Found::None),
        Err(error) => return Err(error.into()),
    };
    let mut search = Search::new(name);
    let mut buffer = [0; 8192];
    let mut nothing = true;
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) if nothing => return Ok(Found::Nothing),
            Ok(0) | Err(Errno::SRCH | Errno::ACCESS | Errno::PERM) => return Ok(Found::None),
            Ok(length) if search.found_in(&buffer[..length]) => return Ok(Found::Entry(search.entry)),
            Ok(_) => nothing = false,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Looks for an entry among entries ended by NUL that come in pieces.
struct Search<'name> {
    name: &'name [u8],
    /// What of the current entry has been seen, as long as it may be the one.
    entry: Vec<u8>,
    differs: bool,
}

impl<'name> Search<'name> {
    fn new(name: &'name str) -> Self {
        Self {
            name: name.as_bytes(),
            entry: Vec::with_capacity(LONGEST),
            differs: false,
        }
    }

    fn found_in(&mut self, piece: &[u8]) -> bool {
        piece.iter().any(|byte| self.step(*byte))
    }

    fn step(&mut self, byte: u8) -> bool {
        if byte == 0 {
            if !self.differs && self.entry.len() > self.name.len() {
                return true;
            }
            self.entry.clear();
            self.differs = false;
        } else if !self.differs {
            self.differs = !self.fits(byte) || self.entry.len() == LONGEST;
            self.entry.push(byte);
        }
        false
    }

    fn fits(&self, byte: u8) -> bool {
        match self.name.get(self.entry.len()) {
            Some(expected) => byte == *expected,
            None => self.entry.len() > self.name.len() || byte == b'=',
        }
    }
}

/// What was found in environments, by process: looking costs a file each, and an environment does not change but
/// by `execve`, by which no orphan gets a marker that it had not before.
#[derive(Debug, Default)]
pub(super) struct Markers(Mutex<BTreeMap<Key, Option<Vec<u8>>>>);

/// A process, for good.
type Key = (i32, StartTime);

impl Markers {
    /// Whether a process carries this marker.
    pub(super) fn has(&self, process: &Stat, marker: &[u8]) -> io::Result<bool> {
        let key = (process.pid.as_raw_nonzero().get(), process.start_time);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(&key) {
            return Ok(entry.as_deref() == Some(marker));
        }
        let entry = match settled(process.pid, MARKER)? {
            Found::Entry(entry) => Some(entry),
            Found::None => None,
            // It may be there the next time.
            Found::Nothing => return Ok(false),
        };
        let has = entry.as_deref() == Some(marker);
        known.insert(key, entry);
        Ok(has)
    }

    /// Forgets processes that are gone.
    pub(super) fn retain(&self, mut lives: impl FnMut(Pid, StartTime) -> bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(pid, start), _| Pid::from_raw(*pid).is_some_and(|pid| lives(pid, *start)));
    }
}

#[cfg(test)]
mod tests {
    use super::Search;

    fn search(pieces: &[&[u8]]) -> Option<String> {
        let mut search = Search::new("OSTLER_WORKER");
        let found = pieces.iter().any(|piece| search.found_in(piece));
        found.then(|| String::from_utf8(search.entry).expect("text"))
    }

    #[test]
    fn the_first_whole_entry_of_the_name_is_found() {
        let found = Some("OSTLER_WORKER=3.1".to_owned());
        assert_eq!(search(&[b"A=1\0OSTLER_WORKER=3.1\0OSTLER_WORKER=4.1\0B=2\0"]), found);
        assert_eq!(search(&[b"OSTLER_WOR", b"KER=3", b".1", b"\0"]), found);
        assert_eq!(
            search(&[b"\0\0", b"OSTLER_WORKER=\0"]),
            Some("OSTLER_WORKER=".to_owned())
        );
    }

    #[test]
    fn other_entries_and_cut_ones_are_not() {
        for environment in [
            "OSTLER_WORKER\0",
            "OSTLER_WORKERS=3.1\0",
            "X=OSTLER_WORKER=3.1\0",
            "OSTLER_WORKER=3.1",
            "",
        ] {
            assert_eq!(search(&[environment.as_bytes()]), None, "{environment}");
        }
        let endless = format!("OSTLER_WORKER={}\0", "x".repeat(300));
        assert_eq!(search(&[endless.as_bytes()]), None);
    }
}
