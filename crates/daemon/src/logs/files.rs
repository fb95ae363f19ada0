//! The open log files, by path: streams that name the same path share one file.

use super::file::{LogFile, Surroundings};
use super::note::FileError;
use super::target::Target;
use std::collections::HashMap;
use std::io;
use std::ops::{Index, IndexMut};
use std::path::{Path, PathBuf};

/// The number of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileKey(usize);

/// The open log files.
#[derive(Default)]
pub(super) struct Files {
    slots: Vec<Option<LogFile>>,
    by_path: HashMap<PathBuf, FileKey>,
    /// Some were asked for and not opened yet.
    unopened: bool,
}

impl Files {
    /// The files of a target, own and combined, each counted as used once more.
    pub fn acquire(&mut self, target: &Target) -> [Option<FileKey>; 2] {
        let mut keys = [None; 2];
        for (key, path) in keys.iter_mut().zip(target.paths()) {
            let found = self.key(path);
            self[found].users += 1;
            self[found].set_rotation(target.rotation.clone());
            self.unopened |= !self[found].is_open();
            *key = Some(found);
        }
        keys
    }

    /// Gives files back; those that nobody uses any more are closed.
    pub fn release(&mut self, keys: [Option<FileKey>; 2]) {
        for key in keys.into_iter().flatten() {
            self[key].users -= 1;
            if self[key].users == 0 {
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
    pub fn are_shared(&self, keys: [Option<FileKey>; 2]) -> bool {
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

    /// How large a file is, open or not. One that cannot be looked at has nothing to show.
    pub fn size(&self, path: Option<&Path>) -> u64 {
        let Some(path) = path else { return 0 };
        match self.by_path.get(path) {
            Some(key) => self[*key].size(),
            None => size_at(path),
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

/// The size of what lies at a path; 0 when nothing can be found out.
pub(super) fn size_at(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
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
