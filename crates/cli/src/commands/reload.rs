use super::restart::{self, Again};
use crate::arguments::app_options::AppOptions;
use crate::error::{Error, Result};
use crate::session::Session;
use clap::Args;

/// Replace workers that share a port without losing a request; restart others
///
/// One after the other: a new worker is started, and when it is ready and has stayed up for a while it takes the old one's
/// connections, and the old one ends when it has finished what it has. The first that fails stops the reload, and all is as it was.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler reload api
  ostler reload ecosystem.config.js --env production
  ostler reload ecosystem.config.js --only-changed
  ostler reload api --json")]
pub struct Reload {
    /// Ids, names, namespaces, `/regular expressions/`, config files, `-`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
    #[command(flatten)]
    pub how: ReloadOptions,
    #[command(flatten)]
    pub options: AppOptions,
}

/// What concerns reloads alone.
#[derive(Args, Debug)]
pub struct ReloadOptions {
    /// Of a config file's apps reload only those whose declaration has changed
    #[arg(long, help_heading = "Command")]
    pub only_changed: bool,
    /// Tell how far it is and what became of it as JSON, an object a line
    #[arg(long, help_heading = "Command")]
    pub json: bool,
}

/// How workers are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloading {
    /// So many of an app at once.
    pub parallel: u32,
    /// Only where something has changed.
    pub only_changed: bool,
    /// Told as JSON.
    pub json: bool,
}

impl Reloading {
    /// As options say.
    pub fn new(how: &ReloadOptions, options: &AppOptions) -> Result<Self> {
        Ok(Self {
            only_changed: how.only_changed,
            json: how.json,
            ..Self::plain(options)?
        })
    }

    /// Everything, told in words.
    pub fn plain(options: &AppOptions) -> Result<Self> {
        Ok(Self {
            parallel: parallel(options)?,
            only_changed: false,
            json: false,
        })
    }
}

impl Reload {
    pub async fn run(self, session: &Session) -> Result {
        let again = Again::Reload(Reloading::new(&self.how, &self.options)?);
        restart::run(session, &self.selectors, &self.options, again).await
    }
}

/// How many at once. PM2's default is 2; here starts that overlap have to be asked for.
fn parallel(options: &AppOptions) -> Result<u32> {
    let Some(typed) = &options.parallel else { return Ok(1) };
    let number = typed.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Error::user(format!("--parallel={typed} is no number of workers")).hint("give a number from 1 on")
    })
}
