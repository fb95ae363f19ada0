//! The history of an app: each start and stop with its cause. What `ostler why` shows.

use crate::event::{ExitStatus, Origin};
use crate::ids::{Generation, Pid, SlotId};
use crate::probe::ProbeKind;
use crate::time::WallTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One line of history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// When.
    pub at: WallTime,
    /// The app's name.
    pub app: String,
    /// The slot.
    pub slot: SlotId,
    /// The instance number.
    pub instance: u32,
    /// Which launch.
    pub generation: Generation,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A process was launched.
    Started {
        /// Its process id.
        pid: Pid,
        /// Why.
        cause: Cause,
    },
    /// A process could not be launched.
    StartFailed {
        /// The error's text.
        error: String,
        /// Why it was to be launched.
        cause: Cause,
    },
    /// A worker of a cluster could not listen.
    ListenFailed {
        /// On which address, and why.
        error: String,
    },
    /// What its probes say of a worker has changed.
    Probed {
        /// Which probe.
        kind: ProbeKind,
        /// What was found; absent when it passes again.
        failure: Option<String>,
    },
    /// A process ended.
    Ended {
        /// How.
        status: ExitStatus,
        /// After how long.
        uptime: Duration,
        /// Why.
        cause: EndCause,
        /// What happens next.
        next: Next,
    },
    /// The slot was stopped while no process ran (a pending restart was cancelled).
    Stopped {
        /// Who asked.
        by: Origin,
    },
    /// The slot was forgotten.
    Deleted {
        /// Who asked.
        by: Origin,
    },
}

/// Why a process was launched or told to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked.
    Asked(Origin),
    /// The one before it had ended by itself.
    Restart,
    /// A watched file changed.
    FileChanged {
        /// Which.
        path: String,
    },
    /// The clock.
    Cron {
        /// The pattern.
        pattern: String,
    },
    /// Too much memory.
    MemoryLimit {
        /// How much it had.
        bytes: u64,
        /// How much it may have.
        limit: u64,
    },
    /// Its health probe failed.
    Unhealthy {
        /// What was found last.
        why: String,
        /// Its event loop did not turn.
        hung: bool,
    },
}

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// By itself: it exited, crashed, or somebody else killed it.
    Itself,
    /// By itself, after it had said that it was ending (`STOPPING=1` of sd_notify(3)).
    Announced {
        /// Whether it had to be told to, or killed, because it did not end within `drain_timeout`.
        pressed: bool,
    },
    /// The kernel's OOM killer.
    OomKilled,
    /// It was told to.
    Told {
        /// Why.
        cause: Cause,
        /// Whether SIGKILL was needed because `kill_timeout` ran out.
        killed: bool,
    },
    /// It did not become ready within `listen_timeout`.
    NeverReady,
    /// Its tree had more memory than it may ever have, and was killed for it.
    OverMemory {
        /// How much it had, in bytes.
        bytes: u64,
        /// How much it may have.
        limit: u64,
    },
}

impl EndCause {
    /// Of a process that nobody here had told to end.
    pub(crate) fn unasked(oom_killed: bool) -> Self {
        if oom_killed { Self::OomKilled } else { Self::Itself }
    }
}

/// What happens after an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Started again at once.
    Restart,
    /// Started again after a delay.
    RestartIn {
        /// How long.
        delay: Duration,
    },
    /// Nothing: its successor has taken over.
    Replaced,
    /// Nothing: the one that it was to replace goes on.
    NotReplaced,
    /// Stays down as asked.
    Stopped,
    /// Stays down: its exit code or `autorestart: false` says that it is done.
    Done,
    /// Given up: too many unstable restarts.
    Errored,
}
