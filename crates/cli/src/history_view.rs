//! The history of an app as an aligned table: when, what, cause, time up, what came next. Pure, apart from the time zone.

use crate::printer::{BAD, FAINT, GOOD, HEADER, Printer, WARNING};
use crate::signals;
use crate::units;
use crate::verdicts::ended;
use anstyle::Style;
use ostler_core::history::{Cause, EndCause, Entry, Next, What};
use ostler_core::{ExitStatus, Origin, ProbeKind};
use unicode_width::UnicodeWidthStr;

/// One line of the table.
pub struct Line {
    /// How what happened is to be taken.
    pub style: Style,
    /// When, which app, what, cause, time up, what came next.
    pub cells: [String; 6],
}

const TITLES: [&str; 6] = ["when", "app", "what", "cause", "uptime", "next"];

/// What is longer than that stands out of its column rather than making it wider for all.
const WIDEST_COLUMN: usize = 60;

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
            .map(|line| line.cells[column].width().min(WIDEST_COLUMN))
            .max()
            .unwrap_or(0)
    });
    lines.iter().map(|line| row(line, &widths, printer)).collect()
}

fn row(line: &Line, widths: &[usize; 6], printer: &Printer) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in line.cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.width()) + 2);
        let style = if column == 2 || line.style == HEADER {
            line.style
        } else {
            Style::new()
        };
        let cell = if style == Style::new() {
            cell.clone()
        } else {
            printer.paint(style, cell)
        };
        text.push_str(&cell);
        text.push_str(&padding);
    }
    format!("{}\n", text.trim_end())
}

