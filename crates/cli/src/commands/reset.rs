use super::operate;
use crate::error::Result;
use crate::intent::{Intent, Wanted};
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::Action;

/// Set restart counters back to 0
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler reset api")]
pub struct Reset {
    /// Ids, names, namespaces, `/regular expressions/`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
}

impl Reset {
    pub async fn run(self, session: &Session) -> Result {
        let selector = targets::selector(session, &self.selectors);
        operate(session, selector, Intent::new("reset", Wanted::Neither), |selector| {
            Action::Reset { selector }
        })
        .await
    }
}
