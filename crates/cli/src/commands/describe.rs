use super::processes;
use crate::describe_view;
use crate::error::{Error, Result};
use crate::selection;
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::Processes;

/// Show everything about processes
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler describe api")]
pub struct Describe {
    /// Id, name, namespace, `/regular expression/`, or `all`
    #[arg(value_name = "SELECTOR")]
    pub selector: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Describe {
    pub async fn run(self, session: &Session) -> Result {
        let all = processes(session).await?;
        let selector = targets::selector(session, std::slice::from_ref(&self.selector));
        let chosen = selection::select(&all.processes, &selector)?;
        if chosen.is_empty() {
            return Err(
                Error::user(format!("{} doesn't exist", self.selector)).hint("`ostler list` shows what there is")
            );
        }
        if self.json {
            let chosen = Processes {
                processes: chosen.into_iter().cloned().collect(),
            };
            return Ok(session.printer.data(format!("{:#}\n", serde_json::json!(chosen)))?);
        }
        for process in chosen {
            let text = describe_view::text(process, &session.environment, now(), session.printer.colours_out());
            session.printer.data(text)?;
        }
        Ok(())
    }
}

fn now() -> ostler_core::WallTime {
    ostler_core::WallTime(jiff::Timestamp::now().as_millisecond())
}
