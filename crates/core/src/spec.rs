//! What an app is to be: the meaning of a config file's entry or of a command line, after all defaults,
//! aliases and units have been resolved by `ostler-config`. Pure data, immutable once made.

use crate::listen::Listen;
use crate::probe::Probes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A declared app, complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spec {
    /// The app's name; several apps may bear the same one (`start --force`).
    pub name: String,
    /// The group it can be selected by; `default` unless declared.
    pub namespace: String,
    /// What is run.
    pub program: Program,
    /// How its instances share work.
    pub mode: Mode,
    /// How workers that can serve side by side share connections and are replaced. Without meaning for others.
    #[serde(default)]
    pub cluster: ClusterPolicy,
    /// The sockets that are bound for it and that all its workers inherit, in this order. Fork mode only.
    #[serde(default)]
    pub listen: Vec<Listen>,
    /// How many instances it is to have, at least 1.
    pub instances: u32,
    /// The declared environment on top of the starting shell's, complete and final except for what is only
    /// known at spawn (instance number, `env_file` contents).
    pub environment: Environment,
    /// Whom it runs as; the daemon's own user when absent.
    pub user: Option<RunAs>,
    /// Where its output goes.
    pub logs: LogSpec,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// How it is stopped.
    pub stop: StopPolicy,
    /// When it counts as ready.
    pub ready: ReadyPolicy,
    /// How its workers are looked at while they run.
    #[serde(default, skip_serializing_if = "Probes::is_empty")]
    pub probes: Probes,
    /// When it is restarted by the clock, in croner's dialect and local time.
    pub cron: Option<String>,
    /// Which files restart it.
    pub watch: Option<WatchSpec>,
    /// Restart above this many bytes of resident memory over the whole tree.
    pub memory_limit: Option<u64>,
    /// Kill above this many, without asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_kill: Option<u64>,
    /// Whether its workers say what they have registered with `prom-client`, to be added up over them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prom_client: bool,
    /// Whether `start` launches it (else it is only registered, stopped).
    pub autostart: bool,
    /// Where the pid file goes: a path in which `{id}` stands for the slot id.
    pub pid_file: String,
    /// The user the command line ran as; shown, without further meaning.
    pub username: String,
    /// Every declared attribute by its PM2 name, values converted to PM2's units, as `jlist` and the saved
    /// list show them. Meaning lives in the typed fields; this is the record of what was said.
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

impl Spec {
    /// Whether it declares the same as another, but for the number of instances. What the shell that starts it happens to have,
    /// and whose that is, is nothing it declares.
    pub(crate) fn runs_like(&self, other: &Self) -> bool {
        let declared = |spec: &Self| {
            let mut spec = spec.clone();
            spec.instances = 1;
            spec.attributes.shift_remove("instances");
            spec.environment.inherited = Arc::default();
            spec.environment.unique_id.clear();
            spec.username.clear();
            spec
        };
        declared(self) == declared(other)
    }

    /// Whether its memory is of interest.
    pub(crate) fn is_weighed(&self) -> bool {
        self.memory_limit.is_some() || self.memory_kill.is_some()
    }

    /// Whether two of its workers can serve at once, since what they listen on is ours: then one can be replaced by another
    /// without a gap.
    pub fn can_overlap(&self) -> bool {
        self.mode == Mode::Cluster || !self.listen.is_empty()
    }

    /// Whether a worker that runs this can be replaced without a gap by one that runs `next`: both have to take connections from
    /// the same place.
    pub fn can_overlap_with(&self, next: &Self) -> bool {
        self.can_overlap() && next.can_overlap() && self.mode == next.mode
    }
}

/// What is run, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Program {
    /// The script or executable, absolute (PM2: `pm_exec_path`). Symlinks are kept: they are followed anew
    /// at each spawn.
    pub path: String,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Arguments of the interpreter, before the script.
    pub interpreter_args: Vec<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// The working directory, absolute.
    pub cwd: String,
}

/// What a program is run by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Interpreter {
    /// Nothing: the file itself is executed (PM2: `none`).
    None,
    /// A program, by path or by name looked up in the app's `PATH` at each spawn.
    Program(String),
}

/// What our primary can talk to: run times that have Node's `cluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// Node.js.
    Node,
    /// Bun, which takes part in a dialect of its own.
    Bun,
    /// Deno.
    Deno,
}

impl Interpreter {
    /// Which run time it is, by PM2's test: its name ends so (npm installs `bun.exe` on every system).
    pub fn runtime(&self) -> Option<Runtime> {
        let Self::Program(program) = self else { return None };
        let program = program.strip_suffix(".exe").unwrap_or(program);
        [("node", Runtime::Node), ("bun", Runtime::Bun), ("deno", Runtime::Deno)]
            .into_iter()
            .find_map(|(name, runtime)| program.ends_with(name).then_some(runtime))
    }
}

/// How an app's instances share work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each instance is a process on its own.
    Fork,
    /// Instances are workers of Node's cluster behind one port.
    Cluster,
}

/// How workers that can serve side by side share connections, and how they are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterPolicy {
    /// Which worker gets a connection.
    pub balance: Balance,
    /// Whether a worker of Node gets the preload by which it drains (PM2: `pmx`).
    pub preload: bool,
    /// The serialisation of its IPC channel.
    pub serialization: Serialization,
    /// How long a replacement has to live, ready and without connections, before its predecessor is told to drain. 1 s by default.
    pub min_ready: Duration,
    /// How long a worker that was replaced may take to finish with its connections, from when it was told to: by its channel in a
    /// cluster, by its stop signal else. 30 s by default.
    pub drain_timeout: Duration,
}

