use super::listed;
use crate::error::Result;
use crate::list_view::Order;
use crate::session::Session;
use clap::Args;
use ostler_wire::control::ProcessRows;
use std::time::Duration;

/// How often `--watch` looks.
const REFRESH: Duration = Duration::from_millis(900);

/// Clears a terminal: cursor to the first cell, then everything below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// The order of lists when none was asked for.
const BY_NAME: &str = "name:asc";

/// List processes
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler list
  ostler list --sort memory:desc
  ostler list --json | jq '.processes[].name'")]
pub struct List {
    /// name, namespace, pid, id, cpu, memory, uptime or status, then perhaps :asc or :desc
    #[arg(long, value_name = "FIELD[:ORDER]", default_value = BY_NAME)]
    pub sort: String,
    /// A few lines a process instead of a table
    #[arg(short, long)]
    pub mini_list: bool,
    /// Show it again and again until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["mini_list", "watch"])]
    pub json: bool,
}

impl Default for List {
    fn default() -> Self {
        Self {
            sort: BY_NAME.to_owned(),
            mini_list: false,
            watch: false,
            json: false,
        }
    }
}

impl List {
    pub async fn run(self, session: &Session) -> Result {
        let order = Order::parse(&self.sort)?;
        if !self.watch {
            let text = self.text(session, order).await?;
            return Ok(session.printer.data(text)?);
        }
        loop {
            let text = self.text(session, order).await?;
            session.printer.data(format!("{CLEAR}{text}"))?;
            tokio::time::sleep(REFRESH).await;
        }
    }

    async fn text(&self, session: &Session, order: Order) -> Result<String> {
        let mut rows = rows(session).await?;
        order.sort(&mut rows.processes);
        if self.json {
            return Ok(format!("{}\n", serde_json::json!(rows)));
        }
        Ok(listed(session, &rows, self.mini_list))
    }
}

/// What lists show; nothing when no daemon runs.
pub async fn rows(session: &Session) -> Result<ProcessRows> {
    match session.daemon_if_any().await? {
        Some(mut client) => Ok(client.get("/v1/processes").await?),
        None => Ok(ProcessRows::default()),
    }
}
