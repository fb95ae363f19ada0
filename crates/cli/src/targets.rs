//! From the words of a command to what is asked of the daemon: config files become the names in them, everything else
//! stays a selector for the daemon to match.

use crate::arguments::app_options::AppOptions;
use crate::arguments::attributes::attributes;
use crate::configuration::{self, Typed};
use crate::error::{Error, Result};
use crate::log_places;
use crate::session::Session;
use crate::watch_extensions;
use ostler_wire::control::{Action, Patch, Selector};
use serde_json::{Map, Value};
use std::path::Path;

/// Config files that `start` without words looks for, in this order.
pub const DEFAULT_FILES: [&str; 8] = [
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.config.ts",
    "ecosystem.config.json",
    "ecosystem.config.yaml",
    "ecosystem.config.yml",
    "ecosystem.config.toml",
];

/// The word that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A selector of the words as they are. The directory matters for paths of scripts only: where it is not UTF-8 they match
/// nothing, and names and ids work as everywhere.
pub fn selector(session: &Session, words: &[String]) -> Selector {
    Selector {
        words: words.to_vec(),
        cwd: session.cwd.to_string_lossy().into_owned(),
    }
}

/// A selector in which config files and standard input are replaced by the names of the apps they declare, those of
/// `only` if given.
pub fn named(session: &Session, words: &[String], only: Option<&str>) -> Result<Selector> {
    let mut resolved = Vec::new();
    for word in words {
        if let Some(mut declared) = declared_names(session, word)? {
            if let Some(only) = only {
                let only = configuration::names(only);
                declared.retain(|name| only.contains(name));
            }
            resolved.append(&mut declared);
        } else {
            resolved.push(word.clone());
        }
    }
    if resolved.is_empty() {
        return Err(Error::user(format!("{} declares no such app", words.join(", "))));
    }
    Ok(selector(session, &resolved))
}

fn declared_names(session: &Session, word: &str) -> Result<Option<Vec<String>>> {
    if word == STANDARD_INPUT {
        return Ok(Some(configuration::names_in_stdin(session)?));
    }
    if configuration::is_config_file(word) {
        return Ok(Some(configuration::names_in_file(session, word)?));
    }
    Ok(None)
}

/// Whether a word means a config file or standard input rather than processes.
pub fn is_declaration(word: &str) -> bool {
    word == STANDARD_INPUT || configuration::is_config_file(word)
}

/// What `start` does with one word.
pub enum Target {
    /// The apps of a config file, or of standard input.
    Declared(Action),
    /// Something typed.
    Typed(String),
}

/// Reads the config file that `word` names, if it names one.
pub fn target(session: &Session, word: &str, options: &AppOptions) -> Result<Target> {
    let from_file = configuration::is_config_file(word);
    if !is_declaration(word) {
        return Ok(Target::Typed(word.to_owned()));
    }
    let typed = Typed {
        env_name: options.env.as_deref(),
        only: options.only.as_deref(),
        attributes: typed_attributes(session, options),
    };
    let specs = if from_file {
        configuration::load(session, word, &typed)?
    } else {
        configuration::load_stdin(session, &typed)?
    };
    if specs.is_empty() {
        return Err(Error::user(format!("{word} declares no app to start")).hint("check `apps`, and --only"));
    }
    log_places::prepare(session.home.path(), &specs)?;
    Ok(Target::Declared(Action::Apply {
        specs,
        only_missing: false,
        reload: None,
        only_changed: false,
    }))
}

/// The attributes that options and words after `--` declare.
pub fn typed_attributes(session: &Session, options: &AppOptions) -> Map<String, Value> {
    let mut attributes = attributes(options, session.app_args.as_deref());
    // That is about the command, not about the app.
    attributes.remove("force");
    if let Some(extensions) = &options.ext {
        let root = options
            .cwd
            .as_ref()
            .map_or_else(|| session.cwd.clone(), |cwd| session.cwd.join(cwd));
        attributes.insert(
            "ignore_watch".into(),
            watch_extensions::ignored(&root, extensions).into(),
        );
    }
    attributes
}

/// What existing processes are changed by.
pub fn patch(session: &Session, options: &AppOptions) -> Patch {
    let environment = options.update_env.then(|| session.environment.clone());
    Patch {
        attributes: typed_attributes(session, options),
        environment,
    }
}

/// The start of a script, program or command, or of something that exists already.
pub fn start(session: &Session, word: &str, options: &AppOptions) -> Result<Action> {
    if options.env.is_some() {
        return Err(
            Error::user(format!("--env chooses a block of a config file, and {word} is none")).hint(
                "name the config file, or set variables before the command: `NODE_ENV=production ostler start …`",
            ),
        );
    }
    let existing = may_exist(session, word).then(|| selector(session, &[word.to_owned()]));
    let declared = configuration::from_command_line(session, word, typed_attributes(session, options))?;
    let (spec, otherwise) = match declared {
        Ok(spec) => {
            log_places::prepare(session.home.path(), [&spec])?;
            (Some(Box::new(spec)), None)
        }
        Err(error) => (None, Some(error)),
    };
    Ok(Action::Start {
        existing,
        spec,
        patch: patch(session, options),
        force: options.force,
        otherwise,
    })
}

/// Whether a word may name processes that exist: with PM2, when it has neither slash nor extension. A name with a dot is
/// one too unless there is such a file.
fn may_exist(session: &Session, word: &str) -> bool {
    let is_pattern = word.len() > 2 && word.starts_with('/') && word.ends_with('/');
    let has_extension = Path::new(word).extension().is_some();
    let is_file = has_extension && session.cwd.join(word).exists();
    is_pattern || !(word.contains('/') || is_file)
}

/// The config file that `start` takes when nothing is named.
pub fn default_file(session: &Session, options: &AppOptions) -> Result<String> {
    let directory = options
        .cwd
        .as_ref()
        .map_or_else(|| session.cwd.clone(), |cwd| session.cwd.join(cwd));
    let found = DEFAULT_FILES
        .iter()
        .map(|name| directory.join(name))
        .find(|path| path.is_file());
    let found = found.and_then(|path| path.to_str().map(str::to_owned));
    found.ok_or_else(|| {
        Error::user(format!(
            "nothing to start: {} has no ecosystem.config.js",
            directory.display()
        ))
        .hint("name a script (`ostler start app.js`), a program, or a config file")
    })
}
