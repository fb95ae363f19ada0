use super::restart::Again;
use super::{report, show, show_list};
use crate::arguments::app_options::AppOptions;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::intent::{Intent, Wanted};
use crate::list_view::Order;
use crate::logs;
use crate::progress::{self, Progress};
use crate::session::Session;
use crate::targets::{self, Target};
use clap::Args;
use ostler_core::Spec;
use ostler_wire::control::{Action, Answer};

/// Start scripts, programs, commands, or what a config file declares
///
/// Waits until each app is up, or says why it is not. Starts a daemon if none runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ostler start app.js --name api -- --port 3000
  ostler start \"npm run serve\" --cwd ./web
  ostler start npm -- start
  ostler start ecosystem.config.js --env production --only api
  ostler start api                    start again what was stopped
  ostler start                        the ecosystem.config.js of this directory")]
pub struct Start {
    /// Script, program, command, config file, `-` for JSON on standard input, or the name or id of a process
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    #[command(flatten)]
    pub options: AppOptions,
}

impl Start {
    pub async fn run(mut self, session: &Session) -> Result {
        self.take_target_back(session);
        run(session, &self.targets, &self.options, Again::Restart).await
    }

    /// `start --watch app.js` gives the script to `--watch` as a path, as PM2 does. When nothing else is named and there
    /// is no config file either, it was meant to be started.
    fn take_target_back(&mut self, session: &Session) {
        let Some([path]) = self.options.watch.as_deref() else {
            return;
        };
        let alone = self.targets.is_empty() && targets::default_file(session, &self.options).is_err();
        if alone && session.cwd.join(path).is_file() {
            self.targets = self.options.watch.replace(Vec::new()).unwrap_or_default();
        }
    }
}

/// Starts each target; the first list of `start`, `startOrRestart` and `startOrReload`.
pub async fn run(session: &Session, targets: &[String], options: &AppOptions, again: Again) -> Result {
    notice_options(session, options);
    let order = options
        .sort
        .as_deref()
        .map(Order::parse)
        .transpose()?
        .unwrap_or_default();
    let mut actions = actions(session, targets, options)?;
    if let Again::Reload(reloading) = again {
        for action in &mut actions {
            if let Action::Apply {
                reload, only_changed, ..
            } = action
            {
                *reload = Some(reloading.parallel);
                *only_changed = reloading.only_changed;
            }
        }
    }
    if options.write {
        actions.iter().try_for_each(|action| write_config(session, action))?;
    }
    let was_there = options.no_daemon && session.daemon_if_any().await?.is_some();
    let mut client = session.daemon_started().await?;
    let mut started = Vec::new();
    let all = carry_out_all(session, &mut client, actions, again, &mut started).await;
    if again.progress() != Progress::Json {
        show_list(session, &mut client, order, options.mini_list).await?;
    }
    if options.attach || options.no_daemon {
        // Somebody else's daemon is not ended with this command.
        logs::attach(session, &started, options.no_daemon && !was_there).await?;
    }
    all
}

/// Carries out one after the other, whatever became of those before. Failures are reported.
pub async fn carry_out_all(
    session: &Session,
    client: &mut Client,
    actions: Vec<Action>,
    again: Again,
    started: &mut Vec<String>,
) -> Result {
    let mut all = Ok(());
    for action in actions {
        if let Err(error) = carry_out(session, client, action, again, started).await {
            show(&session.printer, &error);
            all = Err(Error::reported());
        }
    }
    all
}

/// Says once what is taken, but does nothing.
pub fn notice_options(session: &Session, options: &AppOptions) {
    for option in options.without_effect.noticeable() {
        session
            .printer
            .warn(&format!("`{option}` is taken, but has no effect yet"));
    }
    for name in &session.unreadable_variables {
        session.printer.warn(&format!(
            "the variable {name} is not valid UTF-8 and is not given to apps"
        ));
    }
}

/// What is to be done for each word; for the config file of this directory when there is none.
pub fn actions(session: &Session, targets: &[String], options: &AppOptions) -> Result<Vec<Action>> {
    if targets.is_empty() {
        let file = targets::default_file(session, options)?;
        return actions(session, &[file], options);
    }
    let action = |word: &String| match targets::target(session, word, options)? {
        Target::Declared(action) => Ok(action),
        Target::Typed(word) => targets::start(session, &word, options),
    };
    targets.iter().map(action).collect()
}

async fn carry_out(
    session: &Session,
    client: &mut Client,
    action: Action,
    again: Again,
    started: &mut Vec<String>,
) -> Result {
    let intent = Intent::new("started", Wanted::Up).showing(again.progress());
    let answer = progress::operate(session, client, action, &intent).await?;
    if let Answer::Slots(outcome) = &answer {
        started.extend(outcome.slots.iter().map(|slot| slot.slot.to_string()));
    }
    report(session, client, answer, &intent).await
}

/// PM2's `--write`: the app as a config file.
fn write_config(session: &Session, action: &Action) -> Result {
    let specs: Vec<&Spec> = if let Action::Apply { specs, .. } = action {
        specs.iter().collect()
    } else if let Action::Start { spec, .. } = action {
        spec.iter().map(AsRef::as_ref).collect()
    } else {
        return Ok(());
    };
    for spec in specs {
        let mut app = spec.attributes.clone();
        app.entry("name").or_insert_with(|| spec.name.clone().into());
        app.entry("script").or_insert_with(|| spec.program.path.clone().into());
        let path = session.cwd.join(format!("{}-pm2.json", spec.name.replace('/', "-")));
        let text = format!("{:#}\n", serde_json::json!({ "apps": [app] }));
        let written = std::fs::write(&path, text);
        written.map_err(|error| Error::system(format!("writing {}: {error}", path.display())))?;
        session.printer.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
