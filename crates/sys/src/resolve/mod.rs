//! Finding programs, and saying exactly why one could not be run.
//!
//! Called by the daemon before a spawn ([`find`]) and after a failed one ([`explain`]). The kernel answers `ENOENT`
//! for half a dozen different mistakes; here they are told apart.

mod explain;
mod header;

pub use explain::{Attempt, Explanation, explain};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for when the environment has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// There is no such program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// In none of the directories.
    #[error("`{name}` was not found in any directory of PATH ({path}); install it, or give its full path")]
    NotInPath {
        /// What was looked for.
        name: String,
        /// Where, separated by colons.
        path: String,
    },
    /// A path was given, and nothing is there.
    #[error("`{}` does not exist; check the path (it was looked up from `{}`)", path.display(), cwd.display())]
    Missing {
        /// The absolute path.
        path: PathBuf,
        /// What a relative path was taken from.
        cwd: PathBuf,
    },
    /// It is a directory.
    #[error("`{}` is a directory; name the program in it", .0.display())]
    Directory(PathBuf),
    /// It is a file that we may not execute.
    #[error("`{file}` is not executable; run `chmod +x {file}`, or name an interpreter for it", file = .0.display())]
    NotExecutable(PathBuf),
}

/// Finds the file that `name` means: itself, from `cwd`, if it has a slash; else the first executable file of that
/// name in the directories of `path` (the app's `PATH`; relative and empty ones count from `cwd`). Permissions are
/// judged for our own user.
///
/// # Errors
/// See [`FindError`]; a file of that name that cannot be executed is named rather than passed over in silence.
pub fn find(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, FindError> {
    if name.as_bytes().contains(&b'/') {
        return judge(cwd.join(name)).map_err(|flaw| flaw.for_path(cwd));
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut nearest = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        match judge(cwd.join(OsStr::from_bytes(directory)).join(name)) {
            Ok(found) => return Ok(found),
            Err(Flaw::Missing(_)) => {}
            Err(flaw) => nearest = nearest.or(Some(flaw)),
        }
    }
    let missing = || FindError::NotInPath {
        name: name.to_string_lossy().into_owned(),
        path: path.to_string_lossy().into_owned(),
    };
    Err(nearest.map_or_else(missing, |flaw| flaw.for_path(cwd)))
}

enum Flaw {
    Missing(PathBuf),
    Directory(PathBuf),
    NotExecutable(PathBuf),
}

impl Flaw {
    fn for_path(self, cwd: &Path) -> FindError {
        match self {
            Self::Missing(path) => FindError::Missing {
                path,
                cwd: cwd.to_owned(),
            },
            Self::Directory(path) => FindError::Directory(path),
            Self::NotExecutable(path) => FindError::NotExecutable(path),
        }
    }
}

fn judge(file: PathBuf) -> Result<PathBuf, Flaw> {
    match std::fs::metadata(&file) {
        Err(_) => Err(Flaw::Missing(file)),
        Ok(found) if found.is_dir() => Err(Flaw::Directory(file)),
        Ok(_) if may_execute(&file) => Ok(file),
        Ok(_) => Err(Flaw::NotExecutable(file)),
    }
}

fn may_execute(file: &Path) -> bool {
    accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}
