use super::{report, verdicts_of};
use crate::error::{Error, Result};
use crate::intent::{Intent, Wanted};
use crate::selection;
use crate::session::Session;
use crate::{signals, targets};
use clap::Args;
use ostler_wire::control::{Action, Answer};

/// Send a signal to the main processes of apps
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler sendSignal SIGUSR2 api
  ostler sendSignal HUP 0")]
pub struct SendSignal {
    /// Its name, with or without SIG, or its number
    #[arg(value_name = "SIGNAL")]
    pub signal: String,
    /// Ids, names, namespaces, `/regular expressions/`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
}

impl SendSignal {
    pub async fn run(self, session: &Session) -> Result {
        let signal = signals::number(&self.signal)
            .ok_or_else(|| Error::user(format!("{} is no signal", self.signal)).hint("e.g. SIGUSR2, HUP or 10"))?;
        let intent = Intent::new(&format!("sent {} to", signals::name(signal)), Wanted::Neither);
        let Some(mut client) = session.daemon_if_any().await? else {
            return Err(selection::not_found(&self.selectors.join(", ")));
        };
        let selector = targets::selector(session, &self.selectors);
        let answer = client
            .operate(&session.verb, Action::Signal { selector, signal })
            .await?;
        let outcome = verdicts_of(answer)?;
        report(session, &mut client, Answer::Slots(outcome), &intent).await
    }
}
