//! Log torture: numbered lines of 1 byte to 1 MB, with NULs and invalid UTF-8, written in random pieces by a process that
//! then ends at once. A short run by default; `OSTLER_TEST_TORTURE_LINES=1000000` makes it the full one.

mod logs_common;

use logs_common::{Bench, Random, out, rotation};
use ostler_daemon::logs::{Target, rotated_files};
use std::fs::File;
use std::io::{BufReader, PipeWriter, Read, Write};
use std::path::Path;

/// How many lines are written.
const LINES: &str = "OSTLER_TEST_TORTURE_LINES";
/// How much the process may grow over a run, whatever is written.
const GROWTH_MAX: u64 = 8 << 20;

/// The lines, the same each time.
fn lines() -> impl Iterator<Item = Vec<u8>> {
    let count = std::env::var(LINES)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_000);
    let mut random = Random(7);
    (0..count).map(move |number: u64| {
        let length = match number % 5000 {
            4999 => 1_000_000,
            _ => 1 << random.below(12),
        };
        let seed = random.next();
        let body = (0..length).map(|at: u64| b"abc\0\xff\xc3xyz "[(seed.rotate_left(at as u32) % 10) as usize]);
        let mut line: Vec<u8> = if length == 1 {
            Vec::new()
        } else {
            format!("{number}:").into_bytes()
        };
        line.extend(body);
        line.push(b'\n');
        line
    })
}

/// Writes all lines in random pieces.
fn write_all(mut pipe: PipeWriter) {
    let (mut random, mut waiting) = (Random(8), Vec::new());
    for line in lines() {
        waiting.extend(line);
        while waiting.len() > 70_000 {
            let piece = 1 + random.below(70_000) as usize;
            pipe.write_all(&waiting[..piece]).expect("a reader");
            waiting.drain(..piece);
        }
    }
    pipe.write_all(&waiting).expect("a reader");
}

/// Everything in the log's files, oldest first, not yet read.
fn reader(log: &Path) -> impl Read {
    let mut files = rotated_files(log).expect("a listing");
    files.push(log.to_owned());
    let opened = files.into_iter().map(|file| File::open(file).expect("a log file"));
    let none: Box<dyn Read> = Box::new(std::io::empty());
    BufReader::new(opened.fold(none, |before, file| Box::new(before.chain(file))))
}

/// The most memory this process has ever used, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process' status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Has all lines logged; checks that each is in the files behind a prefix of `prefix` bytes.
fn torture(target: impl FnOnce(&Bench) -> Target, prefix: usize) {
    let bench = Bench::new();
    // The writer's own memory does not count: its first lines are made before, the longest among them.
    drop(lines().take(5000).max_by_key(Vec::len));
    let target = target(&bench);
    let pipe = bench.attach(out(0), target.clone());
    let before = peak();
    write_all(pipe);
    bench.ended(out(0));
    let growth = peak() - before;
    assert!(growth < GROWTH_MAX, "the process has grown by {growth} bytes");
    let mut found = reader(target.file.as_ref().expect("a path"));
    let mut line = Vec::new();
    for (number, wanted) in lines().enumerate() {
        line.resize(prefix + wanted.len(), 0);
        found.read_exact(&mut line).expect("as many bytes as were written");
        let (date, rest) = line.split_at(prefix);
        assert!(
            rest == wanted && (prefix == 0 || date.ends_with(b">: ")),
            "line {number} is different"
        );
    }
    assert_eq!(found.read(&mut [0]).expect("an end"), 0, "nothing is left over");
    assert_eq!(bench.notes(), Vec::<String>::new());
}

#[test]
fn the_file_is_the_same_as_what_was_written() {
    torture(|bench| bench.target("a.log"), 0);
}

#[test]
fn with_rotation_the_pieces_joined_are_the_same() {
    torture(
        |bench| Target {
            rotation: Some(rotation(5_000_000)),
            ..bench.target("a.log")
        },
        0,
    );
}

#[test]
fn with_dates_each_line_has_exactly_one() {
    let date_format = Some("[<]YYYY-MM-DD HH:mm:ss.SSS[>]".into());
    torture(
        |bench| Target {
            date_format,
            ..bench.target("a.log")
        },
        27,
    );
}