/// One entry in words, without control characters.
pub fn line(entry: &Entry, when: String) -> Line {
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
        What::ListenFailed { error } => (
            BAD,
            [
                format!("could not listen: {error}"),
                String::new(),
                String::new(),
                String::new(),
            ],
        ),
        What::Probed { kind, failure } => {
            let (style, what) = probed(*kind, failure.is_some());
            let found = failure.clone().unwrap_or_default();
            (style, [what.to_owned(), found, String::new(), String::new()])
        }
        What::Ended {
            status,
            uptime,
            cause,
            next,
        } => {
            let (style, what) = ending(*status, cause);
            (
                style,
                [
                    what,
                    cause_of_end(*status, cause),
                    units::span(*uptime),
                    what_next(next),
                ],
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

fn probed(kind: ProbeKind, fails: bool) -> (Style, &'static str) {
    match (kind, fails) {
        (ProbeKind::Health, true) => (BAD, "is not well"),
        (ProbeKind::Health, false) => (GOOD, "is well again"),
        (ProbeKind::Ready, true) => (WARNING, "is not ready"),
        (ProbeKind::Ready, false) => (GOOD, "is ready again"),
    }
}

fn ending(status: ExitStatus, cause: &EndCause) -> (Style, String) {
    let style = match (cause, status) {
        (EndCause::Told { killed: false, .. }, _) => Style::new(),
        (EndCause::Itself | EndCause::Announced { pressed: false }, ExitStatus::Code(0)) => Style::new(),
        (EndCause::Told { killed: true, .. } | EndCause::OverMemory { .. }, _) => WARNING,
        (EndCause::Announced { pressed: true }, _) => WARNING,
        (EndCause::Announced { pressed: false }, _) => BAD,
        (EndCause::Itself | EndCause::OomKilled | EndCause::NeverReady, _) => BAD,
    };
    let what = match (cause, status) {
        (EndCause::Itself | EndCause::Announced { pressed: false }, ExitStatus::Code(0)) => {
            "ended, exit code 0".to_owned()
        }
        (EndCause::Announced { pressed: false }, status) => format!("ended, {}", ended(status)),
        (EndCause::Announced { pressed: true }, status) => format!("was ended, {}", ended(status)),
        (EndCause::Itself, status) if from_outside(status) => format!("was killed, {}", ended(status)),
        (EndCause::Itself | EndCause::OomKilled, status) => format!("crashed, {}", ended(status)),
        (EndCause::Told { .. } | EndCause::NeverReady | EndCause::OverMemory { .. }, status) => {
            format!("was ended, {}", ended(status))
        }
    };
    (style, what)
}

/// Whether a signal is one that programs send each other rather than one that an error raises.
fn from_outside(status: ExitStatus) -> bool {
    match status {
        ExitStatus::Signal {
            signal,
            core_dumped: false,
        } => {
            matches!(
                signals::name(signal).as_str(),
                "SIGHUP" | "SIGINT" | "SIGKILL" | "SIGTERM" | "SIGUSR1" | "SIGUSR2"
            )
        }
        ExitStatus::Signal { core_dumped: true, .. } | ExitStatus::Code(_) | ExitStatus::Unknown => false,
    }
}

fn cause_of_end(status: ExitStatus, cause: &EndCause) -> String {
    match cause {
        EndCause::Itself if from_outside(status) => "somebody's signal".to_owned(),
        EndCause::Itself => "by itself".to_owned(),
        EndCause::Announced { pressed: false } => "by itself, as it had said".to_owned(),
        EndCause::Announced { pressed: true } => {
            "it said that it was ending, and did not; drain_timeout ran out".to_owned()
        }
        EndCause::OomKilled => "the kernel was out of memory".to_owned(),
        EndCause::Told { cause, killed: false } => cause_of_start(cause),
        EndCause::Told { cause, killed: true } => format!("{}; kill_timeout ran out", cause_of_start(cause)),
        EndCause::NeverReady => "was not ready in time".to_owned(),
        EndCause::OverMemory { bytes, limit } => format!(
            "memory {} over max_memory_kill of {}",
            units::memory(*bytes),
            units::memory(*limit)
        ),
    }
}

/// Why a worker was started, or told to end for another one.
pub fn cause_of_start(cause: &Cause) -> String {
    match cause {
        Cause::Asked(by) => origin(by),
        Cause::Restart => "the one before had ended".to_owned(),
        Cause::FileChanged { path } => format!("{path} changed"),
        Cause::Cron { pattern } => format!("cron {pattern}"),
        Cause::Unhealthy { why, hung: _ } => format!("not well: {why}"),
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
        Origin::Web { user, address, verb } => format!("`{verb}` by {user}, web dashboard, from {address}"),
        Origin::Daemon { reason } => format!("the daemon: {reason}"),
    }
}

fn what_next(next: &Next) -> String {
    match next {
        Next::Restart => "restart".to_owned(),
        Next::RestartIn { delay } => format!("restart in {}", units::span(*delay)),
        Next::Replaced => "replaced".to_owned(),
        Next::NotReplaced => "the one before goes on".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::captured;
    use crate::samples::AT;
    use ostler_core::{Generation, Pid, SlotId, WallTime};
    use std::time::Duration;

    fn client(verb: &str) -> Origin {
        Origin::Client {
            user: "ann".into(),
            pid: Pid(99),
            verb: verb.into(),
        }
    }

    fn ended_by(status: ExitStatus, millis: u64, cause: EndCause, next: Next) -> What {
        What::Ended {
            status,
            uptime: Duration::from_millis(millis),
            cause,
            next,
        }
    }

    #[test]
    fn a_history_says_what_why_and_what_next() {
        let crash = ExitStatus::Signal {
            signal: 11,
            core_dumped: true,
        };
        let killed = ExitStatus::Signal {
            signal: 9,
            core_dumped: false,
        };
        let memory = Cause::MemoryLimit {
            bytes: 200 << 20,
            limit: 150 << 20,
        };
        let told = |cause, killed| EndCause::Told { cause, killed };
        let whats = [
            What::Started {
                pid: Pid(100),
                cause: Cause::Asked(client("start")),
            },
            ended_by(ExitStatus::Code(1), 35, EndCause::Itself, Next::Restart),
            What::Started {
                pid: Pid(101),
                cause: Cause::Restart,
            },
            ended_by(
                crash,
                61_000,
                EndCause::Itself,
                Next::RestartIn {
                    delay: Duration::from_millis(150),
                },
            ),
            What::StartFailed {
                error: "execve /srv/api: no such file".into(),
                cause: Cause::Restart,
            },
            ended_by(killed, 7_300_000, EndCause::OomKilled, Next::Restart),
            ended_by(killed, 8_000, EndCause::Itself, Next::Restart),
            ended_by(killed, 5_000, told(memory, true), Next::Restart),
            ended_by(
                ExitStatus::Code(0),
                5_000,
                told(
                    Cause::FileChanged {
                        path: "/srv/a.js".into(),
                    },
                    false,
                ),
                Next::Restart,
            ),
            ended_by(
                ExitStatus::Code(0),
                90_000_000,
                told(
                    Cause::Cron {
                        pattern: "0 4 * * *".into(),
                    },
                    false,
                ),
                Next::Restart,
            ),
            ended_by(ExitStatus::Unknown, 3_000, EndCause::NeverReady, Next::Errored),
            ended_by(ExitStatus::Code(0), 3_000, EndCause::Itself, Next::Done),
            ended_by(
                ExitStatus::Code(0),
                3_000,
                told(Cause::Asked(client("stop")), false),
                Next::Stopped,
            ),
            What::Stopped {
                by: Origin::Daemon {
                    reason: "SIGTERM".into(),
                },
            },
            What::Deleted { by: client("delete") },
        ];
        let entries: Vec<Entry> = whats
            .into_iter()
            .map(|what| Entry {
                at: AT,
                app: "api".into(),
                slot: SlotId(0),
                instance: 0,
                generation: Generation(1),
                what,
            })
            .collect();
        let (printer, _) = captured::printer(false, false);
        let moment = |at: WallTime| units::iso(at)[..19].replace('T', " ");
        insta::assert_snapshot!("why", text_at(&entries, &printer, moment));
    }
}
