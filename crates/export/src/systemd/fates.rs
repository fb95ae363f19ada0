//! What becomes of each key that an app declares. What is neither carried over nor explained is told by its name, so that nothing is
//! dropped in silence, keys of later times included.

use crate::remarks::Remarks;
use ostler_core::{Mode, Spec};
use serde_json::Value;

/// Keys that the units say in their own words, or that mean nothing without Ostler.
const CARRIED: [&str; 41] = [
    "name",
    "name_prefix",
    "append_env_to_name",
    "script",
    "cwd",
    "args",
    "exec_interpreter",
    "node_args",
    "instances",
    "exec_mode",
    "execute_command",
    "uid",
    "gid",
    "username",
    "env",
    "env_file",
    "filter_env",
    "port",
    "increment_var",
    "instance_var",
    "autorestart",
    "autostart",
    "max_restarts",
    "min_uptime",
    "restart_delay",
    "exp_backoff_restart_delay",
    "stop_exit_codes",
    "cron_restart",
    "max_memory_restart",
    "kill_timeout",
    "kill_signal",
    "treekill",
    "listen",
    "force",
    "write",
    "out_file",
    "error_file",
    "merge_logs",
    "disable_logs",
    "kill_retry_time",
    "pid_file",
];

/// Keys that have no counterpart, and what there is instead.
const REASONS: [(&str, &str); 17] = [
    ("namespace", "systemd groups units by targets and slices"),
    ("watch", "systemd restarts nothing when files change"),
    ("log_file", "the journal has both streams together (journalctl -u)"),
    ("log_type", "journalctl -o json shows the journal as JSON"),
    ("log_date_format", "the journal has the time of each line"),
    ("time", "the journal has the time of each line"),
    ("log_rotate", "journald.conf(5) says how much of the journal is kept"),
    ("ready_timeout", "a start that takes too long has failed"),
    (
        "shutdown_with_message",
        "there is no channel for messages; the signal is sent",
    ),
    ("balance", "it is Ostler that hands out connections"),
    (
        "max_memory_kill",
        "MemoryMax= is the one limit there is; write it in a drop-in",
    ),
    (
        "health",
        "systemd looks at no worker; WatchdogSec= needs the app's own word",
    ),
    (
        "ready",
        "systemd looks at no worker; Type=notify needs the app's own word",
    ),
    ("min_ready", "a restart does not wait for a successor"),
    ("serialization", "there is no channel for messages"),
    (
        "prom_client",
        "nobody adds up what several processes have registered; let Prometheus read each",
    ),
    ("drain_timeout", "a stop takes as long as TimeoutStopSec= says"),
];

/// Says what of an app's keys is left behind.
pub(super) fn say(spec: &Spec, remarks: &mut Remarks) {
    for (name, value) in &spec.attributes {
        let nothing = matches!(value, Value::Null | Value::Bool(false)) || value.as_str() == Some("");
        if CARRIED.contains(&name.as_str()) || nothing || is_of(spec, name) {
            continue;
        }
        match REASONS.iter().find(|(known, _)| known == name) {
            Some((_, reason)) => remarks.say(format!("`{name}` is left out: {reason}")),
            None => remarks.say(format!("`{name}` is left out: systemd has nothing like it")),
        }
    }
}

/// Keys that other keys explain.
fn is_of(spec: &Spec, name: &str) -> bool {
    match name {
        "namespace" => spec.namespace == "default",
        // Told with `wait_ready`, or without meaning unless there is that.
        "wait_ready" | "listen_timeout" => true,
        "ignore_watch" | "watch_delay" | "watch_options" | "watch_action" => true,
        "drain_timeout" => spec.mode == Mode::Fork && !spec.listen.is_empty(),
        _other => false,
    }
}
