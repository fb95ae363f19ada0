//! Where what is, for a terminal of any size. Pure.

use crate::monit::model::{Dashboard, Link};

/// With fewer columns or rows nothing sensible can be shown.
pub const LEAST: (u16, u16) = (40, 10);

/// From so many rows on there is a line with small charts.
const ROOM_FOR_STRIP: u16 = 16;

/// As many lines a reload takes at most.
const MOST_STEPS: usize = 5;

/// The places of the page, by their first line and how many lines they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The rows of the table, below its titles.
    pub table: (u16, u16),
    /// The steps of reloads.
    pub steps: (u16, u16),
    /// The line with the panes' names.
    pub tabs: u16,
    /// The line of small charts.
    pub strip: Option<u16>,
    /// The pane.
    pub pane: (u16, u16),
    /// The last line.
    pub foot: u16,
}

impl Layout {
    /// For what is to be shown.
    pub fn of(dashboard: &Dashboard) -> Self {
        let height = dashboard.size.1.max(LEAST.1);
        let turns: usize = dashboard.reloads.reloads.iter().map(|roll| roll.turns.len()).sum();
        let steps = if turns == 0 { 0 } else { turns.min(MOST_STEPS) as u16 };
        let strip = u16::from(height >= ROOM_FOR_STRIP);
        // The head, the titles, the panes' names and the foot.
        let free = height - 4 - strip;
        let wanted = dashboard.rows.len().max(1) as u16;
        let steps = steps.min(free / 3);
        let rows = wanted.min(((free - steps) * 9 / 20).max(2));
        let tabs = 2 + rows + steps;
        let pane = tabs + 1 + strip;
        Self {
            table: (2, rows),
            steps: (2 + rows, steps),
            tabs,
            strip: (strip > 0).then_some(tabs + 1),
            pane: (pane, height - 1 - pane),
            foot: height - 1,
        }
    }

    /// How many lines a page of the pane has.
    pub fn page(&self) -> usize {
        usize::from(self.pane.1)
    }

    /// The first row of the table that is seen, with this one selected.
    pub fn first_row(&self, selected: usize) -> usize {
        (selected + 1).saturating_sub(usize::from(self.table.1))
    }

    /// The row of the table on this line of the terminal.
    pub fn row_at(&self, line: u16, selected: usize) -> Option<usize> {
        let below = line.checked_sub(self.table.0)?;
        (below < self.table.1).then(|| self.first_row(selected) + usize::from(below))
    }
}

/// Whether there is nothing to be shown but why.
pub fn is_empty(dashboard: &Dashboard) -> Option<String> {
    match (&dashboard.link, dashboard.rows.is_empty()) {
        (_, false) => None,
        (Link::New, true) => Some("asking the daemon".to_owned()),
        (Link::Up, true) => Some("no apps; `ostler start app.js` starts one".to_owned()),
        (Link::Lost(_), true) => {
            Some("`ostler start app.js` starts a daemon and an app; this page goes on by itself".to_owned())
        }
    }
}
