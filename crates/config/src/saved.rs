//! The saved list, in the format of PM2's `dump.pm2`: a JSON array of `pm2_env` objects, one a process. Ours carry one
//! key more, `ostler`, with everything that PM2's keys cannot say, so that they come back exactly as they were; PM2's own
//! files are understood without it.

use crate::Context;
use crate::attributes::Attributes;
use crate::check::check;
use crate::diagnostic::{Diagnostic, Position};
use crate::load::once_each;
use crate::place::{Place, Positions, item};
use crate::pm2::attribute::find;
use crate::pm2::{process, saved_env};
use crate::resolve::{self, Parts};
use ostler_core::{Environment, Interpreter, Program, SavedInstance, SlotId, Spec};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a saved list says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// The processes, in the list's order. Those of one app share their spec.
    pub instances: Vec<SavedInstance>,
    /// What could not be taken over as it was.
    pub warnings: Vec<Diagnostic>,
}

/// Why a saved list cannot be used. The file is to be kept aside, not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// The text is no JSON, e.g. because it was cut off.
    #[error("not valid JSON at line {}, column {}: {message}", position.line, position.column)]
    Malformed {
        /// What is wrong.
        message: String,
        /// Where.
        position: Position,
    },
    /// It is JSON, but no list of processes.
    #[error("{key}: {message}")]
    NoList {
        /// Where, e.g. `[2]`.
        key: String,
        /// What is wrong.
        message: String,
    },
}

/// The list as a file's content: indented JSON. `home` is Ostler's home.
pub fn write(instances: &[SavedInstance], home: &Path) -> Vec<u8> {
    let entry = |(index, instance): (usize, &SavedInstance)| {
        let id = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
        let mut map = saved_env(instance, id, home);
        map.insert("ostler".into(), json!(instance));
        Value::Object(map)
    };
    let list: Value = instances.iter().enumerate().map(entry).collect();
    let mut text = format!("{list:#}");
    text.push('\n');
    text.into_bytes()
}

/// Reads a list written by [`write`] or by PM2. Of `context`, `home` and `username` count.
///
/// # Errors
/// The bytes are no list of processes at all; single attributes that mean nothing are only warnings.
pub fn read(bytes: &[u8], context: &Context) -> Result<Saved, SavedError> {
    let list: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let Value::Array(entries) = list else {
        return Err(SavedError::NoList {
            key: "the file".into(),
            message: "it is no list".into(),
        });
    };
    let mut saved = Saved::default();
    for (index, entry) in entries.iter().enumerate() {
        let key = item("", index);
        let Value::Object(entry) = entry else {
            return Err(SavedError::NoList {
                key,
                message: "it is no process".into(),
            });
        };
        read_entry(entry, key, context, &mut saved)?;
    }
    share(&mut saved.instances);
    saved.warnings = once_each(saved.warnings);
    Ok(saved)
}

fn malformed(error: &serde_json::Error) -> SavedError {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let position = Position {
        line: count(error.line()),
        column: count(error.column()),
    };
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    SavedError::Malformed { message, position }
}

const SOURCE: &str = "saved list";
const NO_POSITIONS: &Positions = &Positions::new();

fn read_entry(entry: &Map<String, Value>, key: String, context: &Context, saved: &mut Saved) -> Result<(), SavedError> {
    let place = Place {
        source: SOURCE,
        path: key,
        positions: NO_POSITIONS,
        flags: false,
    };
    if let Some(ours) = entry.get("ostler") {
        match serde_json::from_value::<SavedInstance>(ours.clone()) {
            Ok(instance) => {
                saved.instances.push(instance);
                return Ok(());
            }
            Err(error) => {
                let message = format!("written by another version of Ostler ({error}); PM2's keys are used instead");
                saved.warnings.push(place.diagnostic("ostler", message));
            }
        }
    }
    if entry.get("pmx_module").and_then(Value::as_bool) == Some(true) {
        saved
            .warnings
            .push(place.diagnostic("", "a module of PM2, it is left out"));
        return Ok(());
    }
    let instance = from_pm2(entry, &place, context, &mut saved.warnings)?;
    saved.instances.push(instance);
    Ok(())
}

/// Settings that PM2 writes into every entry whether or not anybody asked for them.
const UNASKED: &[&str] = &[
    "vizion",
    "pmx",
    "automation",
    "windowsHide",
    "kill_retry_time",
    "script",
    "env",
    "instances",
];

fn from_pm2(
    entry: &Map<String, Value>,
    place: &Place<'_>,
    context: &Context,
    warnings: &mut Vec<Diagnostic>,
) -> Result<SavedInstance, SavedError> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let refused = |message: String| SavedError::NoList {
        key: place.path.clone(),
        message,
    };
    let path = text("pm_exec_path").ok_or_else(|| refused("it has no pm_exec_path".into()))?;
    let cwd = text("pm_cwd").unwrap_or("/");
    let checked = check(&settings(entry), place);
    warnings.extend(checked.warnings.into_iter().chain(checked.problems));
    let mut attributes = checked.attributes;
    attributes.set("script", path);
    attributes.set("cwd", cwd);
    place_logs(entry, &mut attributes);
    let environment = variables(entry, &attributes);
    let instance = entry
        .get(&environment.instance_var)
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let name = process::name_alone(&attributes).unwrap_or_else(|| path.to_owned());
    let program = program(entry, &attributes, path, cwd);
    let base = resolve::base(&attributes, context);
    let resolution = resolve::assemble(
        &attributes,
        Parts {
            name,
            program,
            environment,
        },
        &base,
        context,
    )
    .map_err(|problem| refused(format!("{}: {}", problem.key, problem.message)))?;
    warnings.extend(
        resolution
            .remarks
            .into_iter()
            .map(|(key, remark)| place.diagnostic(key, remark)),
    );
    let running = text("status") != Some("stopped");
    Ok(SavedInstance {
        spec: Arc::new(resolution.spec),
        instance: u32::try_from(instance).unwrap_or(0),
        running,
    })
}

