//! Facts: what the machine is told. Each says what has happened, never what to do about it.

use crate::effect::Place;
use crate::ids::{Pid, SlotId, Ticket, WorkerId};
use crate::probe::{ProbeKind, ProbeResult};
use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A fact.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks for something. Exactly one [`Effect::Reply`](crate::Effect::Reply) answers it.
    Request {
        /// Names the reply.
        ticket: Ticket,
        /// What is asked for.
        request: Request,
        /// Who asked, for the history.
        by: Origin,
    },
    /// A worker's process runs its program (its `execve` succeeded).
    Spawned {
        /// Which.
        worker: WorkerId,
        /// Its process id.
        pid: Pid,
        /// Where it lies, if that is known.
        place: Option<Place>,
    },
    /// A worker could not be launched.
    SpawnFailed {
        /// Which.
        worker: WorkerId,
        /// Why, for people and for the restart policy.
        error: SpawnError,
    },
    /// A worker's main process has ended, and what it wrote has been taken from its pipes.
    Exited {
        /// Which.
        worker: WorkerId,
        /// How.
        status: ExitStatus,
        /// Whether the kernel's OOM killer did it, where that is known.
        oom_killed: bool,
    },
    /// No process of the worker's tree is left. Answers [`Effect::Sweep`](crate::Effect::Sweep); comes after `Exited`.
    TreeGone {
        /// Which.
        worker: WorkerId,
    },
    /// A worker said that it is ready: over its IPC channel, or by sd_notify(3).
    ReadyMessage {
        /// Which.
        worker: WorkerId,
    },
    /// A worker said that it is ending by itself (`STOPPING=1` of sd_notify(3)).
    StoppingMessage {
        /// Which.
        worker: WorkerId,
    },
    /// A worker looks up and running: it listens, or it has come to rest waiting for work.
    /// Answers [`Effect::ObserveStart`](crate::Effect::ObserveStart).
    Settled {
        /// Which.
        worker: WorkerId,
    },
    /// A cluster worker listens on an address, or a worker that has inherited sockets takes what comes in on one of them.
    Listening {
        /// Which.
        worker: WorkerId,
        /// On which addresses others of its cluster listen and it does not, as people read them.
        missing: Vec<String>,
    },
    /// A cluster worker wanted to listen and could not. The app decides what comes of that; people want to know why.
    ListenFailed {
        /// Which.
        worker: WorkerId,
        /// On which address, and why, for people.
        error: String,
    },
    /// A worker that was told to drain has no connection left. Answers [`Effect::Drain`](crate::Effect::Drain).
    Drained {
        /// Which.
        worker: WorkerId,
    },
    /// The resident memory of a worker's whole tree.
    MemorySample {
        /// Which.
        worker: WorkerId,
        /// Bytes.
        bytes: u64,
    },
    /// What came of a probe. Answers [`Effect::Probe`](crate::Effect::Probe), unless the worker has ended.
    Probed {
        /// Which worker.
        worker: WorkerId,
        /// Which of its probes.
        kind: ProbeKind,
        /// What was found.
        result: ProbeResult,
        /// How long it took to find out.
        took: Duration,
    },
    /// Something changed below an app's watched paths and was not ignored.
    FileChanged {
        /// A slot of the app.
        slot: SlotId,
        /// The first changed path, for the history.
        path: String,
    },
    /// The wall clock was set: cron's next occurrences must be found anew.
    ClockStepped,
    /// Whoever was to start all there is in this container has ended. From now on it is over once nothing runs any more, if
    /// the settings say so; at once if nothing was started at all.
    StarterEnded {
        /// How.
        status: ExitStatus,
    },
    /// Somebody who wants everything to end does not want to wait: each end that is under way is pressed one step further.
    Hurry,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Origin {
    /// A client on the control socket.
    Client {
        /// The user's name, or number where it has none.
        user: String,
        /// The client's process id.
        pid: Pid,
        /// The verb as typed, e.g. `restart`.
        verb: String,
    },
    /// Somebody at the web dashboard.
    Web {
        /// Who has signed in, or `token`.
        user: String,
        /// The address that the request came from.
        address: String,
        /// What was asked for, e.g. `restart`.
        verb: String,
    },
    /// The daemon itself, e.g. at shutdown by a signal.
    Daemon {
        /// Why.
        reason: String,
    },
}

/// What a client can ask of the machine. Selectors and names have been resolved to slots before.
#[derive(Clone, Debug)]
pub enum Request {
    /// Start apps that are new to the machine.
    Start {
        /// Their specs; each becomes an app with `spec.instances` slots.
        specs: Vec<Spec>,
    },
    /// Add a process from a saved list, with its instance number and its stopped or running state.
    Restore {
        /// The saved instances in order.
        instances: Vec<SavedInstance>,
    },
    /// Stop and start again (a slot that does not run is just started). Counts as a manual restart.
    Restart {
        /// Which slots.
        slots: Vec<SlotId>,
        /// New specs by position in `slots`, or empty to keep what they have.
        specs: Vec<Arc<Spec>>,
    },
    /// Replace workers without a gap, slot by slot, all of them or none; what does not run, or cannot be replaced so, is restarted.
    Reload {
        /// Which slots.
        slots: Vec<SlotId>,
        /// New specs by position in `slots`, or empty to keep what they have.
        specs: Vec<Arc<Spec>>,
        /// How many replacements of an app may be under way at once.
        parallel: u32,
        /// Leave alone what declares the same as before, but for the number of instances.
        only_changed: bool,
    },
    /// Stop.
    Stop {
        /// Which slots.
        slots: Vec<SlotId>,
    },
    /// Stop and forget.
    Delete {
        /// Which slots.
        slots: Vec<SlotId>,
    },
    /// Set the counters back.
    Reset {
        /// Which slots.
        slots: Vec<SlotId>,
    },
    /// Change how many instances an app has.
    Scale {
        /// Any slot of the app.
        slot: SlotId,
        /// The number wanted, at least 1.
        instances: u32,
    },
    /// Send a signal to the main process of each slot that runs; changes no state.
    Signal {
        /// Which slots.
        slots: Vec<SlotId>,
        /// The signal's number.
        signal: i32,
    },
    /// Stop everything for good; afterwards no exit restarts anything.
    Shutdown,
    /// As `Shutdown`, but workers finish with their connections first, and whatever is left when the time is over is killed.
    WindDown {
        /// How long all of it may take; by what the apps' specs allow them when absent.
        within: Option<Duration>,
    },
}

/// One instance of a saved list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SavedInstance {
    /// What it ran.
    pub spec: Arc<Spec>,
    /// Its instance number.
    pub instance: u32,
    /// Whether it is to be started, or only listed as stopped.
    pub running: bool,
}

/// How a process ended (`wait(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// By itself, with this exit code.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// Nobody could learn how: it ended while its parent was dead too.
    Unknown,
}

/// Why a process could not be launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpawnError {
    /// A whole sentence for people: the call, the object, the cause, what to do.
    pub message: String,
    /// Whether trying again later may help (`EAGAIN`, `EMFILE`, `ENOMEM`) or only a change can (`ENOENT`).
    pub transient: bool,
}
