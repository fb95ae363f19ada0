use crate::error::{Error, Result};
use crate::monit;
use crate::session::Session;
use clap::Args;
use std::io::IsTerminal;

/// Watch apps and workers live in the terminal, with their logs, and reload, restart, stop or scale them
///
/// Everything is done by keys: `?` shows them, `q` ends. Apps go on when it ends. See docs/monit.md.
#[derive(Args, Debug, Default)]
#[command(after_help = "Example:
  ostler monit                        `q` ends, `?` shows the keys")]
pub struct Monit {}

impl Monit {
    pub async fn run(self, session: &Session) -> Result {
        if !std::io::stdout().is_terminal() {
            return Err(
                Error::user("standard output is no terminal, and the dashboard needs one")
                    .hint("`ostler list` shows the same once, `ostler list --json` for programs"),
            );
        }
        if session
            .variable("TERM")
            .is_none_or(|term| term.is_empty() || term == "dumb")
        {
            return Err(Error::user("TERM names no terminal whose cursor can be moved")
                .hint("`TERM=xterm-256color ostler monit` fits nearly all"));
        }
        monit::run(&session.home, session.printer.colours_out()).await
    }
}
