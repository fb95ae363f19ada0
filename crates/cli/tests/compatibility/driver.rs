//! What runs a case: the runtime's own cluster, or Ostler.

use crate::case::{Case, Stop, WORKERS};
use ostler_testkit::runtimes::Kind;
use ostler_testkit::{Home, Manager, Runtime, apps, free_port, process, wait_within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the reference primary and its workers may take to go once its input has ended.
const GOING: Duration = Duration::from_secs(2);

/// Which primary the workers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The runtime's own `cluster`.
    Reference,
    /// Ostler's daemon, or the peer that `OSTLER_TEST_PEER` names.
    Ostler,
}

/// How long workers of Deno may take to listen, where they do at all.
const SETTLING: Duration = Duration::from_secs(8);

/// A case that runs. Dropping it ends everything.
#[derive(Debug)]
pub struct Session {
    primary: Primary,
    kind: Kind,
    /// What was given to it.
    pub place: Place,
}

/// Ports, files and the stranger of one run.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    /// `PORT`.
    pub port: u16,
    /// `SECOND`.
    pub second: u16,
    _stranger: Option<TcpListener>,
}

#[derive(Debug)]
enum Primary {
    Reference(Child),
    Ostler(Home),
}

impl Driver {
    /// Starts a case.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start(self, case: &Case, runtime: &Runtime) -> Result<Session, String> {
        let script = case.script()?;
        let place = Place::new(case)?;
        let primary = match self {
            Self::Reference => Primary::Reference(reference(case, runtime, &script, &place)?),
            Self::Ostler => {
                let home = ostler(case, runtime, &script, &place);
                Primary::Ostler(home.map_err(|reason| match place.complaint() {
                    Some(complaint) => format!("{reason} ({complaint})"),
                    None => reason,
                })?)
            }
        };
        Ok(Session {
            primary,
            kind: runtime.kind,
            place,
        })
    }
}

fn reference(case: &Case, runtime: &Runtime, script: &Path, place: &Place) -> Result<Child, String> {
    let exec_argv = json!(case.whole_node_args()?).to_string();
    let mut command = Command::new(&runtime.path);
    command
        .args(runtime.arguments())
        .arg(apps::path("cluster/reference-primary.cjs"))
        .arg(script)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", place.directory.path())
        .envs(place.variables(case))
        .env("INSTANCES", WORKERS.to_string())
        .env("EXEC_ARGV", exec_argv)
        .env("SERIALIZATION", if case.advanced { "advanced" } else { "json" })
        .env("STOP", stop_word(case.stop))
        .current_dir(place.directory.path())
        .stdin(Stdio::piped())
        .stdout(place.create("out.log")?)
        .stderr(place.create("error.log")?);
    command
        .spawn()
        .map_err(|error| format!("{}: {error}", runtime.path.display()))
}

fn ostler(case: &Case, runtime: &Runtime, script: &Path, place: &Place) -> Result<Home, String> {
    let home = Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")));
    let mut arguments: Vec<String> = runtime.arguments().iter().map(|word| (*word).to_owned()).collect();
    arguments.extend(case.whole_node_args()?);
    let variables: serde_json::Map<String, Value> = place
        .variables(case)
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    let mut app = json!({
        "name": "app", "script": script, "exec_mode": "cluster", "instances": WORKERS,
        "interpreter": runtime.path, "interpreter_args": arguments, "env": variables,
        "out_file": place.path("out.log"), "error_file": place.path("error.log"), "merge_logs": true,
        "shutdown_with_message": case.stop == Stop::Message, "kill_timeout": 5000,
    });
    if case.says_ready {
        app["wait_ready"] = json!(true);
        app["listen_timeout"] = json!(20000);
    }
    if case.advanced {
        app["serialization"] = json!("advanced");
    }
    let file = home.ecosystem(json!([app]));
    let output = home.call(&["start"]).arg(file).run();
    if output.code == Some(0) {
        Ok(home)
    } else {
        Err(format!("start fails: {}", output.stderr))
    }
}

