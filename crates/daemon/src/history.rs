//! The history of starts and stops on disk: what `ostler why` reads. One JSON object a line, appended; when the file has grown
//! too large, the newest entries of each app are kept.

use ostler_core::history::Entry;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The file's name in the home directory.
pub const FILE: &str = "history.jsonl";

/// Above this many bytes the file is cut back.
const CUT_ABOVE: u64 = 2 * 1024 * 1024;

/// How many entries of each app a cut leaves. At some 250 bytes each, a hundred apps stay below the limit.
const KEEP_EACH: usize = 60;

/// Adds entries.
///
/// # Errors
/// What opening or writing the file gives.
pub fn append(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(&text)?;
    if file.metadata()?.size() > CUT_ABOVE {
        cut(path)?;
    }
    Ok(())
}

/// The entries of these apps (or of all), oldest first. A line that cannot be read is passed over: it was being written when
/// the machine lost power.
///
/// # Errors
/// What reading the file gives; no file is no history.
pub fn read(path: &Path, names: Option<&[String]>) -> io::Result<Vec<Entry>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(entry) = serde_json::from_slice::<Entry>(&line?) {
            entries.push(entry);
        }
    }
    entries.retain(|entry| names.is_none_or(|names| names.contains(&entry.app)));
    Ok(entries)
}

fn cut(path: &Path) -> io::Result<()> {
    let mut kept = read(path, None)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    kept.reverse();
    kept.retain(|entry| {
        let count = counts.entry(entry.app.clone()).or_default();
        *count += 1;
        *count <= KEEP_EACH
    });
    kept.reverse();
    let text: Vec<u8> = kept.iter().flat_map(|entry| line(entry).unwrap_or_default()).collect();
    crate::durable::replace(path, &text)
}

fn line(entry: &Entry) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::history::{Cause, What};
    use ostler_core::{Generation, Pid, SlotId, WallTime};

    fn entry(app: &str, generation: u32) -> Entry {
        let what = What::Started {
            pid: Pid(7),
            cause: Cause::Restart,
        };
        let generation = Generation(generation);
        Entry {
            at: WallTime(1),
            app: app.to_owned(),
            slot: SlotId(0),
            instance: 0,
            generation,
            what,
        }
    }

    #[test]
    fn what_was_appended_is_read_by_name() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join(FILE);
        append(&path, &[entry("a", 1), entry("b", 1)]).expect("append");
        append(&path, &[entry("a", 2)]).expect("append");
        assert_eq!(read(&path, None).expect("read").len(), 3);
        assert_eq!(
            read(&path, Some(&["a".to_owned()])).expect("read"),
            [entry("a", 1), entry("a", 2)]
        );
    }

    #[test]
    fn a_torn_line_is_passed_over() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join(FILE);
        std::fs::write(&path, "{\"at\":1,\"app").expect("write");
        assert_eq!(read(&path, None).expect("read"), []);
    }

    #[test]
    fn the_file_stays_bounded_and_keeps_the_newest_of_each_app() {
        let home = tempfile::tempdir().expect("tempdir");
        let path = home.path().join(FILE);
        append(&path, &[entry("quiet", 1)]).expect("append");
        let many: Vec<Entry> = (0..25_000).map(|generation| entry("noisy", generation)).collect();
        append(&path, &many).expect("append");
        let kept = read(&path, None).expect("read");
        assert_eq!(kept.len(), KEEP_EACH + 1);
        assert_eq!(kept.first(), Some(&entry("quiet", 1)));
        assert_eq!(kept.last(), many.last());
    }
}
