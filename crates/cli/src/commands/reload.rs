use super::restart::{self, Again};
use crate::arguments::app_options::AppOptions;
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;

/// Replace the workers of cluster apps without losing a request; restart others
///
/// One after the other: a new worker is started, and when it is ready and has stayed up for a while it takes the old one's
/// connections, and the old one ends when it has finished what it has. The first that fails stops the reload, and all is as it was.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler reload api
  ostler reload ecosystem.config.js --env production")]
pub struct Reload {
    /// Ids, names, namespaces, `/regular expressions/`, config files, `-`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
    #[command(flatten)]
    pub options: AppOptions,
}

impl Reload {
    pub async fn run(self, session: &Session) -> Result {
        let again = Again::Reload(parallel(&self.options)?);
        restart::run(session, &self.selectors, &self.options, again).await
    }
}

/// How many at once. PM2's default is 2; here starts that overlap have to be asked for.
pub fn parallel(options: &AppOptions) -> Result<u32> {
    let Some(typed) = &options.parallel else { return Ok(1) };
    let number = typed.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Error::user(format!("--parallel={typed} is no number of workers")).hint("give a number from 1 on")
    })
}
