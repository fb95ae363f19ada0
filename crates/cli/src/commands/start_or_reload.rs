use super::reload::{ReloadOptions, Reloading};
use super::restart::Again;
use super::start;
use crate::arguments::app_options::AppOptions;
use crate::error::Result;
use crate::session::Session;
use clap::Args;

/// Start the apps of a config file that do not exist, reload those that do
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler startOrReload ecosystem.config.js --env production")]
pub struct StartOrReload {
    /// The config file, or `-`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    #[command(flatten)]
    pub how: ReloadOptions,
    #[command(flatten)]
    pub options: AppOptions,
}

impl StartOrReload {
    pub async fn run(self, session: &Session) -> Result {
        let again = Again::Reload(Reloading::new(&self.how, &self.options)?);
        start::run(session, &self.files, &self.options, again).await
    }
}
