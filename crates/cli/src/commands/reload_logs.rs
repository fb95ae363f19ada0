use super::unexpected;
use crate::error::Result;
use crate::session::Session;
use clap::Args;
use ostler_wire::control::{Action, Answer};

/// Open all log files anew, after another program has moved them
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler reloadLogs                   e.g. as postrotate of logrotate")]
pub struct ReloadLogs {}

impl ReloadLogs {
    pub async fn run(self, session: &Session) -> Result {
        let Some(mut client) = session.daemon_if_any().await? else {
            session.printer.warn("no daemon is running, so no log is open");
            return Ok(());
        };
        match client.operate(&session.verb, Action::ReloadLogs).await? {
            Answer::Done { count } => session.printer.say(&format!("opened {count} log files anew")),
            other => return Err(unexpected(&other)),
        }
        Ok(())
    }
}
