//! What a case is: an app, how it is run, and the steps that show whether it works.

use ostler_testkit::runtimes::Kind;
use ostler_testkit::{apps, tools};
use serde_json::{Value, json};
use std::path::PathBuf;

/// How many workers every case has.
pub const WORKERS: usize = 2;

/// One row of the matrix.
#[derive(Clone, Debug)]
pub struct Case {
    /// The row's name.
    pub name: &'static str,
    /// What is run.
    pub app: App,
    /// Variables of the app, besides `PORT`, `SECOND` (another free port) and `SOCKET` (a path nothing is at).
    pub env: Vec<(&'static str, &'static str)>,
    /// Arguments of the runtime; a name that begins with `./` is one of the app's directory.
    pub node_args: Vec<&'static str>,
    /// Whether the channel speaks `advanced`.
    pub advanced: bool,
    /// Whether a stranger holds `PORT`.
    pub taken: bool,
    /// Whether the app says by `process.send('ready')` that it is up.
    pub says_ready: bool,
    /// How the app is told to stop.
    pub stop: Stop,
    /// The first major version of Node that has what is needed.
    pub since: u32,
    /// Whether it is about something that other runtimes do not have.
    pub only_node: bool,
    /// What is done and seen, in this order.
    pub steps: Vec<Step>,
}

/// Where the app is.
#[derive(Clone, Copy, Debug)]
pub enum App {
    /// A file of `apps/cluster`.
    File(&'static str),
    /// A directory of `apps/cluster/frameworks`, and the file in it once it is installed.
    Framework(&'static str, &'static str),
}

/// How workers are told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT.
    Signal,
    /// The message `"shutdown"`.
    Message,
}

/// Something that is done, and what has to come of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// A client asks until every worker has answered, then 20 times more.
    Ask(Ask),
    /// The app says a line with these members, so many workers each.
    Says(usize, Value),
    /// One worker is asked to go (`GET /leave`), goes, and is replaced.
    Leave,
    /// The workers are told to stop.
    Stop,
}

/// What a client asks, and what it expects.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `kind` of `client.cjs`.
    pub kind: &'static str,
    /// Where.
    pub at: At,
    /// How many workers are to answer.
    pub workers: usize,
    /// Members of each answer.
    pub expect: Value,
    /// Further members of the client's target.
    pub more: Value,
}

/// An address.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// This host, at `PORT`.
    Host(&'static str),
    /// Loopback, at `SECOND`.
    Second,
    /// Loopback, at the port the app said it listens on.
    Said,
    /// The unix socket `SOCKET`.
    Socket,
}

impl Case {
    /// A case whose app serves HTTP on loopback at `PORT` with every worker.
    pub fn of(name: &'static str, file: &'static str) -> Self {
        Self {
            name,
            app: App::File(file),
            env: Vec::new(),
            node_args: Vec::new(),
            advanced: false,
            taken: false,
            says_ready: false,
            stop: Stop::Signal,
            since: 16,
            only_node: false,
            steps: vec![Step::Ask(Ask::http())],
        }
    }

    /// A form of `listen.cjs`.
    pub fn listen(name: &'static str, form: &'static str) -> Self {
        Self::of(name, "listen.cjs").env("FORM", form)
    }

    /// A framework; `MODULE` names the package where a directory has several.
    pub fn framework(name: &'static str, directory: &'static str, module: &'static str) -> Self {
        let mut case = Self::of(name, "").env("MODULE", module);
        case.app = App::Framework(directory, "server.cjs");
        case.asking(Ask::http().expecting(json!({ "isWorker": true })))
    }

    /// With a variable of the app.
    pub fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// With an argument of the runtime.
    pub fn node_args(mut self, arguments: &[&'static str]) -> Self {
        self.node_args.extend(arguments);
        self
    }

    /// Not for Nodes older than this.
    pub fn since(mut self, major: u32) -> Self {
        self.since = major;
        self
    }

    /// For Node only.
    pub fn only_node(mut self) -> Self {
        self.only_node = true;
        self
    }

    /// With these steps in place of those there are.
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps = steps.into_iter().collect();
        self
    }

    /// With one thing to ask in place of the steps there are.
    pub fn asking(self, ask: Ask) -> Self {
        self.steps([Step::Ask(ask)])
    }

    /// With one more step.
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Whether a runtime has what is needed.
    pub fn applies_to(&self, kind: Kind) -> bool {
        match kind {
            Kind::Node(major) => major >= self.since,
            Kind::Bun | Kind::Deno => !self.only_node,
        }
    }

    /// The app's file; a framework is installed first.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn script(&self) -> Result<PathBuf, String> {
        Ok(self.directory()?.join(match self.app {
            App::File(file) | App::Framework(_, file) => file,
        }))
    }

    fn directory(&self) -> Result<PathBuf, String> {
        match self.app {
            App::File(_) => Ok(PathBuf::from(apps::path("cluster"))),
            App::Framework(directory, _) => {
                let source = PathBuf::from(apps::path(&format!("cluster/frameworks/{directory}")));
                tools::npm_project(&format!("cluster-{directory}"), &source)
            }
        }
    }

    /// The arguments of the runtime, names of files made whole.
    ///
    /// # Errors
    /// See [`script`](Self::script).
    pub fn whole_node_args(&self) -> Result<Vec<String>, String> {
        let directory = self.directory()?;
        let whole = |argument: &&str| match argument.strip_prefix("./") {
            Some(name) => directory.join(name).to_string_lossy().into_owned(),
            None => (*argument).to_owned(),
        };
        Ok(self.node_args.iter().map(whole).collect())
    }
}

impl Ask {
    /// HTTP on loopback at `PORT`, answered by every worker, each of which is one.
    pub fn http() -> Self {
        Self {
            kind: "http",
            at: At::Host("127.0.0.1"),
            workers: WORKERS,
            expect: json!({ "isWorker": true, "isPrimary": false, "connected": true, "leaked": [] }),
            more: json!({}),
        }
    }

    /// Over another protocol.
    pub fn over(kind: &'static str) -> Self {
        Self { kind, ..Self::http() }
    }

    /// At another address.
    pub fn at(self, at: At) -> Self {
        Self { at, ..self }
    }

    /// Answered by one worker only.
    pub fn of_one(self) -> Self {
        Self { workers: 1, ..self }
    }

    /// Nobody listens there.
    pub fn refused(self) -> Self {
        self.with(json!({ "refused": true }))
    }

    /// Only these members are looked at.
    pub fn expecting(self, expect: Value) -> Self {
        Self { expect, ..self }
    }

    /// One more member is looked at.
    pub fn and(mut self, key: &str, value: Value) -> Self {
        self.expect[key] = value;
        self
    }

    /// With further members of the client's target.
    pub fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }
}

impl From<Ask> for Step {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}
