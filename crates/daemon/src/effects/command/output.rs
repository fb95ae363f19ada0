//! What a command says: its end is kept, for the line that tells people what is wrong.

/// How much of the end is kept, in bytes.
const KEPT: usize = 4096;
/// How much of the last line is shown, in characters.
const SHOWN: usize = 200;

/// The end of what was written.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// More was written.
    pub fn add(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        let excess = (self.0.len() + bytes.len()).saturating_sub(KEPT);
        self.0.drain(..excess.min(self.0.len()));
        self.0.extend_from_slice(bytes);
    }

    /// The last line with anything in it, for people: without control characters, shortened if it is long.
    pub fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let printable = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
        let mut lines = text.split(['\n', '\r']).rev().map(printable);
        let line = lines.find(|line| !line.trim().is_empty())?;
        let line = line.trim();
        Some(match line.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_line(written: &[&[u8]]) -> Option<String> {
        let mut tail = Tail::default();
        written.iter().for_each(|bytes| tail.add(bytes));
        tail.last_line()
    }

    #[test]
    fn the_last_line_with_anything_in_it_counts_however_it_was_written() {
        assert_eq!(last_line(&[b"first\nsec", b"ond\n", b" \r\n\n"]), Some("second".into()));
        assert_eq!(last_line(&[b"no\x07 end\xff"]), Some("no end\u{fffd}".into()));
        assert_eq!(last_line(&[b"\n \n"]), None);
        assert_eq!(last_line(&[]), None);
    }

    #[test]
    fn however_much_is_written_only_its_end_is_kept() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.add(format!("line {number}\n").as_bytes());
            assert!(tail.0.len() <= KEPT);
        }
        assert_eq!(tail.last_line(), Some("line 9999".into()));
        tail.add(&[b'x'; 3 * KEPT]);
        assert_eq!(tail.0.len(), KEPT);
        assert_eq!(tail.last_line(), Some(format!("{}…", "x".repeat(SHOWN))));
    }
}
