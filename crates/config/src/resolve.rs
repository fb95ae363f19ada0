//! From checked attributes to a [`Spec`]: each key family contributes its part.

use crate::Context;
use crate::attributes::Attributes;
use crate::diagnostic::Problem;
use crate::interpreter::Search;
use crate::paths::Base;
use crate::pm2::environment::{Blocks, Shell};
use crate::pm2::{cluster, environment, health, listen, logs, process, restart, stop, watch};
use crate::users::{self, User};
use ostler_core::{Environment, Mode, Program, Runtime, Spec};
use serde_json::Value;

/// A spec, and what its user should know about it.
#[derive(Debug)]
pub(crate) struct Resolution {
    pub(crate) spec: Spec,
    /// Attribute and remark.
    pub(crate) remarks: Vec<(&'static str, String)>,
}

/// The spec that `attributes` declare.
pub(crate) fn spec(
    attributes: &Attributes,
    blocks: &Blocks,
    context: &Context,
    shell: &mut Shell,
) -> Result<Resolution, Problem> {
    let base = base(attributes, context);
    let environment = user(attributes)
        .and_then(|user| environment::environment(attributes, blocks, &context.environment, &base, (user, shell)));
    let caller_path = context.environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let path = environment.as_ref().ok().and_then(path_of).unwrap_or(caller_path);
    let nvm = context.environment.get("NVM_DIR").map(String::as_str);
    let found = process::program(
        attributes,
        &Search {
            path,
            caller_path,
            base: &base,
            nvm,
        },
    )?;
    let environment = environment?;
    check_environment_files(&environment)?;
    let mut name = process::name(attributes, &found.default_name);
    if let (Some(true), Some(chosen)) = (attributes.flag("append_env_to_name"), &blocks.chosen) {
        name = format!("{name}-{chosen}");
    }
    let parts = Parts {
        name,
        program: found.program,
        environment,
    };
    let mut resolution = assemble(attributes, parts, &base, context)?;
    resolution.remarks.extend(found.remark.map(|remark| ("script", remark)));
    Ok(resolution)
}

/// The parts of a spec that come from outside the attributes alone: files found, the shell's environment.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) environment: Environment,
}

/// Everything else follows from the attributes.
pub(crate) fn assemble(
    attributes: &Attributes,
    parts: Parts,
    base: &Base,
    context: &Context,
) -> Result<Resolution, Problem> {
    let Parts {
        name,
        program,
        environment,
    } = parts;
    let wanted = process::is_cluster(attributes, &program);
    let runtime = program.interpreter.runtime().filter(|_| wanted);
    let cluster = runtime.is_some();
    let listen = listen::sockets(attributes)?;
    if wanted && !listen.is_empty() {
        return Err(Problem::invalid(
            "listen",
            "workers of a Node.js cluster share what they listen on by themselves and inherit no sockets",
            "remove `listen`, or write exec_mode: \"fork\"",
        ));
    }
    listen::check_references(&listen, &program, &environment.declared)?;
    let cluster_policy = cluster::policy(attributes, runtime);
    let mode = if cluster { Mode::Cluster } else { Mode::Fork };
    let probes = health::probes(
        attributes,
        &health::Around {
            mode,
            program: &program,
            listen: &listen,
            preload: cluster_policy.preload && !matches!(runtime, Some(Runtime::Bun | Runtime::Deno)),
        },
    )?;
    let instances = process::instances(attributes);
    let several = cluster || attributes.has("instances");
    let log_context = logs::LogContext {
        name: &name,
        home: &context.home,
        base,
        several,
    };
    let log_spec = logs::spec(attributes, &log_context)?;
    let pid_file = logs::pid_file(attributes, &log_context);
    let spec = Spec {
        namespace: attributes
            .text("namespace")
            .filter(|name| !name.is_empty())
            .unwrap_or("default")
            .to_owned(),
        mode,
        cluster: cluster_policy,
        probes,
        listen,
        instances,
        environment,
        user: process::run_as(attributes, &context.username),
        logs: log_spec,
        restart: restart::policy(attributes),
        stop: stop::policy(attributes),
        ready: restart::readiness(attributes),
        cron: restart::cron(attributes),
        watch: watch::spec(attributes, base),
        memory_limit: attributes.number("max_memory_restart").filter(|bytes| *bytes > 0),
        memory_kill: restart::memory_kill(attributes)?,
        prom_client: attributes.flag("prom_client").unwrap_or(false),
        autostart: attributes.flag("autostart").unwrap_or(true),
        pid_file,
        username: attributes.text("username").unwrap_or(&context.username).to_owned(),
        attributes: record(attributes, base),
        name,
        program,
    };
    Ok(Resolution {
        remarks: remarks(attributes, wanted && !cluster, instances),
        spec,
    })
}

/// The record of what was said. Variables are not settings: `env` lives in the spec's environment. `cwd` is recorded as
/// the absolute path it meant, since the record may be read from elsewhere.
fn record(attributes: &Attributes, base: &Base) -> serde_json::Map<String, Value> {
    let said = attributes.0.iter().filter(|(name, _value)| *name != "env");
    let absolute = |(name, value): (&String, &Value)| {
        let value = if name == "cwd" {
            base.cwd_text().into()
        } else {
            value.clone()
        };
        (name.clone(), value)
    };
    said.map(absolute).collect()
}

fn remarks(attributes: &Attributes, no_cluster: bool, instances: u32) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    if no_cluster {
        let key = if attributes.has("exec_mode") {
            "exec_mode"
        } else {
            "instances"
        };
        let runs = if instances == 1 {
            "1 process runs in fork mode".to_owned()
        } else {
            format!("{instances} independent processes run")
        };
        remarks.push((key, format!("cluster mode is for Node.js, Bun and Deno; {runs}")));
    }
    if let Some(Value::Object(options)) = attributes.get("watch_options") {
        let unused: Vec<_> = options
            .keys()
            .filter(|option| *option != "ignored")
            .map(String::as_str)
            .collect();
        if !unused.is_empty() {
            let reason = "the kernel tells Ostler about every change";
            remarks.push((
                "watch_options",
                format!("{} has no effect: {reason}", unused.join(", ")),
            ));
        }
    }
    remarks
}

/// What relative paths start from: the caller's directory, or `cwd` resolved against it.
pub(crate) fn base(attributes: &Attributes, context: &Context) -> Base {
    let caller = Base::new(&context.cwd, context.environment.get("HOME").map(String::as_str));
    match attributes.text("cwd").filter(|cwd| !cwd.is_empty()) {
        Some(cwd) => caller.at(cwd),
        None => caller,
    }
}

/// Where programs are when nothing says so.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The `PATH` that the app is going to have.
pub(crate) fn path_of(environment: &Environment) -> Option<&str> {
    environment
        .declared
        .get("PATH")
        .or_else(|| environment.inherited.get("PATH"))
        .map(String::as_str)
}

pub(crate) fn user(attributes: &Attributes) -> Result<Option<User>, Problem> {
    let Some(user) = attributes.text("uid") else {
        return Ok(None);
    };
    users::find(user).map_err(|message| Problem::invalid("uid", message, "name an existing user, or give a number"))
}

/// A missing `env_file` is a mistake to be told at once; later ones are read anew at each launch.
fn check_environment_files(environment: &Environment) -> Result<(), Problem> {
    match crate::environment::read_files(environment) {
        Ok(_variables) => Ok(()),
        Err(error) => Err(Problem::invalid(
            "env_file",
            error.to_string(),
            "create the file, or correct its path",
        )),
    }
}
