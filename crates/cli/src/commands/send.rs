use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;
use ostler_core::SlotId;
use ostler_wire::control::Action;

/// Write a line to a process's standard input
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler send 0 \"reload config\"")]
pub struct Send {
    /// The process's id
    #[arg(value_name = "ID")]
    pub id: u32,
    /// The line, without its end
    #[arg(value_name = "LINE", allow_hyphen_values = true)]
    pub line: String,
}

impl Send {
    pub async fn run(self, session: &Session) -> Result {
        let Some(mut client) = session.daemon_if_any().await? else {
            return Err(unknown(self.id));
        };
        let action = Action::SendLine {
            slot: SlotId(self.id),
            line: format!("{}\n", self.line),
        };
        client.operate(&session.verb, action).await?;
        session.printer.say(&format!("sent a line to {}", self.id));
        Ok(())
    }
}

/// The failure to find an id.
pub fn unknown(id: u32) -> Error {
    Error::user(format!("no process has the id {id}")).hint("`ostler list` shows the ids")
}
