use super::operate;
use crate::error::Result;
use crate::intent::{Intent, Wanted};
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::Action;

/// Stop processes and keep them in the list
///
/// The whole process tree gets SIGINT (or the app's `kill_signal`), and SIGKILL after its `kill_timeout`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler stop api
  ostler stop 0 3
  ostler stop /^worker-/
  ostler stop ecosystem.config.js
  ostler stop all")]
pub struct Stop {
    /// Ids, names, namespaces, `/regular expressions/`, config files, `-`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
    /// Only these apps of a config file
    #[arg(long, value_name = "NAMES")]
    pub only: Option<String>,
    /// Taken as with PM2: a stop always ends watching
    #[arg(long, hide = true)]
    pub watch: bool,
}

impl Stop {
    pub async fn run(self, session: &Session) -> Result {
        let selector = targets::named(session, &self.selectors, self.only.as_deref())?;
        operate(session, selector, Intent::new("stopped", Wanted::Down), |selector| {
            Action::Stop { selector }
        })
        .await
    }
}
