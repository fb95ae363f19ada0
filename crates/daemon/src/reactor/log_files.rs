//! What is asked of the log files as a whole: to be emptied, to be opened anew.
//!
//! A client is answered by the log thread once it is done: whoever asked reads, moves or compresses the files next.

use super::Daemon;
use super::operate::{Plan, system_error};
use crate::api::Reply;
use crate::fact::Fact;
use crate::logs::FileError;
use crate::paths;
use crate::select::select;
use ostler_wire::control::{Answer, ApiError, Selector};
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Daemon {
    /// Empties the files of these apps; of all, and our own, if none is named.
    pub(super) fn plan_flush(&self, selector: Option<&Selector>) -> Result<Plan, ApiError> {
        let slots = self.slots();
        let chosen = selector.map(|selector| select(selector, &slots)).transpose()?;
        let views = slots
            .iter()
            .filter(|slot| chosen.as_ref().is_none_or(|chosen| chosen.contains(&slot.id)));
        let mut files: BTreeSet<PathBuf> = views.flat_map(|view| paths::log_files(&view.spec, view.id)).collect();
        if selector.is_none() {
            files.insert(self.home.join("ostler.log"));
        }
        let count = files.len();
        let files: Vec<PathBuf> = files.into_iter().collect();
        Ok(Plan::Elsewhere(Box::new(move |daemon, reply| {
            daemon.logs.flush(files, daemon.answer(reply, count));
        })))
    }

    /// Opens the files of all apps anew.
    pub(super) fn plan_reopen(&self) -> Plan {
        let count = self.machine.slots().count();
        Plan::Elsewhere(Box::new(move |daemon, reply| {
            daemon.logs.reopen(daemon.answer(reply, count));
        }))
    }

    /// Opens all log files anew; what fails is noted.
    pub(crate) fn reopen_logs(&self) {
        self.logs.reopen(self.note_failures());
    }

    /// Tells who waits that it is done, or what has failed. Doing it twice is doing it once, so the answer need not be kept.
    fn answer(&self, reply: Reply<Answer>, count: usize) -> impl FnOnce(Vec<FileError>) + Send + 'static {
        let note = self.note_failures();
        move |failures| {
            let answer = if failures.is_empty() {
                Ok(Answer::Done { count })
            } else {
                let told: Vec<String> = failures.iter().map(ToString::to_string).collect();
                Err(system_error(told.join("; ")))
            };
            note(failures);
            // The client may have gone.
            let _ = reply.send(answer);
        }
    }

    /// Notes which log files something failed for.
    fn note_failures(&self) -> impl FnOnce(Vec<FileError>) + Send + 'static {
        let facts = self.facts.clone();
        move |failures| {
            for failure in failures {
                let _ = facts.send(Fact::Note(failure.to_string()));
            }
        }
    }
}
