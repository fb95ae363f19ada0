//! What is run: script, arguments, working directory, interpreter, user, number of instances.

use super::attribute::Attribute;
use super::kind::Kind;
use super::listen;
use crate::attributes::Attributes;
use crate::diagnostic::{ConfigErrorKind, Problem};
use crate::interpreter::{self, Search};
use crate::paths::{self, is_executable};
use crate::words;
use crate::wrapper;
use ostler_core::{Interpreter, Program, RunAs, Runtime};
use std::path::{Path, PathBuf};

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "script",
        Kind::Text,
        "required",
        "The script or program, relative to `cwd` or found in `PATH`; with spaces in it, a command for `bash -c`.",
    )
    .aliases(&["exec", "cmd", "command"]),
    Attribute::new(
        "name",
        Kind::Text,
        "the script's file name without extension",
        "What the app is called.",
    ),
    Attribute::new("name_prefix", Kind::Text, "", "Put before the name, with a colon."),
    Attribute::new("namespace", Kind::Text, "default", "A group to select apps by."),
    Attribute::new(
        "cwd",
        Kind::Text,
        "where the command is typed",
        "The working directory.",
    ),
    Attribute::new("args", Kind::Words, "", "Arguments of the script."),
    Attribute::new(
        "exec_interpreter",
        Kind::Text,
        "by extension, else node",
        "What runs the script; `none` to execute it, `node@20.1.0` for one of nvm's.",
    )
    .aliases(&["interpreter"]),
    Attribute::new(
        "instances",
        Kind::Instances,
        "1",
        "How many processes; `max`, 0 or a negative number count from the processors this process may use.",
    ),
    Attribute::new(
        "exec_mode",
        Kind::Choice(&["fork", "fork_mode", "cluster", "cluster_mode"]),
        "fork",
        "`cluster` shares one port among the instances of a Node app.",
    ),
    Attribute::new(
        "execute_command",
        Kind::Flag,
        "false",
        "Fork mode even with `instances`.",
    ),
    Attribute::new(
        "uid",
        Kind::TextOrNumber,
        "the daemon's",
        "The user to run as, by name or number; also sets HOME, USER and LOGNAME.",
    )
    .aliases(&["user"]),
    Attribute::new(
        "gid",
        Kind::TextOrNumber,
        "the user's",
        "The group to run as, by name or number.",
    ),
    Attribute::new(
        "username",
        Kind::Text,
        "who typed the command",
        "The user shown in lists.",
    ),
];

/// A program and what it is called if nobody says.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) program: Program,
    pub(crate) default_name: String,
    /// What is run instead of what was said, and why.
    pub(crate) remark: Option<String>,
}

/// Finds script and interpreter.
pub(crate) fn program(attributes: &Attributes, search: &Search<'_>) -> Result<Resolved, Problem> {
    let script = attributes
        .text("script")
        .map(str::trim)
        .filter(|script| !script.is_empty())
        .ok_or_else(|| Problem::invalid("script", "it is required", "say what to run, e.g. script: \"./app.js\""))?;
    check_directory(attributes, search)?;
    let default_name = file_stem(script);
    let wrapped = wrapper::command_of(script, &attributes.texts("args"))
        .filter(|_| asks_for_cluster(attributes) && attributes.text("exec_interpreter").is_none());
    let mut remark = None;
    if let Some(command) = wrapped {
        match wrapper::entry(&command, search.base.cwd()) {
            Ok(entry) => return unwrapped(attributes, &command, entry, default_name, search),
            Err(opaque) if attributes.has("exec_mode") => {
                return Err(Problem::invalid("script", opaque.message, opaque.hint));
            }
            // Cluster mode only followed from `instances`: as it is, which is right for what does not listen.
            Err(opaque) => remark = Some(opaque.message),
        }
    }
    let plain = |program| Resolved {
        program,
        default_name: default_name.clone(),
        remark: remark.clone(),
    };
    if let Some(file) = existing(script, search)? {
        return of_file(attributes, &file, search).map(plain);
    }
    if script.contains(char::is_whitespace) {
        return command(attributes, script, search).map(plain);
    }
    let file = search.find(script).ok_or_else(|| not_found(script, search))?;
    of_file(attributes, &file, search).map(plain)
}

