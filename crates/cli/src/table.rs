//! Box tables with fixed column widths and no row separators, as PM2 draws them. Knows nothing of processes.

use crate::printer::{HEADER, paint};
use anstyle::Style;
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text with the style it is shown in where there is colour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell<'a> {
    /// The text, without control characters.
    pub text: Cow<'a, str>,
    /// Its style.
    pub style: Style,
}

impl<'a> Cell<'a> {
    /// Text as it is.
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: printable(text.into()),
            style: Style::new(),
        }
    }

    /// Text in a style.
    pub fn styled(text: impl Into<Cow<'a, str>>, style: Style) -> Self {
        Self {
            text: printable(text.into()),
            style,
        }
    }
}

/// A column: its title and its width between the bars, padding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The title.
    pub title: &'static str,
    /// The width in terminal columns.
    pub width: usize,
}

/// The width of a table with these columns, bars included.
pub fn width(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width).sum::<usize>() + columns.len() + 1
}

/// A table with titles.
pub fn draw<'a>(
    columns: &[Column],
    rows: impl ExactSizeIterator<Item = impl Iterator<Item = Cell<'a>>>,
    colour: bool,
) -> String {
    let widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
    let titles = columns.iter().map(|column| Cell::styled(column.title, HEADER));
    let mut text = String::with_capacity((rows.len() + 4) * 3 * width(columns));
    rule(&mut text, &widths, ['┌', '┬', '┐']);
    row(&mut text, &widths, titles, colour);
    rule(&mut text, &widths, ['├', '┼', '┤']);
    for cells in rows {
        row(&mut text, &widths, cells, colour);
    }
    rule(&mut text, &widths, ['└', '┴', '┘']);
    text
}

/// A table of two columns without titles, as wide as its contents.
pub fn draw_pairs(pairs: &[(&str, Cell<'_>)], colour: bool) -> String {
    let left = pairs.iter().map(|(key, _)| key.width()).max().unwrap_or(0) + 2;
    let right = pairs.iter().map(|(_, cell)| cell.text.width()).max().unwrap_or(0) + 2;
    let widths = [left, right];
    let mut text = String::new();
    rule(&mut text, &widths, ['┌', '┬', '┐']);
    for (key, cell) in pairs {
        row(&mut text, &widths, [Cell::styled(*key, HEADER), cell.clone()], colour);
    }
    rule(&mut text, &widths, ['└', '┴', '┘']);
    text
}

fn rule(text: &mut String, widths: &[usize], [left, middle, right]: [char; 3]) {
    for (index, width) in widths.iter().enumerate() {
        text.push(if index == 0 { left } else { middle });
        text.extend(std::iter::repeat_n('─', *width));
    }
    text.push(right);
    text.push('\n');
}

fn row<'a>(text: &mut String, widths: &[usize], cells: impl IntoIterator<Item = Cell<'a>>, colour: bool) {
    for (width, cell) in widths.iter().zip(cells) {
        let room = width.saturating_sub(2);
        let mut used = measure(&cell.text);
        let mut shown = Cow::Borrowed(&*cell.text);
        if used > room {
            shown = Cow::Owned(shorten(&cell.text, room));
            used = measure(&shown);
        }
        text.push_str("│ ");
        if colour && cell.style != Style::new() {
            text.push_str(&paint(true, cell.style, &shown));
        } else {
            text.push_str(&shown);
        }
        pad(text, width.saturating_sub(1 + used));
    }
    text.push_str("│\n");
}

/// Appends so many blanks. One by one they were a tenth of what a list costs.
fn pad(text: &mut String, mut blanks: usize) {
    const BLANKS: &str = "                                ";
    while blanks > 0 {
        let now = blanks.min(BLANKS.len());
        text.push_str(&BLANKS[..now]);
        blanks -= now;
    }
}

/// How many terminal columns a text takes. Most texts are plain, and that is soon found out.
fn measure(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.width() }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `text` in at most `room` columns, with `…` for what is cut off.
pub fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for character in text.chars() {
        let own = character.width().unwrap_or(0);
        if used + own + 1 > room {
            break;
        }
        used += own;
        shown.push(character);
    }
    shown.push('…');
    shown
}

/// Control characters would break the box, or worse, the terminal.
fn printable(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_plain(&text) || !text.contains(char::is_control) {
        return text;
    }
    text.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [
        Column { title: "id", width: 4 },
        Column {
            title: "name",
            width: 10,
        },
    ];

    #[test]
    fn a_table_is_drawn_without_row_separators() {
        let rows = [
            vec![Cell::plain("0"), Cell::plain("forky")],
            vec![Cell::plain("1"), Cell::plain("日本")],
        ];
        let expected = "\
┌────┬──────────┐
│ id │ name     │
├────┼──────────┤
│ 0  │ forky    │
│ 1  │ 日本     │
└────┴──────────┘
";
        let rows = rows.into_iter().map(Vec::into_iter);
        assert_eq!(draw(&COLUMNS, rows, false), expected);
        assert_eq!(width(&COLUMNS), 17);
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns_not_characters() {
        assert_eq!(shorten("waiting restart", 9), "waiting …");
        assert_eq!(shorten("日本語テスト", 6), "日本…");
        assert_eq!(shorten("exactly", 7), "exactly");
        assert_eq!(shorten("é\u{301}", 1), "é\u{301}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(Cell::plain("a\u{1b}[31mb\nc").text, "a\u{fffd}[31mb\u{fffd}c");
    }

    #[test]
    fn pairs_are_as_wide_as_their_contents() {
        let pairs = [("status", Cell::plain("online")), ("exec cwd", Cell::plain("/srv"))];
        let expected = "\
┌──────────┬────────┐
│ status   │ online │
│ exec cwd │ /srv   │
└──────────┴────────┘
";
        assert_eq!(draw_pairs(&pairs, false), expected);
    }
}
