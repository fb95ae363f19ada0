//! What became of a command, app by app: one calm line for each, and for failures the reason with the last lines of the
//! error log. Used by every command whose answer is an [`Outcome`].

use crate::client::Client;
use crate::error::{Error, Result};
use crate::history_view::cause_of_start;
use crate::intent::Intent;
use crate::logs::tail;
use crate::printer::Printer;
use crate::signals;
use crate::units;
use ostler_core::history::What;
use ostler_core::{ExitStatus, Failure, Outcome, SlotId, SlotOutcome, Verdict};
use ostler_wire::control::{History, Processes};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How many lines of the error log explain a failure.
const LOG_LINES: usize = 15;

/// Prints the verdicts; fails, with everything said, if one of them is a failure.
pub async fn report(printer: &Printer, client: &mut Client, outcome: &Outcome, intent: &Intent) -> Result {
    printer.at_once(|| {
        groups(outcome)
            .iter()
            .for_each(|group| say(printer, group, &intent.done));
    });
    let failures: Vec<(&SlotOutcome, &Failure)> = outcome.slots.iter().filter_map(failure).collect();
    if !failures.is_empty() {
        let known = Known {
            processes: client.get("/v1/processes/full").await.unwrap_or_default(),
            history: client.get("/v1/history?selector=all").await.unwrap_or_default(),
            since: intent.began,
        };
        for (slot, failure) in &failures {
            explain(printer, slot, failure, &known);
        }
    }
    let overtaken = overtaken(outcome);
    let in_vain = !overtaken.is_empty() && !intent.came_true(client, &overtaken).await;
    if failures.is_empty() && !in_vain {
        Ok(())
    } else {
        Err(Error::reported())
    }
}

fn overtaken(outcome: &Outcome) -> Vec<SlotId> {
    outcome
        .slots
        .iter()
        .filter(|slot| slot.verdict == Verdict::Superseded)
        .map(|slot| slot.slot)
        .collect()
}

/// Slots of one app with verdicts of one kind.
struct Group<'a> {
    name: &'a str,
    slots: Vec<&'a SlotOutcome>,
}

fn groups(outcome: &Outcome) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for slot in &outcome.slots {
        let kind = std::mem::discriminant(&slot.verdict);
        let same =
            |group: &&mut Group<'_>| group.name == slot.name && std::mem::discriminant(&group.slots[0].verdict) == kind;
        match groups.iter_mut().find(same) {
            Some(group) => group.slots.push(slot),
            None => groups.push(Group {
                name: &slot.name,
                slots: vec![slot],
            }),
        }
    }
    groups
}

fn say(printer: &Printer, group: &Group<'_>, done: &str) {
    let who = format!("{} ({})", group.name, ids(&group.slots));
    match &group.slots[0].verdict {
        Verdict::Online { pid } if group.slots.len() == 1 => printer.say(&format!("{done} {who}, pid {pid}")),
        Verdict::Online { .. } => printer.say(&format!("{done} {who}, {} instances", group.slots.len())),
        Verdict::Finished { status } => printer.say(&format!("{who} ran to its end, {}", ended(*status))),
        Verdict::Registered => printer.say(&format!("registered {who}, not started")),
        Verdict::Stopped { .. } => {
            printer.say(&format!("{done} {who}"));
            warn_of_kills(printer, group);
        }
        Verdict::WasStopped => printer.say(&format!("{who} was stopped already")),
        Verdict::Deleted => printer.say(&format!("deleted {who}")),
        Verdict::Reset => printer.say(&format!("counters of {who} are back at 0")),
        Verdict::Signalled => printer.say(&format!("{done} {who}")),
        Verdict::Superseded => printer.warn(&format!("{who}: another command overtook this one")),
        Verdict::Reloaded { pid } if group.slots.len() == 1 => printer.say(&format!("reloaded {who}, pid {pid}")),
        Verdict::Reloaded { .. } => printer.say(&format!("reloaded {who}, {} instances", group.slots.len())),
        Verdict::Unchanged => printer.say(&format!("{who}: nothing has changed")),
        Verdict::Kept => printer.say(&format!("left {who} as it is")),
        Verdict::RolledBack { .. } => printer.say(&format!("put {who} back to what ran before")),
        Verdict::Failed(_) | Verdict::NotReplaced(_) => {}
    }
}

fn warn_of_kills(printer: &Printer, group: &Group<'_>) {
    let killed: Vec<&SlotOutcome> = group
        .slots
        .iter()
        .copied()
        .filter(|slot| slot.verdict == Verdict::Stopped { killed: true })
        .collect();
    if !killed.is_empty() {
        let who = format!("{} ({})", group.name, ids(&killed));
        printer.warn(&format!("{who} did not end within its kill_timeout and was killed"));
    }
}

