use super::{show_list, unexpected};
use crate::error::Result;
use crate::intent::{Intent, Wanted};
use crate::list_view::Order;
use crate::session::Session;
use crate::verdicts;
use clap::Args;
use ostler_wire::control::{Action, Answer};

/// Start what the saved list has and the current list has not
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler resurrect")]
pub struct Resurrect {}

impl Resurrect {
    pub async fn run(self, session: &Session) -> Result {
        let intent = Intent::new("started", Wanted::Up);
        let mut client = session.daemon_started().await?;
        let answer = client.operate(&session.verb, Action::Resurrect).await?;
        let Answer::Resurrected {
            path,
            outcome,
            present,
            warnings,
        } = answer
        else {
            return Err(unexpected(&answer));
        };
        for warning in &warnings {
            session.printer.warn(warning);
        }
        session
            .printer
            .say(&format!("restored {} processes from {path}", outcome.slots.len()));
        if !present.is_empty() {
            session
                .printer
                .say(&format!("left alone, since they exist: {}", present.join(", ")));
        }
        let reported = verdicts::report(&session.printer, &mut client, &outcome, &intent).await;
        show_list(session, &mut client, Order::default(), false).await?;
        reported
    }
}
