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

/// A column of a table of these rows.
#[derive(Debug)]
pub struct Column<Row> {
    /// The title.
    pub title: &'static str,
    /// The width between the bars in terminal columns, padding included.
    pub width: usize,
    /// Appends what it shows of a row, and gives the style to show it in where there is colour.
    pub show: fn(&Row, &mut String) -> Style,
}

/// The width of a table with these columns, bars included.
pub fn width<Row>(columns: &[Column<Row>]) -> usize {
    columns.iter().map(|column| column.width).sum::<usize>() + columns.len() + 1
}

/// A table with titles. Cells are written where they are to be: a text for each was a fifth of what a long list costs.
pub fn draw<Row>(columns: &[Column<Row>], rows: &[Row], colour: bool) -> String {
    let widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
    // Bars and titles have characters of more than one byte.
    let mut text = String::with_capacity((rows.len() + 10) * (width(columns) + 2 * columns.len() + 3));
    rule(&mut text, &widths, ['┌', '┬', '┐']);
    for column in columns {
        cell(&mut text, column.width, colour, |text| {
            text.push_str(column.title);
            HEADER
        });
    }
    text.push_str(END);
    rule(&mut text, &widths, ['├', '┼', '┤']);
    for row in rows {
        for column in columns {
            cell(&mut text, column.width, colour, |text| (column.show)(row, text));
        }
        text.push_str(END);
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
    for (key, value) in pairs {
        cell(&mut text, left, colour, |text| {
            text.push_str(key);
            HEADER
        });
        cell(&mut text, right, colour, |text| {
            text.push_str(&value.text);
            value.style
        });
        text.push_str(END);
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

/// What a row ends with.
const END: &str = "│\n";

/// A bar, what is written, and blanks up to the next bar.
fn cell(text: &mut String, width: usize, colour: bool, write: impl FnOnce(&mut String) -> Style) {
    text.push_str("│ ");
    let begin = text.len();
    let style = write(text);
    let used = fit(text, begin, width.saturating_sub(2));
    if colour && style != Style::new() {
        let shown = text.split_off(begin);
        text.push_str(&paint(true, style, &shown));
    }
    pad(text, width.saturating_sub(1 + used));
}

/// Makes what was written from there on fit for a box of so many columns, and gives how many it takes.
fn fit(text: &mut String, begin: usize, room: usize) -> usize {
    let shown = &text[begin..];
    if is_plain(shown) && shown.len() <= room {
        return shown.len();
    }
    let shown = shorten(&printable(shown.into()), room);
    text.truncate(begin);
    text.push_str(&shown);
    shown.width()
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
pub fn measure(text: &str) -> usize {
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
    use crate::printer::GOOD;

    type Row = [&'static str; 2];

    fn columns() -> [Column<Row>; 2] {
        fn shown(text: &mut String, shown: &str) -> Style {
            text.push_str(shown);
            GOOD
        }
        let id = |row: &Row, text: &mut String| shown(text, row[0]);
        let name = |row: &Row, text: &mut String| shown(text, row[1]);
        [("id", 4, id as fn(&Row, &mut String) -> Style), ("name", 10, name)].map(|(title, width, show)| Column {
            title,
            width,
            show,
        })
    }

    #[test]
    fn a_table_is_drawn_without_row_separators() {
        let rows = [
            ["0", "forky"],
            ["1", "日本"],
            ["2", "much-too-long"],
            ["3", "a\u{1b}b\n"],
        ];
        let expected = "\
┌────┬──────────┐
│ id │ name     │
├────┼──────────┤
│ 0  │ forky    │
│ 1  │ 日本     │
│ 2  │ much-to… │
│ 3  │ a\u{fffd}b\u{fffd}     │
└────┴──────────┘
";
        assert_eq!(draw(&columns(), &rows, false), expected);
        assert_eq!(width(&columns()), 17);
        let coloured = draw(&columns(), &rows, true);
        assert!(coloured.contains(&paint(true, GOOD, "much-to…")));
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
