//! Typed → meant: the options of an app as PM2 attributes. Values stay as typed, apart from numbers; whether they are
//! valid is decided in one place, `ostler-config`, with the same words as for a config file.

use super::app_options::AppOptions;
use serde_json::{Map, Value, json};

/// The attributes that the options and the words after `--` declare.
pub fn attributes(options: &AppOptions, app_args: Option<&[String]>) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in texts(options) {
        put(&mut map, key, value.as_deref().map(Value::from));
    }
    for (key, value) in numbers(options) {
        put(&mut map, key, value.as_deref().map(number_or_text));
    }
    for (key, given, value) in switches(options) {
        put(&mut map, key, given.then(|| Value::from(value)));
    }
    for (key, value) in lists(options) {
        put(&mut map, key, value);
    }
    put(&mut map, "args", app_args.map(Value::from));
    map
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

fn texts(o: &AppOptions) -> [(&'static str, &Option<String>); 19] {
    [
        ("name", &o.name),
        ("namespace", &o.namespace),
        ("cwd", &o.cwd),
        ("exec_interpreter", &o.interpreter),
        ("node_args", &o.interpreter_args),
        ("gid", &o.gid),
        ("uid", &o.uid),
        ("pid_file", &o.pid),
        ("out_file", &o.output),
        ("error_file", &o.error),
        ("log_type", &o.log_type),
        ("log_date_format", &o.log_date_format),
        ("max_memory_restart", &o.max_memory_restart),
        ("max_memory_kill", &o.max_memory_kill),
        ("cron_restart", &o.cron_restart),
        ("ignore_watch", &o.ignore_watch),
        ("balance", &o.balance),
        ("health", &o.health),
        ("ready", &o.ready),
    ]
}

fn numbers(o: &AppOptions) -> [(&'static str, &Option<String>); 7] {
    [
        ("instances", &o.instances),
        ("restart_delay", &o.restart_delay),
        ("exp_backoff_restart_delay", &o.exp_backoff_restart_delay),
        ("kill_timeout", &o.kill_timeout),
        ("listen_timeout", &o.listen_timeout),
        ("drain_timeout", &o.drain_timeout),
        ("max_restarts", o.max_restarts.as_ref().unwrap_or(&None)),
    ]
}

fn switches(o: &AppOptions) -> [(&'static str, bool, bool); 11] {
    [
        ("execute_command", o.execute_command, true),
        ("autostart", o.no_autostart, false),
        ("time", o.time, true),
        ("merge_logs", o.merge_logs, true),
        ("disable_logs", o.disable_logs, true),
        ("autorestart", o.no_autorestart, false),
        ("wait_ready", o.wait_ready, true),
        ("prom_client", o.prom_client, true),
        ("shutdown_with_message", o.shutdown_with_message, true),
        ("treekill", o.no_treekill, false),
        ("force", o.force, true),
    ]
}

fn lists(o: &AppOptions) -> [(&'static str, Option<Value>); 6] {
    let watch = o
        .watch
        .as_ref()
        .map(|paths| if paths.is_empty() { json!(true) } else { json!(paths) });
    let log = o
        .log
        .as_ref()
        .map(|path| path.as_ref().map_or(json!(true), |path| json!(path)));
    [
        ("filter_env", o.filter_env.as_ref().map(|names| json!(names))),
        ("log_file", log),
        ("listen", o.listen.as_ref().map(|addresses| json!(addresses))),
        ("stop_exit_codes", o.stop_exit_codes.as_deref().map(exit_codes)),
        ("watch", watch),
        ("watch_delay", o.watch_delay.as_deref().map(watch_delay)),
    ]
}

fn number_or_text(typed: &str) -> Value {
    typed
        .trim()
        .parse::<i64>()
        .map_or_else(|_| Value::from(typed), Value::from)
}

/// `"0 143"` or `0,143`; what is no number stays text, for the config to refuse by name.
fn exit_codes(typed: &str) -> Value {
    typed
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(number_or_text)
        .collect()
}

/// Seconds with a fraction, or milliseconds with their unit, as milliseconds (PM2: only the flag has seconds).
fn watch_delay(typed: &str) -> Value {
    let millis = match typed.strip_suffix("ms") {
        Some(millis) => millis.trim().parse::<f64>(),
        None => typed
            .trim_end_matches('s')
            .trim()
            .parse::<f64>()
            .map(|seconds| seconds * 1000.0),
    };
    match millis {
        Ok(millis) if millis.is_finite() && millis >= 0.0 => Value::from(millis.round() as u64),
        Ok(_) | Err(_) => Value::from(typed),
    }
}