fn program(entry: &Map<String, Value>, attributes: &Attributes, path: &str, cwd: &str) -> Program {
    let interpreter = match entry.get("exec_interpreter").and_then(Value::as_str) {
        None | Some("none") => Interpreter::None,
        Some(program) => Interpreter::Program(program.to_owned()),
    };
    Program {
        path: path.to_owned(),
        interpreter,
        interpreter_args: attributes.texts("node_args"),
        args: attributes.texts("args"),
        cwd: cwd.to_owned(),
    }
}

/// The settings among an entry's keys; the rest is state, and variables that PM2 flattened into it.
fn settings(entry: &Map<String, Value>) -> Map<String, Value> {
    let env = entry.get("env").and_then(Value::as_object);
    let is_variable = |name: &str, value: &Value| {
        // `name` and the like are always there; a variable of that name may have overwritten them, as it did in PM2.
        !matches!(name, "name" | "namespace" | "args") && env.and_then(|env| env.get(name)) == Some(value)
    };
    let wanted = |name: &str, value: &Value| {
        find(name).is_some_and(|attribute| attribute.name == name)
            && !UNASKED.contains(&name)
            && !is_variable(name, value)
    };
    entry
        .iter()
        .filter(|(name, value)| wanted(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// PM2's final paths as declared ones: without the id that it put in.
fn place_logs(entry: &Map<String, Value>, attributes: &mut Attributes) {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let merged = attributes.flag("merge_logs").unwrap_or(false);
    attributes.set("merge_logs", merged);
    let id = text("pm_pid_path").and_then(trailing_id);
    for (key, name) in [
        ("pm_out_log_path", "out_file"),
        ("pm_err_log_path", "error_file"),
        ("pm_log_path", "log_file"),
    ] {
        let Some(path) = text(key) else { continue };
        let ending = format!("-{}.log", id.unwrap_or_default());
        let path = match path.strip_suffix(&ending) {
            Some(stem) if !merged && id.is_some() => format!("{stem}.log"),
            Some(_) | None => path.to_owned(),
        };
        attributes.set(name, path);
    }
    // A pid file in PM2's own folder moves to ours.
    let home = entry
        .get("PM2_HOME")
        .or_else(|| entry.get("env")?.get("PM2_HOME"))
        .and_then(Value::as_str);
    match (text("pm_pid_path"), home) {
        (Some(path), Some(home)) if !path.starts_with(&format!("{home}/pids/")) => attributes.set("pid_file", path),
        (Some(_) | None, _) => {}
    }
}

/// The number in `-7.pid`.
fn trailing_id(path: &str) -> Option<&str> {
    let (_stem, id) = path.strip_suffix(".pid")?.rsplit_once('-')?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

/// Variables that PM2 itself put there.
const PM2_VARIABLES: &[&str] = &[
    "PM2_HOME",
    "PM2_USAGE",
    "PM2_JSON_PROCESSING",
    "PM2_INTERACTOR_PROCESSING",
    "PM2_DISCRETE_MODE",
    "unique_id",
    "updateEnv",
];

/// PM2 does not tell declared variables from the shell's; all count as inherited.
fn variables(entry: &Map<String, Value>, attributes: &Attributes) -> Environment {
    let env = entry.get("env").and_then(Value::as_object);
    let kept = env
        .into_iter()
        .flatten()
        .filter(|(name, _value)| !PM2_VARIABLES.contains(&name.as_str()));
    // PM2 adds a variable called like the app, for the settings of modules.
    let settings = |name: &str, value: &Value| attributes.text("name") == Some(name) && *value == "{}";
    let inherited: BTreeMap<String, String> = kept
        .filter(|(name, value)| !settings(name, value))
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => Some((name.clone(), value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        })
        .collect();
    let unique_id = env.and_then(|env| env.get("unique_id")).and_then(Value::as_str);
    Environment {
        inherited: Arc::new(inherited),
        files: Vec::new(),
        declared: BTreeMap::new(),
        instance_var: attributes
            .text("instance_var")
            .unwrap_or("NODE_APP_INSTANCE")
            .to_owned(),
        increment_var: attributes.text("increment_var").map(str::to_owned),
        unique_id: unique_id.map_or_else(crate::unique_id::fresh, str::to_owned),
    }
}

/// Equal specs become one; of PM2's lists, which say nothing of it, the number of instances is counted.
fn share(instances: &mut [SavedInstance]) {
    let mut known: Vec<(Arc<Spec>, u32)> = Vec::new();
    for instance in instances.iter() {
        match known.iter_mut().find(|(spec, _count)| *spec == instance.spec) {
            Some((_spec, count)) => *count += 1,
            None => known.push((Arc::clone(&instance.spec), 1)),
        }
    }
    let counted: Vec<(Arc<Spec>, Arc<Spec>)> = known
        .into_iter()
        .map(|(spec, count)| (Arc::clone(&spec), with_count(spec, count)))
        .collect();
    for instance in instances {
        if let Some((_old, new)) = counted.iter().find(|(old, _new)| *old == instance.spec) {
            instance.spec = Arc::clone(new);
        }
    }
}

fn with_count(spec: Arc<Spec>, count: u32) -> Arc<Spec> {
    if spec.instances >= count {
        return spec;
    }
    Arc::new(Spec {
        instances: count,
        ..Spec::clone(&spec)
    })
}
