use super::unexpected;
use crate::error::Result;
use crate::session::Session;
use clap::Args;
use ostler_wire::control::{Action, Answer};

/// Save the list of processes, to be restored by `resurrect`
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler save")]
pub struct Save {
    /// Save an empty list too
    #[arg(short, long)]
    pub force: bool,
}

impl Save {
    pub async fn run(self, session: &Session) -> Result {
        let client = if self.force {
            Some(session.daemon_started().await?)
        } else {
            session.daemon_if_any().await?
        };
        let answer = match client {
            Some(mut client) => {
                client
                    .operate(&session.verb, Action::Save { force: self.force })
                    .await?
            }
            None => Answer::NothingToSave,
        };
        match answer {
            Answer::Saved { path, processes } => {
                session.printer.say(&format!("saved {processes} processes in {path}"));
            }
            Answer::NothingToSave => {
                session
                    .printer
                    .warn("there is no process to save; the saved list is left as it is");
                session.printer.hint("`ostler save --force` saves an empty list");
            }
            _ => {
                return Err(unexpected(&answer));
            }
        }
        Ok(())
    }
}