/// `0`, `0-3`, `0, 2, 5`.
fn ids(slots: &[&SlotOutcome]) -> String {
    let mut runs: Vec<(SlotId, SlotId)> = Vec::new();
    for slot in slots {
        match runs.last_mut() {
            Some((_, last)) if last.0 + 1 == slot.slot.0 => *last = slot.slot,
            Some(_) | None => runs.push((slot.slot, slot.slot)),
        }
    }
    let run = |(first, last): (SlotId, SlotId)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(", ")
}

/// How a process ended, in words.
pub fn ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal {
            signal,
            core_dumped: false,
        } => signals::name(signal),
        ExitStatus::Signal {
            signal,
            core_dumped: true,
        } => format!("{}, core dumped", signals::name(signal)),
        ExitStatus::Unknown => "exit code unknown".to_owned(),
    }
}

fn failure(slot: &SlotOutcome) -> Option<(&SlotOutcome, &Failure)> {
    match &slot.verdict {
        Verdict::Failed(failure) | Verdict::NotReplaced(failure) => Some((slot, failure)),
        Verdict::Online { .. }
        | Verdict::Finished { .. }
        | Verdict::Registered
        | Verdict::Stopped { .. }
        | Verdict::WasStopped
        | Verdict::Deleted
        | Verdict::Reset
        | Verdict::Signalled
        | Verdict::Reloaded { .. }
        | Verdict::Kept
        | Verdict::Unchanged
        | Verdict::RolledBack { .. }
        | Verdict::Superseded => None,
    }
}

/// The failure as a sentence.
pub fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Spawn {
            message,
            retrying: false,
        } => format!("could not be started: {message}"),
        Failure::Spawn {
            message,
            retrying: true,
        } => format!("could not be started, and is tried again: {message}"),
        Failure::Exited {
            status,
            after_ms,
            retrying,
        } => {
            format!("{} after {}; {}", died(*status), millis(*after_ms), next(*retrying))
        }
        Failure::NotReady {
            waited_ms,
            retrying,
            probe,
        } => format!(
            "was not ready within {}{}; {}",
            millis(*waited_ms),
            found(probe.as_ref()),
            next(*retrying)
        ),
        Failure::Unready { waited_ms, probe } => format!(
            "runs, and was not ready within {}{}; it is given connections as soon as it is",
            millis(*waited_ms),
            found(probe.as_ref())
        ),
        Failure::Unhealthy { why } => format!("is not well ({why})"),
        Failure::NotListening { missing, waited_ms } => format!(
            "did not listen on {} within {}, where those before it do; if that is meant, use `ostler restart`",
            missing.join(", "),
            millis(*waited_ms)
        ),
        Failure::Restarted { times, cause } => format!(
            "was restarted {times} times before it was up; the last time: {}",
            cause_of_start(cause)
        ),
        Failure::Leaving => "said that it was ending (STOPPING=1) before it had taken over".to_owned(),
        Failure::Busy => "is being replaced already, by another command; try again when that is done".to_owned(),
        Failure::Unkillable => "did not end, not even by SIGKILL".to_owned(),
        Failure::NotRunning => "is not running".to_owned(),
    }
}

/// What a probe has found, in brackets.
fn found(probe: Option<&String>) -> String {
    probe.map_or_else(String::new, |found| format!(" ({found})"))
}

fn millis(millis: u64) -> String {
    units::span(Duration::from_millis(millis))
}

fn next(retrying: bool) -> &'static str {
    if retrying {
        "it is being started again"
    } else {
        "it stays down"
    }
}

fn died(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exited with code {code}"),
        ExitStatus::Signal { .. } => format!("was ended by {}", ended(status)),
        ExitStatus::Unknown => "ended, nobody knows how,".to_owned(),
    }
}

/// What a failure is explained by.
struct Known {
    processes: Processes,
    history: History,
    /// When the command began.
    since: SystemTime,
}

impl Known {
    /// Where a slot's workers could not listen since then, and why.
    fn not_listened(&self, slot: SlotId) -> impl Iterator<Item = &str> {
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let entries = self.history.entries.iter().filter(move |entry| entry.slot == slot);
        let latest = entries.filter(move |entry| entry.at.0 >= since);
        let errors = latest.filter_map(|entry| match &entry.what {
            What::ListenFailed { error } => Some(error.as_str()),
            What::Started { .. } | What::StartFailed { .. } | What::Ended { .. } => None,
            What::Stopped { .. } | What::Deleted { .. } | What::Probed { .. } => None,
        });
        // An app that is started again and again says the same each time.
        errors.collect::<std::collections::BTreeSet<&str>>().into_iter()
    }
}

