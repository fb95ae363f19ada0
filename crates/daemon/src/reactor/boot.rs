//! The start of a service: the saved list is restored once in the life of a keeper's line, however many daemons it takes, and
//! the service manager hears of it.

use super::Daemon;
use super::operate::Plan;
use crate::api::Reply;
use crate::fact::Fact;
use crate::operations::Kept;
use ostler_core::{Origin, Status, Verdict};
use ostler_wire::control::{Answer, ApiError, ApiErrorKind};
use std::time::Duration;
use tokio::sync::oneshot;

/// The variable by which `ostler daemon --resurrect` asks for it.
pub const RESURRECT_VARIABLE: &str = "OSTLER_RESURRECT";

/// The journal's record that it was begun.
pub(super) const RESTORED_KEY: &str = "restored";

/// The name of the operation.
const OPERATION: &str = "boot";

/// For how long the service manager is kept waiting by apps that do not become ready.
const PATIENCE: Duration = Duration::from_secs(60);

impl Daemon {
    /// Begins, or goes on with, what a service does first. The service manager is told when it is done.
    pub(super) fn boot(&mut self) {
        let (reply, mut answer) = oneshot::channel();
        let waits = match (std::env::var_os(RESURRECT_VARIABLE), self.restored) {
            (None, _) => false,
            // A predecessor has begun it. What came of it is known, or comes; or was forgotten, long ago.
            (Some(_), true) => self.operations.join(OPERATION, reply).is_none() && answer.try_recv().is_err(),
            (Some(_), false) => self.restore_saved(reply),
        };
        if !waits {
            return self.booted();
        }
        self.service.show("restoring the saved list".to_owned());
        let facts = self.facts.clone();
        tokio::spawn(async move {
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            let text = match answer {
                Ok(Ok(answer)) => told(answer),
                Ok(Err(_)) | Err(_) => vec!["the saved list is still being restored; going on meanwhile".to_owned()],
            };
            let _ = facts.send(Fact::Booted(text));
        });
    }

    /// The saved list is up, as far as it can be.
    pub(super) fn booted(&mut self) {
        self.service.up(self.own_pid);
        self.show_service();
    }

    /// Whether there is anything to wait for.
    fn restore_saved(&mut self, reply: Reply<Answer>) -> bool {
        self.restored = true;
        // In the same commit as what comes of it.
        self.journal.put(RESTORED_KEY, b"");
        let by = Origin::Daemon {
            reason: "the saved list was restored when the service started".to_owned(),
        };
        let kept: Vec<Kept> = match self.plan_resurrect(&by) {
            Ok(Plan::Requests(form, tickets)) => self.operations.begin(OPERATION, form, tickets, reply),
            Ok(Plan::Done(_) | Plan::Elsewhere(_)) => return false,
            Err(error) => {
                let nothing_saved = error.kind == ApiErrorKind::NotFound;
                let what = if nothing_saved {
                    "nothing to restore"
                } else {
                    "nothing was restored"
                };
                self.note(&format!("{what}: {}", error.message));
                return false;
            }
        };
        self.keep_operations(kept);
        true
    }

    /// Tells the service manager how many processes run, and that the end has come if it has.
    pub(super) fn show_service(&mut self) {
        if !self.service.is_watched() {
            return;
        }
        let (mut online, mut total) = (0_u32, 0_u32);
        for slot in self.machine.slots() {
            total += 1;
            online += u32::from(slot.status == Status::Online);
        }
        self.service.show(match (self.machine.is_shutting_down(), total) {
            (true, _) => format!("ending: {online} of {total} processes are left"),
            (false, 0) => "no processes".to_owned(),
            (false, _) => format!("{online} of {total} processes online"),
        });
    }
}

/// What is to be said of it in our log.
fn told(answer: Result<Answer, ApiError>) -> Vec<String> {
    match answer {
        Ok(Answer::Resurrected {
            path,
            outcome,
            warnings,
            ..
        }) => {
            let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
            let failures = outcome.slots.iter().filter(|slot| failed(&slot.verdict)).count();
            let count = outcome.slots.len();
            let mut told = warnings;
            told.push(format!(
                "restored {count} processes from {path}, {failures} of them failed"
            ));
            told
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("the saved list was not restored: {}", error.message)],
    }
}
