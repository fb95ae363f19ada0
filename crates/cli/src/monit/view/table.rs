//! The table of apps and workers, in as many columns as there is room for.

use super::layout::Layout;
use super::theme::{self, Tone};
use super::{Canvas, millis, percent, rate};
use crate::monit::model::Dashboard;
use crate::monit::rows::{Row, State};
use crate::units;
use unicode_width::UnicodeWidthStr;

/// A column of numbers: its title, its width, how soon it is left out, and what it shows.
struct Column {
    title: &'static str,
    width: u16,
    /// The least comes last to go.
    rank: u8,
    cell: fn(&Row) -> Option<String>,
}

/// A name has at least so many columns before another number is shown, and at most so many.
const NAME: (u16, u16) = (13, 40);

const STATUS: u16 = 15;

const COLUMNS: [Column; 10] = [
    Column {
        title: "id",
        width: 5,
        rank: 1,
        cell: |row| row.folded.is_none().then(|| row.slots[0].to_string()),
    },
    Column {
        title: "pid",
        width: 9,
        rank: 9,
        cell: |row| row.pid.map(|pid| pid.to_string()),
    },
    Column {
        title: "cpu",
        width: 7,
        rank: 2,
        cell: |row| row.numbers.cpu.map(percent),
    },
    Column {
        title: "mem",
        width: 9,
        rank: 3,
        cell: |row| row.numbers.memory.map(units::memory),
    },
    Column {
        title: "loop",
        width: 7,
        rank: 5,
        cell: |row| row.numbers.loop_delay.map(millis),
    },
    Column {
        title: "req/s",
        width: 7,
        rank: 4,
        cell: |row| row.numbers.requests.map(rate),
    },
    Column {
        title: "p95",
        width: 7,
        rank: 8,
        cell: |row| row.numbers.latency.map(millis),
    },
    Column {
        title: "conn",
        width: 6,
        rank: 10,
        cell: |row| row.numbers.connections.map(|count| count.to_string()),
    },
    Column {
        title: "up",
        width: 6,
        rank: 7,
        cell: |row| row.uptime.map(units::uptime),
    },
    Column {
        title: "↺",
        width: 5,
        rank: 6,
        cell: |row| Some(row.restarts.to_string()),
    },
];

/// What fits beside name and status, in its order.
fn fitting(width: u16) -> Vec<&'static Column> {
    let mut chosen: Vec<(usize, &Column)> = COLUMNS.iter().enumerate().collect();
    chosen.sort_by_key(|(_, column)| column.rank);
    let mut free = width.saturating_sub(NAME.0 + STATUS);
    chosen.retain(|(_, column)| {
        let fits = column.width <= free;
        // One that does not fit leaves no room to a lesser one: columns come and go in one order.
        free = if fits { free - column.width } else { 0 };
        fits
    });
    chosen.sort_by_key(|(at, _)| *at);
    chosen.into_iter().map(|(_, column)| column).collect()
}

pub fn draw(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let columns = fitting(canvas.width());
    let numbers: u16 = columns.iter().map(|column| column.width).sum();
    let name = (canvas.width() - STATUS - numbers).min(NAME.1);
    let hidden = dashboard.rows.len().saturating_sub(usize::from(layout.table.1));
    titles(canvas, &columns, name, hidden);
    let first = layout.first_row(dashboard.at);
    let seen = dashboard
        .rows
        .iter()
        .enumerate()
        .skip(first)
        .take(usize::from(layout.table.1));
    for (line, (at, row)) in (layout.table.0..).zip(seen) {
        draw_row(canvas, line, row, &columns, name);
        if at == dashboard.at {
            let mut area = canvas.cells.area;
            (area.y, area.height) = (line, 1);
            canvas.cells.set_style(area, Tone::Selected.style(canvas.colour));
        }
    }
}

fn titles(canvas: &mut Canvas<'_>, columns: &[&Column], name: u16, hidden: usize) {
    let next = canvas.put(1, 1, "name", Tone::Title);
    if hidden > 0 {
        canvas.put(next + 1, 1, &format!("+{hidden}"), Tone::Faint);
    }
    canvas.put(name, 1, "status", Tone::Title);
    let mut end = name + STATUS;
    for column in columns {
        end += column.width;
        canvas.put_right(end, 1, column.title, Tone::Title);
    }
}

fn draw_row(canvas: &mut Canvas<'_>, line: u16, row: &Row, columns: &[&Column], name: u16) {
    let label = match (row.folded, row.inner) {
        (Some(true), _) => format!("▸{}", row.name),
        (Some(false), _) => format!("▾{}", row.name),
        (None, true) => format!("   {}", row.name),
        (None, false) => format!(" {}", row.name),
    };
    let label = cut(&label, usize::from(name) - 1);
    canvas.put(0, line, &label, if row.inner { Tone::Faint } else { Tone::Plain });
    let (status, tone) = match row.state {
        State::All(status) => (status.as_str().to_owned(), theme::of_status(status)),
        State::Unhealthy => ("unhealthy".to_owned(), Tone::Bad),
        State::NotReady => ("not ready".to_owned(), Tone::Warning),
        State::Some { online: 0, of } => (format!("0/{of} online"), Tone::Bad),
        State::Some { online, of } => (format!("{online}/{of} online"), Tone::Warning),
    };
    canvas.put(name, line, &status, tone);
    let mut end = name + STATUS;
    for column in columns {
        end += column.width;
        // The app's own row has no id and no pid; what is unknown is a dash, never 0.
        let unknown = if matches!(column.title, "id" | "pid") {
            ""
        } else {
            "—"
        };
        match (column.cell)(row) {
            Some(text) => canvas.put_right(end, line, &text, Tone::Plain),
            None => canvas.put_right(end, line, unknown, Tone::Faint),
        }
    }
}

/// Text of at most so many columns, with a mark where some of it is missing.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        let mut longer = kept.clone();
        longer.push(character);
        if longer.width() + 1 > columns {
            break;
        }
        kept = longer;
    }
    kept + "…"
}