fn explain(printer: &Printer, slot: &SlotOutcome, failure: &Failure, known: &Known) {
    let who = format!("{} ({})", slot.name, slot.slot);
    match slot.verdict {
        Verdict::NotReplaced(_) => printer.error(&format!(
            "{who} is not replaced, what ran before goes on: the new process {}",
            reason(failure).trim_end_matches("; it stays down")
        )),
        _ => printer.error(&format!("{who} {}", reason(failure))),
    }
    match failure {
        Failure::Exited { .. } | Failure::NotReady { .. } | Failure::NotListening { .. } => {}
        Failure::Unready { .. } | Failure::Unhealthy { .. } | Failure::Leaving | Failure::Restarted { .. } => {}
        Failure::Spawn { .. } | Failure::Unkillable | Failure::NotRunning | Failure::Busy => return,
    }
    for error in known.not_listened(slot.slot) {
        printer.say(&format!("it could not listen: {error}"));
    }
    let process = known
        .processes
        .processes
        .iter()
        .find(|process| process.view.id == slot.slot);
    if process.is_some_and(|process| process.error_log == "/dev/null") {
        // What it said was seen, or wanted by nobody.
        return printer.hint(&format!("`ostler why {}` shows its history", slot.name));
    }
    let lines = process.and_then(|process| recent_lines(Path::new(&process.error_log), known.since));
    match (process, lines) {
        (Some(process), Some(lines)) => {
            printer.say(&format!("last lines of {}:", process.error_log));
            for line in lines {
                printer.say(&format!("  {}", String::from_utf8_lossy(&line)));
            }
        }
        (Some(_) | None, _) => printer.say("it wrote nothing to its error log"),
    }
    printer.hint(&format!(
        "`ostler logs {} --lines 100` shows more, `ostler why {}` its history",
        slot.name, slot.name
    ));
}

/// The last lines of a log that has been written to since.
fn recent_lines(path: &Path, since: SystemTime) -> Option<Vec<Vec<u8>>> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    // File times may lag behind the clock by a tick of the kernel's.
    let fresh = written + Duration::from_millis(20) >= since;
    fresh
        .then(|| tail::last_lines(path, LOG_LINES))
        .flatten()
        .filter(|lines| !lines.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::captured;
    use ostler_core::Pid;

    fn slot(id: u32, name: &str, verdict: Verdict) -> SlotOutcome {
        SlotOutcome {
            slot: SlotId(id),
            name: name.into(),
            verdict,
        }
    }

    fn said(slots: Vec<SlotOutcome>, done: &str) -> String {
        let (printer, captured) = captured::printer(false, false);
        for group in groups(&Outcome { slots }) {
            say(&printer, &group, done);
        }
        captured.error()
    }

    #[test]
    fn each_app_gets_one_line() {
        let online = |pid| Verdict::Online { pid: Pid(pid) };
        let slots = vec![
            slot(0, "api", online(10)),
            slot(1, "web", online(11)),
            slot(2, "web", online(12)),
            slot(4, "web", online(13)),
        ];
        assert_eq!(
            said(slots, "started"),
            "started api (0), pid 10\nstarted web (1-2, 4), 3 instances\n"
        );
    }

    #[test]
    fn a_stop_that_needed_sigkill_is_warned_of() {
        let slots = vec![
            slot(0, "api", Verdict::Stopped { killed: false }),
            slot(1, "api", Verdict::Stopped { killed: true }),
            slot(2, "web", Verdict::WasStopped),
        ];
        let expected = "stopped api (0-1)\nwarning: api (1) did not end within its kill_timeout and was killed\n\
                        web (2) was stopped already\n";
        assert_eq!(said(slots, "stopped"), expected);
    }

    #[test]
    fn failures_say_how_when_and_what_next() {
        let exited = |status, retrying| {
            reason(&Failure::Exited {
                status,
                after_ms: 35,
                retrying,
            })
        };
        assert_eq!(
            exited(ExitStatus::Code(1), true),
            "exited with code 1 after 35 ms; it is being started again"
        );
        let crash = ExitStatus::Signal {
            signal: 11,
            core_dumped: true,
        };
        assert_eq!(
            exited(crash, false),
            "was ended by SIGSEGV, core dumped after 35 ms; it stays down"
        );
        assert_eq!(
            reason(&Failure::NotReady {
                waited_ms: 3000,
                retrying: false,
                probe: None
            }),
            "was not ready within 3.0 s; it stays down"
        );
    }
}
