//! A line of output as the screen takes it: without anything that moves the cursor, with the colours that it has (SGR, ECMA-48
//! 8.3.117), cut into rows by the width of its characters. Pure.

use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

/// Where tabs stop.
const TAB: usize = 8;

/// A character with its style.
type Styled = (char, Style);

/// A line of output, decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    characters: Vec<Styled>,
}

impl Text {
    /// Decodes a line. Without `colour` bold and its like stay.
    pub fn new(line: &[u8], colour: bool) -> Self {
        let decoded = String::from_utf8_lossy(visible(line));
        let mut reader = Reader {
            rest: decoded.as_ref(),
            style: Style::new(),
            colour,
            characters: Vec::new(),
            column: 0,
        };
        reader.read();
        Self {
            characters: reader.characters,
        }
    }

    /// Whether it has a text, given in lower case, in whatever case.
    pub fn has(&self, wanted: &[char]) -> bool {
        !self.found(wanted).is_empty()
    }

    /// The same with what is looked for marked.
    pub fn marked(mut self, wanted: &[char]) -> Self {
        for begin in self.found(wanted) {
            for (_, style) in &mut self.characters[begin..begin + wanted.len()] {
                *style = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
            }
        }
        self
    }

    fn found(&self, wanted: &[char]) -> Vec<usize> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let folded: Vec<char> = self.characters.iter().map(|(character, _)| fold(*character)).collect();
        let mut places = Vec::new();
        let mut at = 0;
        while at + wanted.len() <= folded.len() {
            let here = folded[at..].starts_with(wanted);
            if here {
                places.push(at);
            }
            at += if here { wanted.len() } else { 1 };
        }
        places
    }

    /// Rows of so many columns; at least one. Only the first `most` are made.
    pub fn rows(&self, width: usize, most: usize) -> Vec<Line<'static>> {
        let mut rows = Vec::new();
        let (mut begin, mut used) = (0, 0);
        for (at, (character, _)) in self.characters.iter().enumerate() {
            let columns = character.width().unwrap_or(0);
            if used + columns > width && at > begin {
                rows.push(line(&self.characters[begin..at]));
                if rows.len() == most {
                    return rows;
                }
                (begin, used) = (at, 0);
            }
            used += columns;
        }
        rows.push(line(&self.characters[begin..]));
        rows
    }
}

/// A character in lower case, as one character.
pub fn fold(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}

/// Text of others for a line of ours: nothing that moves the cursor.
pub fn plain(text: &str) -> String {
    let text = Text::new(text.as_bytes(), false);
    text.characters.iter().map(|(character, _)| character).collect()
}

/// What a terminal would show in the end of a line that returns to its beginning, as progress bars do.
fn visible(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.iter().rposition(|byte| *byte == b'\r');
    last.map_or(line, |last| &line[last + 1..])
}

fn line(characters: &[Styled]) -> Line<'static> {
    let runs = characters.chunk_by(|(_, one), (_, other)| one == other);
    let spans = runs.map(|run| Span::styled(run.iter().map(|(character, _)| character).collect::<String>(), run[0].1));
    Line::from(spans.collect::<Vec<_>>())
}

struct Reader<'a> {
    rest: &'a str,
    style: Style,
    colour: bool,
    characters: Vec<Styled>,
    column: usize,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(next) = self.rest.chars().next() {
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                '\x1b' => self.sequence(),
                // One byte for `ESC [`.
                '\u{9b}' => self.control_sequence(),
                '\t' => (self.column % TAB..TAB).for_each(|_| self.put(' ')),
                next if next.is_control() || reorders(next) => {}
                next => self.put(next),
            }
        }
    }

    fn put(&mut self, character: char) {
        self.column += character.width().unwrap_or(0);
        self.characters.push((character, self.style));
    }

    fn sequence(&mut self) {
        let Some(kind) = self.rest.chars().next() else { return };
        self.rest = &self.rest[kind.len_utf8()..];
        match kind {
            '[' => self.control_sequence(),
            // Strings, up to BEL or `ESC \`: titles, links, pictures.
            ']' | 'P' | 'X' | '^' | '_' => {
                let end = self.rest.find(['\x07', '\x1b', '\u{9c}']);
                let end = end.map_or(self.rest.len(), |end| {
                    let string_end = self.rest[end..].starts_with("\x1b\\");
                    let first = self.rest[end..].chars().next().map_or(0, char::len_utf8);
                    end + if string_end { 2 } else { first }
                });
                self.rest = &self.rest[end..];
            }
            // Intermediates and a last character.
            ' '..='/' => {
                let end = self.rest.find(|character: char| !(' '..='/').contains(&character));
                let last = end.and_then(|end| self.rest[end..].chars().next());
                self.rest = &self.rest[end.unwrap_or(self.rest.len()) + last.map_or(0, char::len_utf8)..];
            }
            _ => {}
        }
    }

    fn control_sequence(&mut self) {
        let Some(end) = self.rest.find(|character: char| !(' '..='?').contains(&character)) else {
            self.rest = "";
            return;
        };
        let (parameters, last) = self.rest.split_at(end);
        let kind = last.chars().next();
        self.rest = &last[kind.map_or(0, char::len_utf8)..];
        if kind == Some('m') {
            self.style = restyled(self.style, parameters, self.colour);
        }
    }
}

