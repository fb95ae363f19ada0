//! A Dockerfile for the directory of a config: what it depends on is installed in a stage of its own, the image has the app, its
//! runtime and Ostler, and runs as nobody in particular.

mod ignore;
mod node;
mod python;

use crate::container::{self, ROOT, USER};
use crate::port;
use crate::probe::{self, Paths};
use crate::remarks::{self, Remark, Remarks};
use crate::secret;
use crate::{Document, Export, Project};
use ostler_core::{Address, Interpreter, Listen, Runtime, Spec};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long `docker stop` waits unless it is told otherwise.
const DOCKERS_PATIENCE: Duration = Duration::from_secs(10);

/// What the apps of a config are run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Base {
    Node,
    Bun,
    Deno,
    Python,
    /// Programs that need nothing but a system.
    System,
}

/// The stages before the last one, and what that one takes from them.
struct Stages {
    /// `ARG`s before the first stage.
    arguments: String,
    /// The stage that installs and builds, if there is anything to do.
    build: String,
    /// The image of the last stage.
    base: String,
    /// What the last stage sets and copies, besides the app's files.
    finish: String,
    /// Whether the app's files come out of the build.
    from_build: bool,
}

/// The Dockerfile, and its `.dockerignore`.
pub fn dockerfile(specs: &[Spec], project: &Project, probes: &Paths) -> Export {
    let mut remarks = Remarks::about_all();
    let base = base(specs, &mut remarks);
    let stages = match base {
        Base::Node => node::node(specs, project, &mut remarks),
        Base::Bun => node::bun(project),
        Base::Deno => node::deno(),
        Base::Python => python::stages(project, &mut remarks),
        Base::System => system(&mut remarks),
    };
    let config = config(specs, project, base, &mut remarks);
    remarks.say(
        "Ostler comes from the machine that builds: docker build --build-context ostler=DIRECTORY_OF_OSTLER -t IMAGE . \
         The binary there has to be for Linux and static, or built against no newer a glibc than the image's",
    );
    say_of_apps(specs, &config, project, &mut remarks);
    let text = text(specs, project, &stages, &config, base, probes, remarks.made());
    let documents = vec![
        Document::new("Dockerfile", text),
        Document::new(".dockerignore", ignore::text(base)),
    ];
    Export {
        documents,
        remarks: remarks.take(),
    }
}

fn base(specs: &[Spec], remarks: &mut Remarks) -> Base {
    let of = |spec: &Spec| match (&spec.program.interpreter, spec.program.interpreter.runtime()) {
        (_, Some(Runtime::Node)) => Base::Node,
        (_, Some(Runtime::Bun)) => Base::Bun,
        (_, Some(Runtime::Deno)) => Base::Deno,
        (Interpreter::Program(name), None) if file_name(name).starts_with("python") => Base::Python,
        (Interpreter::Program(_) | Interpreter::None, None) => by_program(spec),
    };
    let found: BTreeSet<Base> = specs.iter().map(of).collect();
    let mut found = found.into_iter().filter(|base| *base != Base::System);
    let first = found.next().unwrap_or(Base::System);
    for other in found {
        remarks.say(format!(
            "some of its apps need {other:?} besides {first:?}: install it in the last stage, or make an image of each"
        ));
    }
    for interpreter in other_interpreters(specs) {
        remarks.say(format!("{interpreter} has to be installed in the last stage"));
    }
    first
}

/// Programs of a package manager, and those of Python that are named without it.
fn by_program(spec: &Spec) -> Base {
    let line = spec
        .program
        .args
        .iter()
        .flat_map(|argument| argument.split_whitespace());
    let mut words = std::iter::once(spec.program.path.as_str()).chain(line).map(file_name);
    let known = words.find_map(|word| match word {
        "npm" | "npx" | "pnpm" | "yarn" | "node" => Some(Base::Node),
        "bun" | "bunx" => Some(Base::Bun),
        "deno" => Some(Base::Deno),
        "gunicorn" | "uvicorn" | "hypercorn" | "uwsgi" | "celery" | "flask" | "uv" | "poetry" => Some(Base::Python),
        python if python.starts_with("python") => Some(Base::Python),
        _other => None,
    });
    known.unwrap_or(Base::System)
}

/// Interpreters that no image here has.
const OTHERS: [&str; 4] = ["ruby", "php", "perl", "java"];

