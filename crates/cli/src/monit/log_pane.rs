//! The lines of output that are looked at: a bounded ring, the place in it, and what is looked for. Pure.

use crate::logs::format::Stream;
use crate::terminal_text::{Text, fold};
use ostler_core::SlotId;
use std::collections::VecDeque;

/// As many lines are kept.
const MOST_LINES: usize = 5000;

/// As many bytes are kept.
const MOST_BYTES: usize = 4 << 20;

/// Of a longer line the beginning is kept, bytes.
const LONGEST_LINE: usize = 8 << 10;

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Who wrote it; unknown for what was read from a file of several.
    pub id: Option<SlotId>,
    /// Where to.
    pub stream: Stream,
    /// Without its end.
    pub bytes: Box<[u8]>,
}

impl LogLine {
    /// One, cut to what is kept of it.
    pub fn new(id: Option<SlotId>, stream: Stream, line: &[u8]) -> Self {
        Self {
            id,
            stream,
            bytes: line[..line.len().min(LONGEST_LINE)].into(),
        }
    }
}

/// The lines and the place in them.
#[derive(Debug, Default)]
pub struct LogPane {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The number of the first line that is kept; lines are counted from the first one that came.
    first: u64,
    /// The number after the last line shown; absent where new lines are followed.
    until: Option<u64>,
    /// What is looked for, in lower case.
    wanted: Vec<char>,
    /// Long lines are cut instead of continued.
    pub cut: bool,
    /// Bytes that were left out since they came too fast.
    pub left_out: u64,
}

impl LogPane {
    /// Takes a line; the oldest ones go.
    pub fn push(&mut self, line: LogLine) {
        self.bytes += line.bytes.len();
        self.lines.push_back(line);
        while self.lines.len() > MOST_LINES || self.bytes > MOST_BYTES {
            let gone = self.lines.pop_front();
            self.bytes -= gone.map_or(0, |gone| gone.bytes.len());
            self.first += 1;
        }
        // What was looked at is gone.
        if let Some(until) = &mut self.until {
            *until = (*until).max(self.first + 1);
        }
    }

    /// Forgets the lines, not what is looked for.
    pub fn clear(&mut self) {
        let (wanted, cut) = (std::mem::take(&mut self.wanted), self.cut);
        *self = Self {
            wanted,
            cut,
            ..Self::default()
        };
    }