/// Characters that turn the order of others around, and with it that of the whole line on some terminals.
fn reorders(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn restyled(mut style: Style, parameters: &str, colour: bool) -> Style {
    let mut numbers = parameters
        .split([';', ':'])
        .map(|number| number.parse::<u16>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        let (on, off) = modifiers(number);
        style = style.remove_modifier(off).add_modifier(on);
        style = match number {
            0 => Style::new(),
            30..=37 | 90..=97 | 38 | 39 => style.fg(color(number, &mut numbers)),
            40..=47 | 100..=107 | 48 | 49 => style.bg(color(number - 10, &mut numbers)),
            _ => style,
        };
    }
    if colour {
        style
    } else {
        Style {
            fg: None,
            bg: None,
            ..style
        }
    }
}

fn modifiers(number: u16) -> (Modifier, Modifier) {
    let none = Modifier::empty();
    match number {
        1 => (Modifier::BOLD, none),
        2 => (Modifier::DIM, none),
        3 => (Modifier::ITALIC, none),
        4 => (Modifier::UNDERLINED, none),
        7 => (Modifier::REVERSED, none),
        9 => (Modifier::CROSSED_OUT, none),
        22 => (none, Modifier::BOLD | Modifier::DIM),
        23 => (none, Modifier::ITALIC),
        24 => (none, Modifier::UNDERLINED),
        27 => (none, Modifier::REVERSED),
        29 => (none, Modifier::CROSSED_OUT),
        _ => (none, none),
    }
}

/// A foreground's colour; 38 takes what follows.
fn color(number: u16, more: &mut impl Iterator<Item = u16>) -> Color {
    const PALETTE: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    let mut byte = || more.next().and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
    match number {
        30..=37 => PALETTE[usize::from(number - 30)],
        90..=97 => PALETTE[usize::from(number - 90 + 8)],
        38 => match byte() {
            5 => Color::Indexed(byte()),
            2 => Color::Rgb(byte(), byte(), byte()),
            _ => Color::Reset,
        },
        _ => Color::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let rows = Text::new(line.as_bytes(), true).rows(usize::MAX, 1);
        rows[0].spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn nothing_that_moves_the_cursor_gets_through() {
        let table = [
            ("plain", "plain"),
            ("a\x1b[2Jb\x1b[10;10Hc", "abc"),
            ("\x1b]0;title\x07after\x1b]8;;http://x\x1b\\link", "afterlink"),
            ("\x1bPq#0\x1b\\x\x1b(Bx\x1bcx", "xxx"),
            ("bell\x07 back\x08 null\0", "bell back null"),
            ("a\tb", "a       b"),
            ("10 %\r20 %\r30 %", "30 %"),
            ("windows\r", "windows"),
            ("\u{9b}31mred \u{202e}turned", "red turned"),
            ("cut off\x1b[3", "cut off"),
            ("cut off\x1b", "cut off"),
        ];
        for (line, text) in table {
            assert_eq!(shown(line), text, "{line:?}");
        }
        assert_eq!(Text::new(b"\xff\xfe", true).rows(9, 1).len(), 1);
        assert_eq!(plain("name\x1b[2J\n"), "name");
    }

    #[test]
    fn colours_are_kept_where_there_are_any() {
        let line = b"\x1b[1;31mred\x1b[0m \x1b[38;5;200mpink\x1b[39m\x1b[48;2;1;2;3mback";
        let styles = |colour| -> Vec<Style> {
            Text::new(line, colour).rows(99, 1)[0]
                .spans
                .iter()
                .map(|span| span.style)
                .collect()
        };
        let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        let back = Style::new().fg(Color::Reset).bg(Color::Rgb(1, 2, 3));
        assert_eq!(
            styles(true),
            [red, Style::new(), Style::new().fg(Color::Indexed(200)), back]
        );
        assert_eq!(styles(false), [Style::new().add_modifier(Modifier::BOLD), Style::new()]);
    }

    #[test]
    fn rows_are_as_wide_as_their_characters() {
        let rows = |line: &str, width| -> Vec<String> {
            let rows = Text::new(line.as_bytes(), true).rows(width, 9);
            rows.iter().map(ToString::to_string).collect()
        };
        assert_eq!(rows("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(rows("表表表", 4), ["表表", "表"]);
        assert_eq!(rows("a表表", 4), ["a表", "表"]);
        assert_eq!(rows("e\u{301}e\u{301}", 1), ["e\u{301}", "e\u{301}"]);
        assert_eq!(rows("", 4), [""]);
        assert_eq!(Text::new(b"abcdef", true).rows(2, 2).len(), 2);
    }

    #[test]
    fn what_is_looked_for_is_found_in_any_case_and_across_colours() {
        let text = Text::new(b"an E\x1b[31mrror\x1b[0m, two errors", true);
        let wanted: Vec<char> = "error".chars().collect();
        assert!(text.has(&wanted));
        let marked = text.marked(&wanted).rows(99, 1);
        let spans: Vec<&str> = marked[0].spans.iter().map(|span| span.content.as_ref()).collect();
        assert_eq!(spans, ["an ", "Error", ", two ", "error", "s"]);
        assert!(!Text::new(b"fine", true).has(&wanted));
    }
}
