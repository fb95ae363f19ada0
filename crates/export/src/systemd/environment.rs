//! Variables: plain ones in the unit, secrets in a file to be filled in, those that differ from instance to instance in drop-ins.

use super::App;
use super::escape::{self, Replaced};
use super::unit::Unit;
use crate::Document;
use crate::remarks::{self, Remarks};
use crate::{port, secret};
use ostler_config::filled_in;
use ostler_core::{Interpreter, Mode};
use std::collections::BTreeMap;

/// Where units look for programs when nothing says so (systemd.exec(5)).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the file of secrets belongs.
const DIRECTORY: &str = "/etc/ostler-export";

#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Lines for the service.
    pub(super) lines: Vec<(&'static str, String)>,
    /// What is to be filled in, if anything is.
    pub(super) file: Option<Document>,
    /// One drop-in an instance, if instances differ.
    pub(super) drop_ins: Vec<Document>,
}

pub(super) fn environment(app: &App<'_>, remarks: &mut Remarks) -> Environment {
    let spec = app.spec;
    let mut declared = declared(app, remarks);
    let counted = counted(app);
    // A file would win over the drop-ins.
    declared.retain(|name, _value| !counted.contains_key(name.as_str()));
    let parted = secret::part(&declared);
    // A file wins over `Environment=`, and what an app declares over its files: then that has to be in a last file.
    let all_in_file = !spec.environment.files.is_empty();
    let mut lines = Vec::new();
    let mut assign = |name: &str, value: &str| {
        lines.push((
            "Environment",
            escape::word(&format!("{name}={value}"), Replaced::Specifiers),
        ));
    };
    if !declared.contains_key("PATH")
        && let Some(path) = path(app)
    {
        assign("PATH", &path);
    }
    if !all_in_file {
        parted.plain.iter().for_each(|(name, value)| assign(name, value));
    }
    let instance = if app.is_template() { "%i" } else { "0" };
    if escape::is_variable_name(&spec.environment.instance_var) {
        lines.push(("Environment", format!("{}={instance}", spec.environment.instance_var)));
    }
    for file in &spec.environment.files {
        lines.extend(escape::line(file).map(|file| ("EnvironmentFile", file)));
        remarks.say(format!(
            "`env_file` {file} is read by systemd, which knows neither `export` nor `${{…}}` in it (systemd.exec(5))"
        ));
    }
    let file = (all_in_file || !parted.secret.is_empty()).then(|| file(app, &parted, all_in_file, remarks));
    if let Some(file) = &file {
        lines.push(("EnvironmentFile", format!("{DIRECTORY}/{}", file.path)));
    }
    remarks.say(
        "of the environment only what is declared is carried over; neither the shell's variables nor PM2's own (pm_id, name, …) are there",
    );
    Environment {
        lines,
        file,
        drop_ins: drop_ins(app, &counted),
    }
}

/// Declared variables as the app sees them. Names that systemd does not take are told.
fn declared(app: &App<'_>, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let variables = app.spec.environment.declared.iter();
    let value = |(name, value): (&String, &String)| (name.clone(), filled_in(value, &app.spec.listen));
    let (sayable, unsayable): (BTreeMap<_, _>, BTreeMap<_, _>) = variables
        .map(value)
        .partition(|(name, _value)| escape::is_variable_name(name));
    for name in unsayable.keys() {
        remarks.say(format!(
            "the variable {name} is left out: systemd takes letters, digits and `_` in names only"
        ));
    }
    sayable
}

/// A path with the interpreter's directory, for programs that the app starts by name, where it is not in systemd's own.
fn path(app: &App<'_>) -> Option<String> {
    let Interpreter::Program(name) = &app.spec.program.interpreter else {
        return None;
    };
    let (directory, _) = app.program(name).rsplit_once('/')?;
    let usual = DEFAULT_PATH.split(':').any(|usual| usual == directory);
    (!usual && !directory.is_empty()).then(|| format!("{directory}:{DEFAULT_PATH}"))
}

fn file(app: &App<'_>, parted: &secret::Parted, with_plain: bool, remarks: &mut Remarks) -> Document {
    let name = format!("{}.env", app.name);
    let title = format!(
        "Made by `ostler export systemd`: variables of the app {}. Fill in the secrets, and put this file at {DIRECTORY}/{name}, mode 0600.",
        app.spec.name
    );
    let mut text = remarks::head(&title, &[]);
    if with_plain {
        parted
            .plain
            .iter()
            .for_each(|(name, value)| text.push_str(&escape::file_line(name, value)));
    }
    parted
        .secret
        .iter()
        .for_each(|name| text.push_str(&escape::file_line(name, secret::PLACEHOLDER)));
    if !parted.secret.is_empty() {
        let names = parted.secret.join(", ");
        remarks.say(format!(
            "fill in what looks like a secret: {names} (in {name}, which belongs into {DIRECTORY})"
        ));
    }
    let mut document = Document::new(name, text);
    document.private = true;
    document
}

/// What counts up from instance to instance: `increment_var`, and the port of a cluster's workers, which cannot share one.
fn counted<'a>(app: &'a App<'_>) -> BTreeMap<&'a str, i64> {
    let spec = app.spec;
    let mut counted = BTreeMap::new();
    if !app.is_template() {
        return counted;
    }
    if spec.mode == Mode::Cluster
        && let Some(first) = port::declared(spec)
    {
        counted.insert("PORT", first.into());
    }
    let name = spec.environment.increment_var.as_deref();
    if let Some(name) = name.filter(|name| escape::is_variable_name(name)) {
        let first = spec
            .environment
            .declared
            .get(name)
            .and_then(|value| value.trim().parse().ok());
        counted.insert(name, first.unwrap_or(0));
    }
    counted
}

fn drop_ins(app: &App<'_>, counted: &BTreeMap<&str, i64>) -> Vec<Document> {
    if counted.is_empty() {
        return Vec::new();
    }
    let drop_in = |number: u32| {
        let mut unit = Unit::new(&app.spec.name, &[]);
        unit.section("Service");
        for (name, first) in counted {
            unit.line("Environment", format!("{name}={}", first.saturating_add(number.into())));
        }
        Document::new(format!("{}.d/instance.conf", app.instance(number)), unit.finish())
    };
    (0..app.spec.instances).map(drop_in).collect()
}
