//! The lower part: output and history; charts are in `charts`.

use super::layout::Layout;
use super::table::cut;
use super::theme::Tone;
use super::{Canvas, charts};
use crate::history_view;
use crate::logs::format::Stream;
use crate::monit::log_pane::LogLine;
use crate::monit::model::{Dashboard, Pane};
use crate::printer::{BAD, FAINT, GOOD, WARNING};
use crate::terminal_text::Text;
use crate::units;
use ostler_core::WallTime;
use ostler_core::history::Entry;
use ratatui_core::text::Line;

pub fn draw(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    if let Some(line) = layout.strip {
        charts::strip(canvas, dashboard, line);
    }
    match dashboard.pane {
        Pane::Logs => logs(canvas, dashboard, layout),
        Pane::History => history(canvas, dashboard, layout),
        Pane::Charts => charts::draw(canvas, dashboard, layout),
    }
}

/// What is to be known of the pane beside its name.
pub fn state(dashboard: &Dashboard) -> String {
    match dashboard.pane {
        Pane::Logs => {
            let mut parts = Vec::new();
            if dashboard.log.left_out > 0 {
                parts.push(format!("{} left out", units::memory(dashboard.log.left_out)));
            }
            if !dashboard.log.wanted().is_empty() {
                parts.push(format!("/{}", dashboard.log.wanted().iter().collect::<String>()));
            }
            match dashboard.log.below() {
                Some(0) => parts.push("paused".to_owned()),
                Some(count) => parts.push(format!("paused, {count} below")),
                None => {}
            }
            parts.join("  ")
        }
        Pane::History if dashboard.history_below > 0 => format!("{} below", dashboard.history_below),
        Pane::History | Pane::Charts => String::new(),
    }
}

fn logs(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let (first, lines) = layout.pane;
    let several = dashboard.row().is_some_and(|row| row.slots.len() > 1);
    let width = dashboard.row().map_or(1, |row| {
        row.slots.iter().map(|id| id.to_string().len()).max().unwrap_or(1)
    });
    let room = usize::from(lines);
    // From the latest upwards, until there is no room.
    let mut seen = Vec::new();
    for line in dashboard.log.shown() {
        let label = match (several, line.id) {
            (false, _) => String::new(),
            (true, Some(id)) => format!("{id:>width$}"),
            (true, None) => " ".repeat(width),
        };
        // What is told by colour is told by the mark, too.
        let (mark, tone) = match line.stream {
            Stream::Out => ("│", Tone::Good),
            Stream::Error => ("┃", Tone::Bad),
        };
        let label = format!("{label}{mark}");
        let column = label.chars().count() as u16 + 1;
        let rows = rows(canvas, dashboard, line, usize::from(canvas.width() - column), room);
        seen.extend(rows.into_iter().rev().map(|row| (label.clone(), column, tone, row)));
        if seen.len() >= room {
            break;
        }
    }
    seen.truncate(room);
    for (line, (label, column, tone, row)) in (first..).zip(seen.iter().rev()) {
        canvas.put(0, line, label, *tone);
        canvas.put_line(*column, line, row);
    }
    if dashboard.log.len() == 0 && dashboard.row().is_some() {
        canvas.put(1, first, "no output yet", Tone::Faint);
    }
}

fn rows(canvas: &Canvas<'_>, dashboard: &Dashboard, line: &LogLine, width: usize, most: usize) -> Vec<Line<'static>> {
    let text = Text::new(&line.bytes, canvas.colour).marked(dashboard.log.wanted());
    text.rows(width, if dashboard.log.cut { 1 } else { most })
}

fn history(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let (first, lines) = layout.pane;
    if dashboard.history.is_empty() {
        canvas.put(1, first, "nothing has happened yet", Tone::Faint);
        return;
    }
    let end = dashboard.history.len() - dashboard.history_below.min(dashboard.history.len() - 1);
    let begin = end.saturating_sub(usize::from(lines));
    for (line, entry) in (first..).zip(&dashboard.history[begin..end]) {
        happened(canvas, line, entry, &moment(dashboard, entry.at));
    }
}

fn moment(dashboard: &Dashboard, at: WallTime) -> String {
    let zone = dashboard.zone.clone().unwrap_or(jiff::tz::TimeZone::UTC);
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.to_zoned(zone).strftime("%m-%d %H:%M:%S").to_string()
}

/// When, whose, what, why, and what came next.
fn happened(canvas: &mut Canvas<'_>, line: u16, entry: &Entry, moment: &str) {
    let told = history_view::line(entry, String::new());
    let [_, _, what, cause, uptime, next] = told.cells;
    let tone = match told.style {
        style if style == BAD => Tone::Bad,
        style if style == WARNING => Tone::Warning,
        style if style == GOOD => Tone::Good,
        style if style == FAINT => Tone::Faint,
        _ => Tone::Plain,
    };
    let column = canvas.put(0, line, moment, Tone::Faint) + 1;
    let column = canvas.put(column, line, &format!("{:>3}", entry.slot.to_string()), Tone::Faint) + 1;
    let width = canvas.width();
    let room = |column: u16| usize::from(width.saturating_sub(column));
    let column = canvas.put(column, line, &cut(&what, room(column)), tone);
    let parts = [(": ", cause), (", up ", uptime), (" → ", next)];
    let said = parts.iter().filter(|(_, part)| !part.is_empty());
    let rest: String = said.map(|(before, part)| format!("{before}{part}")).collect();
    canvas.put(column, line, &cut(&rest, room(column)), Tone::Plain);
}