impl Default for ClusterPolicy {
    fn default() -> Self {
        Self {
            balance: Balance::RoundRobin,
            preload: true,
            serialization: Serialization::Json,
            min_ready: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Which worker gets a connection (docs/design/0010).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The one with the fewest connections that it has not taken yet; ties go round.
    RoundRobin,
    /// The one with the fewest open connections.
    LeastConnections,
    /// The one that the client's address belongs to.
    Sticky,
    /// Whichever accepts it: each slot has a listener of its own.
    Direct,
}

/// How messages on a Node IPC channel are written (Node: `child_process.fork`, option `serialization`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Serialization {
    /// JSON, a message a line.
    Json,
    /// V8's structured clone.
    Advanced,
}

/// The environment of an app. Settings never live here, nor the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environment {
    /// What the shell that started the app had (after `filter_env`); lowest precedence. Apps that were started together
    /// share it in memory.
    pub inherited: Arc<BTreeMap<String, String>>,
    /// Files read anew at each spawn, later ones winning; between inherited and declared.
    pub files: Vec<String>,
    /// What the config declares (`env`, then `env_<name>` over it); highest precedence.
    pub declared: BTreeMap<String, String>,
    /// The variable that carries the instance number (`NODE_APP_INSTANCE`).
    pub instance_var: String,
    /// A variable that grows by one from instance to instance, starting from its declared value or 0.
    pub increment_var: Option<String>,
    /// Shared by instances that were started together (PM2: `unique_id`, a UUID).
    pub unique_id: String,
}

/// Whom an app runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunAs {
    /// User name or number.
    pub user: String,
    /// Group name or number; the user's own when absent.
    pub group: Option<String>,
}

/// Where output goes and in which form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogSpec {
    /// Standard output's file. In paths `{id}` stands for the slot id.
    pub out: LogFile,
    /// Standard error's file.
    pub error: LogFile,
    /// A file that gets both, if any.
    pub combined: Option<LogFile>,
    /// Instances share one file (PM2: `merge_logs`); kept for display, the paths already say it.
    pub merged: bool,
    /// Raw bytes or one JSON object a line.
    pub format: LogFormat,
    /// A day.js pattern put before each line, with `": "` after it.
    pub date_format: Option<String>,
    /// Neither file nor follower gets anything (PM2: `disable_logs`).
    pub disabled: bool,
    /// When files are rotated; `None` when the user turned rotation off.
    pub rotation: Option<Rotation>,
}

/// One log file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogFile {
    /// `/dev/null` or `NULL`: followers see the output, no file does.
    Discard,
    /// An absolute path; `{id}` stands for the slot id.
    Path(String),
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// As written.
    Raw,
    /// One JSON object a line.
    Json,
}

/// When a log file is rotated and what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rotation {
    /// Rotate before the file grows over this many bytes.
    pub max_size: u64,
    /// Rotate when the file is older than this.
    pub max_age: Option<Duration>,
    /// How many rotated files to keep.
    pub keep: u32,
    /// Delete the oldest rotated files while all of them together exceed this many bytes.
    pub max_total: Option<u64>,
    /// Compress rotated files with gzip.
    pub compress: bool,
}

/// When an app is started again after it exits by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestartPolicy {
    /// Whether at all.
    pub auto: bool,
    /// Exit codes that mean "done": no restart.
    pub stop_exit_codes: Vec<i32>,
    /// PM2's rules if the user set any of their keys, the rolling budget otherwise.
    pub limit: RestartLimit,
    /// Fixed delay before a restart.
    pub delay: Option<Duration>,
    /// First delay of an exponential back-off (over `delay`).
    pub backoff: Option<Duration>,
    /// An exit before this age counts as unstable; also the longest a command waits for a verdict when
    /// nothing says sooner that the app is up. 1 s by default.
    pub min_uptime: Duration,
}

/// What bounds restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestartLimit {
    /// PM2's rule: give up (`errored`) at this many unstable restarts.
    Unstable {
        /// PM2: `max_restarts`, 16 by default.
        max_restarts: u32,
    },
    /// Never give up: a rolling budget, beyond which restarts are spaced by a growing back-off.
    Rolling,
}

/// How an app is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopPolicy {
    /// The first signal, by number (SIGINT by default).
    pub signal: i32,
    /// How long the app may take before SIGKILL. 1600 ms by default.
    pub kill_timeout: Duration,
    /// Stop the whole tree (PM2: `treekill`), not only the main process.
    pub tree: bool,
    /// Send `"shutdown"` over IPC instead of the signal.
    pub message: bool,
}

/// When a started app counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadyPolicy {
    /// Wait for `process.send('ready')`, or `READY=1` (sd_notify(3)) in fork mode.
    pub wait_ready: bool,
    /// How long to wait for it. 3000 ms by default.
    pub listen_timeout: Duration,
    /// What the end of `listen_timeout` means.
    pub on_timeout: OnReadyTimeout,
}

/// What the end of `listen_timeout` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnReadyTimeout {
    /// The start has failed.
    Fail,
    /// The app counts as ready, as in PM2 (`ready_timeout: accept`).
    Accept,
}

/// Which file changes restart an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WatchSpec {
    /// Files and folders, absolute.
    pub paths: Vec<String>,
    /// What to leave out: globs relative to `cwd`, absolute paths, or `/regular expressions/`. The app's own
    /// log and pid files are always left out.
    pub ignore: Vec<String>,
    /// Quiet time after a change before the restart. PM2: `watch_delay`.
    pub delay: Duration,
}