fn other_interpreters(specs: &[Spec]) -> BTreeSet<&'static str> {
    let other = |spec: &Spec| match &spec.program.interpreter {
        Interpreter::Program(name) => OTHERS.into_iter().find(|other| file_name(name).starts_with(other)),
        Interpreter::None => None,
    };
    specs.iter().filter_map(other).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn system(remarks: &mut Remarks) -> Stages {
    remarks.say("its programs are taken as they are from the directory: they must be built for the image's system, or in a stage before");
    Stages {
        arguments: String::new(),
        build: String::new(),
        base: "debian:bookworm-slim".to_owned(),
        finish: String::new(),
        from_build: false,
    }
}

/// How the image gets its config, and what it is called.
struct Config {
    name: String,
    /// Its text, where the config of the directory cannot be used as it is.
    text: Option<String>,
}

fn config(specs: &[Spec], project: &Project, base: Base, remarks: &mut Remarks) -> Config {
    let name = project.config.as_deref();
    let data = |name: &&str| {
        [".json", ".yaml", ".yml", ".toml"]
            .iter()
            .any(|extension| name.ends_with(extension))
    };
    if let Some(name) = name.filter(|name| base == Base::Node || data(name)) {
        return Config {
            name: name.to_owned(),
            text: None,
        };
    }
    let mut apps = Vec::new();
    for spec in specs {
        let mut own = Remarks::about(&spec.name);
        let mut settings = container::settings(spec, project, &mut own);
        settings.insert(
            "instances".into(),
            spec.attributes.get("instances").cloned().unwrap_or_else(|| 1.into()),
        );
        let variables = container::variables(spec, project);
        if !variables.plain.is_empty() {
            settings.insert("env".into(), json!(variables.plain));
        }
        for name in &variables.secret {
            remarks.say(format!(
                "{}: give {name} when the image is run; what looks like a secret is not written into it",
                spec.name
            ));
        }
        own.take()
            .into_iter()
            .for_each(|remark| remarks.say(remark.to_string()));
        apps.push(Value::from(settings));
    }
    let why = match name {
        Some(name) => {
            format!("the image has no Node, which {name} needs: the config is written into the Dockerfile as JSON")
        }
        None => "the config came from standard input: it is written into the Dockerfile as JSON".to_owned(),
    };
    remarks.say(why);
    Config {
        name: "ecosystem.config.json".to_owned(),
        text: Some(format!("{:#}\n", json!({ "apps": apps }))),
    }
}

fn say_of_apps(specs: &[Spec], config: &Config, project: &Project, remarks: &mut Remarks) {
    if specs.len() > 1 {
        remarks.say(format!(
            "all {} apps of the config run in one container; `--only NAME` in CMD makes it one",
            specs.len()
        ));
    }
    if let Some(seconds) = long_ending(specs) {
        remarks.say(format!(
            "`docker stop` kills after {} s, and its apps may take {seconds} s to finish: `docker stop --time {}`",
            DOCKERS_PATIENCE.as_secs(),
            seconds + 5
        ));
    }
    if project.entries.contains(".npmrc") {
        remarks.say(".npmrc gets into the image: it must hold no token");
    }
    for spec in specs {
        let name = &spec.name;
        // What is written anew has been said, and changed, already.
        if config.text.is_none() {
            say_of_config(spec, project, remarks);
        }
        for file in &spec.environment.files {
            remarks.say(format!(
                "{name}: `env_file` {file} may not be in the image (.dockerignore): give its variables when it is run (--env-file), \
                 or mount it"
            ));
        }
        if port::ports(spec).is_empty() && spec.restart.auto {
            remarks.say(format!(
                "{name}: no port is known for EXPOSE (`port`, PORT in `env`, or `listen`)"
            ));
        }
    }
}

/// How many seconds its apps may take to end, where that has to be said.
fn long_ending(specs: &[Spec]) -> Option<u128> {
    let ending = specs.iter().map(container::ending).max()?;
    (ending > DOCKERS_PATIENCE).then(|| ending.as_millis().div_ceil(1000))
}