/// The Node program behind a package manager's command.
fn unwrapped(
    attributes: &Attributes,
    command: &[String],
    entry: wrapper::Entry,
    default_name: String,
    search: &Search<'_>,
) -> Result<Resolved, Problem> {
    let mut program = of_file(attributes, &entry.file, search)?;
    program.interpreter = interpreter::node(search)?.interpreter;
    program.interpreter_args = entry.node_args;
    program.interpreter_args.extend(attributes.texts("node_args"));
    program.args = entry.args;
    let typed = command.join(" ");
    let remark = format!("in cluster mode `{}` is run without `{typed}` around it", entry.command);
    Ok(Resolved {
        program,
        default_name,
        remark: Some(remark),
    })
}

/// Whether the attributes alone ask for cluster mode, were it a Node program.
fn asks_for_cluster(attributes: &Attributes) -> bool {
    if attributes.flag("execute_command") == Some(true) {
        return false;
    }
    match attributes.text("exec_mode") {
        Some(mode) => mode.starts_with("cluster"),
        // Who declares sockets to be inherited does not mean those that Node's `cluster` shares.
        None => attributes.has("instances") && !listen::is_declared(attributes),
    }
}

fn check_directory(attributes: &Attributes, search: &Search<'_>) -> Result<(), Problem> {
    let cwd = search.base.cwd();
    if attributes.has("cwd") && !cwd.is_dir() {
        let message = format!("{} is not a directory", cwd.display());
        return Err(Problem::invalid("cwd", message, "create it, or name one that exists"));
    }
    Ok(())
}

fn existing(script: &str, search: &Search<'_>) -> Result<Option<PathBuf>, Problem> {
    let file = search.base.path(script);
    if file.is_dir() && (script.contains('/') || script == "." || script == "..") {
        let message = format!("{} is a directory", file.display());
        return Err(Problem::invalid("script", message, "name a file in it"));
    }
    Ok(file.is_file().then_some(file))
}

fn not_found(script: &str, search: &Search<'_>) -> Problem {
    let file = search.base.path(script);
    let elsewhere = if script.contains('/') {
        ""
    } else {
        " (nor is it a program in PATH)"
    };
    Problem::of(
        ConfigErrorKind::ScriptNotFound,
        "script",
        format!("Script not found: {}{elsewhere}", file.display()),
        "paths are relative to `cwd`, which is the directory the command is typed in unless the app declares one",
    )
}

fn of_file(attributes: &Attributes, file: &Path, search: &Search<'_>) -> Result<Program, Problem> {
    let runner = interpreter::runner(attributes, file, search)?;
    if runner.interpreter == Interpreter::None && !is_executable(file) {
        let message = format!("{} is not executable", file.display());
        let hint = format!("run `chmod +x {}`, or name an `interpreter`", file.display());
        return Err(Problem::invalid("script", message, hint));
    }
    let mut interpreter_args = runner.extra_args;
    interpreter_args.extend(attributes.texts("node_args"));
    Ok(Program {
        path: paths::text(file),
        interpreter: runner.interpreter,
        interpreter_args,
        args: attributes.texts("args"),
        cwd: search.base.cwd_text(),
    })
}

