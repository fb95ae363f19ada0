//! What waits for an answer, in a box over the page.

use super::Canvas;
use super::help::KEYS;
use super::table::cut;
use super::theme::Tone;
use crate::monit::model::{Dashboard, Dialog, Instances};
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthStr;

type Text = Vec<(String, Tone)>;

pub fn draw(canvas: &mut Canvas<'_>, dashboard: &Dashboard) {
    let Some(dialog) = &dashboard.dialog else { return };
    let (title, lines): (&str, Text) = match dialog {
        Dialog::Search { .. } => return,
        Dialog::Help => ("keys", help()),
        Dialog::Confirm(request) => {
            let [question, more] = request.question();
            let choice = "y or Enter: yes    n or Esc: no".to_owned();
            let empty = (String::new(), Tone::Plain);
            (
                "confirm",
                vec![
                    (question, Tone::Title),
                    (more, Tone::Plain),
                    empty,
                    (choice, Tone::Faint),
                ],
            )
        }
        Dialog::Instances(Instances {
            request, now, typed, ..
        }) => {
            let question = format!("How many instances of {}? It has {now}.", request.who);
            let choice = "Enter: scale    Esc: leave as it is".to_owned();
            let field = (format!("{typed}▏"), Tone::Plain);
            (
                "scale",
                vec![
                    (question, Tone::Title),
                    field,
                    (String::new(), Tone::Plain),
                    (choice, Tone::Faint),
                ],
            )
        }
        Dialog::Report(report) => {
            let tone = if report.failed { Tone::Bad } else { Tone::Good };
            let mut lines: Text = report.lines.iter().map(|line| (line.clone(), Tone::Plain)).collect();
            if let Some((_, first)) = lines.first_mut() {
                *first = tone;
            }
            (if report.failed { "failed" } else { "done" }, lines)
        }
    };
    boxed(canvas, title, &lines);
}

fn help() -> Text {
    KEYS.iter()
        .map(|(key, does)| (format!("{key:<18} {does}"), Tone::Plain))
        .collect()
}

/// Lines in a frame in the middle; what does not fit is continued, and at last left out.
fn boxed(canvas: &mut Canvas<'_>, title: &str, lines: &Text) {
    let (width, height) = (canvas.width(), canvas.cells.area.height);
    let room = usize::from(width) - 6;
    let lines: Text = lines
        .iter()
        .flat_map(|(line, tone)| wrapped(line, *tone, room))
        .collect();
    let most = usize::from(height) - 2;
    let lines = &lines[..lines.len().min(most)];
    let inner = lines
        .iter()
        .map(|(line, _)| line.width())
        .max()
        .unwrap_or(0)
        .clamp(20, room) as u16;
    let left = (width - inner - 4) / 2;
    let top = (height - lines.len() as u16 - 2) / 2;
    let frame = |begin: char, middle: &str, end: char| {
        let middle = cut(middle, usize::from(inner) + 2);
        let rest = usize::from(inner) + 2 - middle.width();
        format!("{begin}{middle}{}{end}", "─".repeat(rest))
    };
    row(canvas, left, top, &frame('┌', &format!(" {title} "), '┐'), Tone::Title);
    for (at, (line, tone)) in (top + 1..).zip(lines) {
        row(
            canvas,
            left,
            at,
            &format!("│ {} │", " ".repeat(usize::from(inner))),
            Tone::Title,
        );
        canvas.put(left + 2, at, line, *tone);
    }
    let bottom = top + 1 + lines.len() as u16;
    row(canvas, left, bottom, &frame('└', "", '┘'), Tone::Title);
}

/// A line over whatever was there.
fn row(canvas: &mut Canvas<'_>, column: u16, line: u16, text: &str, tone: Tone) {
    let width = text.width() as u16;
    if let Some(before) = column.checked_sub(1).map(|before| &mut canvas.cells[(before, line)])
        && before.symbol().width() > 1
    {
        // Its other half is drawn over.
        before.set_symbol(" ");
    }
    for at in column..(column + width).min(canvas.width()) {
        let cell = &mut canvas.cells[(at, line)];
        cell.reset();
        cell.set_style(Style::new());
    }
    canvas.put(column, line, text, tone);
}

fn wrapped(line: &str, tone: Tone, room: usize) -> Text {
    let rows = crate::terminal_text::Text::new(line.as_bytes(), false).rows(room, 20);
    rows.into_iter().map(|row| (row.to_string(), tone)).collect()
}
