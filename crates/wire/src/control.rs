//! The control API: JSON over HTTP/1.1 on the unix socket `<home>/ostler.sock`. Spoken by the command line and every
//! other client of ours.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /v1/ping` | | [`Pong`] |
//! | `GET /v1/processes` | | [`ProcessRows`]: what lists show, small |
//! | `GET /v1/processes/full` | | [`Processes`]: with spec and environment |
//! | `GET /v1/reloads` | | [`Reloads`] that are under way |
//! | `GET /v1/history?selector=S` | | [`History`] |
//! | `GET /v1/metrics?selector=S&footprint=…` | | [`Metrics`](crate::metrics::Metrics): how workers are doing |
//! | `GET /metrics` | | the same as Prometheus reads it |
//! | `GET /v1/charts?selector=S` | | [`Charts`](crate::metrics::Charts): how they were doing in the last hour |
//! | `GET /v1/events` | | an endless stream of [`StateEvent`](crate::events::StateEvent)s: all there is, then what changes |
//! | `GET /v1/logs?selector=S&out=…&error=…&events=…&tail=N` | | an endless stream of output, see [`crate::events`] |
//! | `POST /v1/operations` | [`Operation`] | [`Answer`] |
//! | `GET /v1/web` | | [`WebState`](crate::web::WebState): how the web dashboard's port is open |
//! | `POST /v1/web` | [`WebChange`](crate::web::WebChange) | the same, afterwards |
//! | `POST /v1/inspection` | [`InspectionChange`](crate::inspection::InspectionChange) | [`InspectionState`](crate::inspection::InspectionState) |
//! | `POST /v1/follow` | [`Follow`] | an endless stream of frames: a [`FrameHeader`] as one line of JSON, then `len` bytes |
//!
//! All of it is in `docs/openapi.json` too, by the list in [`crate::endpoints`]. A failed call answers with a status of 400 or above and an [`ApiError`].

use crate::metrics::{CustomAction, CustomMetric, Footprint, NodeMetrics};
use ostler_core::history::Entry;
use ostler_core::{Pid, RollView, SlotId, SlotView, Status, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::operations::{Action, ActionReply, Answer, Operation, Patch, Profiled, ScaleTo, Selector};

/// The control socket's name in the home directory.
pub const SOCKET: &str = "ostler.sock";

/// The directory in the home directory that profiles are written into, and taken out of.
pub const PROFILES: &str = "profiles";

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pong {
    /// Ostler's version.
    pub version: String,
    /// The daemon.
    pub daemon: Pid,
    /// The keeper.
    pub keeper: Pid,
    /// How many daemons this keeper's line has had, from 1.
    pub generation: u32,
}

/// The answer to `GET /v1/processes`, by slot id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessRows {
    /// The processes.
    pub processes: Vec<ProcessRow>,
}

/// The answer to `GET /v1/reloads`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reloads {
    /// The reloads under way, by app.
    pub reloads: Vec<RollView>,
    /// How many connections the worker that is to go has left, by slot; absent where nobody has counted them.
    pub connections: BTreeMap<SlotId, u32>,
}

/// What a list shows of one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessRow {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The nearest package.json's version, if any.
    pub version: Option<String>,
    /// `fork` or `cluster`.
    pub mode: ostler_core::Mode,
    /// The instance number.
    pub instance: u32,
    /// The main process, when one runs.
    pub pid: Option<Pid>,
    /// How long it has been up, ms; 0 unless online.
    pub uptime_ms: u64,
    /// Restarts.
    pub restarts: u32,
    /// Its status.
    pub status: Status,
    /// What its probes say.
    #[serde(default)]
    pub health: ostler_core::Health,
    /// What its tree uses; absent when unknown or down.
    pub usage: Option<Usage>,
    /// The connections of a cluster's worker; absent where none runs, and in fork mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// The user it runs as.
    pub user: String,
    /// Whether files are watched for it.
    pub watching: bool,
}

/// What a worker's whole tree uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Resident memory, bytes.
    pub memory: u64,
    /// Processor time since the last sample, in percent of one processor, one decimal.
    pub cpu: f64,
}

