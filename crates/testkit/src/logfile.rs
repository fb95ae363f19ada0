//! A log file with the pieces that rotation has cut from it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The pieces of a log in the order they were written, the live file last. A piece lies beside the live file, its name
/// begins with the live file's without extension and may end in `.gz`; the order is that of the last write.
///
/// # Panics
/// When the directory cannot be read.
pub fn pieces(live: &Path) -> Vec<PathBuf> {
    let directory = live.parent().expect("invariant: a log lies in a directory");
    let stem = live
        .file_stem()
        .expect("invariant: a log has a name")
        .to_string_lossy()
        .into_owned();
    let belongs = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&stem))
    };
    let entries = fs::read_dir(directory)
        .expect("the logs' directory")
        .flatten()
        .map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| belongs(path) && path != live).collect();
    found.sort_by_key(|path| (written(path), path.clone()));
    found.extend(live.exists().then(|| live.to_owned()));
    found
}

fn written(path: &Path) -> SystemTime {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The bytes of all [`pieces`], compressed ones unpacked.
///
/// # Panics
/// When a piece cannot be read or unpacked.
pub fn concatenated(live: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces(live) {
        let mut file = File::open(&piece).unwrap_or_else(|error| panic!("{}: {error}", piece.display()));
        let read = if piece.extension().is_some_and(|extension| extension == "gz") {
            flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)
        } else {
            file.read_to_end(&mut bytes)
        };
        assert!(read.is_ok(), "{}: {read:?}", piece.display());
    }
    bytes
}
