use super::super::archive::compress;
use super::super::rotate::{Stamp, rotated_name};
use super::*;
use jiff::civil::date;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

/// A log that is rotated by hand.
struct Log {
    path: PathBuf,
    last: Option<Stamp>,
    _directory: TempDir,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            path: directory.path().join("app-out.log"),
            last: None,
            _directory: directory,
        }
    }

    /// Appends, and gives the place behind that.
    fn write(&self, text: &str) -> LogPlace {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(&self.path)
            .expect("a log");
        io::Write::write_all(&mut file, text.as_bytes()).expect("a writable log");
        end_at(&self.path).expect("a place")
    }

    /// Gives the path of the rotated file.
    fn rotate(&mut self) -> PathBuf {
        let stamp = Stamp::after(self.last, date(2026, 11, 22).at(10, 0, 0, 0));
        self.last = Some(stamp);
        let rotated = rotated_name(&self.path, stamp);
        fs::rename(&self.path, &rotated).expect("a rotated log");
        rotated
    }

    fn content(&self, place: LogPlace) -> String {
        let mut text = String::new();
        let mut file = open_at(&self.path, place).expect("its file");
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.read_to_string(&mut text).expect("text");
        text
    }

    fn between(&self, from: Option<LogPlace>, to: LogPlace) -> String {
        let mut text = String::new();
        let mut span = between(&self.path, from, to).expect("a span");
        span.read_to_string(&mut text).expect("text");
        text
    }
}

#[test]
fn a_file_is_found_as_long_as_it_is_there_whatever_it_is_called() {
    let mut log = Log::new();
    let first = log.write("first\n");
    assert_eq!(log.content(first), "first\n");
    let rotated = log.rotate();
    assert_eq!(log.content(first), "first\n", "before there is a new one");
    let second = log.write("second\n");
    assert_eq!(log.content(first), "first\n");
    assert_eq!(log.content(second), "second\n");
    let compressed = compress(&rotated).expect("a compressed file");
    assert!(!rotated.exists());
    assert_eq!(log.content(first), "first\n");
    assert_eq!(log.content(second), "second\n");
    fs::remove_file(compressed).expect("a file");
    let error = open_at(&log.path, first).expect_err("it is gone");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("app-out.log"), "{error}");
}

#[test]
fn between_two_places_are_the_rest_of_a_file_and_what_was_written_to_later_ones() {
    let mut log = Log::new();
    let one = log.write("one\n");
    let two = log.write("two\n");
    assert_eq!(log.between(Some(one), two), "two\n");
    assert_eq!(log.between(Some(two), two), "");
    assert_eq!(log.between(None, one), "one\n");
    compress(&log.rotate()).expect("a compressed file");
    log.write("three\n");
    log.rotate();
    let four = log.write("four\n");
    log.write("five\n");
    assert_eq!(log.between(Some(one), four), "two\nthree\nfour\n");
    assert_eq!(log.between(Some(one), two), "two\n");
    assert_eq!(
        log.between(None, four),
        "four\n",
        "who has seen no file has missed this one"
    );
}

#[test]
fn of_a_log_that_was_emptied_or_lost_its_old_files_all_is_new() {
    let mut log = Log::new();
    let before = log.write("a long time ago\n");
    fs::write(&log.path, "").expect("an emptied log");
    let now = log.write("now\n");
    assert_eq!(log.between(Some(before), now), "now\n");
    fs::remove_file(log.rotate()).expect("a rotated file");
    // The file system may give the number of the deleted file to the next one.
    let later = log.write("later, and longer than what was there\n");
    if !later.is_same_file(now) {
        assert_eq!(log.between(Some(now), later), "later, and longer than what was there\n");
    }
}

#[test]
fn a_half_compressed_file_is_the_one_it_is_made_of() {
    let mut log = Log::new();
    let first = log.write("first\n");
    let rotated = log.rotate();
    let content = fs::read(&rotated).expect("a rotated file");
    let compressed = compress(&rotated).expect("a compressed file");
    // As if killed before the original was deleted: a copy is another file, which nobody asks for.
    fs::write(&rotated, content).expect("a file");
    log.write("second\n");
    assert_eq!(log.content(first), "first\n");
    fs::write(with_part(&compressed), "half").expect("a file");
    assert_eq!(log.content(first), "first\n");
}

fn with_part(compressed: &Path) -> PathBuf {
    super::super::rotate::with_suffix(compressed, ".part")
}

proptest! {
    #[test]
    fn the_extra_field_is_read_as_written_among_others(
        device: u64,
        inode: u64,
        born in proptest::option::of(0i64..),
        before in proptest::collection::vec(any::<u8>(), 0..40),
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let place = LogPlace { device, inode, born: born.map(WallTime), size: 0 };
        let other = |content: &[u8]| [b"XX", &(content.len() as u16).to_le_bytes()[..], content].concat();
        let field = [other(&before), extra_field(place), other(&behind)].concat();
        prop_assert_eq!(original(&field), Some(place));
    }

    #[test]
    fn what_others_write_there_is_no_place_and_no_failure(extra in proptest::collection::vec(any::<u8>(), 0..60)) {
        if !extra.windows(2).any(|pair| pair == SUBFIELD) {
            prop_assert_eq!(original(&extra), None);
        }
    }
}
