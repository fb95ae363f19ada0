//! Pieces of output become lines. Pure.

/// A longer line is passed on in parts, so that memory stays bounded.
const LONGEST_LINE: usize = 1 << 20;

/// The unfinished line of one stream.
#[derive(Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes a piece and gives each line that it ends, without its end.
    pub fn feed(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                line(&bytes[..end]);
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                line(&self.partial);
                self.partial.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST_LINE {
            self.finish(line);
        }
    }

    /// Gives what has not been ended, if anything.
    pub fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut assembled = Vec::new();
        let mut lines = Lines::default();
        let mut push = |line: &[u8]| assembled.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            lines.feed(piece.as_bytes(), &mut push);
        }
        lines.finish(push);
        assembled
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(lines(&["a\nb", "c", "\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&["a\n"]), ["a"]);
        assert_eq!(lines(&[]), [] as [&str; 0]);
    }

    #[test]
    fn an_endless_line_is_passed_on_in_parts() {
        let mut parts = 0;
        let mut lines = Lines::default();
        for _ in 0..40 {
            lines.feed(&[b'x'; 100_000], |_| parts += 1);
        }
        assert!(parts >= 3);
        assert!(lines.partial.len() <= LONGEST_LINE);
    }
}
