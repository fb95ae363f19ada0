//! A log file with the pieces that rotation has cut from it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The pieces of a log in the order they were written, the live file last. Pieces lie beside the live file and are named
/// as pm2-logrotate names them: `app-out__2026-11-21_10-30-00.log`, a second one of the same second with `_2` before the
/// extension, compressed ones with `.gz` at the end.
///
/// # Panics
/// When the directory cannot be read.
pub fn pieces(live: &Path) -> Vec<PathBuf> {
    let directory = live.parent().expect("invariant: a log lies in a directory");
    let entries = fs::read_dir(directory)
        .expect("the logs' directory")
        .flatten()
        .map(|entry| entry.path());
    let mut found: Vec<(Stamp, PathBuf)> = entries.filter_map(|path| Some((stamp(live, &path)?, path))).collect();
    found.sort();
    let mut paths: Vec<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
    paths.extend(live.exists().then(|| live.to_owned()));
    paths
}

/// When a piece was cut off: the second, and the how-manieth of that second.
type Stamp = (String, u32);

fn stamp(live: &Path, piece: &Path) -> Option<Stamp> {
    let name = piece.file_name()?.to_str()?;
    let rest = name.strip_prefix(live.file_stem()?.to_str()?)?.strip_prefix("__")?;
    let rest = rest.strip_suffix(".gz").unwrap_or(rest).strip_suffix(".log")?;
    let (second, number) = rest.split_at_checked("2026-11-21_10-30-00".len())?;
    let number = if number.is_empty() {
        1
    } else {
        number.strip_prefix('_')?.parse().ok()?
    };
    Some((second.to_owned(), number))
}

/// Whether every piece but the live file is compressed: nothing is being moved any more.
///
/// # Panics
/// When the directory cannot be read.
pub fn is_settled(live: &Path) -> bool {
    let pieces = pieces(live);
    let packed = |piece: &&PathBuf| piece.extension().is_some_and(|extension| extension == "gz");
    pieces.iter().filter(packed).count() + 1 == pieces.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_the_order_they_were_cut() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let names = [
            "app.log",
            "app__2026-11-21_10-30-00_2.log",
            "app__2026-11-21_10-30-00.log.gz",
            "app__2026-11-21_10-30-00_10.log",
        ];
        for name in names
            .iter()
            .chain(&["app-other.log", "app__2026-11-21_10-30-01.log.gz.part"])
        {
            fs::write(directory.path().join(name), "").expect("a file");
        }
        let live = directory.path().join("app.log");
        let found: Vec<String> = pieces(&live)
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        assert_eq!(found, [names[2], names[1], names[3], names[0]]);
        assert!(!is_settled(&live));
    }
}
