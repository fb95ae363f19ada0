use crate::client::{CallError, Client};
use crate::connection;
use crate::error::Result;
use crate::intent::{Intent, Wanted};
use crate::session::Session;
use crate::verdicts;
use clap::Args;
use ostler_core::{Outcome, Verdict};
use ostler_wire::control::{Action, Answer};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the daemon may take to be gone after its answer.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Stop and forget all processes, then end the daemon
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler kill
  ostler kill --drain")]
pub struct Kill {
    /// Let workers of clusters finish with their connections first
    #[arg(long)]
    drain: bool,
}

impl Kill {
    pub async fn run(self, session: &Session) -> Result {
        let Some(mut client) = session.daemon_if_any().await? else {
            session.printer.say("no daemon is running");
            return Ok(());
        };
        let action = if self.drain { Action::WindDown } else { Action::Kill };
        run(session, &mut client, action).await
    }
}

/// Ends the daemon and waits until it is gone.
pub async fn run(session: &Session, client: &mut Client, action: Action) -> Result {
    let intent = Intent::new("stopped", Wanted::Down);
    let mut outcome = match client.operate(&session.verb, action).await {
        Ok(Answer::Killed(outcome)) => outcome,
        Ok(other) => return Err(super::unexpected(&other)),
        // It ended before its answer was through; nobody answers any more, which is what was wanted.
        Err(CallError::Lost { .. }) if !connection::keeper_lives(&session.home) => Outcome::default(),
        Err(error) => return Err(error.into()),
    };
    // With the daemon the list is gone, whichever way each process has left it.
    for slot in outcome.slots.iter_mut().filter(|slot| slot.verdict == Verdict::Deleted) {
        slot.verdict = Verdict::Stopped { killed: false };
    }
    let reported = verdicts::report(&session.printer, client, &outcome, &intent).await;
    let deadline = Instant::now() + END_DEADLINE;
    while connection::somebody_listens(&session.home).await || connection::keeper_lives(&session.home) {
        if Instant::now() > deadline {
            session
                .printer
                .warn("the daemon has stopped all processes, but is still there");
            return reported;
        }
        sleep(Duration::from_millis(5)).await;
    }
    session.printer.say("the daemon has ended");
    reported
}