/// A command with spaces is for a shell, as in PM2. Arguments given besides are appended, quoted (PM2 drops them).
fn command(attributes: &Attributes, command: &str, search: &Search<'_>) -> Result<Program, Problem> {
    let shell = ["bash", "sh"].into_iter().find_map(|shell| search.find(shell));
    let shell = shell.ok_or_else(|| {
        let message = format!("\"{command}\" needs a shell, and neither bash nor sh is in PATH");
        Problem::of(
            ConfigErrorKind::InterpreterNotFound,
            "script",
            message,
            "give the program alone as `script` and the rest as `args`",
        )
    })?;
    let mut line = command.to_owned();
    for word in attributes.texts("args") {
        line.push(' ');
        line.push_str(&words::shell_quoted(&word));
    }
    Ok(Program {
        path: paths::text(&shell),
        interpreter: Interpreter::None,
        interpreter_args: Vec::new(),
        args: vec!["-c".into(), line],
        cwd: search.base.cwd_text(),
    })
}

/// PM2: the base name without its last extension, of whatever was given as script.
fn file_stem(script: &str) -> String {
    let base = script.trim_end_matches('/').rsplit('/').next().unwrap_or(script);
    match base.rsplit_once('.') {
        Some((stem, _extension)) if !stem.is_empty() => stem.to_owned(),
        Some(_) | None => base.to_owned(),
    }
}

/// What the app is called.
pub(crate) fn name(attributes: &Attributes, default: &str) -> String {
    let name = attributes
        .text("name")
        .filter(|name| !name.is_empty())
        .unwrap_or(default);
    match attributes.text("name_prefix").filter(|prefix| !prefix.is_empty()) {
        Some(prefix) => format!("{prefix}:{name}"),
        None => name.to_owned(),
    }
}

/// What the app is called, without looking for its script.
pub(crate) fn name_alone(attributes: &Attributes) -> Option<String> {
    let stem = attributes.text("script").map(|script| file_stem(script.trim()));
    let named = attributes.text("name").is_some_and(|name| !name.is_empty());
    (named || stem.is_some()).then(|| name(attributes, stem.as_deref().unwrap_or_default()))
}

/// The number of instances: PM2's `max`, 0 and negative numbers count from the processors that affinity and cgroup
/// leave to this process.
pub(crate) fn instances(attributes: &Attributes) -> u32 {
    let declared = attributes
        .get("instances")
        .and_then(serde_json::Value::as_i64)
        .unwrap_or(1);
    // Counting processors reads half a dozen files; most apps do not ask.
    let wanted = if declared > 0 {
        declared
    } else {
        processors() + declared
    };
    u32::try_from(wanted.max(1)).unwrap_or(1)
}

fn processors() -> i64 {
    std::thread::available_parallelism().map_or(1, |count| i64::try_from(count.get()).unwrap_or(1))
}

/// Whether PM2 would run the app in cluster mode.
pub(crate) fn is_cluster(attributes: &Attributes, program: &Program) -> bool {
    let is_package_manager = wrapper::command_of(&program.path, &[]).is_some();
    let declared = attributes.text("exec_mode").is_some();
    asks_for_cluster(attributes) && (declared || runs_javascript(&program.interpreter) && !is_package_manager)
}

/// Whether the interpreter is node or bun, which PM2 runs in cluster mode if `instances` is given.
pub(crate) fn runs_javascript(interpreter: &Interpreter) -> bool {
    matches!(interpreter.runtime(), Some(Runtime::Node | Runtime::Bun))
}

/// Whom it runs as. A group alone concerns the user who typed the command.
pub(crate) fn run_as(attributes: &Attributes, username: &str) -> Option<RunAs> {
    let group = attributes.text("gid").map(str::to_owned);
    match (attributes.text("uid"), &group) {
        (Some(user), _) => Some(RunAs {
            user: user.to_owned(),
            group,
        }),
        (None, Some(_)) => Some(RunAs {
            user: username.to_owned(),
            group,
        }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_called_after_its_script() {
        for (script, name) in [
            ("./server.js", "server"),
            ("/srv/app/api.v2.js", "api.v2"),
            ("npm", "npm"),
            (".hidden", ".hidden"),
            ("python -m http.server", "python -m http"),
        ] {
            assert_eq!(file_stem(script), name);
        }
    }
}
