use super::{processes, send};
use crate::error::{Error, Result};
use crate::logs::format::Form;
use crate::logs::{Follower, View};
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_core::SlotId;
use ostler_wire::control::Action;
use std::io::{BufRead, IsTerminal};
use tokio::sync::{mpsc, oneshot};

/// Lines of standard input that wait for the daemon.
const WAITING_LINES: usize = 64;

/// Talk to a process: lines typed go to its standard input, its output comes back
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler attach 0                     ends with Ctrl-C or Ctrl-D")]
pub struct Attach {
    /// The process's id
    #[arg(value_name = "ID")]
    pub id: u32,
    /// What to end each line with instead of a line break
    #[arg(value_name = "SEPARATOR", default_value = "\n", hide_default_value = true)]
    pub separator: String,
}

impl Attach {
    pub async fn run(self, session: &Session) -> Result {
        let all = processes(session).await?;
        let process = all.processes.iter().find(|process| process.view.id.0 == self.id);
        let process = process.ok_or_else(|| send::unknown(self.id))?;
        if process.view.pid.is_none() {
            let name = &process.view.spec.name;
            return Err(Error::user(format!("{name} ({}) does not run", self.id))
                .hint(format!("`ostler start {}` starts it", self.id)));
        }
        let selector = targets::selector(session, &[self.id.to_string()]);
        let view = View {
            form: Form::Raw,
            ..View::live(Some(selector))
        };
        let (begun, has_begun) = oneshot::channel();
        let follow = Follower::new(session, view).tell_begun(begun).follow();
        tokio::select! {
            ended = follow => ended,
            sent = forward(session, self.id, self.separator, has_begun) => sent,
        }
    }
}

/// Sends what is typed, line by line. The end of a terminal's input ends the command; that of a pipe does not, since the
/// answer to its last line is still to come.
async fn forward(session: &Session, id: u32, separator: String, has_begun: oneshot::Receiver<()>) -> Result {
    if has_begun.await.is_err() {
        return std::future::pending().await;
    }
    let (lines, mut typed) = mpsc::channel(WAITING_LINES);
    // Reading a terminal cannot be cancelled, so it has a thread that ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut client = session.daemon().await?;
    while let Some(line) = typed.recv().await {
        let line = line.map_err(|error| Error::system(format!("reading standard input: {error}")))?;
        let action = Action::SendLine {
            slot: SlotId(id),
            line: format!("{line}{separator}"),
        };
        client.operate(&session.verb, action).await?;
    }
    if std::io::stdin().is_terminal() {
        Ok(())
    } else {
        std::future::pending().await
    }
}
