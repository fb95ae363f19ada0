//! The service: what is run, as whom, when it is up, and how it ends.

use super::App;
use super::Unsayable;
use super::environment::Environment;
use super::escape::{self, Replaced};
use super::restarts;
use super::socket::Socket;
use super::unit::{Unit, span};
use crate::remarks::Remarks;
use crate::secret;
use ostler_config::filled_in;
use ostler_core::{Interpreter, LogFile, Runtime};
use std::time::Duration;

impl App<'_> {
    /// Where a program lies that is named without a path.
    pub(super) fn program<'b>(&'b self, name: &'b str) -> &'b str {
        self.project.programs.get(name).map_or(name, String::as_str)
    }
}

/// All of the unit but its head: the remarks in that are not complete before this was made.
pub(super) fn body(
    app: &App<'_>,
    sockets: &[Socket],
    environment: &Environment,
    remarks: &mut Remarks,
) -> Result<String, Unsayable> {
    let spec = app.spec;
    let mut unit = Unit::headless(&spec.name);
    unit.section("Unit");
    let instance = if app.is_template() { ", instance %i" } else { "" };
    unit.line("Description", format!("{}{instance}", escape::prose(&spec.name)));
    unit.line("After", "network.target");
    if app.is_template() {
        unit.line("PartOf", app.whole());
    }
    restarts::limits(spec, &mut unit);
    unit.section("Service");
    kind(app, &mut unit, remarks);
    user(app, &mut unit)?;
    unit.said("WorkingDirectory", &spec.program.cwd)?;
    for (key, value) in &environment.lines {
        unit.line(key, value);
    }
    unit.line("ExecStart", command(app, remarks)?);
    if app.is_template() || sockets.len() > 1 {
        for socket in sockets {
            unit.line("Sockets", &socket.file);
        }
    }
    output(app, &mut unit, remarks)?;
    restarts::restarts(app, &mut unit);
    stopping(app, &mut unit);
    memory(app, &mut unit, remarks);
    install(app, &mut unit);
    Ok(unit.finish())
}

fn kind(app: &App<'_>, unit: &mut Unit, remarks: &mut Remarks) {
    let spec = app.spec;
    if app.is_cron_job() {
        unit.line("Type", "oneshot");
        return;
    }
    if !spec.ready.wait_ready {
        unit.line("Type", "exec");
        return;
    }
    if spec
        .program
        .interpreter
        .runtime()
        .is_some_and(|runtime| matches!(runtime, Runtime::Node | Runtime::Bun))
    {
        remarks.say("`wait_ready` is left out: without Ostler there is no `process.send`; it counts as up once it runs. With sd_notify(3), make it Type=notify");
        unit.line("Type", "exec");
        return;
    }
    unit.line("Type", "notify");
    unit.line("NotifyAccess", "all");
    unit.line("TimeoutStartSec", span(spec.ready.listen_timeout));
}

/// Without a word on it, it is who gave the command: a unit would run as root.
fn user(app: &App<'_>, unit: &mut Unit) -> Result<(), Unsayable> {
    match &app.spec.user {
        Some(user) => {
            unit.said("User", &user.user)?;
            user.group.as_ref().map_or(Ok(()), |group| unit.said("Group", group))
        }
        None => unit.said("User", &app.spec.username),
    }
}

fn command(app: &App<'_>, remarks: &mut Remarks) -> Result<String, Unsayable> {
    let spec = app.spec;
    let program = &spec.program;
    let fill = |text: &String| filled_in(text, &spec.listen);
    let mut arguments: Vec<String> = Vec::new();
    let executable = match &program.interpreter {
        Interpreter::None => program.path.as_str(),
        Interpreter::Program(name) => {
            arguments.extend(program.interpreter_args.iter().map(fill));
            arguments.push(program.path.clone());
            app.program(name)
        }
    };
    arguments.extend(program.args.iter().map(fill));
    if !executable.starts_with('/') {
        remarks.say(format!(
            "{executable} was not found on this machine: write its whole path into `ExecStart=`"
        ));
    }
    for found in secret::in_arguments(&program.args) {
        remarks.say(format!(
            "`args` has {found}, which looks like a secret and is written out here: give it by a variable instead"
        ));
    }
    // Variables are replaced in what is shown as the program's name, too, though not in what is executed.
    let (prefix, replaced) = if executable.contains('$') {
        (":", Replaced::Specifiers)
    } else {
        ("", Replaced::SpecifiersAndVariables)
    };
    let mut words = vec![format!("{prefix}{}", escape::word(executable, Replaced::Specifiers))];
    words.extend(arguments.iter().map(|argument| escape::word(argument, replaced)));
    Ok(words.join(" "))
}

/// To the journal, unless a file is declared.
fn output(app: &App<'_>, unit: &mut Unit, remarks: &mut Remarks) -> Result<(), Unsayable> {
    let spec = app.spec;
    if spec.logs.disabled {
        unit.line("StandardOutput", "null");
        unit.line("StandardError", "null");
        return Ok(());
    }
    let streams = [
        ("out_file", "StandardOutput", &spec.logs.out),
        ("error_file", "StandardError", &spec.logs.error),
    ];
    for (attribute, key, file) in streams {
        match file {
            LogFile::Discard => unit.line(key, "null"),
            LogFile::Path(path) if spec.attributes.contains_key(attribute) => {
                remarks.say("files of output are not rotated: see logrotate(8), or take StandardOutput= and StandardError= out for the journal");
                let instance = if app.is_template() { "\u{1a}" } else { "0" };
                let path = path.replace("{id}", instance);
                let line =
                    escape::line(&path.replace('\u{1a}', "0")).map(|_| path.replace('%', "%%").replace('\u{1a}', "%i"));
                let line = line.ok_or_else(|| Unsayable {
                    app: spec.name.clone(),
                    key,
                    value: path,
                })?;
                unit.line(key, format!("append:{line}"));
            }
            LogFile::Path(_) => {}
        }
    }
    Ok(())
}

fn stopping(app: &App<'_>, unit: &mut Unit) {
    let stop = &app.spec.stop;
    let signal = ostler_config::signal::name(stop.signal).map_or_else(|| stop.signal.to_string(), str::to_owned);
    unit.line("KillSignal", signal);
    unit.line("KillMode", if stop.tree { "control-group" } else { "process" });
    unit.line("TimeoutStopSec", span(patience(app)));
}

/// With sockets of its own it is restarted in flight: then it may take as long as a replaced worker does.
fn patience(app: &App<'_>) -> Duration {
    let spec = app.spec;
    if spec.listen.is_empty() || spec.attributes.contains_key("kill_timeout") {
        return spec.stop.kill_timeout;
    }
    spec.cluster.drain_timeout
}

/// No `MemoryHigh=`: it would slow an app down where Ostler replaces it.
fn memory(app: &App<'_>, unit: &mut Unit, remarks: &mut Remarks) {
    let Some(limit) = app.spec.memory_limit else { return };
    remarks.say("`max_memory_restart` became MemoryMax=: the kernel kills what uses more, and systemd starts it again; nothing asks it to end first");
    unit.line("MemoryMax", limit);
    unit.line("MemorySwapMax", "0");
}

fn install(app: &App<'_>, unit: &mut Unit) {
    if app.is_cron_job() || !app.spec.autostart {
        return;
    }
    unit.section("Install");
    let target = if app.is_template() {
        app.whole()
    } else {
        "multi-user.target".to_owned()
    };
    unit.line("WantedBy", target);
}
