use crate::error::Result;
use crate::session::Session;
use clap::Args;
use ostler_wire::control::Pong;

/// Make sure that a daemon answers, starting one if none does, as PM2 has it
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler ping && echo there")]
pub struct Ping {}

impl Ping {
    pub async fn run(self, session: &Session) -> Result {
        let _pong: Pong = session.daemon_started().await?.get("/v1/ping").await?;
        Ok(session.printer.data("{ msg: 'pong' }\n")?)
    }
}
