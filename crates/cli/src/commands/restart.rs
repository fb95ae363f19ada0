use super::reload::Reloading;
use super::{operate, start};
use crate::arguments::app_options::AppOptions;
use crate::error::{Error, Result};
use crate::intent::{Intent, Wanted};
use crate::logs;
use crate::progress::Progress;
use crate::session::Session;
use crate::targets;
use clap::Args;
use ostler_wire::control::Action;

/// Stop and start processes again, perhaps with other options
///
/// Options given replace what the app was started with. The environment stays as it is unless --update-env is given. A
/// config file is read anew; apps in it that do not exist yet are started.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler restart api
  ostler restart api --update-env
  ostler restart api --max-memory-restart 500M -- --port 4000
  ostler restart ecosystem.config.js --env production
  ostler restart api --rolling
  ostler restart all")]
pub struct Restart {
    /// Ids, names, namespaces, `/regular expressions/`, config files, `-`, or `all`
    #[arg(value_name = "SELECTOR", required = true)]
    pub selectors: Vec<String>,
    /// Replace one worker after the other, as `reload` does
    #[arg(long, help_heading = "Command")]
    pub rolling: bool,
    #[command(flatten)]
    pub options: AppOptions,
}

impl Restart {
    pub async fn run(self, session: &Session) -> Result {
        let again = match self.rolling {
            true => Again::Reload(Reloading::plain(&self.options)?),
            false => Again::Restart,
        };
        run(session, &self.selectors, &self.options, again).await
    }
}

/// How what exists is to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Stopped and started.
    Restart,
    /// Replaced.
    Reload(Reloading),
}

impl Again {
    fn only_changed(self) -> bool {
        matches!(self, Self::Reload(Reloading { only_changed: true, .. }))
    }

    /// How is shown how far it is.
    pub fn progress(self) -> Progress {
        match self {
            Self::Restart => Progress::None,
            Self::Reload(Reloading { json: true, .. }) => Progress::Json,
            Self::Reload(Reloading { json: false, .. }) => Progress::Text,
        }
    }

    /// The past tense to report with.
    fn done(self) -> &'static str {
        match self {
            Self::Restart => "restarted",
            Self::Reload(_) => "reloaded",
        }
    }
}

/// Restarts or reloads what is selected, and applies config files.
pub async fn run(session: &Session, words: &[String], options: &AppOptions, again: Again) -> Result {
    let (files, names): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| targets::is_declaration(word));
    if files.is_empty() && options.env.is_some() {
        return Err(Error::user("--env chooses a block of a config file, and none is named")
            .hint("`ostler restart ecosystem.config.js --env production`"));
    }
    if files.is_empty() && again.only_changed() {
        return Err(
            Error::user("--only-changed compares with a config file, and none is named")
                .hint("`ostler reload ecosystem.config.js --only-changed`"),
        );
    }
    if !files.is_empty() {
        start::run(session, &files, options, again).await?;
    }
    if names.is_empty() {
        return Ok(());
    }
    start::notice_options(session, options);
    let patch = targets::patch(session, options);
    let selector = targets::selector(session, &names);
    let result = operate(
        session,
        selector,
        Intent::new(again.done(), Wanted::Up).showing(again.progress()),
        |selector| match again {
            Again::Restart => Action::Restart { selector, patch },
            Again::Reload(reloading) => Action::Reload {
                selector,
                patch,
                parallel: reloading.parallel,
            },
        },
    )
    .await;
    if options.attach {
        logs::attach(session, &names, false).await?;
    }
    result
}
