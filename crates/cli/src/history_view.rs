//! The history of an app as an aligned table: when, what, cause, time up, what came next. Pure, apart from the time zone.

use crate::printer::{BAD, FAINT, GOOD, HEADER, Printer, WARNING};
use crate::table::shorten;
use crate::units;
use crate::verdicts::ended;
use anstyle::Style;
use ostler_core::history::{Cause, EndCause, Entry, Next, What};
use ostler_core::{ExitStatus, Origin};
use unicode_width::UnicodeWidthStr;

/// One line of the table.
struct Line {
    style: Style,
    cells: [String; 6],
}

const TITLES: [&str; 6] = ["when", "app", "what", "cause", "uptime", "next"];

/// A longer cause or error is cut.
const WIDEST_CELL: usize = 60;

/// The table, oldest first, times in local time.
pub fn text(entries: &[Entry], printer: &Printer) -> String {
    text_at(entries, printer, units::local)
}

fn text_at(entries: &[Entry], printer: &Printer, moment: impl Fn(ostler_core::WallTime) -> String) -> String {
    let mut lines = vec![Line {
        style: HEADER,
        cells: TITLES.map(str::to_owned),
    }];
    lines.extend(entries.iter().map(|entry| line(entry, moment(entry.at))));
    let widths: [usize; 6] = std::array::from_fn(|column| {
        lines
            .iter()
            .map(|line| line.cells[column].width().min(WIDEST_CELL))
            .max()
            .unwrap_or(0)
    });
    lines.iter().map(|line| row(line, &widths, printer)).collect()
}

fn row(line: &Line, widths: &[usize; 6], printer: &Printer) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in line.cells.iter().zip(widths).enumerate() {
        let cell = shorten(cell, WIDEST_CELL);
        let padding = " ".repeat(width - cell.width() + 2);
        let style = if column == 2 || line.style == HEADER {
            line.style
        } else {
            Style::new()
        };
        let cell = if style == Style::new() {
            cell
        } else {
            printer.paint(style, &cell)
        };
        text.push_str(&cell);
        text.push_str(&padding);
    }
    format!("{}\n", text.trim_end())
}

fn line(entry: &Entry, when: String) -> Line {
    let app = format!("{} ({})", entry.app, entry.slot);
    let (style, [what, cause, uptime, next]) = match &entry.what {
        What::Started { pid, cause } => (
            GOOD,
            [
                format!("started, pid {pid}"),
                cause_of_start(cause),
                String::new(),
                String::new(),
            ],
        ),
        What::StartFailed { error, cause } => (
            BAD,
            [
                format!("could not start: {error}"),
                cause_of_start(cause),
                String::new(),
                String::new(),
            ],
        ),
        What::Ended {
            status,
            uptime,
            cause,
            next,
        } => {
            let (style, what) = ending(*status, cause);
            (
                style,
                [what, cause_of_end(cause), units::span(*uptime), what_next(next)],
            )
        }
        What::Stopped { by } => (
            FAINT,
            [
                "stopped before it ran".into(),
                origin(by),
                String::new(),
                "stays down".into(),
            ],
        ),
        What::Deleted { by } => (FAINT, ["deleted".into(), origin(by), String::new(), String::new()]),
    };
    Line {
        style,
        cells: [when, app, what, cause, uptime, next].map(|cell| one_line(&cell)),
    }
}

fn ending(status: ExitStatus, cause: &EndCause) -> (Style, String) {
    let style = match (cause, status) {
        (EndCause::Told { killed: false, .. }, _) | (EndCause::Itself, ExitStatus::Code(0)) => Style::new(),
        (EndCause::Told { killed: true, .. }, _) => WARNING,
        (EndCause::Itself | EndCause::OomKilled | EndCause::NeverReady, _) => BAD,
    };
    let what = match (cause, status) {
        (EndCause::Itself, ExitStatus::Code(0)) => "ended, exit code 0".to_owned(),
        (EndCause::Itself | EndCause::OomKilled, status) => format!("crashed, {}", ended(status)),
        (EndCause::Told { .. } | EndCause::NeverReady, status) => format!("was ended, {}", ended(status)),
    };
    (style, what)
}

fn cause_of_end(cause: &EndCause) -> String {
    match cause {
        EndCause::Itself => "by itself".to_owned(),
        EndCause::OomKilled => "the kernel was out of memory".to_owned(),
        EndCause::Told { cause, killed: false } => cause_of_start(cause),
        EndCause::Told { cause, killed: true } => format!("{}; kill_timeout ran out", cause_of_start(cause)),
        EndCause::NeverReady => "was not ready in time".to_owned(),
    }
}

fn cause_of_start(cause: &Cause) -> String {
    match cause {
        Cause::Asked(by) => origin(by),
        Cause::Restart => "the one before had ended".to_owned(),
        Cause::FileChanged { path } => format!("{path} changed"),
        Cause::Cron { pattern } => format!("cron {pattern}"),
        Cause::MemoryLimit { bytes, limit } => {
            format!(
                "memory {} over the limit of {}",
                units::memory(*bytes),
                units::memory(*limit)
            )
        }
    }
}

fn origin(by: &Origin) -> String {
    match by {
        Origin::Client { user, pid, verb } => format!("`{verb}` by {user}, pid {pid}"),
        Origin::Daemon { reason } => format!("the daemon: {reason}"),
    }
}

fn what_next(next: &Next) -> String {
    match next {
        Next::Restart => "restart".to_owned(),
        Next::RestartIn { delay } => format!("restart in {}", units::span(*delay)),
        Next::Stopped => "stays down".to_owned(),
        Next::Done => "done".to_owned(),
        Next::Errored => "given up: too many restarts".to_owned(),
    }
}

/// Errors may have line breaks, names control characters.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}
