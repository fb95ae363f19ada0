use super::processes;
use crate::describe_view;
use crate::error::{Error, Result};
use crate::selection;
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::{Process, Processes};
use ostler_wire::metrics::Metrics;

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
        let mut chosen: Vec<Process> = chosen.into_iter().cloned().collect();
        if chosen.is_empty() {
            return Err(
                Error::user(format!("{} doesn't exist", self.selector)).hint("`ostler list` shows what there is")
            );
        }
        let_know_footprints(session, &mut chosen).await?;
        if self.json {
            let chosen = Processes { processes: chosen };
            return Ok(session.printer.data(format!("{:#}\n", serde_json::json!(chosen)))?);
        }
        for process in &chosen {
            let text = describe_view::text(process, &session.environment, now(), session.printer.colours_out());
            session.printer.data(text)?;
        }
        Ok(())
    }
}

/// What their trees cost the machine is looked up for those only that are shown.
async fn let_know_footprints(session: &Session, chosen: &mut [Process]) -> Result {
    let Some(mut client) = session.daemon_if_any().await? else {
        return Ok(());
    };
    let path = match &*chosen {
        [one] => format!("/v1/metrics?footprint=true&selector={}", one.view.id),
        _ => "/v1/metrics?footprint=true".to_owned(),
    };
    let metrics: Metrics = client.get(&path).await?;
    for process in chosen {
        let mut workers = metrics.workers.iter();
        let worker = workers.find(|worker| worker.row.id == process.view.id);
        process.footprint = worker.and_then(|worker| worker.footprint);
    }
    Ok(())
}

fn now() -> ostler_core::WallTime {
    ostler_core::WallTime(jiff::Timestamp::now().as_millisecond())
}
