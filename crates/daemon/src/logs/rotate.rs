//! The rules of rotation: where a file is cut, what rotated files are called, which of them go. No state, no writing.
//!
//! Called by the file (cut, name) and by the archive (which files there are).

use jiff::civil::DateTime;
use memchr::{memchr, memrchr};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// pm2-logrotate's form of dates in names.
const STAMP: &str = "%Y-%m-%d_%H-%M-%S";
/// The length of a date in that form.
const STAMP_LENGTH: usize = 19;
/// What compressed files end with.
pub(super) const COMPRESSED: &str = ".gz";
/// What files end with that are being compressed.
pub(super) const UNFINISHED: &str = ".gz.part";

/// What may be done with a file next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// So many bytes may be written.
    Take(usize),
    /// The file is full.
    Rotate,
}

/// How much of `output` (not empty) a file of `size` bytes may take when it is to have at most `max`. A file ends at a
/// line's end; a line that began in it and fits into a file by itself is finished in it even if that exceeds `max`, so
/// a file has at most twice `max`. `line` is how much of an unfinished line it ends with.
pub(super) fn cut(output: &[u8], size: u64, line: u64, max: u64) -> Cut {
    let max = max.max(1);
    let room = usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX);
    if output.len() <= room {
        return Cut::Take(output.len());
    }
    if let Some(end) = memrchr(b'\n', &output[..room]) {
        return Cut::Take(end + 1);
    }
    if line == 0 {
        return if size == 0 { Cut::Take(room) } else { Cut::Rotate };
    }
    let left = usize::try_from(max.saturating_sub(line)).unwrap_or(usize::MAX);
    let rest_of_line = memchr(b'\n', output).map_or(output.len(), |end| end + 1);
    match rest_of_line.min(left) {
        0 => Cut::Rotate,
        length => Cut::Take(length),
    }
}

/// When a file was rotated, and the how-manieth of that second: the order of rotated files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    second: DateTime,
    number: u32,
}

impl Stamp {
    /// The stamp for a file rotated `now`, later than `last` even if the clock went back.
    pub fn after(last: Option<Self>, now: DateTime) -> Self {
        let second = now.with().subsec_nanosecond(0).build().unwrap_or(now);
        let fresh = Self { second, number: 1 };
        match last {
            Some(last) if last >= fresh => Self {
                number: last.number + 1,
                ..last
            },
            Some(_) | None => fresh,
        }
    }
}

/// A rotated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    pub stamp: Stamp,
    pub path: PathBuf,
    pub form: RotatedForm,
}

/// How far a rotated file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RotatedForm {
    /// As it was written.
    Plain,
    /// Compressed.
    Compressed,
    /// Half compressed, left by a daemon that was killed.
    Unfinished,
}

/// `logs/app-out.log` → `logs/app-out__2026-11-21_10-30-00.log`, as pm2-logrotate calls them; a second one of the same
/// second ends with `_2.log`.
pub(super) fn rotated_name(log: &Path, stamp: Stamp) -> PathBuf {
    let (stem, extension) = split(log);
    let mut name = stem;
    name.push(format!("__{}", stamp.second.strftime(STAMP)));
    if stamp.number > 1 {
        name.push(format!("_{}", stamp.number));
    }
    name.push(extension);
    log.with_file_name(name)
}

/// The rotated files of `log`, oldest first.
///
/// # Errors
/// Those of opendir(3) and readdir(3) on its directory.
pub(super) fn list(log: &Path) -> io::Result<Vec<Rotated>> {
    Ok(among(&names(directory(log))?, log))
}

/// The directory of a log and of its rotated files.
pub(super) fn directory(log: &Path) -> &Path {
    log.parent().unwrap_or_else(|| Path::new("/"))
}

/// The names of what is in a directory.
///
/// # Errors
/// Those of opendir(3) and readdir(3).
pub(super) fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// Those of these names in the directory of `log` that are its rotated files, oldest first.
pub(super) fn among(names: &[OsString], log: &Path) -> Vec<Rotated> {
    let (stem, extension) = split(log);
    let rotated = |name: &OsString| {
        let (stamp, form) = parse(name, &stem, &extension)?;
        let path = directory(log).join(name);
        Some(Rotated { stamp, path, form })
    };
    let mut found: Vec<Rotated> = names.iter().filter_map(rotated).collect();
    found.sort_by_key(|rotated| (rotated.stamp, rotated.form));
    found
}

/// The rotated files of a log, compressed or not, oldest first.
///
/// # Errors
/// Those of opendir(3) and readdir(3) on its directory.
pub fn rotated_files(log: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = list(log)?;
    files.retain(|rotated| rotated.form != RotatedForm::Unfinished);
    // Compressed, but not yet deleted: the same content twice.
    files.dedup_by_key(|rotated| rotated.stamp);
    Ok(files.into_iter().map(|rotated| rotated.path).collect())
}

