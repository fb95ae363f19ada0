//! What a slot can be doing. Each state carries its data; what it decides is in the file of its family.

use super::ladder::Ladder;
use super::{Reason, is_automatic};
use crate::event::Origin;
use crate::history::Cause;
use crate::ids::Pid;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// What a slot is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Nothing runs, nothing is going to.
    Down {
        /// Given up, as opposed to stopped, done or not started yet.
        errored: bool,
    },
    /// A launch is ordered and not answered yet.
    Spawning(Spawning),
    /// It runs and has to say `ready` until then.
    Launching { run: Run, until: Instant },
    /// It runs.
    Online(Run),
    /// It has been told to end; its main process still runs.
    Stopping(Stopping),
    /// Its main process has ended; what is left of its tree is being ended.
    Sweeping(Sweeping),
    /// It is down until a delay is over.
    Waiting { until: Instant, order: Order },
    /// It could not be ended, not even by SIGKILL.
    Stuck(Stuck),
    /// Nothing is left of it; what is to follow waits for the companion to be gone.
    Leaving { then: Then, killed: bool },
}

/// A launch that has been decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Why.
    pub(crate) cause: Cause,
    /// Whether it counts as a restart (PM2: `restart_time`).
    pub(crate) counts: bool,
}

/// An ordered launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spawning {
    /// When whoever waits is told that it takes too long.
    pub(crate) until: Instant,
    pub(crate) order: Order,
    /// What is to be done with the process as soon as it is known to run, when its end was asked for meanwhile.
    pub(crate) intent: Option<Intent>,
}

/// A running main process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) pid: Pid,
}

/// A process that has been told to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stopping {
    pub(crate) run: Run,
    /// Why it was told so; the first reason stands, it is the one that ends it.
    pub(crate) why: Why,
    /// What is to follow; the last word stands.
    pub(crate) intent: Intent,
    pub(crate) ladder: Ladder,
}

/// What is left of a tree whose main process has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweeping {
    pub(crate) then: Then,
    pub(crate) ladder: Ladder,
}

/// A process or tree that outlived SIGKILL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stuck {
    /// The main process and why it was told to end; absent when only others of its tree are left.
    pub(crate) main: Option<(Run, Why)>,
    /// What is to be done if it ends late.
    pub(crate) then: Then,
}

/// Why a process was told to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// Somebody or something asked.
    Told(Cause),
    /// It did not become ready in time.
    NeverReady,
    /// Nobody told it: it says that it ends by itself.
    Itself,
}

/// What is to follow the end of a process that is told to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Intent {
    Stop {
        by: Origin,
    },
    Delete {
        by: Origin,
    },
    Restart(Order),
    /// What the restart policy says about a run that never became ready.
    Judge,
    /// What the restart policy says about how it ends.
    Leave,
}

/// What follows once nothing of a tree is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    Launch { at: Instant, order: Order },
    Rest { errored: bool },
    Stop,
    Delete { by: Origin },
}

impl Default for State {
    fn default() -> Self {
        Self::Down { errored: false }
    }
}

impl Order {
    pub(super) fn new(cause: Cause, counts: bool) -> Self {
        Self { cause, counts }
    }
}

impl Intent {
    /// Why a process with this intent is told to end.
    pub(super) fn why(&self) -> Why {
        match self {
            Self::Stop { by } | Self::Delete { by } => Why::Told(Cause::Asked(by.clone())),
            Self::Restart(order) => Why::Told(order.cause.clone()),
            Self::Judge => Why::NeverReady,
            Self::Leave => Why::Itself,
        }
    }

    /// What becomes of an intent when a restart is asked for: a person's word replaces anything, an automatic
    /// restart replaces nothing that somebody wants.
    pub(super) fn then_restart(&self, cause: Cause) -> Result<Self, Reason> {
        let counts = match self {
            Self::Stop { .. } | Self::Delete { .. } if is_automatic(&cause) => return Err(Reason::Overruled),
            Self::Restart(_) if is_automatic(&cause) => return Err(Reason::UnderWay),
            Self::Stop { .. } | Self::Delete { .. } | Self::Judge => false,
            Self::Restart(order) => order.counts,
            Self::Leave => true,
        };
        Ok(Self::Restart(Order::new(cause, counts)))
    }
}