/// A worker's connections, through listeners that it shares with others of its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Connections {
    /// How many it has taken since it began; only grows, also over changes of daemon. Null where it accepts by itself.
    pub accepted: Option<u64>,
    /// How many it has given back since it began, so that another one got them; as `accepted`.
    #[serde(default)]
    pub refused: Option<u64>,
    /// How many are open now; null where the kernel cannot be asked, or nothing of ours is listened on.
    pub active: Option<u64>,
    /// What came of those that all workers of its instance were handed, the ones before it included; only grows, also over reloads.
    #[serde(default)]
    pub handled: Option<Handled>,
}

/// What came of connections that workers were handed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handled {
    /// So many were taken.
    pub accepted: u64,
    /// So many were given back, and went to others.
    pub refused: u64,
}

impl std::ops::Add for Handled {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
        }
    }
}

/// The answer to `GET /v1/processes/full`, by slot id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Processes {
    /// The processes.
    pub processes: Vec<Process>,
}

/// Everything about one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    /// Its state and spec.
    pub view: SlotView,
    /// What its tree uses.
    pub usage: Option<Usage>,
    /// The connections of a cluster's worker; absent where none runs, and in fork mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// What a program of Node says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeMetrics>,
    /// What its tree costs the machine otherwise; `describe` asks for that beside (`GET /v1/metrics?footprint=true`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Footprint>,
    /// The nearest package.json's version, if any.
    pub version: Option<String>,
    /// The Node version its process reported or runs, if known.
    pub node_version: Option<String>,
    /// Its log files, ids filled in. `/dev/null` where output is discarded.
    pub out_log: String,
    /// See `out_log`.
    pub error_log: String,
    /// See `out_log`.
    pub combined_log: Option<String>,
    /// Its pid file, id filled in.
    pub pid_file: String,
    /// Log bytes that could not be written (disk full, file unwritable).
    pub dropped_log_bytes: u64,
    /// What it says it is at (`STATUS=` of sd_notify(3)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What the app measures itself, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, CustomMetric>,
    /// What the app does when it is told to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<CustomAction>,
}

/// The answer to `GET /v1/history`, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiError {
    /// Whose fault it is.
    pub kind: ApiErrorKind,
    /// A sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApiErrorKind {
    /// Nothing matches the selector.
    NotFound,
    /// The request makes no sense as things are.
    User,
    /// The system refused something (disk full, limits).
    System,
    /// A bug of ours.
    Internal,
}

/// Asks for live output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Follow {
    /// Whose; all, also of apps started later, when absent.
    pub selector: Option<Selector>,
    /// Standard output too.
    pub out: bool,
    /// Standard error too.
    pub error: bool,
    /// Starts, exits and the like too.
    pub events: bool,
}

/// What precedes each frame of a followed stream, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FrameHeader {
    /// What the bytes are.
    pub kind: FrameKind,
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// When the bytes were read.
    pub at: WallTime,
    /// How many bytes follow the line break.
    pub len: usize,
    /// Where the stream's own log file ends with these bytes in it; absent where they are in none (yet).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LogPlace>,
}

/// One of the two outputs of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// A moment in the life of a log file: which file it was, whatever it is called now, and how much it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogPlace {
    /// The file's device (stat(2), `st_dev`).
    pub device: u64,
    /// Its number there (`st_ino`), which another file may get once it is gone.
    pub inode: u64,
    /// When it was created, where its file system knows (statx(2), `stx_btime`).
    pub born: Option<WallTime>,
    /// How much it had, bytes.
    pub size: u64,
}

impl LogPlace {
    /// Whether both are in one file.
    #[must_use]
    pub fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode, self.born) == (other.device, other.inode, other.born)
    }
}

/// What the bytes of a frame are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Standard output, as written by the app.
    Out,
    /// Standard error, as written by the app.
    Error,
    /// Nothing; the stream has begun: the log files of this slot ended here then, so that what a client reads from the
    /// file up to there and from the stream afterwards is everything exactly once.
    Begin {
        /// The end of the standard output file; null where there is none.
        out: Option<LogPlace>,
        /// The end of the standard error file; null where there is none.
        error: Option<LogPlace>,
    },
    /// Nothing; bytes of one stream were left out because the client was too slow. They are in the log file, if it has one.
    Lagged {
        /// The stream.
        stream: StreamKind,
        /// How many bytes.
        bytes: u64,
        /// Where the stream's own log file ends with the last of them in it; null where they are in none (yet).
        place: Option<LogPlace>,
    },
    /// Nothing; a process event in PM2's words (`online`, `exit`, …).
    Event {
        /// Its name.
        event: String,
    },
}
