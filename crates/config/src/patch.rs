//! Changing an app that exists: `restart <name>` with flags, `--update-env`.

use crate::attributes::Attributes;
use crate::diagnostic::{ConfigError, Problem};
use crate::load::{checked_flags, flag_error};
use crate::pm2::{environment, process};
use crate::resolve::{self, Parts};
use crate::{Context, interpreter};
use ostler_core::{Environment, Program, Spec};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Attributes on which what is run depends.
const PROGRAM_KEYS: &[&str] = &["script", "cwd", "exec_interpreter", "node_args", "args"];

/// Attributes on which files' places depend. As in PM2 they do not move for any other reason, e.g. a new name.
const LOG_KEYS: &[&str] = &["out_file", "error_file", "log_file", "merge_logs", "pid_file"];

/// `spec` with some attributes changed: by PM2's names, values as typed, the string `"null"` removes one. `environment`
/// is laid over what the app inherited (`--update-env`), and over what its config declares, as in PM2. Relative paths in
/// `attributes` start from the app's own `cwd`. Of `context`, `home` and `username` count.
///
/// # Errors
/// A value is invalid, or a changed script or interpreter is not found.
pub fn patch(
    spec: &Spec,
    attributes: &Map<String, Value>,
    environment: Option<&BTreeMap<String, String>>,
    context: &Context,
) -> Result<Spec, ConfigError> {
    let (removed, given): (Vec<_>, Vec<_>) = attributes
        .iter()
        .partition(|(_name, value)| value.as_str() == Some("null"));
    let given: Map<String, Value> = given
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let changes = checked_flags(&given)?;
    let removed: Vec<&str> = removed
        .iter()
        .filter_map(|(name, _null)| crate::pm2::attribute::find(name))
        .map(|attribute| attribute.name)
        .collect();
    Patching {
        spec,
        changes,
        removed,
        context,
    }
    .apply(environment)
    .map_err(flag_error)
}

struct Patching<'a> {
    spec: &'a Spec,
    changes: Attributes,
    removed: Vec<&'static str>,
    context: &'a Context,
}

impl Patching<'_> {
    fn touches(&self, keys: &[&str]) -> bool {
        keys.iter()
            .any(|key| self.changes.has(key) || self.removed.contains(key))
    }

    fn apply(&self, shell: Option<&BTreeMap<String, String>>) -> Result<Spec, Problem> {
        let spec = self.spec;
        let merged = self.merged();
        let context = Context {
            cwd: PathBuf::from(&spec.program.cwd),
            environment: self.variables(shell),
            ..self.context.clone()
        };
        let base = resolve::base(&merged, &context);
        let program = if self.touches(PROGRAM_KEYS) {
            self.program(&merged, &context)?
        } else {
            spec.program.clone()
        };
        let name = if self.touches(&["name", "name_prefix"]) {
            process::name(&merged, &spec.name)
        } else {
            spec.name.clone()
        };
        let environment = self.environment(&merged, shell)?;
        let parts = Parts {
            name,
            program,
            environment,
        };
        let mut patched = resolve::assemble(&merged, parts, &base, &context)?.spec;
        if !self.touches(LOG_KEYS) {
            patched.logs.out = spec.logs.out.clone();
            patched.logs.error = spec.logs.error.clone();
            patched.logs.combined = spec.logs.combined.clone();
            patched.logs.merged = spec.logs.merged;
            patched.pid_file = spec.pid_file.clone();
        }
        if !self.touches(&["instances"]) {
            patched.instances = spec.instances;
        }
        if !self.touches(&["username"]) {
            patched.username = spec.username.clone();
        }
        patched.mode = spec.mode;
        Ok(patched)
    }

    fn merged(&self) -> Attributes {
        let mut merged = self.spec.attributes.clone();
        merged.extend(self.changes.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        merged.retain(|name, _value| !self.removed.contains(&name.as_str()));
        Attributes(merged)
    }

    /// The variables that lookups in `PATH` and `~` go by.
    fn variables(&self, shell: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::clone(&self.spec.environment.inherited);
        variables.extend(
            shell
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        variables
    }

    /// A changed program is looked for anew; one whose script is the same keeps it, wherever it was found.
    fn program(&self, merged: &Attributes, context: &Context) -> Result<Program, Problem> {
        let old = &self.spec.program;
        let base = resolve::base(merged, context);
        let path = resolve::path_of(&self.spec.environment).unwrap_or(resolve::DEFAULT_PATH);
        let caller_path = context.environment.get("PATH").map_or(path, String::as_str);
        let nvm = context.environment.get("NVM_DIR").map(String::as_str);
        let search = interpreter::Search {
            path,
            caller_path,
            base: &base,
            nvm,
        };
        if self.touches(&["script"]) {
            return Ok(process::program(merged, &search)?.program);
        }
        let mut program = old.clone();
        program.cwd = base.cwd_text();
        if self.touches(&["exec_interpreter"]) {
            program.interpreter = interpreter::runner(merged, Path::new(&old.path), &search)?.interpreter;
        }
        if self.touches(&["node_args"]) {
            program.interpreter_args = merged.texts("node_args");
        }
        if self.touches(&["args"]) {
            program.args = merged.texts("args");
        }
        Ok(program)
    }

    fn environment(
        &self,
        merged: &Attributes,
        shell: Option<&BTreeMap<String, String>>,
    ) -> Result<Environment, Problem> {
        let mut environment = self.spec.environment.clone();
        let cwd = PathBuf::from(&self.spec.program.cwd);
        let base = resolve::base(
            merged,
            &Context {
                cwd,
                ..self.context.clone()
            },
        );
        if let Some(shell) = shell {
            let taken = environment::inherited(merged, shell, &base);
            environment.declared.retain(|name, _value| !taken.contains_key(name));
            Arc::make_mut(&mut environment.inherited).extend(taken);
        }
        if let Some(user) = resolve::user(merged)? {
            user.describe_in(Arc::make_mut(&mut environment.inherited));
        }
        if self.touches(&["port"])
            && let Some(port) = merged.number("port")
        {
            environment.declared.insert("PORT".into(), port.to_string());
        }
        if self.touches(&["env_file"]) {
            environment.files = merged.texts("env_file").iter().map(|file| base.resolve(file)).collect();
        }
        if self.touches(&["increment_var"]) {
            environment.increment_var = merged.text("increment_var").map(str::to_owned);
        }
        if self.touches(&["instance_var"])
            && let Some(name) = merged.text("instance_var")
        {
            environment.instance_var = name.to_owned();
        }
        Ok(environment)
    }
}
