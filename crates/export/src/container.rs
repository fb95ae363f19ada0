//! An app as it runs in an image: under `ostler runtime`, with its settings in a config file of its own, its variables from
//! outside, and the project's directory at another place.

use crate::Project;
use crate::remarks::Remarks;
use crate::secret;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ostler_core::{Address, Mode, Spec};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Where the project lies in an image.
pub(crate) const ROOT: &str = "/app";

/// The user and group in an image: a number, since Kubernetes can tell only of a number that it is not root.
pub(crate) const USER: u32 = 10001;

/// How long an app may take to end: it drains its connections, and stops.
pub(crate) fn ending(spec: &Spec) -> Duration {
    let draining = if spec.can_overlap() {
        spec.cluster.drain_timeout
    } else {
        Duration::ZERO
    };
    draining + spec.stop.kill_timeout
}

/// Attributes that the settings have in another form, or that mean nothing to a process alone in its container.
const REPLACED: [&str; 21] = [
    "name",
    "name_prefix",
    "append_env_to_name",
    "namespace",
    "script",
    "cwd",
    "instances",
    "exec_mode",
    "execute_command",
    "listen",
    "port",
    "env",
    "username",
    "autostart",
    "filter_env",
    "pid_file",
    "merge_logs",
    "log_rotate",
    "force",
    "write",
    "kill_retry_time",
];

/// Attributes that do not get into an image, and why.
const LEFT_OUT: [(&str, &str); 12] = [
    (
        "watch",
        "the files of an image do not change; a new image is the change",
    ),
    ("ignore_watch", "see `watch`"),
    ("watch_delay", "see `watch`"),
    ("watch_options", "see `watch`"),
    ("watch_action", "see `watch`"),
    ("uid", "the container's user is the one to run as"),
    ("gid", "the container's group is the one to run as"),
    ("out_file", "output goes to the container's standard output"),
    ("error_file", "errors go to the container's standard error"),
    ("log_file", "output goes to the container's standard output"),
    ("post_update", "an image is built, not updated"),
    (
        "increment_var",
        "each pod has one worker, so the variable has its first value everywhere",
    ),
];

/// The app's entry for a config file in an image: everything but its variables, for one worker.
pub(crate) fn settings(spec: &Spec, project: &Project, remarks: &mut Remarks) -> Map<String, Value> {
    let place = Place { root: &project.root };
    let mut settings = Map::new();
    settings.insert("name".into(), spec.name.clone().into());
    if spec.namespace != "default" {
        settings.insert("namespace".into(), spec.namespace.clone().into());
    }
    settings.insert("script".into(), script(spec, &place, remarks).into());
    settings.insert("cwd".into(), directory(spec, &place, remarks).into());
    let mode = match spec.mode {
        Mode::Cluster => "cluster",
        Mode::Fork => "fork",
    };
    settings.insert("exec_mode".into(), mode.into());
    settings.insert("instances".into(), 1.into());
    if !spec.listen.is_empty() {
        settings.insert("listen".into(), sockets(spec, remarks));
    }
    for (name, value) in &spec.attributes {
        match left_out(name) {
            Some(reason) if means_something(value) => remarks.say(format!("`{name}` is left out: {reason}")),
            Some(_) => {}
            None if REPLACED.contains(&name.as_str()) || name == "env_file" => {}
            None if name == "exec_interpreter" => settings.extend(interpreter(value, &place, remarks)),
            None => {
                settings.insert(name.clone(), place.moved(value));
            }
        }
    }
    arguments(spec, remarks);
    settings
}

fn left_out(name: &str) -> Option<&'static str> {
    LEFT_OUT
        .iter()
        .find(|(left, _)| *left == name)
        .map(|(_, reason)| *reason)
}

/// `watch: false` and the like need no word.
fn means_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("") && value.as_u64() != Some(0)
}

/// Arguments stand in the config file for everybody who may read it.
fn arguments(spec: &Spec, remarks: &mut Remarks) {
    for found in secret::in_arguments(&spec.program.args) {
        remarks.say(format!(
            "`args` has {found}, which looks like a secret and is written out here: give it by a variable instead"
        ));
    }
}

/// Variables with paths of this machine brought to the image's.
pub(crate) fn variables(spec: &Spec, project: &Project) -> secret::Parted {
    let place = Place { root: &project.root };
    let mut parted = secret::part(&spec.environment.declared);
    for value in parted.plain.values_mut() {
        *value = place.moved_text(value);
    }
    parted
}

