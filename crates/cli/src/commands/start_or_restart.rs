use super::restart::Again;
use super::start;
use crate::arguments::app_options::AppOptions;
use crate::error::Result;
use crate::session::Session;
use clap::Args;

/// Start the apps of a config file that do not exist, restart those that do
#[derive(Args, Debug)]
#[command(after_help = "Example:
  ostler startOrRestart ecosystem.config.js --env production")]
pub struct StartOrRestart {
    /// The config file, or `-`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    #[command(flatten)]
    pub options: AppOptions,
}

impl StartOrRestart {
    pub async fn run(self, session: &Session) -> Result {
        start::run(session, &self.files, &self.options, Again::Restart).await
    }
}