/// What in the config of the directory does not suit a container.
fn say_of_config(spec: &Spec, project: &Project, remarks: &mut Remarks) {
    let name = &spec.name;
    let cwd = &spec.program.cwd;
    if spec.watch.is_some() {
        remarks.say(format!(
            "{name}: `watch` finds nothing in an image, whose files do not change: take it out of the config"
        ));
    }
    if cwd != &project.root
        && !cwd
            .strip_prefix(&project.root)
            .is_some_and(|rest| rest.starts_with('/'))
    {
        remarks.say(format!(
            "{name}: `cwd` {cwd} lies outside of {}: copy it into the image, too",
            project.root
        ));
    }
    if spec.user.is_some() {
        remarks.say(format!(
            "{name}: `uid` and `gid` need root, which the container has not: take them out of the config"
        ));
    }
    let secrets = secret::part(&spec.environment.declared).secret;
    if !secrets.is_empty() {
        remarks.say(format!(
            "{name}: the config gets into the image with what looks like a secret: {}: take it out, and give it when the image is run",
            secrets.join(", ")
        ));
    }
    let loopback = |socket: &&Listen| match &socket.address {
        Address::Tcp(address) | Address::Udp(address) => address.ip().is_loopback(),
        Address::Unix(_) => false,
    };
    for socket in spec.listen.iter().filter(loopback) {
        remarks.say(format!(
            "{name}: `listen` {} is not reached from outside the container: make it 0.0.0.0",
            socket.address
        ));
    }
}

fn text(
    specs: &[Spec],
    project: &Project,
    stages: &Stages,
    config: &Config,
    base: Base,
    probes: &Paths,
    remarks: &[Remark],
) -> String {
    let mut text = "# syntax=docker/dockerfile:1\n".to_owned();
    text.push_str(&remarks::head("Made by `ostler export dockerfile`.", remarks));
    text.push('\n');
    text.push_str(&stages.arguments);
    text.push_str(&stages.build);
    text.push_str(&format!("FROM {}\n", stages.base));
    text.push_str(&format!("WORKDIR {ROOT}\n"));
    text.push_str("COPY --from=ostler ostler /usr/local/bin/ostler\n");
    text.push_str(&stages.finish);
    text.push_str(if stages.from_build {
        "COPY --from=build /app ./\n"
    } else {
        "COPY . .\n"
    });
    if let Some(contents) = &config.text {
        text.push_str(&format!(
            "COPY <<'END_OF_CONFIG' {}\n{contents}END_OF_CONFIG\n",
            config.name
        ));
    }
    text.push_str("# A number, not a name: only so Kubernetes can tell that it is not root. HOME is for programs that insist on one.\n");
    text.push_str(&format!("ENV HOME=/tmp\nUSER {USER}:{USER}\n"));
    let mut exposed = BTreeSet::new();
    for port in specs.iter().flat_map(port::ports) {
        if exposed.insert((port.number, port.udp)) {
            text.push_str(&format!(
                "EXPOSE {}{}\n",
                port.number,
                if port.udp { "/udp" } else { "" }
            ));
        }
    }
    text.push_str(&health(specs, base, probes));
    text.push_str("STOPSIGNAL SIGTERM\n");
    text.push_str(&format!("CMD {}\n", command(specs, project, config)));
    text
}

/// Only where an answer tells something: Ostler starts again what ended, and accepts connections meanwhile.
fn health(specs: &[Spec], base: Base, probes: &Paths) -> String {
    let served = specs.iter().find_map(|spec| {
        let port = port::ports(spec).into_iter().find(|port| !port.udp)?;
        Some((probe::health_path(spec, probes)?, port))
    });
    let Some((path, port)) = served else {
        return String::new();
    };
    let address = format!("http://127.0.0.1:{}/{}", port.number, path.trim_start_matches('/'));
    let line = match base {
        Base::Node | Base::Bun => {
            let program = if base == Base::Node { "node" } else { "bun" };
            json!([
                program,
                "-e",
                format!(
                    "fetch({}).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))",
                    json!(address)
                )
            ])
        }
        Base::Python => json!([
            "python",
            "-c",
            format!(
                "import urllib.request; urllib.request.urlopen({}, timeout=4)",
                json!(address)
            )
        ]),
        Base::Deno | Base::System => return String::new(),
    };
    format!("HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD {line}\n")
}

fn command(specs: &[Spec], project: &Project, config: &Config) -> Value {
    let mut words = vec!["ostler".to_owned(), "runtime".to_owned(), config.name.clone()];
    // What is written into the Dockerfile has the chosen variables already.
    if let (Some(environment), None) = (&project.environment, &config.text) {
        words.extend(["--env".to_owned(), environment.clone()]);
    }
    if let Some(seconds) = long_ending(specs) {
        words.extend(["--shutdown-timeout".to_owned(), format!("{seconds}s")]);
    }
    json!(words)
}
