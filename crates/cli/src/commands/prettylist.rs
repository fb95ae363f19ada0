use super::jlist;
use crate::error::Result;
use crate::inspect::inspect;
use crate::session::Session;
use clap::Args;

/// Print processes as Node prints objects, in PM2's shape
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler prettylist | grep status")]
pub struct Prettylist {}

impl Prettylist {
    pub async fn run(self, session: &Session) -> Result {
        let list = jlist::entries(session).await?;
        Ok(session.printer.data(inspect(&list))?)
    }
}
