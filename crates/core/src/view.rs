//! What the machine shows of itself: plain facts about each slot, for lists and the saved state.

use crate::event::ExitStatus;
use crate::ids::{AppId, Generation, Pid, SlotId};
use crate::probe::Health;
use crate::spec::Spec;
use crate::time::{Instant, WallTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One slot as seen from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SlotView {
    /// Its id (PM2: `pm_id`).
    pub id: SlotId,
    /// Its app.
    pub app: AppId,
    /// Its instance number within the app.
    pub instance: u32,
    /// The current or last launch.
    pub generation: Generation,
    /// PM2's status word.
    pub status: Status,
    /// The main process, when one runs.
    pub pid: Option<Pid>,
    /// When the current or last process was launched, for display (PM2: `pm_uptime`).
    pub launched_at: Option<WallTime>,
    /// The same moment on the monotonic clock.
    pub launched: Option<Instant>,
    /// When the slot was made or last restarted by hand (PM2: `created_at`); absent after `errored`.
    pub created_at: Option<WallTime>,
    /// Restarts since (PM2: `restart_time`).
    pub restarts: u32,
    /// Of these, unstable in a row (PM2: `unstable_restarts`).
    pub unstable_restarts: u32,
    /// How the last process ended.
    pub last_exit: Option<ExitStatus>,
    /// The delay before the pending or last delayed restart, ms (PM2: `prev_restart_delay`).
    pub restart_delay_ms: u64,
    /// What its probes say.
    #[serde(default)]
    pub health: Health,
    /// Whether files are being watched for it now.
    pub watching: bool,
    /// What it runs.
    pub spec: Arc<Spec>,
}

/// PM2's status words (`pm2_env.status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Status {
    /// Launched, not ready yet.
    #[serde(rename = "launching")]
    Launching,
    /// Up.
    #[serde(rename = "online")]
    Online,
    /// Being stopped.
    #[serde(rename = "stopping")]
    Stopping,
    /// Down.
    #[serde(rename = "stopped")]
    Stopped,
    /// Given up.
    #[serde(rename = "errored")]
    Errored,
    /// Down until a restart delay is over.
    #[serde(rename = "waiting restart")]
    WaitingRestart,
}

impl Status {
    /// PM2's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Online => "online",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Errored => "errored",
            Self::WaitingRestart => "waiting restart",
        }
    }
}

/// A reload under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollView {
    /// The app whose workers are being replaced.
    pub app: AppId,
    /// A replacement has failed: what was replaced is being put back.
    pub undoing: bool,
    /// Its slots, in order of instance.
    pub turns: Vec<TurnView>,
}

/// How far a reload is in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnView {
    /// The slot.
    pub slot: SlotId,
    /// Its app's name.
    pub name: String,
    /// Its instance number within the app.
    pub instance: u32,
    /// What is being done.
    pub step: Step,
    /// The worker that comes, or has come.
    pub new_pid: Option<Pid>,
    /// The worker that is to go.
    pub old_pid: Option<Pid>,
    /// What the new worker still has to do to be ready.
    pub awaits: Vec<Awaited>,
    /// How long this step may take yet, ms; absent when it has no limit of its own.
    pub left_ms: Option<u64>,
}

/// A step of the replacement of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its turn has not come.
    Waiting,
    /// The new worker is being launched.
    Launching,
    /// The new worker runs and is not ready.
    Starting,
    /// The new worker is ready and has to live on for a while.
    Proving,
    /// The new worker serves; the old one finishes with its connections.
    Draining,
    /// The new worker serves; the old one has been told to end, or what is left of its tree is being ended.
    Ending,
    /// The old worker is gone.
    Done,
}

/// What a worker has to do to be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// Say `ready`.
    Ready,
    /// Pass its readiness probe.
    Probe,
    /// Listen, wherever.
    Listening,
    /// Listen at an address where its predecessor does.
    ListeningAt(String),
}