fn stop_word(stop: Stop) -> &'static str {
    match stop {
        Stop::Signal => "SIGINT",
        Stop::Message => "message",
    }
}

impl Place {
    fn new(case: &Case) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("ostler-case-").tempdir();
        let directory = directory.map_err(|error| format!("a temporary directory: {error}"))?;
        let port = free_port();
        let bound = case.taken.then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        Ok(Self {
            directory,
            port,
            second: free_port(),
            _stranger: bound.transpose().map_err(|error| format!("the stranger: {error}"))?,
        })
    }

    /// `SOCKET`.
    pub fn socket(&self) -> PathBuf {
        self.path("app.socket")
    }

    /// What workers have said on standard output, a JSON object a line.
    pub fn said(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["pid"].is_u64()).collect()
    }

    /// How often the reference primary has told of an event.
    fn heard(&self, event: &str) -> usize {
        self.lines().iter().filter(|line| line["event"] == event).count()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.read("out.log");
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The first line on standard error that names an error.
    pub fn complaint(&self) -> Option<String> {
        let text = self.read("error.log");
        let line = text.lines().find(|line| line.to_lowercase().contains("error"))?;
        Some(line.trim().to_owned())
    }

    fn variables(&self, case: &Case) -> Vec<(String, String)> {
        let own = [
            ("PORT", self.port.to_string()),
            ("SECOND", self.second.to_string()),
            ("SOCKET", self.socket().to_string_lossy().into_owned()),
        ];
        let of_case = case.env.iter().map(|(name, value)| (*name, (*value).to_owned()));
        own.into_iter()
            .chain(of_case)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn create(&self, name: &str) -> Result<File, String> {
        File::create(self.path(name)).map_err(|error| format!("{name}: {error}"))
    }
}

impl Session {
    /// Under Deno's own cluster, waits until workers have said so many times that they listen. Deno 2.9 drops a connection
    /// whose frame it reads together with the message before it, and takes no other one ever after, so whether a case
    /// works there would depend on when the first client comes. Nobody else is given this grace.
    pub fn settle(&self, times: usize) {
        match (&self.primary, self.kind) {
            (Primary::Reference(_), Kind::Deno) => {
                let listening = || (self.place.heard("listening") >= times).then_some(());
                // Some never do.
                let _ = wait_within(SETTLING, listening);
            }
            (Primary::Reference(_), Kind::Node(_) | Kind::Bun) | (Primary::Ostler(_), _) => {}
        }
    }

    /// Tells every worker to stop.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn stop(&mut self) -> Result<(), String> {
        match &mut self.primary {
            Primary::Reference(child) => {
                let input = child.stdin.as_mut().expect("invariant: its input is a pipe");
                input
                    .write_all(b"stop\n")
                    .map_err(|error| format!("the reference primary is gone: {error}"))
            }
            Primary::Ostler(home) => {
                let output = home.run(&["stop", "app"]);
                let failed = || format!("stop fails: {}{}", output.stdout, output.stderr);
                (output.code == Some(0)).then_some(()).ok_or_else(failed)
            }
        }
    }

    /// What is known beside the step that failed.
    pub fn circumstances(&mut self) -> String {
        let ended = match &mut self.primary {
            Primary::Reference(child) => child.try_wait().ok().flatten(),
            Primary::Ostler(_) => None,
        };
        let ended = ended.map(|status| format!("the primary has ended ({status})"));
        let codes: BTreeSet<String> = self
            .place
            .said()
            .iter()
            .filter_map(|line| Some(format!("the app says {}", line["code"].as_str()?)))
            .collect();
        let parts: Vec<String> = ended.into_iter().chain(codes).chain(self.place.complaint()).collect();
        parts.join("; ")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Primary::Reference(child) = &mut self.primary {
            drop(child.stdin.take());
            let directory = self.place.directory.path();
            let gone = || process::naming(directory).is_empty().then_some(());
            if wait_within(GOING, gone).is_err() {
                for left in process::naming(directory) {
                    process::kill(left.pid);
                }
            }
            // It has ended, or was killed just now.
            drop(child.wait());
        }
    }
}
