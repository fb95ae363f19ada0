//! The files that Ostler itself writes for an app: they never restart it, wherever they lie.
//!
//! Called by the ignore rules. Log files are meant with all their rotated siblings, Ostler's and logrotate's; `{id}` stands for
//! any slot, for the instances of an app share one watch.

use ostler_core::{LogFile, Spec};
use regex_lite::{Regex, escape};
use std::path::{Path, PathBuf};

/// An app's log and pid files.
#[derive(Debug)]
pub(super) struct OwnFiles {
    files: Vec<OwnFile>,
}

#[derive(Debug)]
struct OwnFile {
    /// May contain `{id}`.
    folder: PathBuf,
    name: Regex,
}

impl OwnFiles {
    pub fn of(spec: &Spec) -> Self {
        let logs = [
            Some(&spec.logs.out),
            Some(&spec.logs.error),
            spec.logs.combined.as_ref(),
        ];
        let logs = logs.into_iter().flatten().filter_map(|log| match log {
            LogFile::Path(path) => OwnFile::log(Path::new(path)),
            LogFile::Discard => None,
        });
        let pid_file = OwnFile::plain(Path::new(&spec.pid_file));
        Self {
            files: logs.chain(pid_file).collect(),
        }
    }

    /// Whether the file is one of them, however its folder is spelled.
    pub fn contains(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let name = name.to_string_lossy();
        self.files
            .iter()
            .any(|file| file.name.is_match(&name) && file.lies_in(folder))
    }

    /// Whether one of them lies in or below the folder: it may be Ostler that made it.
    pub fn lie_below(&self, folder: &Path) -> bool {
        let real = folder.canonicalize().unwrap_or_default();
        let is_one = |above: &Path| is_meant(above, folder) || is_meant(above, &real);
        self.files.iter().any(|file| file.folder.ancestors().any(is_one))
    }
}

impl OwnFile {
    /// A log `app-out.log`, with `app-out__2026-11-21_10-30-00.log.gz`, `app-out.log.1` and `app-out.log-20261121`.
    fn log(path: &Path) -> Option<Self> {
        let stem = pattern(&path.file_stem()?.to_string_lossy());
        let extension = path
            .extension()
            .map(|extension| format!(".{}", extension.to_string_lossy()));
        let extension = pattern(&extension.unwrap_or_default());
        Self::new(path, &format!("^{stem}(__.*)?{extension}([.-].*)?$"))
    }

    /// A file, with the temporary one (`app.pid.new`) that it is written through.
    fn plain(path: &Path) -> Option<Self> {
        let name = pattern(&path.file_name()?.to_string_lossy());
        Self::new(path, &format!(r"^{name}(\..*)?$"))
    }

    fn new(path: &Path, name: &str) -> Option<Self> {
        Some(Self {
            folder: path.parent()?.to_owned(),
            name: Regex::new(name).ok()?,
        })
    }

    fn lies_in(&self, folder: &Path) -> bool {
        if is_meant(&self.folder, folder) {
            return true;
        }
        let real = folder.canonicalize().unwrap_or_default();
        is_meant(&self.folder, &real) || self.folder.canonicalize().is_ok_and(|own| own == real)
    }
}

/// Whether `path` is `own`, in which `{id}` is any number.
fn is_meant(own: &Path, path: &Path) -> bool {
    let text = own.to_string_lossy();
    if !text.contains("{id}") {
        return own == path;
    }
    Regex::new(&format!("^{}$", pattern(&text))).is_ok_and(|own| own.is_match(&path.to_string_lossy()))
}

/// A path's text as a pattern: everything literal but `{id}`.
fn pattern(text: &str) -> String {
    let pieces: Vec<String> = text.split("{id}").map(escape).collect();
    pieces.join("[0-9]+")
}
