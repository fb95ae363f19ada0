use super::unexpected;
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;
use ostler_wire::control::{Action, ActionReply, Answer, Selector};

/// Have processes carry out an action of their own
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler trigger api flush-cache
  ostler trigger 0 set-level debug --timeout 5s

An app offers actions by `@pm2/io`, or by
  process.send({ type: 'axm:action', data: { action_name } })")]
pub struct Trigger {
    /// An id, a name, a namespace, or `all`
    #[arg(value_name = "SELECTOR")]
    pub selector: String,
    /// The action's name
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// What it is given
    #[arg(value_name = "PARAMETERS", allow_hyphen_values = true)]
    pub parameters: Option<String>,
    /// How long answers are waited for: a number of ms, or with a unit, as `30s`
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: String,
}

impl Trigger {
    pub async fn run(self, session: &Session) -> Result {
        let within_ms = ostler_config::milliseconds(&self.timeout).ok_or_else(|| {
            Error::user(format!("--timeout is a time, not \"{}\"", self.timeout))
                .hint("a number of milliseconds, or one with a unit: 500ms, 10s, 1m")
        })?;
        let Some(mut client) = session.daemon_if_any().await? else {
            return Err(Error::user("nothing runs").hint("`ostler start` starts programs"));
        };
        let action = Action::Trigger {
            selector: Selector {
                words: vec![self.selector],
                cwd: session.cwd.to_string_lossy().into_owned(),
            },
            action: self.action.clone(),
            parameters: self.parameters,
            within_ms,
        };
        let answer = client.operate(&session.verb, action).await?;
        let Answer::Triggered(replies) = answer else {
            return Err(unexpected(&answer));
        };
        let (answered, silent): (Vec<&ActionReply>, Vec<&ActionReply>) =
            replies.iter().partition(|reply| reply.value.is_some());
        for reply in answered {
            let value = reply.value.clone().unwrap_or_default();
            let ActionReply {
                id, name, namespace, ..
            } = reply;
            session.printer.data(format!("[{name}:{id}:{namespace}]={value}\n"))?;
        }
        if silent.is_empty() {
            return Ok(());
        }
        let silent: Vec<String> = silent
            .iter()
            .map(|reply| format!("{} ({})", reply.name, reply.id))
            .collect();
        Err(Error::system(format!(
            "no answer to `{}` from {} within {}",
            self.action,
            silent.join(", "),
            self.timeout
        ))
        .hint("it may still be at it, or have ended: `ostler logs` and `ostler why` show more"))
    }
}
