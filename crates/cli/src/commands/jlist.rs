use super::processes;
use crate::error::Result;
use crate::session::Session;
use clap::Args;
use serde_json::Value;

/// Print processes as one line of JSON, in PM2's shape
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler jlist | jq '.[].pm2_env.status'")]
pub struct Jlist {}

impl Jlist {
    pub async fn run(self, session: &Session) -> Result {
        let list = entries(session).await?;
        Ok(session.printer.data(list.to_string())?)
    }
}

/// PM2's list.
pub async fn entries(session: &Session) -> Result<Value> {
    let entry = |process| ostler_config::pm2::jlist_entry(process, session.home.path());
    Ok(processes(session).await?.processes.iter().map(entry).collect())
}
