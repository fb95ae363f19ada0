//! The saved list of processes on disk (`dump.pm2`): what `save` writes and `resurrect` reads.
//!
//! Never half a list, never an empty one over a full one unless forced, and always some older generations beside it; a broken
//! file is kept aside for people to look at.

use crate::durable::{beside, replace};
use ostler_config::Context;
use ostler_core::SavedInstance;
use std::io;
use std::path::{Path, PathBuf};

/// The file's name in the home directory, as PM2's.
pub const FILE: &str = "dump.pm2";

/// Older generations, newest first. PM2 knows the first.
const OLDER: [&str; 3] = ["bak", "bak.1", "bak.2"];

/// What a saved list held, and what must be said about it.
#[derive(Debug)]
pub struct Found {
    /// Which file it was read from.
    pub path: PathBuf,
    /// The instances.
    pub instances: Vec<SavedInstance>,
    /// E.g. that the newest file was broken.
    pub warnings: Vec<String>,
}

/// Writes the list; what was there before becomes an older generation.
///
/// # Errors
/// What the file system gives; the list that was there is still there then.
pub fn write(path: &Path, instances: &[SavedInstance], home: &Path) -> io::Result<()> {
    let bytes = ostler_config::saved::write(instances, home);
    if std::fs::read(path).is_ok_and(|old| is_list(&old)) {
        keep_generations(path)?;
    }
    replace(path, &bytes)
}

/// Whether it is worth keeping: JSON that was written whole.
fn is_list(bytes: &[u8]) -> bool {
    matches!(serde_json::from_slice(bytes), Ok(serde_json::Value::Array(_)))
}

/// Shifts the generations by hard links and renames, so that at no moment the list itself is missing.
fn keep_generations(path: &Path) -> io::Result<()> {
    for pair in OLDER.windows(2).rev() {
        if let [newer, older] = pair {
            ignore_missing(std::fs::rename(beside(path, newer), beside(path, older)))?;
        }
    }
    let link = beside(path, "link");
    ignore_missing(std::fs::remove_file(&link))?;
    std::fs::hard_link(path, &link)?;
    std::fs::rename(&link, beside(path, OLDER[0]))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Reads the newest list that can be read. `None` if there never was one.
///
/// # Errors
/// If there are files but none of them can be read.
pub fn read(path: &Path, context: &Context) -> io::Result<Option<Found>> {
    let mut warnings = Vec::new();
    let candidates = std::iter::once(path.to_owned()).chain(OLDER.iter().map(|suffix| beside(path, suffix)));
    for candidate in candidates {
        let bytes = match std::fs::read(&candidate) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                warnings.push(format!("{} could not be read: {error}", candidate.display()));
                continue;
            }
        };
        match ostler_config::saved::read(&bytes, context) {
            Ok(saved) => {
                warnings.extend(saved.warnings.iter().map(ToString::to_string));
                return Ok(Some(Found {
                    path: candidate,
                    instances: saved.instances,
                    warnings,
                }));
            }
            Err(error) => warnings.push(set_aside(&candidate, &error.to_string())),
        }
    }
    if warnings.is_empty() {
        return Ok(None);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, warnings.join("; ")))
}

fn set_aside(path: &Path, error: &str) -> String {
    let aside = beside(path, "broken");
    match std::fs::rename(path, &aside) {
        Ok(()) => format!(
            "{} is no saved list ({error}); it is kept as {}",
            path.display(),
            aside.display()
        ),
        Err(_) => format!("{} is no saved list ({error})", path.display()),
    }
}