/// A file's name before and from the last dot on.
fn split(log: &Path) -> (OsString, OsString) {
    let stem = log.file_stem().unwrap_or_default().to_owned();
    let mut extension = OsString::new();
    if let Some(text) = log.extension() {
        extension.push(".");
        extension.push(text);
    }
    (stem, extension)
}

/// The stamp in a rotated file's name.
fn parse(name: &OsStr, stem: &OsStr, extension: &OsStr) -> Option<(Stamp, RotatedForm)> {
    let rest = name.as_bytes().strip_prefix(stem.as_bytes())?.strip_prefix(b"__")?;
    let (rest, form) = if let Some(rest) = rest.strip_suffix(UNFINISHED.as_bytes()) {
        (rest, RotatedForm::Unfinished)
    } else if let Some(rest) = rest.strip_suffix(COMPRESSED.as_bytes()) {
        (rest, RotatedForm::Compressed)
    } else {
        (rest, RotatedForm::Plain)
    };
    let stamp = std::str::from_utf8(rest.strip_suffix(extension.as_bytes())?).ok()?;
    let (second, number) = (stamp.get(..STAMP_LENGTH)?, stamp.get(STAMP_LENGTH..)?);
    let number = match number {
        "" => 1,
        _ => number.strip_prefix('_')?.parse().ok()?,
    };
    Some((
        Stamp {
            second: DateTime::strptime(STAMP, second).ok()?,
            number,
        },
        form,
    ))
}

/// `path` with `suffix` behind its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned().into_vec();
    name.extend_from_slice(suffix.as_bytes());
    PathBuf::from(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::{Cut, RotatedForm, Stamp, cut, list, parse, rotated_files, rotated_name};
    use jiff::civil::date;
    use std::ffi::OsStr;
    use std::path::Path;

    #[test]
    fn what_fits_is_taken_whole() {
        assert_eq!(cut(b"ab\ncd", 0, 0, 5), Cut::Take(5));
    }

    #[test]
    fn a_file_ends_at_the_last_line_end_that_fits() {
        assert_eq!(cut(b"ab\ncd\nef\n", 0, 0, 7), Cut::Take(6));
    }

    #[test]
    fn a_line_that_does_not_fit_begins_a_new_file() {
        assert_eq!(cut(b"abcd\n", 3, 0, 5), Cut::Rotate);
    }

    #[test]
    fn a_line_longer_than_a_file_is_split() {
        assert_eq!(cut(b"abcdefgh\n", 0, 0, 5), Cut::Take(5));
        assert_eq!(cut(b"fgh\n", 5, 5, 5), Cut::Rotate);
    }

    #[test]
    fn a_line_begun_in_a_file_is_finished_in_it() {
        assert_eq!(cut(b"cd\nef\n", 5, 2, 5), Cut::Take(3));
    }

    #[test]
    fn rotated_files_are_named_as_pm2_logrotate_names_them() {
        let stamp = Stamp::after(None, date(2026, 11, 21).at(10, 30, 0, 5));
        let path = rotated_name(Path::new("/l/app-out.log"), stamp);
        assert_eq!(path, Path::new("/l/app-out__2026-11-21_10-30-00.log"));
        let again = rotated_name(
            Path::new("/l/app"),
            Stamp::after(Some(stamp), date(2026, 11, 21).at(9, 0, 0, 0)),
        );
        assert_eq!(again, Path::new("/l/app__2026-11-21_10-30-00_2"));
    }

    #[test]
    fn names_are_read_back_and_strangers_are_not() {
        let read = |name: &str| parse(OsStr::new(name), OsStr::new("a"), OsStr::new(".log"));
        let (stamp, form) = read("a__2026-11-21_10-30-00_12.log.gz").expect("one of ours");
        assert_eq!((stamp.number, form), (12, RotatedForm::Compressed));
        for stranger in [
            "a.log",
            "a__2026.log",
            "ab__2026-11-21_10-30-00.log",
            "a__2026-11-21_10-30-00x.log",
        ] {
            assert_eq!(read(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn files_are_listed_oldest_first_and_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = [
            "a__2026-11-21_10-30-00_10.log",
            "a__2026-11-21_10-30-00_2.log.gz",
            "a__2026-11-21_10-30-00.log",
        ];
        for name in names
            .iter()
            .chain(&["a__2026-11-21_10-30-00_2.log", "a__2026-11-21_10-30-00_10.log.gz.part"])
        {
            std::fs::write(directory.path().join(name), "").expect("a file");
        }
        let log = directory.path().join("a.log");
        let found: Vec<_> = rotated_files(&log).expect("a listing").into_iter().collect();
        let expected = [names[2], "a__2026-11-21_10-30-00_2.log", names[0]];
        assert_eq!(found, expected.map(|name| directory.path().join(name)));
        assert_eq!(list(&log).expect("a listing").len(), 5);
    }
}
