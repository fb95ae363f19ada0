//! The open log files, by path: streams that name the same path share one file.

use super::file::{LogFile, Step, Surroundings, Writing};
use super::note::FileError;
use super::outlet::Outlet;
use super::place::end_at;
use super::target::Target;
use ostler_wire::control::LogPlace;
use std::collections::HashMap;
use std::io;
use std::ops::{Index, IndexMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The number of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileKey(usize);

/// In how many places a stream may be written.
pub(super) const PLACES: usize = 3;
/// The place of what leads to our own output.
pub(super) const CONSOLE: usize = 2;
/// A stream's files: its own, the combined one, and what leads to our own output.
pub(super) type Keys = [Option<FileKey>; PLACES];

/// The open log files.
#[derive(Default)]
pub(super) struct Files {
    slots: Vec<Option<LogFile>>,
    by_path: HashMap<PathBuf, FileKey>,
    /// Some were asked for and not opened yet.
    unopened: bool,
    /// What leads to our own standard output and error; the same where these are.
    consoles: [Option<FileKey>; 2],
}

impl Files {
    /// Takes in what leads to our own standard output and, where that is another, standard error.
    pub fn add_consoles(&mut self, outlets: &[Arc<Outlet>]) {
        let mut keys = outlets.iter().map(|outlet| {
            self.slots.push(Some(LogFile::leading_out(Arc::clone(outlet))));
            FileKey(self.slots.len() - 1)
        });
        let out = keys.next();
        let error = keys.next().or(out);
        drop(keys);
        self.consoles = [out, error];
    }

    /// Writes a line of our own to what leads to standard error; what it does not take is dropped.
    pub fn say(&mut self, line: &[u8], around: &Surroundings) {
        let Some(key) = self.consoles[1] else { return };
        let mut rest = line;
        while !rest.is_empty() {
            let writing = Writing {
                rest,
                mid: rest.len() < line.len(),
                first: rest.len() == line.len(),
                at: 0,
            };
            let (Step::Wrote(done) | Step::Dropped(done)) = self[key].append(writing, around, &mut |_| {});
            rest = &rest[done..];
        }
    }

    /// Whether what leads out is too full to be given more, as far as these files are concerned. If so, whoever is told when
    /// there is room again is from now on.
    pub fn are_congested(&self, keys: Keys) -> bool {
        keys[CONSOLE].is_some_and(|key| self[key].is_congested())
    }

    /// The files of a target: own, combined, and what leads to our own output; each counted as used once more.
    pub fn acquire(&mut self, target: &Target) -> Keys {
        let mut keys = [None; PLACES];
        for (key, path) in keys.iter_mut().zip(target.paths()) {
            let found = self.key(path);
            self[found].users += 1;
            self[found].set_rotation(target.rotation.clone());
            self.unopened |= !self[found].is_open();
            *key = Some(found);
        }
        let console = target.console.filter(|_| !target.disabled);
        keys[CONSOLE] = console.and_then(|console| self.consoles[usize::from(console.error)]);
        if let Some(key) = keys[CONSOLE] {
            self[key].users += 1;
        }
        keys
    }

    /// Gives files back; those that nobody uses any more are closed.
    pub fn release(&mut self, keys: Keys) {
        for key in keys.into_iter().flatten() {
            self[key].users -= 1;
            if self[key].users == 0 && !self.consoles.contains(&Some(key)) {
                let path = self[key].path().to_owned();
                self.by_path.remove(&path);
                self.slots[key.0] = None;
            }
        }
    }

    /// Whether there may be files to be opened early.
    pub fn are_unopened(&self) -> bool {
        self.unopened
    }

    /// Opens those that were asked for, before anything is written to them.
    pub fn open_early(&mut self, around: &Surroundings) {
        self.unopened = false;
        for file in self.slots.iter_mut().flatten() {
            file.open_early(around);
        }
    }

    /// Whether another stream writes to one of the files too.
    pub fn are_shared(&self, keys: Keys) -> bool {
        keys.into_iter().flatten().any(|key| self[key].users > 1)
    }

    /// Opens all paths anew, whoever may have renamed the files.
    pub fn reopen(&mut self) -> Vec<FileError> {
        let files = self.slots.iter_mut().flatten();
        files
            .filter_map(|file| failure("reopen", file.reopen(), file.path()))
            .collect()
    }

    /// Empties files, open or not. One that does not exist is empty.
    pub fn flush(&mut self, paths: &[PathBuf]) -> Vec<FileError> {
        paths
            .iter()
            .filter_map(|path| failure("empty", self.truncate(path), path))
            .collect()
    }

    /// Where a file ends, open or not. One that cannot be looked at has nothing to show.
    pub fn end(&self, path: Option<&Path>) -> Option<LogPlace> {
        let path = path?;
        match self.by_path.get(path) {
            Some(key) => self[*key].end(),
            None => end_at(path).ok(),
        }
    }

    fn truncate(&mut self, path: &Path) -> io::Result<()> {
        if let Some(key) = self.by_path.get(path).copied() {
            return self[key].truncate();
        }
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(data) if data.is_file() => std::fs::File::options().write(true).truncate(true).open(path).map(drop),
            Ok(_) => Ok(()),
        }
    }

    fn key(&mut self, path: &Path) -> FileKey {
        if let Some(key) = self.by_path.get(path) {
            return *key;
        }
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(LogFile::new(path.to_owned()));
        self.by_path.insert(path.to_owned(), FileKey(free));
        FileKey(free)
    }
}

fn failure(call: &'static str, result: io::Result<()>, path: &Path) -> Option<FileError> {
    result.err().map(|error| FileError {
        call,
        path: path.to_owned(),
        error,
    })
}

impl Index<FileKey> for Files {
    type Output = LogFile;
    fn index(&self, key: FileKey) -> &LogFile {
        self.slots[key.0]
            .as_ref()
            .expect("invariant: a key lives as long as its users")
    }
}

impl IndexMut<FileKey> for Files {
    fn index_mut(&mut self, key: FileKey) -> &mut LogFile {
        self.slots[key.0]
            .as_mut()
            .expect("invariant: a key lives as long as its users")
    }
}
