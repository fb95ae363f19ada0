use super::restart::Again;
use super::{show, start};
use crate::arguments::app_options::AppOptions;
use crate::connection;
use crate::container;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::session::Session;
use clap::Args;
use ostler_core::{LogFile, Spec};
use ostler_daemon::container::Container;
use ostler_daemon::logs::ConsoleForm;
use ostler_wire::control::Action;
use std::time::Duration;

/// Run apps in a container: in the foreground, their output on standard output and error
///
/// Ends when no app runs any more, with the exit code of the app if there is one alone; when told to by SIGTERM or SIGINT, after
/// connections have been finished with. `ostler list`, `logs` and `reload` work beside it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler runtime ecosystem.config.js --env production
  ostler runtime app.js -i max --json
  pm2-runtime app.js -- --port 3000   the same by PM2's name, as a symlink to ostler")]
pub struct Runtime {
    /// Config file, script, program or command; the ecosystem.config.js of this directory when absent
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// What apps write, as they write it (the default)
    #[arg(long, group = "form")]
    pub raw: bool,
    /// One object a line
    #[arg(long, group = "form")]
    pub json: bool,
    /// `key=value`
    #[arg(long, group = "form")]
    pub format: bool,
    /// `id|app | line`
    #[arg(long, group = "form")]
    pub formatted: bool,
    /// Stay when no app runs any more
    #[arg(long)]
    pub no_auto_exit: bool,
    /// How long everything may take to end, e.g. `10s`; then what is left is killed [default: what the apps are given, at most 28 s]
    #[arg(long, value_name = "TIME")]
    pub shutdown_timeout: Option<String>,
    /// Wait before the apps are started, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub delay: Option<String>,
    #[command(flatten)]
    pub options: Box<AppOptions>,
    #[command(flatten)]
    pub cloud: Cloud,
    /// The descriptor on which the daemon says that it is up: makes this the process that starts the apps
    #[arg(long, hide = true)]
    pub starter: Option<i32>,
}

/// Options of `pm2-runtime` that are taken and have no effect.
#[derive(Args, Debug)]
pub struct Cloud {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "9615")]
    pub web: Option<String>,
    #[arg(long, hide = true)]
    pub secret: Option<String>,
    #[arg(long, hide = true)]
    pub public: Option<String>,
    #[arg(long, hide = true)]
    pub machine_name: Option<String>,
}

impl Runtime {
    pub async fn run(mut self, session: &Session) -> Result {
        // `pm2-runtime start app.js` is the same as `pm2-runtime app.js`.
        if self.targets.len() > 1 && self.targets[0] == "start" {
            self.targets.remove(0);
        }
        match self.starter {
            Some(descriptor) => self.start(session, descriptor).await,
            None => self.become_keeper(session).await,
        }
    }

    /// Leaves a process behind that starts the apps, and is the keeper from then on: what signals reach, whose end is the
    /// container's.
    async fn become_keeper(self, session: &Session) -> Result {
        let container = Container {
            form: self.form(),
            auto_exit: !self.no_auto_exit,
            shutdown_timeout_ms: self.shutdown_timeout()?.map(millis),
            starter: 0,
        };
        self.delay()?;
        let home = Home::for_container(&session.home, |name| session.variable(name).map(str::to_owned));
        if connection::somebody_listens(&home).await || connection::keeper_lives(&home) {
            let shown = home.path().display();
            return Err(Error::user(format!("a daemon is running already in {shown}"))
                .hint("`ostler start` gives it more to run; another OSTLER_HOME is another daemon"));
        }
        if home != session.home {
            let (wanted, taken) = (session.home.path().display(), home.path().display());
            session.printer.say(&match home.is_nowhere() {
                false => format!("{wanted} cannot be written to; the control socket and the history are in {taken}"),
                true => format!("neither {wanted} nor any other place can be written to: there is no history, no saved list and no pid file"),
            });
        }
        if !home.is_nowhere() {
            home.create()?;
        }
        Err(container::become_keeper(&home, container))
    }

    /// Starts the apps. How this process ends is how the start went.
    async fn start(self, session: &Session, descriptor: i32) -> Result {
        let session = &container::starters_session(session, self.form() == ConsoleForm::Json);
        let started = self.try_to_start(session, descriptor).await;
        started.map_err(|error| {
            show(&session.printer, &error);
            Error::reported()
        })
    }

    async fn try_to_start(mut self, session: &Session, descriptor: i32) -> Result {
        container::await_daemon(descriptor)?;
        tokio::time::sleep(self.delay()?).await;
        self.options.no_daemon = false;
        if let Some(port) = &self.cloud.web {
            let message = format!("`--web={port}` is taken, but has no effect");
            session.printer.warn(&message);
        }
        start::notice_options(session, &self.options);
        let mut actions = start::actions(session, &self.targets, &self.options)?;
        actions.iter_mut().for_each(keep_no_files);
        let mut client = session.daemon().await?;
        start::carry_out_all(session, &mut client, actions, Again::Restart, &mut Vec::new()).await
    }

    fn form(&self) -> ConsoleForm {
        match (self.json, self.format, self.formatted) {
            (true, _, _) => ConsoleForm::Json,
            (_, true, _) => ConsoleForm::KeyValue,
            (_, _, true) => ConsoleForm::Labelled,
            (false, false, false) => ConsoleForm::Raw,
        }
    }

    fn delay(&self) -> Result<Duration> {
        let Some(text) = &self.delay else {
            return Ok(Duration::ZERO);
        };
        let seconds = text
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.ok_or_else(|| Error::user(format!("--delay is a number of seconds, not \"{text}\"")))
    }

    fn shutdown_timeout(&self) -> Result<Option<Duration>> {
        let Some(text) = &self.shutdown_timeout else {
            return Ok(None);
        };
        let span = ostler_config::milliseconds(text).map(Duration::from_millis);
        span.map(Some).ok_or_else(|| {
            Error::user(format!("--shutdown-timeout is a time, not \"{text}\""))
                .hint("a number of milliseconds, or one with a unit: 500ms, 10s, 1m")
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// In a container output goes to the container's. Files are kept only where an app's config names them.
fn keep_no_files(action: &mut Action) {
    let specs: Vec<&mut Spec> = match action {
        Action::Apply { specs, .. } => specs.iter_mut().collect(),
        Action::Start { spec: Some(spec), .. } => vec![&mut **spec],
        _ => Vec::new(),
    };
    for spec in specs {
        if !spec.attributes.contains_key("out_file") {
            spec.logs.out = LogFile::Discard;
        }
        if !spec.attributes.contains_key("error_file") {
            spec.logs.error = LogFile::Discard;
        }
    }
}
