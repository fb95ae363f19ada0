//! The environment of a process that is about to be launched. The daemon calls this at each spawn.

use crate::dotenv::{self, SyntaxError};
use crate::listeners;
use crate::pm2::process::runs_javascript;
use ostler_core::{Environment, Interpreter, Launch, LogFile, Mode, Pid, SlotId, Spec};
use std::collections::BTreeMap;
use std::path::Path;

/// Names and values.
pub type Variables = BTreeMap<String, String>;

/// Why an `env_file` could not be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentFileError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's answer.
        error: std::io::Error,
    },
    /// Its text is not in dotenv's format.
    #[error("{path}:{line}: {error}")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        error: String,
    },
}

/// Reads the files that the environment names, in their order.
///
/// # Errors
/// A file that cannot be read or is malformed; nothing is to be launched then.
pub fn read_files(environment: &Environment) -> Result<Vec<Variables>, EnvironmentFileError> {
    environment.files.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &str) -> Result<Variables, EnvironmentFileError> {
    let bytes = std::fs::read(path).map_err(|error| EnvironmentFileError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    dotenv::parse(&text).map_err(|SyntaxError { line, message }| EnvironmentFileError::Malformed {
        path: path.to_owned(),
        line,
        error: message.to_owned(),
    })
}

/// The complete environment of a new process. Lowest to highest: what the starting shell had, the `env_file`s (their
/// contents as [`read_files`] gives them), PM2's facts about the process, what the config declares. `home` is Ostler's
/// home, given as `PM2_HOME`.
pub fn child_environment(launch: &Launch, files: &[Variables], home: &Path) -> Variables {
    let spec = &launch.spec;
    let mut variables = BTreeMap::clone(&spec.environment.inherited);
    listeners::disinherit(&mut variables);
    for file in files {
        variables.extend(file.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    variables.extend(
        facts(launch, home)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    variables.insert(spec.environment.instance_var.clone(), launch.instance.to_string());
    variables.extend(
        spec.environment
            .declared
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some((name, value)) = incremented(launch) {
        variables.insert(name, value);
    }
    listeners::describe(&mut variables, &spec.listen);
    variables
}

/// The environment of a command that looks at a worker: the worker's own, without what only the worker has: the sockets it
/// inherits and its channel. `OSTLER_PROBED_PID` says which process it is about.
pub fn probe_environment(launch: &Launch, files: &[Variables], home: &Path, pid: Pid) -> Variables {
    let mut variables = child_environment(launch, files, home);
    listeners::disinherit(&mut variables);
    for name in CHANNEL {
        variables.remove(name);
    }
    variables.insert("OSTLER_PROBED_PID".to_owned(), pid.to_string());
    variables
}

/// By which a program of Node finds the channel to whoever started it, and takes itself for a worker of a cluster.
const CHANNEL: [&str; 3] = ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"];

/// What PM2 tells a process about itself through its environment.
fn facts(launch: &Launch, home: &Path) -> Vec<(&'static str, String)> {
    let spec = &launch.spec;
    let slot = launch.worker.slot;
    let mut facts = vec![
        ("name", spec.name.clone()),
        ("namespace", spec.namespace.clone()),
        ("pm_id", slot.to_string()),
        ("status", "launching".to_owned()),
        ("pm_exec_path", spec.program.path.clone()),
        ("pm_cwd", spec.program.cwd.clone()),
        ("exec_mode", mode(spec).to_owned()),
        ("exec_interpreter", interpreter(spec).to_owned()),
        ("instances", spec.instances.to_string()),
        ("instance_var", spec.environment.instance_var.clone()),
        ("username", spec.username.clone()),
        ("unique_id", spec.environment.unique_id.clone()),
        ("pm_out_log_path", log_path(&spec.logs.out, slot)),
        ("pm_err_log_path", log_path(&spec.logs.error, slot)),
        ("pm_pid_path", with_id(&spec.pid_file, slot)),
        ("PM2_HOME", home.to_string_lossy().into_owned()),
        ("PM2_USAGE", "CLI".to_owned()),
    ];
    facts.extend(
        spec.logs
            .combined
            .as_ref()
            .map(|file| ("pm_log_path", log_path(file, slot))),
    );
    if runs_python(&spec.program.interpreter) {
        facts.push(("PYTHONUNBUFFERED", "1".to_owned()));
    }
    facts
}

fn incremented(launch: &Launch) -> Option<(String, String)> {
    let environment = &launch.spec.environment;
    let name = environment.increment_var.clone()?;
    let first = environment
        .declared
        .get(&name)
        .and_then(|value| value.trim().parse::<i64>().ok())
        .unwrap_or(0);
    let value = first.saturating_add(i64::from(launch.instance));
    Some((name, value.to_string()))
}

/// PM2's word for the mode.
pub(crate) fn mode(spec: &Spec) -> &'static str {
    match spec.mode {
        Mode::Fork => "fork_mode",
        Mode::Cluster => "cluster_mode",
    }
}

/// PM2's word for the interpreter.
pub(crate) fn interpreter(spec: &Spec) -> &str {
    match &spec.program.interpreter {
        Interpreter::None => "none",
        Interpreter::Program(program) => program,
    }
}

/// Whether the program is JavaScript, by its interpreter.
pub(crate) fn is_javascript(spec: &Spec) -> bool {
    runs_javascript(&spec.program.interpreter)
}

fn runs_python(interpreter: &Interpreter) -> bool {
    match interpreter {
        Interpreter::None => false,
        Interpreter::Program(program) => program
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("python")),
    }
}

/// A path with `{id}` filled in.
pub fn with_id(path: &str, slot: SlotId) -> String {
    path.replace("{id}", &slot.to_string())
}

/// A log file's path with `{id}` filled in; `/dev/null` when output is discarded.
pub fn log_path(file: &LogFile, slot: SlotId) -> String {
    match file {
        LogFile::Discard => "/dev/null".to_owned(),
        LogFile::Path(path) => with_id(path, slot),
    }
}