/// The sockets, to be reached from outside the container.
fn sockets(spec: &Spec, remarks: &mut Remarks) -> Value {
    let socket = |listen: &ostler_core::Listen| {
        let address = match &listen.address {
            Address::Tcp(address) => Address::Tcp(reachable(*address, remarks)),
            Address::Udp(address) => Address::Udp(reachable(*address, remarks)),
            Address::Unix(path) => Address::Unix(path.clone()),
        };
        let mut socket = json!({ "address": address.to_string(), "backlog": listen.backlog });
        if let Some(name) = &listen.name {
            socket["name"] = name.clone().into();
        }
        if matches!(address, Address::Unix(_)) {
            socket["mode"] = format!("{:04o}", listen.mode).into();
        }
        socket
    };
    spec.listen.iter().map(socket).collect()
}

/// Nothing outside a container reaches its loopback.
fn reachable(address: SocketAddr, remarks: &mut Remarks) -> SocketAddr {
    if !address.ip().is_loopback() {
        return address;
    }
    let any = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let moved = SocketAddr::new(any, address.port());
    remarks.say(format!(
        "`listen` is {moved} instead of {address}, which nothing outside the container reaches"
    ));
    moved
}

fn script(spec: &Spec, place: &Place<'_>, remarks: &mut Remarks) -> String {
    let declared = spec
        .attributes
        .get("script")
        .and_then(Value::as_str)
        .unwrap_or(&spec.program.path);
    let moved = place.moved_text(declared);
    if declared.starts_with('/') && moved == declared && !is_of_a_system(declared) {
        remarks.say(format!(
            "`script` {declared} lies outside of {}: the image must have it at this place",
            place.root
        ));
    }
    moved
}

fn directory(spec: &Spec, place: &Place<'_>, remarks: &mut Remarks) -> String {
    let moved = place.moved_text(&spec.program.cwd);
    if moved == spec.program.cwd {
        remarks.say(format!(
            "`cwd` {moved} lies outside of {}: the image must have it at this place",
            place.root
        ));
    }
    moved
}

fn is_of_a_system(path: &str) -> bool {
    let directories = [
        "/bin/",
        "/sbin/",
        "/usr/bin/",
        "/usr/sbin/",
        "/usr/local/bin/",
        "/usr/local/sbin/",
    ];
    directories.iter().any(|directory| path.starts_with(directory))
}

/// An interpreter of this machine is looked up in the image's `PATH`.
fn interpreter(value: &Value, place: &Place<'_>, remarks: &mut Remarks) -> Option<(String, Value)> {
    let declared = value.as_str()?;
    let key = "exec_interpreter".to_owned();
    if declared.starts_with("node@") {
        remarks.say(format!(
            "`interpreter` {declared}: the image has one Node, whose version is for you to choose"
        ));
        return Some((key, "node".into()));
    }
    let moved = place.moved_text(declared);
    if moved == declared && declared.starts_with('/') {
        let name = declared.rsplit('/').next().unwrap_or(declared);
        remarks.say(format!(
            "`interpreter` {declared} of this machine becomes {name}, looked up in the image's PATH"
        ));
        return Some((key, name.into()));
    }
    Some((key, moved.into()))
}

/// The project's directory here.
struct Place<'a> {
    root: &'a str,
}

impl Place<'_> {
    /// Texts within a value, moved.
    fn moved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.moved_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.moved(item)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), self.moved(value)))
                .collect::<Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// The project's directory replaced by the image's, wherever it stands as a whole path or the beginning of one.
    fn moved_text(&self, text: &str) -> String {
        if self.root.len() < 2 {
            return text.to_owned();
        }
        let of_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        let mut moved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(self.root) {
            let (before, found) = rest.split_at(at);
            let after = &found[self.root.len()..];
            moved.push_str(before);
            let begins = !moved.ends_with(of_path);
            let ends = after.chars().next().is_none_or(|c| c == '/' || !of_path(c));
            moved.push_str(if begins && ends { ROOT } else { self.root });
            rest = after;
        }
        moved.push_str(rest);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_project_are_moved_and_no_others() {
        let place = Place { root: "/srv/shop" };
        let cases = [
            ("/srv/shop", "/app"),
            ("/srv/shop/dist/main.js", "/app/dist/main.js"),
            ("--config=/srv/shop/a:/srv/shop/b", "--config=/app/a:/app/b"),
            ("/srv/shopping", "/srv/shopping"),
            ("/mnt/srv/shop/x", "/mnt/srv/shop/x"),
            ("/srv/other", "/srv/other"),
        ];
        for (text, expected) in cases {
            assert_eq!(place.moved_text(text), expected);
        }
        assert_eq!(Place { root: "/" }.moved_text("/etc"), "/etc");
    }
}
