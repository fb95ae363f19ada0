//! The picture of a [`Dashboard`]: the same model gives the same cells. Pure.

mod charts;
mod dialog;
mod help;
pub mod layout;
mod panes;
mod steps;
mod table;
mod theme;

use super::model::{Dashboard, Dialog, Link, Pane};
use super::request::Request;
use super::rows;
use crate::units;
use layout::{LEAST, Layout};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::text::Line;
use theme::Tone;

/// Somewhere to draw, with or without colours.
pub struct Canvas<'a> {
    /// The cells.
    pub cells: &'a mut Buffer,
    /// Whether there are colours.
    pub colour: bool,
}

impl Canvas<'_> {
    /// How many columns there are.
    pub fn width(&self) -> u16 {
        self.cells.area.width
    }

    /// Draws text, cut at the right edge; gives the column after it.
    pub fn put(&mut self, column: u16, line: u16, text: &str, tone: Tone) -> u16 {
        let room = usize::from(self.width().saturating_sub(column));
        if room == 0 || line >= self.cells.area.height {
            return column;
        }
        let style = tone.style(self.colour);
        self.cells.set_stringn(column, line, text, room, style).0
    }

    /// Draws text whose last character stands before this column.
    pub fn put_right(&mut self, end: u16, line: u16, text: &str, tone: Tone) {
        use unicode_width::UnicodeWidthStr;
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
        self.put(end.saturating_sub(width), line, text, tone);
    }

    /// Draws a line that has its own styles.
    pub fn put_line(&mut self, column: u16, line: u16, text: &Line<'_>) {
        let room = self.width().saturating_sub(column);
        if room > 0 && line < self.cells.area.height {
            self.cells.set_line(column, line, text, room);
        }
    }
}

/// Draws everything.
pub fn draw(dashboard: &Dashboard) -> Buffer {
    let (columns, lines) = dashboard.size;
    let mut cells = Buffer::empty(Rect::new(0, 0, columns, lines));
    let mut canvas = Canvas {
        cells: &mut cells,
        colour: dashboard.colour,
    };
    if columns < LEAST.0 || lines < LEAST.1 {
        canvas.put(0, 0, &format!("{columns}×{lines} is too small;"), Tone::Plain);
        canvas.put(0, 1, &format!("{}×{} is needed", LEAST.0, LEAST.1), Tone::Plain);
        canvas.put(0, 2, "q ends", Tone::Faint);
        return cells;
    }
    let layout = dashboard.layout();
    head(&mut canvas, dashboard);
    match layout::is_empty(dashboard) {
        Some(why) => drop(canvas.put(1, 2, &why, Tone::Plain)),
        None => table::draw(&mut canvas, dashboard, &layout),
    }
    steps::draw(&mut canvas, dashboard, &layout);
    tabs(&mut canvas, dashboard, &layout);
    panes::draw(&mut canvas, dashboard, &layout);
    foot(&mut canvas, dashboard, &layout);
    dialog::draw(&mut canvas, dashboard);
    cells
}

fn head(canvas: &mut Canvas<'_>, dashboard: &Dashboard) {
    let next = canvas.put(0, 0, "ostler", Tone::Title);
    if let Link::Lost(reason) = &dashboard.link {
        canvas.put(next + 2, 0, &format!("waiting for the daemon: {reason}"), Tone::Bad);
        return;
    }
    let (apps, online, numbers) = rows::totals(&dashboard.metrics);
    let workers = dashboard.metrics.workers.len();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let counts = format!(
        "{apps} app{}, {online} of {workers} worker{} online",
        plural(apps),
        plural(workers)
    );
    canvas.put(next + 2, 0, &counts, Tone::Plain);
    let mut uses = Vec::new();
    uses.extend(numbers.cpu.map(|cpu| format!("cpu {}", percent(cpu))));
    uses.extend(numbers.memory.map(|memory| format!("mem {}", units::memory(memory))));
    uses.extend(numbers.requests.map(|requests| format!("{} req/s", rate(requests))));
    let uses = uses.join("  ");
    let taken = usize::from(next) + 2 + counts.len() + 2 + uses.len();
    if taken <= usize::from(canvas.width()) {
        canvas.put_right(canvas.width(), 0, &uses, Tone::Plain);
    }
}

fn tabs(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let line = layout.tabs;
    canvas.put(0, line, &"─".repeat(usize::from(canvas.width())), Tone::Faint);
    let who = dashboard.row().map_or_else(String::new, |row| match row.inner {
        true => format!(" {} {} ", row.name, row.slots[0]),
        false => format!(" {} ", row.name),
    });
    let mut column = canvas.put(1, line, &who, Tone::Title) + 1;
    for (pane, name) in [
        (Pane::Logs, " 1 logs "),
        (Pane::History, " 2 history "),
        (Pane::Charts, " 3 charts "),
    ] {
        let tone = if pane == dashboard.pane {
            Tone::Selected
        } else {
            Tone::Plain
        };
        column = canvas.put(column, line, name, tone);
    }
    let state = panes::state(dashboard);
    if !state.is_empty() {
        let state = format!(" {state} ");
        let end = canvas.width().saturating_sub(1);
        if usize::from(end) >= usize::from(column) + state.chars().count() {
            canvas.put_right(end, line, &state, Tone::Warning);
        }
    }
}

const KEYS: [(&str, &str); 9] = [
    ("↑↓", "select"),
    ("r", "reload"),
    ("R", "restart"),
    ("s", "stop"),
    ("i", "scale"),
    ("/", "search"),
    ("p", "pause"),
    ("?", "help"),
    ("q", "quit"),
];

fn foot(canvas: &mut Canvas<'_>, dashboard: &Dashboard, layout: &Layout) {
    let line = layout.foot;
    if let Some(Dialog::Search { typed }) = &dashboard.dialog {
        let next = canvas.put(0, line, "/", Tone::Title);
        let next = canvas.put(next, line, typed, Tone::Plain);
        let next = canvas.put(next, line, " ", Tone::Selected);
        canvas.put(next + 1, line, "Enter looks for it, Esc leaves", Tone::Faint);
        return;
    }
    if let Some((notice, failed)) = &dashboard.notice {
        let tone = if *failed { Tone::Bad } else { Tone::Good };
        canvas.put(0, line, notice, tone);
        return;
    }
    if !dashboard.running.is_empty() {
        let running: Vec<String> = dashboard.running.iter().map(Request::under_way).collect();
        canvas.put(0, line, &format!("{} …", running.join(", ")), Tone::Moving);
        return;
    }
    let mut column = 0;
    for (key, does) in KEYS {
        column = canvas.put(column, line, key, Tone::Title) + 1;
        column = canvas.put(column, line, does, Tone::Faint) + 1;
    }
}

/// A share, as short as it can be told apart.
pub fn percent(value: f64) -> String {
    if value < 9.95 {
        format!("{value:.1}%")
    } else {
        format!("{value:.0}%")
    }
}

/// So many a second.
pub fn rate(value: f64) -> String {
    match value {
        value if value < 9.95 => format!("{value:.1}"),
        value if value < 99_950.0 => format!("{value:.0}"),
        value => format!("{:.0}k", value / 1000.0),
    }
}

/// Milliseconds.
pub fn millis(value: f64) -> String {
    match value {
        value if value < 9.95 => format!("{value:.1}ms"),
        value if value < 9_950.0 => format!("{value:.0}ms"),
        value => format!("{:.0}s", value / 1000.0),
    }
}

#[cfg(test)]
mod tests;
