//! The one place that asks `ostler-config`: config files, standard input and command lines become specs, its warnings are
//! printed, its errors become ours. Used through `targets`.

use crate::error::{Error, Kind, Result};
use crate::session::Session;
use ostler_config::{ConfigError, ConfigErrorKind, Context, Diagnostic, Loaded, Overrides};
use ostler_core::Spec;
use ostler_wire::control::{ApiError, ApiErrorKind};
use serde_json::{Map, Value};
use std::io::Read;
use std::time::Duration;

pub use ostler_config::is_config_file;

/// The variable that says how long a config in JavaScript may take.
const TIMEOUT_VARIABLE: &str = "OSTLER_CONFIG_TIMEOUT";

/// What was typed beside the file's name.
pub struct Typed<'a> {
    /// `--env`.
    pub env_name: Option<&'a str>,
    /// `--only`, a list separated by commas or blanks.
    pub only: Option<&'a str>,
    /// Attributes typed as options.
    pub attributes: Map<String, Value>,
}

impl Typed<'_> {
    fn overrides(&self) -> Overrides {
        Overrides {
            env_name: self.env_name.map(str::to_owned),
            only: self.only.map(names).unwrap_or_default(),
            attributes: self.attributes.clone(),
        }
    }
}

/// A list of names as typed in one word.
pub fn names(typed: &str) -> Vec<String> {
    typed
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The apps that a config file declares.
pub fn load(session: &Session, path: &str, typed: &Typed<'_>) -> Result<Vec<Spec>> {
    finish(
        session,
        ostler_config::load_file(path.as_ref(), &context(session)?, &typed.overrides()),
    )
}

/// The apps declared on standard input.
pub fn load_stdin(session: &Session, typed: &Typed<'_>) -> Result<Vec<Spec>> {
    finish(
        session,
        ostler_config::load_stdin(&standard_input()?, &context(session)?, &typed.overrides()),
    )
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Error::system(format!("reading standard input: {error}")))?;
    Ok(bytes)
}

/// The names of the apps that a config file declares, whether they could be started or not.
pub fn names_in_file(session: &Session, path: &str) -> Result<Vec<String>> {
    ostler_config::names_in_file(path.as_ref(), &context(session)?).map_err(|error| failed(session, &error))
}

/// The names of the apps declared on standard input.
pub fn names_in_stdin(session: &Session) -> Result<Vec<String>> {
    ostler_config::names_in_stdin(&standard_input()?, &context(session)?).map_err(|error| failed(session, &error))
}

/// The app that a script, program or command typed as `target` means. An error is for the daemon to answer with if
/// nothing of that name exists either.
pub fn from_command_line(
    session: &Session,
    target: &str,
    attributes: Map<String, Value>,
) -> Result<std::result::Result<Spec, ApiError>> {
    match ostler_config::from_command_line(target, attributes, &context(session)?) {
        Ok(loaded) => {
            warn(session, &loaded.warnings);
            let spec = loaded.specs.into_iter().next();
            Ok(spec.ok_or_else(|| api_error(format!("{target} declares no app"), None)))
        }
        Err(error) => {
            warn(session, &error.warnings);
            match error.kind {
                // Only these leave open that an existing process is meant.
                ConfigErrorKind::ScriptNotFound | ConfigErrorKind::FileNotFound => Ok(Err(as_api_error(&error))),
                ConfigErrorKind::FileUnreadable
                | ConfigErrorKind::Malformed
                | ConfigErrorKind::Evaluation
                | ConfigErrorKind::Invalid
                | ConfigErrorKind::InterpreterNotFound => Err(plain(&error)),
            }
        }
    }
}

fn context(session: &Session) -> Result<Context> {
    Ok(Context {
        cwd: session.cwd_text()?.into(),
        home: session.home.path().to_owned(),
        environment: session.environment.clone(),
        username: session.username(),
        node: None,
        patience: patience(session)?,
    })
}

/// `OSTLER_CONFIG_TIMEOUT`, in seconds, for configs that take their time.
fn patience(session: &Session) -> Result<Duration> {
    let Some(text) = session.variable(TIMEOUT_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(ostler_config::PATIENCE);
    };
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0);
    let patience = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    patience.ok_or_else(|| Error::user(format!("{TIMEOUT_VARIABLE} is a number of seconds, not \"{text}\"")))
}

fn finish(session: &Session, loaded: std::result::Result<Loaded, ConfigError>) -> Result<Vec<Spec>> {
    let loaded = loaded.map_err(|error| failed(session, &error))?;
    warn(session, &loaded.warnings);
    Ok(loaded.specs)
}

fn failed(session: &Session, error: &ConfigError) -> Error {
    warn(session, &error.warnings);
    plain(error)
}

fn plain(error: &ConfigError) -> Error {
    Error::new(Kind::Config, error.to_string())
}

fn as_api_error(error: &ConfigError) -> ApiError {
    let [problem] = error.problems.as_slice() else {
        return api_error(error.to_string(), None);
    };
    api_error(problem.message.clone(), problem.hint.clone())
}

fn api_error(message: String, hint: Option<String>) -> ApiError {
    ApiError {
        kind: ApiErrorKind::NotFound,
        message,
        hint,
    }
}

fn warn(session: &Session, warnings: &[Diagnostic]) {
    for warning in warnings {
        session.printer.warn(&warning.to_string());
    }
}
