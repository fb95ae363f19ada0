//! Showing output: the last lines of log files, then what apps write, each byte once. Used by `logs`, `attach`, and the
//! options `--attach` and `--no-daemon`.
//!
//! The hand-over is the daemon's to fix: a followed stream begins with each file's size at that moment. The file up to
//! there and the stream from there on are everything, once. If the daemon is replaced meanwhile, the next stream begins
//! with sizes again, and what lies between is read from the file.

pub mod begin;
mod follower;
pub mod format;
mod lines;
pub mod source;
pub mod tail;

use crate::commands::kill;
use crate::error::Result;
use crate::session::Session;
use crate::targets;
pub use follower::Follower;
use format::Form;
use ostler_wire::control::{Action, Selector};
use tokio::signal::unix::{SignalKind, signal};

/// What to show.
#[derive(Clone, Debug)]
pub struct View {
    /// Whose; of all when absent.
    pub selector: Option<Selector>,
    /// How many lines of each file first.
    pub lines: usize,
    /// In which form.
    pub form: Form,
    /// Standard output too.
    pub out: bool,
    /// Standard error too.
    pub error: bool,
    /// A day.js pattern before each live line.
    pub timestamp: Option<String>,
    /// Text to mark.
    pub highlight: Option<String>,
}

impl View {
    /// Everything that is written from now on, labelled.
    pub fn live(selector: Option<Selector>) -> Self {
        Self {
            selector,
            lines: 0,
            form: Form::Labelled,
            out: true,
            error: true,
            timestamp: None,
            highlight: None,
        }
    }
}

/// Shows the output of what was just acted on, until Ctrl-C. In the `foreground` mode the end of that, or SIGTERM, ends
/// the apps and the daemon too.
pub async fn attach(session: &Session, words: &[String], foreground: bool) -> Result {
    let selector = (!foreground && !words.is_empty()).then(|| targets::selector(session, words));
    let follow = Follower::new(session, View::live(selector)).follow();
    if !foreground {
        return follow.await;
    }
    let told = |kind| signal(kind).map_err(|error| crate::error::Error::system(format!("sigaction: {error}")));
    let (mut interrupted, mut terminated) = (told(SignalKind::interrupt())?, told(SignalKind::terminate())?);
    tokio::select! {
        ended = follow => ended,
        _ = interrupted.recv() => end(session, Action::Kill).await,
        _ = terminated.recv() => end(session, Action::WindDown).await,
    }
}

async fn end(session: &Session, action: Action) -> Result {
    match session.daemon_if_any().await? {
        Some(mut client) => kill::run(session, &mut client, action).await,
        None => Ok(()),
    }
}
