use super::restart;
use crate::arguments::app_options::AppOptions;
use crate::error::Result;
use crate::session::Session;
use clap::Args;

/// Replace processes by new ones; in fork mode that is a restart
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
        restart::run(session, &self.selectors, &self.options, "reloaded").await
    }
}
