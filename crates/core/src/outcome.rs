//! What became of a request, slot by slot.

use crate::event::ExitStatus;
use crate::history::Cause;
use crate::ids::{Pid, SlotId};
use serde::{Deserialize, Serialize};

/// The one answer to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// One verdict a slot, in the order asked for.
    pub slots: Vec<SlotOutcome>,
}

/// What became of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlotOutcome {
    /// Which.
    pub slot: SlotId,
    /// Its app's name.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Up.
    Online {
        /// Its process id.
        pid: Pid,
    },
    /// It ran and ended as it was meant to: `autorestart: false` or a stop exit code, and exit code 0 or declared.
    Finished {
        /// How.
        status: ExitStatus,
    },
    /// Replaced without a gap: a new process has taken over, and the old one is gone.
    Reloaded {
        /// The new one's process id.
        pid: Pid,
    },
    /// Its replacement failed: what ran goes on.
    NotReplaced(Failure),
    /// Not replaced, since the replacement of another instance had failed: what ran goes on.
    Kept,
    /// Replaced, and put back to what ran before, since the replacement of another instance had failed.
    RolledBack {
        /// The process that runs the old version now.
        pid: Pid,
    },
    /// Left as it is, since nothing of it has changed and only what has changed was to be replaced.
    Unchanged,
    /// Registered, not started (`autostart: false`, or saved as stopped).
    Registered,
    /// Stopped; `killed` when SIGKILL was needed.
    Stopped {
        /// Whether `kill_timeout` ran out.
        killed: bool,
    },
    /// It was not running already.
    WasStopped,
    /// Gone from the list.
    Deleted,
    /// Counters are back at 0.
    Reset,
    /// The signal was sent.
    Signalled,
    /// It failed.
    Failed(Failure),
    /// A later request for something else (a stop, a delete) overtook this one.
    Superseded,
}

/// Why a start or restart failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It could not be launched.
    Spawn {
        /// The error's text.
        message: String,
        /// Whether it is going to be tried again.
        retrying: bool,
    },
    /// It ended before it was up.
    Exited {
        /// How.
        status: ExitStatus,
        /// After how many milliseconds.
        after_ms: u64,
        /// Whether it is going to be started again by its restart policy.
        retrying: bool,
    },
    /// It did not become ready in time.
    NotReady {
        /// Milliseconds waited.
        waited_ms: u64,
        /// Whether it is going to be started again by its restart policy.
        retrying: bool,
        /// What its readiness probe has found last, if it has one that fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<String>,
    },
    /// It runs, and has not been found ready yet: it is given no work before.
    Unready {
        /// Milliseconds waited.
        waited_ms: u64,
        /// What its readiness probe has found last, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<String>,
    },
    /// Its health probe has failed before it took over.
    Unhealthy {
        /// What was found last.
        why: String,
    },
    /// It became ready, but does not listen where those before it do.
    NotListening {
        /// Where.
        missing: Vec<String>,
        /// Milliseconds waited.
        waited_ms: u64,
    },
    /// It was restarted again and again before it was up, and nobody had asked for that.
    Restarted {
        /// How often.
        times: u32,
        /// Why, the last time.
        cause: Cause,
    },
    /// It said that it was ending before it had taken over.
    Leaving,
    /// It is being replaced already, by another request.
    Busy,
    /// It did not end, not even by SIGKILL.
    Unkillable,
    /// There is nothing to act on (no process runs in the slot).
    NotRunning,
}