    /// The lines up to the last one shown, latest first.
    pub fn shown(&self) -> impl Iterator<Item = &LogLine> {
        let count = usize::try_from(self.end() - self.first).unwrap_or(usize::MAX);
        self.lines.iter().take(count).rev()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many lines have come below the last one shown; none where new ones are followed.
    pub fn below(&self) -> Option<u64> {
        self.until.map(|until| self.last().saturating_sub(until))
    }

    /// What is looked for, in lower case.
    pub fn wanted(&self) -> &[char] {
        &self.wanted
    }

    /// Stops following, or goes on with it.
    pub fn toggle_pause(&mut self) {
        self.until = match self.until {
            None => Some(self.last()),
            Some(_) => None,
        };
    }

    /// Moves by lines; upwards stops following, beyond the end goes on with it.
    pub fn scroll(&mut self, by: i64) {
        let until = self.end().saturating_add_signed(by).max(self.first + 1);
        self.until = (until < self.last()).then_some(until);
    }

    /// To the oldest line, with a page of so many lines filled.
    pub fn go_to_top(&mut self, page: usize) {
        let until = self.first + page as u64;
        self.until = (until < self.last()).then_some(until);
    }

    /// To the latest line, followed.
    pub fn go_to_end(&mut self) {
        self.until = None;
    }

    /// Looks for a text in whatever case, from the last line shown upwards; tells whether it is there. Nothing to look for ends it.
    pub fn search(&mut self, text: &str) -> bool {
        self.wanted = text.chars().map(fold).collect();
        if self.wanted.is_empty() {
            return true;
        }
        let found = self
            .numbered()
            .rev()
            .find(|(number, line)| *number < self.end() && self.has(line));
        let found = found.map(|(number, _)| number);
        self.show(found)
    }

    /// To the next line with what is looked for: an older one, or a newer one.
    pub fn search_on(&mut self, newer: bool) -> bool {
        let at = self.end().saturating_sub(1);
        let found = if newer {
            self.numbered().find(|(number, line)| *number > at && self.has(line))
        } else {
            self.numbered()
                .rev()
                .find(|(number, line)| *number < at && self.has(line))
        };
        let found = found.map(|(number, _)| number);
        self.show(found)
    }

    fn show(&mut self, found: Option<u64>) -> bool {
        if let Some(number) = found {
            self.until = Some(number + 1);
        }
        found.is_some()
    }

    fn has(&self, line: &LogLine) -> bool {
        Text::new(&line.bytes, false).has(&self.wanted)
    }

    fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &LogLine)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(at, line)| (self.first + at as u64, line))
    }

    fn last(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn end(&self) -> u64 {
        self.until.unwrap_or(self.last()).clamp(self.first, self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pane(lines: usize) -> LogPane {
        let mut pane = LogPane::default();
        add(&mut pane, 0..lines);
        pane
    }

    fn add(pane: &mut LogPane, lines: std::ops::Range<usize>) {
        for line in lines {
            pane.push(LogLine::new(
                Some(SlotId(0)),
                Stream::Out,
                format!("line {line}").as_bytes(),
            ));
        }
    }

    fn latest(pane: &LogPane) -> String {
        let line = pane.shown().next().map(|line| line.bytes.to_vec());
        String::from_utf8(line.unwrap_or_default()).expect("text")
    }

    #[test]
    fn new_lines_are_followed_until_one_scrolls_up_or_pauses() {
        let mut pane = pane(10);
        assert_eq!(latest(&pane), "line 9");
        pane.scroll(-3);
        add(&mut pane, 10..12);
        assert_eq!((latest(&pane).as_str(), pane.below()), ("line 6", Some(5)));
        pane.scroll(100);
        assert_eq!((latest(&pane).as_str(), pane.below()), ("line 11", None));
        pane.toggle_pause();
        add(&mut pane, 12..13);
        assert_eq!((latest(&pane).as_str(), pane.below()), ("line 11", Some(1)));
        pane.toggle_pause();
        assert_eq!(latest(&pane), "line 12");
        pane.go_to_top(4);
        assert_eq!(latest(&pane), "line 3");
        pane.scroll(-100);
        assert_eq!(latest(&pane), "line 0");
        pane.go_to_end();
        assert_eq!(latest(&pane), "line 12");
    }

    #[test]
    fn lines_and_bytes_are_bounded_also_below_a_pause() {
        let mut pane = pane(10);
        pane.toggle_pause();
        add(&mut pane, 10..3 * MOST_LINES);
        assert_eq!(pane.len(), MOST_LINES);
        assert_eq!(
            latest(&pane),
            format!("line {}", 2 * MOST_LINES),
            "the oldest that is left"
        );
        for _ in 0..2 * MOST_BYTES / LONGEST_LINE {
            pane.push(LogLine::new(None, Stream::Error, &[b'x'; 3 * LONGEST_LINE]));
        }
        assert!(
            pane.bytes <= MOST_BYTES && pane.len() <= MOST_BYTES / LONGEST_LINE,
            "{}",
            pane.len()
        );
    }

    #[test]
    fn a_search_goes_from_match_to_match() {
        let mut pane = pane(30);
        assert!(pane.search("LINE 1"));
        assert_eq!(latest(&pane), "line 19");
        assert!(pane.search_on(false));
        assert_eq!(latest(&pane), "line 18");
        assert!(pane.search_on(true));
        assert_eq!(latest(&pane), "line 19");
        assert!(!pane.search_on(true), "there is none below");
        assert_eq!(latest(&pane), "line 19");
        assert!(!pane.search("nowhere"));
        assert!(pane.search(""), "that ends it");
        assert!(pane.wanted().is_empty());
    }

    #[test]
    fn nothing_is_shown_of_nothing() {
        let mut pane = LogPane::default();
        pane.scroll(-5);
        pane.go_to_top(10);
        assert!(!pane.search("x"));
        assert_eq!(latest(&pane), "");
        add(&mut pane, 0..2);
        assert_eq!(latest(&pane), "line 1");
    }
}
