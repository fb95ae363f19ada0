use super::list;
use crate::error::Result;
use crate::session::Session;
use clap::Args;

/// Print process ids, one a line; 0 for what is not running
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler pid api")]
pub struct Pid {
    /// The app's name; all when absent
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

impl Pid {
    pub async fn run(self, session: &Session) -> Result {
        let rows = list::rows(session).await?;
        let wanted = |name: &str| self.name.as_deref().is_none_or(|wanted| wanted == name);
        let pids = rows.processes.iter().filter(|row| wanted(&row.name));
        let lines: Vec<String> = pids.map(|row| row.pid.map_or(0, |pid| pid.0).to_string()).collect();
        Ok(session.printer.data(format!("{}\n", lines.join("\n")))?)
    }
}
