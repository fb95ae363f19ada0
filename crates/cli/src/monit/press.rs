//! What each key does. Pure.

use super::keys::Key;
use super::model::{Dashboard, Dialog, Effect, Instances, Pane, Question};
use super::request::{Deed, Request};
use super::rows::{self, Subject};

/// Lines that the wheel moves.
const WHEEL: i64 = 3;

/// Digits of a number of instances.
const MOST_DIGITS: usize = 4;

/// What may be looked for is not longer.
const LONGEST_SEARCH: usize = 200;

impl Dashboard {
    pub(super) fn press(&mut self, key: Key) -> Vec<Effect> {
        match key {
            Key::Ctrl('c') => vec![Effect::Quit],
            Key::Ctrl('z') => vec![Effect::Suspend],
            Key::Ctrl('l') => vec![Effect::Redraw],
            key => match self.dialog.take() {
                Some(dialog) => self.answer(dialog, key),
                None => self.command(key),
            },
        }
    }

    fn command(&mut self, key: Key) -> Vec<Effect> {
        self.notice = None;
        match key {
            Key::Char('q') => vec![Effect::Quit],
            Key::Char('?' | 'h') => self.ask(Dialog::Help),
            Key::Up | Key::Char('k') => self.select(self.at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.select(self.at + 1),
            Key::Char(' ') | Key::Enter => self.fold(),
            Key::Char('o') => {
                self.order = self.order.next();
                self.notice = Some((format!("ordered by {}", self.order.word()), false));
                self.order_rows();
                self.follow()
            }
            Key::Right | Key::Tab => self.turn_to(self.pane.next()),
            Key::Left | Key::BackTab => self.turn_to(self.pane.next().next()),
            Key::Char('1') => self.turn_to(Pane::Logs),
            Key::Char('2') => self.turn_to(Pane::History),
            Key::Char('3') => self.turn_to(Pane::Charts),
            Key::Char('m') => {
                self.mouse = !self.mouse;
                let said = if self.mouse {
                    "the mouse selects and scrolls"
                } else {
                    "the mouse is the terminal's again"
                };
                self.notice = Some((said.to_owned(), false));
                vec![Effect::Mouse(self.mouse)]
            }
            Key::Char('r') => self.confirm(Deed::Reload),
            Key::Char('R') => self.confirm(Deed::Restart),
            Key::Char('s') => self.confirm(Deed::Stop),
            Key::Char('i') => self.scale(0),
            Key::Char('+') => self.scale(1),
            Key::Char('-') => self.scale(-1),
            Key::Click { row, .. } => self.click(row),
            key => self.look(&key),
        }
    }

    /// Keys of the lower part.
    fn look(&mut self, key: &Key) -> Vec<Effect> {
        let page = self.layout().page();
        let by = |lines: usize| i64::try_from(lines).unwrap_or(i64::MAX);
        match key {
            Key::PageUp | Key::Ctrl('b') => self.scroll(-by(page)),
            Key::PageDown | Key::Ctrl('f') => self.scroll(by(page)),
            Key::Ctrl('u') => self.scroll(-by(page / 2)),
            Key::Ctrl('d') => self.scroll(by(page / 2)),
            Key::Char('[') | Key::Ctrl('y') => self.scroll(-1),
            Key::Char(']') | Key::Ctrl('e') => self.scroll(1),
            Key::Wheel { down } => self.scroll(if *down { WHEEL } else { -WHEEL }),
            Key::Home | Key::Char('g') => {
                self.log.go_to_top(page);
                self.history_below = self.history.len().saturating_sub(page);
            }
            Key::End | Key::Char('G') => {
                self.log.go_to_end();
                self.history_below = 0;
            }
            Key::Char('p') => self.log.toggle_pause(),
            Key::Char('w') => self.log.cut = !self.log.cut,
            Key::Char('/') => {
                self.pane = Pane::Logs;
                self.dialog = Some(Dialog::Search { typed: String::new() });
            }
            Key::Char('n') => self.search_on(false),
            Key::Char('N') => self.search_on(true),
            Key::Escape => {
                self.log.search("");
            }
            _ => {}
        }
        Vec::new()
    }

    fn scroll(&mut self, by: i64) {
        match self.pane {
            Pane::Logs => self.log.scroll(by),
            Pane::History => {
                let most = self.history.len().saturating_sub(1);
                self.history_below = self.history_below.saturating_add_signed(-by as isize).min(most);
            }
            Pane::Charts => {}
        }
    }

    fn search_on(&mut self, newer: bool) {
        if self.log.wanted().is_empty() {
            self.notice = Some(("`/` looks for something first".to_owned(), false));
        } else if !self.log.search_on(newer) {
            let side = if newer { "below" } else { "above" };
            self.notice = Some((format!("no further match {side}"), false));
        }
    }

    fn fold(&mut self) -> Vec<Effect> {
        let Some(row) = self.row() else { return Vec::new() };
        let app = row.app.clone();
        if row.folded.is_some() || row.inner {
            if !self.folded.remove(&app) {
                self.folded.insert(app);
            }
            self.order_rows();
        }
        self.follow()
    }

    fn turn_to(&mut self, pane: Pane) -> Vec<Effect> {
        self.pane = pane;
        self.history_wanted().into_iter().collect()
    }

    fn click(&mut self, row: u16) -> Vec<Effect> {
        match self.layout().row_at(row, self.at) {
            Some(at) if at < self.rows.len() => self.select(at),
            Some(_) | None => Vec::new(),
        }
    }

    fn ask(&mut self, dialog: Dialog) -> Vec<Effect> {
        self.dialog = Some(dialog);
        Vec::new()
    }

    fn confirm(&mut self, deed: Deed) -> Vec<Effect> {
        let Some(row) = self.row() else { return Vec::new() };
        let who = match (&row.subject, row.inner) {
            (Subject::App(_), _) => format!("{} ({} workers)", row.name, row.slots.len()),
            (Subject::Worker(id), true) => format!("{} ({id})", row.name),
            (Subject::Worker(_), false) => row.name.clone(),
        };
        match rows::words(&self.metrics, &row.slots) {
            Ok(words) => self.ask(Dialog::Confirm(Request { deed, words, who })),
            Err(reason) => {
                self.notice = Some((reason, true));
                Vec::new()
            }
        }
    }

    /// Asks for a number of instances of the whole app.
    fn scale(&mut self, by: isize) -> Vec<Effect> {
        let Some(row) = self.row() else { return Vec::new() };
        let of_app = self
            .metrics
            .workers
            .iter()
            .filter(|worker| (&worker.row.namespace, &worker.row.name) == (&row.app.0, &row.app.1));
        let slots: Vec<_> = of_app.map(|worker| worker.row.id).collect();
        let now = slots.len();
        match rows::words(&self.metrics, &slots[..now.min(1)]) {
            Ok(words) => {
                let request = Request {
                    deed: Deed::Scale(0),
                    words,
                    who: row.name.clone(),
                };
                let typed = match by {
                    0 => String::new(),
                    by => (now.saturating_add_signed(by)).max(1).to_string(),
                };
                self.ask(Dialog::Instances(Instances {
                    request,
                    now,
                    typed,
                    proposed: true,
                }))
            }
            Err(reason) => {
                self.notice = Some((reason, true));
                Vec::new()
            }
        }
    }

    fn answer(&mut self, dialog: Dialog, key: Key) -> Vec<Effect> {
        match (dialog, key) {
            // What was read is closed by any key, which does nothing else.
            (Dialog::Help | Dialog::Report(_), _) | (_, Key::Escape) => Vec::new(),
            (Dialog::Confirm(request), Key::Char('y' | 'Y') | Key::Enter) => self.carry(request),
            // Whoever types something else did not mean this.
            (Dialog::Confirm(_), _) => Vec::new(),
            (Dialog::Instances(instances), key) => self.count(instances, &key),
            (Dialog::Search { typed }, Key::Enter) => {
                if !self.log.search(&typed) {
                    self.notice = Some((format!("no line has `{typed}`"), false));
                }
                Vec::new()
            }
            (Dialog::Search { typed }, key) => {
                let typed = edited(typed, &key, LONGEST_SEARCH);
                self.ask(Dialog::Search { typed })
            }
        }
    }

    /// A number of instances after a key. What is no part of a number leaves all as it is.
    fn count(&mut self, mut instances: Instances, key: &Key) -> Vec<Effect> {
        let number: u32 = instances.typed.parse().unwrap_or(0);
        match key {
            Key::Enter if number > 0 => {
                return self.carry(Request {
                    deed: Deed::Scale(number),
                    ..instances.request
                });
            }
            Key::Enter => {}
            Key::Char('+') | Key::Up => instances.typed = (number + 1).to_string(),
            Key::Char('-') | Key::Down => instances.typed = number.saturating_sub(1).max(1).to_string(),
            Key::Char(digit) if digit.is_ascii_digit() => {
                if std::mem::take(&mut instances.proposed) {
                    instances.typed.clear();
                }
                instances.typed = edited(instances.typed, key, MOST_DIGITS);
            }
            Key::Backspace | Key::Ctrl('u') => instances.typed = edited(instances.typed, key, MOST_DIGITS),
            _ => return Vec::new(),
        }
        self.ask(Dialog::Instances(instances))
    }

    fn carry(&mut self, request: Request) -> Vec<Effect> {
        self.running.push(request.clone());
        vec![Effect::Carry(request), Effect::Ask(Question::Now)]
    }
}

impl Pane {
    /// The next one of all.
    pub fn next(self) -> Self {
        match self {
            Self::Logs => Self::History,
            Self::History => Self::Charts,
            Self::Charts => Self::Logs,
        }
    }
}

/// A field after a key.
fn edited(mut typed: String, key: &Key, longest: usize) -> String {
    match key {
        Key::Backspace => drop(typed.pop()),
        Key::Ctrl('u') => typed.clear(),
        Key::Char(character) => typed.push(*character),
        Key::Paste(text) => typed.push_str(text),
        _ => {}
    }
    typed.chars().take(longest).collect()
}
