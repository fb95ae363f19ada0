//! One file a command: its words and options, and what it does. Here is what several of them share.

pub mod attach;
pub mod completion;
pub mod daemon;
pub mod delete;
pub mod describe;
pub mod env;
pub mod export;
pub mod flush;
pub mod id;
pub mod init;
pub mod inspect;
pub mod jlist;
pub mod kill;
pub mod list;
pub mod logs;
pub mod monit;
pub mod otlp;
pub mod pid;
pub mod ping;
pub mod prettylist;
pub mod profile;
pub mod reload;
pub mod reload_logs;
pub mod reset;
pub mod restart;
pub mod resurrect;
pub mod runtime;
pub mod save;
pub mod scale;
pub mod send;
pub mod send_signal;
pub mod start;
pub mod start_or_reload;
pub mod start_or_restart;
pub mod startup;
pub mod stop;
pub mod trigger;
pub mod unstartup;
pub mod web;
pub mod why;

#[cfg(test)]
mod tests;

use crate::client::{CallError, Client};
use crate::error::{Error, Kind, Result};
use crate::intent::Intent;
use crate::list_view::{self, Order};
use crate::printer::Printer;
use crate::progress::{self, Progress};
use crate::selection;
use crate::session::Session;
use crate::verdicts;
use ostler_core::Outcome;
use ostler_wire::control::{Action, Answer, ApiErrorKind, ProcessRows, Processes, Selector};

/// Prints an error with its hints.
pub fn show(printer: &Printer, error: &Error) {
    if !error.message.is_empty() {
        printer.error(&error.message);
    }
    for hint in &error.hints {
        printer.hint(hint);
    }
}

/// All processes with everything about them; none when no daemon runs.
pub async fn processes(session: &Session) -> Result<Processes> {
    match session.daemon_if_any().await? {
        Some(mut client) => Ok(client.get("/v1/processes/full").await?),
        None => Ok(Processes::default()),
    }
}

/// Has something done to the processes that a selector means, reports it and shows the list. Starts no daemon: without
/// one there is nothing to be meant.
pub async fn operate(
    session: &Session,
    selector: Selector,
    intent: Intent,
    action: impl FnOnce(Selector) -> Action,
) -> Result {
    let words = selector.words.clone();
    let Some(mut client) = session.daemon_if_any().await? else {
        return nothing_found(session, &words);
    };
    match progress::operate(session, &mut client, action(selector), &intent).await {
        Ok(answer) => {
            let reported = report(session, &mut client, answer, &intent).await;
            if intent.progress != Progress::Json {
                show_list(session, &mut client, Order::default(), false).await?;
            }
            reported
        }
        Err(CallError::Refused(error)) if error.kind == ApiErrorKind::NotFound && is_all(&words) => {
            nothing_found(session, &words)
        }
        Err(error) => Err(error.into()),
    }
}

/// `all` of nothing is done at once; a name that nothing bears is a failure.
fn nothing_found(session: &Session, words: &[String]) -> Result {
    if is_all(words) {
        session.printer.warn("no process found");
        return Ok(());
    }
    Err(selection::not_found(&words.join(", ")))
}

fn is_all(words: &[String]) -> bool {
    matches!(words, [word] if word == "all")
}

/// Reports an answer that consists of verdicts.
pub async fn report(session: &Session, client: &mut Client, answer: Answer, intent: &Intent) -> Result {
    let outcome = verdicts_of(answer)?;
    verdicts::report(&session.printer, client, &outcome, intent).await
}

/// The verdicts of an answer that must consist of them.
pub fn verdicts_of(answer: Answer) -> Result<Outcome> {
    match answer {
        Answer::Slots(outcome) | Answer::Killed(outcome) | Answer::Resurrected { outcome, .. } => Ok(outcome),
        Answer::Saved { .. }
        | Answer::NothingToSave
        | Answer::Triggered(_)
        | Answer::Profiled(_)
        | Answer::Done { .. } => Err(unexpected(&answer)),
    }
}

/// The daemon answered something else than what was asked for.
pub fn unexpected(answer: &Answer) -> Error {
    Error::new(
        Kind::Internal,
        format!("the daemon's answer is to another question: {answer:?}"),
    )
}

/// The list, as PM2 shows it after commands that change something.
pub async fn show_list(session: &Session, client: &mut Client, order: Order, mini: bool) -> Result {
    if session.printer.is_silent() {
        return Ok(());
    }
    let mut rows: ProcessRows = client.get("/v1/processes").await?;
    order.sort(&mut rows.processes);
    session.printer.display(&listed(session, &rows, mini))?;
    Ok(())
}

/// The list as text for standard output.
pub fn listed(session: &Session, rows: &ProcessRows, mini: bool) -> String {
    if mini {
        list_view::mini_list(&rows.processes)
    } else {
        list_view::table(&rows.processes, session.printer.width(), session.printer.colours_out())
    }
}
