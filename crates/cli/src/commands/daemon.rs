use crate::error::{Error, Result};
use crate::launch_daemon;
use crate::session::Session;
use clap::{Args, Subcommand};
use ostler_wire::control::Pong;

/// Run the daemon in the foreground, e.g. under systemd or in a container
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler daemon                       run it here until it is told to end
  ostler daemon status                which one runs?")]
pub struct Daemon {
    #[command(subcommand)]
    pub what: Option<What>,
}

#[derive(Debug, Subcommand)]
pub enum What {
    /// Show which daemon runs
    Status,
}

impl Daemon {
    pub async fn run(self, session: &Session) -> Result {
        match self.what {
            Some(What::Status) => status(session).await,
            None => foreground(session).await,
        }
    }
}

async fn status(session: &Session) -> Result {
    let pong: Pong = session.daemon().await?.get("/v1/ping").await?;
    let text = format!(
        "version    {}\ndaemon     pid {}, number {} of its line\nkeeper     pid {}\nhome       {}\n",
        pong.version,
        pong.daemon,
        pong.generation,
        pong.keeper,
        session.home.path().display()
    );
    Ok(session.printer.data(text)?)
}

/// Becomes the keeper: whoever watches this process watches the keeper itself.
async fn foreground(session: &Session) -> Result {
    if session.daemon_if_any().await?.is_some() {
        return Err(
            Error::user("a daemon is running already").hint("`ostler daemon status` shows it, `ostler kill` ends it")
        );
    }
    session.home.create()?;
    Err(Error::system(format!(
        "starting the keeper: {}",
        launch_daemon::become_keeper(&session.home)
    )))
}
