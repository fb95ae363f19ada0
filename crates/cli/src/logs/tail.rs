//! The last lines of log files, for messages. The work is done by the daemon's own reader of tails.

use ostler_wire::control::LogPlace;
use std::io::Read;
use std::path::Path;

/// What is shown of a single line in a message, at most, in bytes.
const LONGEST_LINE: usize = 2000;

/// What is read of a file for a message, at most, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The last lines of a file without their ends, over-long ones cut; `None` when it cannot be read.
pub fn last_lines(path: &Path, lines: usize) -> Option<Vec<Vec<u8>>> {
    last_lines_of(path, lines, None)
}

/// The same of a log before a place of it.
pub fn last_lines_of(path: &Path, lines: usize, before: Option<LogPlace>) -> Option<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    ostler_daemon::logs::tail(path, lines, before)
        .ok()?
        .take(MOST_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if text.is_empty() {
        return Some(Vec::new());
    }
    Some(
        text.split(|byte| *byte == b'\n')
            .map(|line| line[..line.len().min(LONGEST_LINE)].to_vec())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_come_without_their_ends() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        std::fs::write(&path, "1\n2\n\n4").expect("a file can be written");
        assert_eq!(last_lines(&path, 3), Some(vec![b"2".to_vec(), vec![], b"4".to_vec()]));
        assert_eq!(last_lines(&path, 9).map(|lines| lines.len()), Some(4));
        assert_eq!(last_lines(&directory.path().join("none"), 3), None);
    }

    #[test]
    fn an_over_long_line_is_cut() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        std::fs::write(&path, vec![b'x'; 5000]).expect("a file can be written");
        assert_eq!(last_lines(&path, 3).map(|lines| lines[0].len()), Some(LONGEST_LINE));
    }
}
