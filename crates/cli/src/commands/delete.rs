use super::operate;
use crate::error::Result;
use crate::intent::{Intent, Wanted};
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::Action;

/// Stop processes and forget them
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler delete api
  ostler delete ecosystem.config.js
  ostler delete all")]
pub struct Delete {
    /// Ids, names, namespaces, `/regular expressions/`, config files, `-`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
    /// Only these apps of a config file
    #[arg(long, value_name = "NAMES")]
    pub only: Option<String>,
}

impl Delete {
    pub async fn run(self, session: &Session) -> Result {
        let selector = targets::named(session, &self.selectors, self.only.as_deref())?;
        operate(session, selector, Intent::new("deleted", Wanted::Down), |selector| {
            Action::Delete { selector }
        })
        .await
    }
}
