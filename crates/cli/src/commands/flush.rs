use super::unexpected;
use crate::error::Result;
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::{Action, Answer};

/// Empty log files
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler flush
  ostler flush api")]
pub struct Flush {
    /// Ids, names, namespaces or `/regular expressions/`; all, the daemon's own log too, when absent
    #[arg(value_name = "SELECTOR")]
    pub selectors: Vec<String>,
}

impl Flush {
    pub async fn run(self, session: &Session) -> Result {
        let Some(mut client) = session.daemon_if_any().await? else {
            session
                .printer
                .warn("no daemon is running, so there are no logs to empty");
            return Ok(());
        };
        let words = (!self.selectors.is_empty()).then_some(&self.selectors);
        let selector = words.map(|words| targets::selector(session, words));
        match client.operate(&session.verb, Action::Flush { selector }).await? {
            Answer::Done { count } => session.printer.say(&format!("emptied {count} log files")),
            other => return Err(unexpected(&other)),
        }
        Ok(())
    }
}
