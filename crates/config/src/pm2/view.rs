//! PM2's view of a process: what `jlist` prints, key by key in PM2's order, for scripts that read it.

use crate::environment::{interpreter, is_javascript, log_path, mode, with_id};
use ostler_core::{Environment, ExitStatus, SavedInstance, SlotId, SlotView, Spec};
use ostler_wire::control::{Process, Usage};
use serde_json::{Map, Value, json};
use std::path::Path;

/// One entry of `jlist`. `home` is Ostler's home, shown as `PM2_HOME`.
pub fn jlist_entry(process: &Process, home: &Path) -> Value {
    let view = &process.view;
    json!({
        "pid": view.pid.map_or(0, |pid| pid.0),
        "name": view.spec.name,
        "pm2_env": pm2_env(process, home),
        "pm_id": view.id,
        "monit": monit(process.usage),
    })
}

fn monit(usage: Option<Usage>) -> Value {
    match usage {
        Some(Usage { memory, cpu }) => json!({ "memory": memory, "cpu": number(cpu) }),
        None => json!({ "memory": 0, "cpu": 0 }),
    }
}

/// The entry of a saved list: PM2's keys, as far as PM2 needs them to start the process again. It flattens the environment
/// itself; `instances` stays out, since each instance has an entry; ids are what they would be after `resurrect`.
pub(crate) fn saved_env(instance: &SavedInstance, index: SlotId, home: &Path) -> Map<String, Value> {
    let spec = &*instance.spec;
    let mut map = declared(spec, &environment(&spec.environment, &spec.name, home));
    map.remove("instances");
    set(&mut map, "pm_out_log_path", log_path(&spec.logs.out, index));
    set(&mut map, "pm_err_log_path", log_path(&spec.logs.error, index));
    if let Some(file) = &spec.logs.combined {
        set(&mut map, "pm_log_path", log_path(file, index));
    }
    set(&mut map, "pm_pid_path", with_id(&spec.pid_file, index));
    set(&mut map, &spec.environment.instance_var, instance.instance);
    set(&mut map, "unique_id", spec.environment.unique_id.as_str());
    set(&mut map, "status", if instance.running { "online" } else { "stopped" });
    map
}

/// `0`, not `0.0`, as JavaScript prints it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// PM2's `pm2_env` of a process. The environment is shown in `env` and, flattened, beside the settings; unlike in PM2 a
/// variable never hides a setting of the same name.
pub fn pm2_env(process: &Process, home: &Path) -> Map<String, Value> {
    let view = &process.view;
    let spec = &*view.spec;
    let environment = environment(&spec.environment, &spec.name, home);
    let mut map = declared(spec, &environment);
    set(&mut map, "pm_out_log_path", &process.out_log);
    set(&mut map, "pm_err_log_path", &process.error_log);
    if let Some(path) = &process.combined_log {
        set(&mut map, "pm_log_path", path);
    }
    set(&mut map, "pm_pid_path", &process.pid_file);
    set(&mut map, "km_link", false);
    set(&mut map, "vizion_running", false);
    set(&mut map, &spec.environment.instance_var, view.instance);
    let state = state(view, process);
    // Node apps have their probe's options here; scripts count the name's occurrences.
    let options = if is_javascript(spec) {
        json!({ "module_name": spec.name })
    } else {
        json!({})
    };
    for (name, value) in environment {
        let taken = map.contains_key(&name) || state.contains_key(&name) || name == spec.name;
        if !taken && name != "unique_id" {
            map.insert(name, value);
        }
    }
    set(&mut map, "unique_id", spec.environment.unique_id.as_str());
    set(&mut map, "axm_actions", &process.actions);
    set(&mut map, "axm_monitor", &process.custom);
    set(&mut map, "axm_options", options);
    set(&mut map, "axm_dynamic", json!({}));
    map.extend(state);
    map
}

fn set(map: &mut Map<String, Value>, name: &str, value: impl serde::Serialize) {
    map.insert(name.to_owned(), json!(value));
}

