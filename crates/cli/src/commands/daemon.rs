use crate::client::CallError;
use crate::error::{Error, Result};
use crate::launch_daemon::{self, Survivors};
use crate::leftovers;
use crate::session::Session;
use clap::{Args, Subcommand};
use ostler_sys::service::{self, ServiceManager};
use ostler_wire::control::Pong;
use std::time::Duration;

/// How long the service manager may take to hear that it watches another process now.
const SETTLING: Duration = Duration::from_secs(5);

/// Run the daemon in the foreground, e.g. under systemd or in a container
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler daemon                       run it here until it is told to end
  ostler daemon --resurrect           the same, and start the saved list first
  ostler daemon status                which one runs?

`ostler startup` makes a service of it that starts at boot.")]
pub struct Daemon {
    /// Start the saved list first
    #[arg(long)]
    pub resurrect: bool,
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
            None => foreground(session, self.resurrect).await,
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
async fn foreground(session: &Session, resurrect: bool) -> Result {
    if let Some(mut client) = session.daemon_if_any().await? {
        match client.get::<Pong>("/v1/ping").await {
            Ok(pong) => return attach(session, &pong),
            // It was ending when we came.
            Err(CallError::Lost { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    session.home.create()?;
    match resurrect {
        true => end_survivors(session),
        false => Survivors::of(&session.home).warn(&session.printer),
    }
    Err(Error::system(format!(
        "starting the keeper: {}",
        launch_daemon::become_keeper(&session.home, resurrect)
    )))
}

/// Their apps are about to be started again, and would find their ports taken.
fn end_survivors(session: &Session) {
    let count = leftovers::end(&session.home);
    if count > 0 {
        let text = format!("ended {count} processes that an earlier daemon had left behind");
        session.printer.say(&text);
    }
    Survivors::of(&session.home).warn(&session.printer);
}

/// The service manager has lost sight of a daemon of this very service, and starts it again: what it needs is the daemon's number.
fn attach(session: &Session, pong: &Pong) -> Result {
    let refused = |text: &str| {
        Err(Error::user(format!(
            "a daemon is running already{text}: pid {}, home {}",
            pong.daemon,
            session.home.path().display()
        )))
    };
    let failed = |error: std::io::Error| Error::system(format!("speaking to the service manager: {error}"));
    let Some(manager) = ServiceManager::from_environment().map_err(failed)? else {
        return refused("").map_err(|error| error.hint("`ostler daemon status` shows it, `ostler kill` ends it"));
    };
    if !service::is_same(pong.daemon.0) {
        let hint = "`ostler save`, then `ostler kill`: the service starts the saved list itself within a second";
        return refused(", outside of this service").map_err(|error| error.hint(hint));
    }
    let message = format!("MAINPID={}\nREADY=1", pong.daemon);
    manager.tell(&message).map_err(failed)?;
    // It must have heard of the other before it sees us end. One too old to say so hears in order all the same.
    manager.settle(SETTLING).map_err(failed)?;
    session
        .printer
        .say(&format!("the daemon of this service is running: pid {}", pong.daemon));
    Ok(())
}
