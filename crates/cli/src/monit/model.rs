//! What the dashboard knows and shows, and what follows from what: facts come in ([`Input`]), orders go out ([`Effect`]).
//! Pure: no clock, no terminal, no daemon. Keys are in `press`, the picture of it in `view`.

use super::keys::Key;
use super::log_pane::{LogLine, LogPane};
use super::request::{Report, Request};
use super::rows::{self, App, Order, Row, Subject};
use super::series::Series;
use super::view::layout::Layout;
use ostler_core::SlotId;
use ostler_core::history::Entry;
use ostler_wire::control::Reloads;
use ostler_wire::metrics::{Chart, Measure, Metrics};
use std::collections::{BTreeMap, BTreeSet};

/// Charts have a point every ten seconds, and are asked for after so many answers about now.
const CHARTS_EVERY: u32 = 5;

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something was pressed.
    Key(Key),
    /// The terminal has so many columns and rows.
    Resized(u16, u16),
    /// How workers are doing.
    Metrics(Box<Metrics>),
    /// What is being reloaded.
    Reloads(Box<Reloads>),
    /// How workers were doing.
    Charts(Vec<Chart>),
    /// The history of the app with this slot.
    History(SlotId, Vec<Entry>),
    /// The daemon gives no answer, for this reason.
    Lost(String),
    /// The output of these slots begins anew.
    LogBegins(Vec<SlotId>),
    /// Output.
    LogLines(Vec<LogLine>),
    /// So many bytes of output were left out.
    LogLeftOut(u64),
    /// What became of a request.
    Done(Request, Report),
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End.
    Quit,
    /// Give the terminal back until continued (Ctrl-Z).
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Take the mouse's buttons and wheel, or leave them to the terminal.
    Mouse(bool),
    /// Show the output of these slots from now on.
    Follow(Vec<SlotId>),
    /// Ask the daemon.
    Ask(Question),
    /// Have something done.
    Carry(Request),
}

/// What the daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// How workers are doing and what is being reloaded. Asked every second anyway.
    Now,
    /// How the workers that are meant were doing.
    Charts(String),
    /// The history of the app with this slot.
    History(SlotId),
}

/// What the lower part shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    #[default]
    Logs,
    History,
    Charts,
}

/// What has to be answered before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// The keys.
    Help,
    /// Whether that is to be done.
    Confirm(Request),
    /// To how many instances.
    Instances(Instances),
    /// What to look for in the output.
    Search { typed: String },
    /// What became of a request, where one line does not tell it.
    Report(Report),
}

/// A number of instances that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// What is to be done, but for the number.
    pub request: Request,
    /// How many there are.
    pub now: usize,
    /// The number.
    pub typed: String,
    /// Nobody has typed it: the first digit takes its place.
    pub proposed: bool,
}

/// Whether the daemon answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// It has not been asked.
    #[default]
    New,
    Up,
    /// No, for this reason; it is waited for.
    Lost(String),
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub struct Dashboard {
    /// Columns and rows.
    pub size: (u16, u16),
    /// Whether colours are wanted.
    pub colour: bool,
    /// How workers are doing.
    pub metrics: Metrics,
    /// The table.
    pub rows: Vec<Row>,
    /// The table's order.
    pub order: Order,
    /// Apps whose workers are hidden.
    pub folded: BTreeSet<App>,
    /// The place of what is selected in the table.
    pub at: usize,
    selected: Option<(Subject, App)>,
    /// The lower part.
    pub pane: Pane,
    /// The output of what is selected.
    pub log: LogPane,
    /// The history of what is selected, oldest first.
    pub history: Vec<Entry>,
    /// So many of the latest entries lie below the page.
    pub history_below: usize,
    /// The last ten minutes of what is selected.
    pub charts: BTreeMap<Measure, Series>,
    /// What is being reloaded.
    pub reloads: Reloads,
    /// What waits for an answer.
    pub dialog: Option<Dialog>,
    /// What became of something, in one line, and whether it failed.
    pub notice: Option<(String, bool)>,
    /// What is being done.
    pub running: Vec<Request>,
    /// Whether the daemon answers.
    pub link: Link,
    /// Whether the mouse is ours.
    pub mouse: bool,
    /// For moments of the history; UTC when absent.
    pub zone: Option<jiff::tz::TimeZone>,
    followed: Vec<SlotId>,
    answers: u32,
    told: Option<(u32, Vec<Option<i32>>)>,
    changed: bool,
}

impl Dashboard {
    /// An empty one.
    pub fn new(size: (u16, u16), colour: bool) -> Self {
        Self {
            size,
            colour,
            changed: true,
            ..Self::default()
        }
    }