/// The environment layer: the shell's variables, the declared ones over them, and what PM2 adds.
fn environment(environment: &Environment, name: &str, home: &Path) -> Map<String, Value> {
    let variables = environment.inherited.iter().chain(&environment.declared);
    let mut map: Map<String, Value> = variables
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    set(&mut map, "PM2_HOME", home.to_string_lossy());
    set(&mut map, "PM2_USAGE", "CLI");
    set(&mut map, name, json!({}));
    set(&mut map, "unique_id", environment.unique_id.as_str());
    map
}

/// Attributes that are shown from the spec's fields, or not at all (the script would repeat `pm_exec_path`).
const SHOWN_OTHERWISE: &[&str] = &[
    "script",
    "name",
    "name_prefix",
    "namespace",
    "args",
    "node_args",
    "exec_interpreter",
    "exec_mode",
    "instances",
    "instance_var",
    "autostart",
    "autorestart",
    "vizion",
    "pmx",
    "automation",
    "treekill",
    "username",
    "windowsHide",
    "kill_retry_time",
    "filter_env",
    "watch",
    "merge_logs",
    "out_file",
    "error_file",
    "log_file",
    "pid_file",
    "env",
];

/// The settings, in PM2's order.
fn declared(spec: &Spec, environment: &Map<String, Value>) -> Map<String, Value> {
    let said = |name: &str, default: Value| spec.attributes.get(name).cloned().unwrap_or(default);
    let mut map = Map::new();
    set(&mut map, "name", &spec.name);
    set(&mut map, "filter_env", said("filter_env", json!([])));
    set(&mut map, "namespace", &spec.namespace);
    if !spec.program.args.is_empty() {
        set(&mut map, "args", &spec.program.args);
    }
    set(&mut map, "env", environment);
    let rest = spec
        .attributes
        .iter()
        .filter(|(name, _value)| !SHOWN_OTHERWISE.contains(&name.as_str()));
    map.extend(rest.map(|(name, value)| (name.clone(), value.clone())));
    if spec.logs.merged {
        set(&mut map, "merge_logs", true);
    }
    set(&mut map, "vizion", said("vizion", json!(true)));
    set(&mut map, "autostart", spec.autostart);
    set(&mut map, "autorestart", spec.restart.auto);
    set(&mut map, "watch", said("watch", json!(false)));
    set(&mut map, "instance_var", &spec.environment.instance_var);
    set(&mut map, "pmx", said("pmx", json!(true)));
    set(&mut map, "automation", said("automation", json!(true)));
    set(&mut map, "treekill", spec.stop.tree);
    set(&mut map, "username", &spec.username);
    set(&mut map, "windowsHide", true);
    set(&mut map, "kill_retry_time", said("kill_retry_time", json!(100)));
    set(&mut map, "node_args", &spec.program.interpreter_args);
    set(&mut map, "pm_exec_path", &spec.program.path);
    set(&mut map, "pm_cwd", &spec.program.cwd);
    set(&mut map, "exec_interpreter", interpreter(spec));
    set(&mut map, "exec_mode", mode(spec));
    set(&mut map, "instances", spec.instances);
    map
}

/// How the process is, in PM2's order.
fn state(view: &SlotView, process: &Process) -> Map<String, Value> {
    let mut map = Map::new();
    set(&mut map, "status", view.status.as_str());
    set(&mut map, "pm_uptime", view.launched_at.map_or(0, |moment| moment.0));
    set(&mut map, "created_at", view.created_at);
    set(&mut map, "pm_id", view.id);
    set(&mut map, "restart_time", view.restarts);
    set(&mut map, "unstable_restarts", view.unstable_restarts);
    if view.restart_delay_ms > 0 {
        set(&mut map, "prev_restart_delay", view.restart_delay_ms);
    }
    if let Some(status) = view.last_exit {
        set(&mut map, "exit_code", exit_code(status));
    }
    if let Some(connections) = process.connections {
        set(&mut map, "connections", connections);
    }
    if !view.spec.probes.is_empty() {
        set(&mut map, "health", &view.health);
    }
    set(&mut map, "version", process.version.as_deref().unwrap_or("N/A"));
    if let Some(version) = &process.node_version {
        set(&mut map, "node_version", version);
    }
    map
}

/// PM2: a death by signal counts as 0.
fn exit_code(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { .. } | ExitStatus::Unknown => 0,
    }
}
