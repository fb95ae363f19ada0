use super::list;
use crate::error::Result;
use crate::inspect::inspect;
use crate::session::Session;
use clap::Args;
use serde_json::Value;

/// Print the ids of an app's processes, as Node prints arrays
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler id api                       prints e.g. [ 0, 1 ]")]
pub struct Id {
    /// The app's name
    #[arg(value_name = "NAME")]
    pub name: String,
}

impl Id {
    pub async fn run(self, session: &Session) -> Result {
        let rows = list::rows(session).await?;
        let ids: Value = rows
            .processes
            .iter()
            .filter(|row| row.name == self.name)
            .map(|row| row.id.0)
            .collect();
        Ok(session.printer.data(format!("{}\n", inspect(&ids)))?)
    }
}