    /// Takes a fact and tells what is to be done.
    #[must_use]
    pub fn update(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Key(key) => {
                self.changed = true;
                self.press(key)
            }
            Input::Resized(columns, rows) => {
                self.changed = true;
                self.size = (columns, rows);
                Vec::new()
            }
            Input::Metrics(metrics) => self.learn(*metrics),
            Input::Reloads(reloads) => {
                self.replace(|own| &mut own.reloads, *reloads);
                Vec::new()
            }
            Input::Charts(charts) => {
                let series = super::series::of(&charts, &self.followed);
                self.replace(|own| &mut own.charts, series);
                Vec::new()
            }
            Input::History(slot, entries) => {
                self.recall(slot, entries);
                Vec::new()
            }
            Input::Lost(reason) => {
                self.reloads = Reloads::default();
                self.replace(|own| &mut own.link, Link::Lost(reason));
                Vec::new()
            }
            Input::LogBegins(slots) => {
                self.if_followed(slots == self.followed, |own| own.log.clear());
                Vec::new()
            }
            Input::LogLines(lines) => {
                let wanted = |line: &LogLine| line.id.is_none_or(|id| self.followed.contains(&id));
                let ours = lines.iter().all(wanted);
                self.if_followed(ours, |own| lines.into_iter().for_each(|line| own.log.push(line)));
                Vec::new()
            }
            Input::LogLeftOut(bytes) => {
                self.if_followed(true, |own| own.log.left_out += bytes);
                Vec::new()
            }
            Input::Done(request, report) => self.done(&request, report),
        }
    }

    /// Whether what is shown has changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The row that is selected.
    pub fn row(&self) -> Option<&Row> {
        self.rows.get(self.at)
    }

    /// Where what is.
    pub fn layout(&self) -> Layout {
        Layout::of(self)
    }

    fn replace<T: PartialEq>(&mut self, field: impl Fn(&mut Self) -> &mut T, value: T) {
        let own = field(self);
        if *own != value {
            *own = value;
            self.changed = true;
        }
    }

    fn if_followed(&mut self, followed: bool, change: impl FnOnce(&mut Self)) {
        if followed {
            change(self);
            // Of a page that stands still only the number of lines below changes.
            self.changed = true;
        }
    }

    fn learn(&mut self, metrics: Metrics) -> Vec<Effect> {
        self.replace(|own| &mut own.link, Link::Up);
        self.replace(|own| &mut own.metrics, metrics);
        self.answers = self.answers.wrapping_add(1);
        self.order_rows();
        let mut effects = self.follow();
        if effects.is_empty() && self.answers.is_multiple_of(CHARTS_EVERY) {
            effects.extend(self.charts_wanted());
        }
        effects.extend(self.history_wanted());
        effects
    }

    /// Makes the rows anew; the selection stays with what it was on.
    pub(super) fn order_rows(&mut self) {
        self.rows = rows::rows(&self.metrics, self.order, &self.folded);
        self.at = rows::place(&self.rows, self.selected.as_ref(), self.at).unwrap_or(0);
    }

    /// Selects a row by its place.
    pub(super) fn select(&mut self, at: usize) -> Vec<Effect> {
        self.at = at.min(self.rows.len().saturating_sub(1));
        self.selected = None;
        let mut effects = self.follow();
        effects.extend(self.history_wanted());
        effects
    }

    /// Once another row is selected, its output, history and charts are wanted.
    pub(super) fn follow(&mut self) -> Vec<Effect> {
        self.selected = self.row().map(|row| (row.subject.clone(), row.app.clone()));
        let slots = self.row().map_or_else(Vec::new, |row| row.slots.clone());
        if slots == self.followed {
            return Vec::new();
        }
        self.followed = slots;
        self.log.clear();
        self.history.clear();
        self.history_below = 0;
        self.charts.clear();
        self.told = None;
        let mut effects = vec![Effect::Follow(self.followed.clone())];
        effects.extend(self.charts_wanted());
        effects
    }

    /// Charts of an app are asked for by its name, and what else bears it is left out of the answer.
    fn charts_wanted(&self) -> Option<Effect> {
        let row = self.row()?;
        let selector = match &row.subject {
            Subject::App((_, name)) => name.clone(),
            Subject::Worker(id) => id.to_string(),
        };
        Some(Effect::Ask(Question::Charts(selector)))
    }

    /// The history is asked for while it is looked at, once something has happened.
    pub(super) fn history_wanted(&mut self) -> Option<Effect> {
        let row = self.rows.get(self.at)?;
        let slots = &row.slots;
        let pids = self
            .metrics
            .workers
            .iter()
            .filter(|worker| slots.contains(&worker.row.id));
        let now = (
            row.restarts,
            pids.map(|worker| worker.row.pid.map(|pid| pid.0)).collect(),
        );
        if self.pane != Pane::History || self.told.as_ref() == Some(&now) {
            return None;
        }
        self.told = Some(now);
        Some(Effect::Ask(Question::History(*slots.first()?)))
    }

    fn recall(&mut self, slot: SlotId, mut entries: Vec<Entry>) {
        let Some(row) = self.row().filter(|row| row.slots.first() == Some(&slot)) else {
            return;
        };
        // An app's own row also tells of the slots that it no longer has.
        if let Subject::Worker(id) = row.subject {
            entries.retain(|entry| entry.slot == id);
        } else {
            entries.retain(|entry| entry.app == row.app.1);
        }
        if self.history_below > 0 {
            // What is looked at stays where it is.
            self.history_below += entries.len().saturating_sub(self.history.len());
        }
        self.replace(|own| &mut own.history, entries);
    }

    fn done(&mut self, request: &Request, report: Report) -> Vec<Effect> {
        self.changed = true;
        if let Some(at) = self.running.iter().position(|running| running == request) {
            self.running.remove(at);
        }
        match report.lines.as_slice() {
            [line] => self.notice = Some((line.clone(), report.failed)),
            [] => self.notice = Some((format!("{}: done", request.who), report.failed)),
            [first, ..] if self.dialog.is_some() => self.notice = Some((first.clone(), report.failed)),
            _ => self.dialog = Some(Dialog::Report(report)),
        }
        vec![Effect::Ask(Question::Now)]
    }
}

#[cfg(test)]
mod tests;
