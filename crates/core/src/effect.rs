//! Orders: what the machine wants done. They are fire-and-forget; what comes of them returns as an
//! [`Event`](crate::Event).

use crate::history::Entry;
use crate::ids::{AppId, SlotId, Ticket, WorkerId};
use crate::listen::Address;
use crate::outcome::Outcome;
use crate::probe::{Check, ProbeKind};
use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Launch a process. Answered by `Spawned` or `SpawnFailed`, later by `Exited`.
    Spawn(Launch),
    /// Watch a starting worker for signs that it is up; answered by `Settled`, or by nothing if it exits.
    ObserveStart {
        /// Which.
        worker: WorkerId,
    },
    /// Send a signal.
    Signal {
        /// To which worker.
        worker: WorkerId,
        /// The signal's number.
        signal: i32,
        /// To whom in its tree.
        scope: Scope,
    },
    /// Send the string `"shutdown"` over the worker's IPC channel.
    SendShutdown {
        /// To which worker.
        worker: WorkerId,
    },
    /// See to it that nothing of the tree outlives the worker: watch what is left of it (after the main process
    /// ended, or while it is being stopped) and answer `TreeGone` when nothing is.
    Sweep {
        /// Whose tree.
        worker: WorkerId,
    },
    /// Begin to watch files for an app (replaces an earlier watch of the same slot).
    Watch {
        /// The slot that stands for the app.
        slot: SlotId,
        /// What.
        spec: Arc<Spec>,
    },
    /// Stop watching files.
    Unwatch {
        /// The slot given to `Watch`.
        slot: SlotId,
    },
    /// Sample the memory of a worker's tree now and then, until it exits; each sample is a `MemorySample`.
    SampleMemory {
        /// Which.
        worker: WorkerId,
        /// How often.
        every: Duration,
    },
    /// Look at a worker once; answered by one `Probed` within `after` and `timeout`, or by nothing if the worker exits.
    Probe {
        /// Which.
        worker: WorkerId,
        /// For which of its probes.
        kind: ProbeKind,
        /// At what.
        check: Check,
        /// When that has failed for lack of an answer.
        timeout: Duration,
        /// How long from now.
        after: Duration,
    },
    /// A cluster worker may be given connections from now on.
    Admit {
        /// Which.
        worker: WorkerId,
    },
    /// A cluster worker is to be given no more connections.
    Withdraw {
        /// Which.
        worker: WorkerId,
    },
    /// A withdrawn cluster worker is to finish with the connections it has; answered by `Drained`, or by its end.
    Drain {
        /// Which.
        worker: WorkerId,
    },
    /// No worker of the app is to be up any more: close the listeners that are kept for it.
    Unlisten {
        /// Which.
        app: AppId,
    },
    /// Of the sockets that are bound for the app as its specs declare them, exactly these are to stay open. What a launch needs and
    /// is not open yet is bound when that is carried out.
    KeepListeners {
        /// Which.
        app: AppId,
        /// Where.
        addresses: BTreeSet<Address>,
    },
    /// Another number of workers makes up the app's cluster: each one's session is to weigh as much less or more
    /// ([`Machine::instances`](crate::Machine::instances), [`sharing`](crate::sharing)). New workers are weighed when they have been launched.
    Weigh {
        /// Which.
        app: AppId,
    },
    /// Answer a request.
    Reply {
        /// Which.
        ticket: Ticket,
        /// What became of it.
        outcome: Outcome,
    },
    /// Add to the history of starts and stops.
    Record(Entry),
    /// Tell subscribers.
    Publish(Notice),
    /// The slot is gone: close its logs, remove its pid file, drop what is queued about it. Its id may be used again.
    Forget {
        /// Which.
        slot: SlotId,
    },
    /// Everything has stopped after a `Shutdown`, or has ended by itself where that is the end: end the daemon.
    Exit {
        /// What the whole is to be reported as, for whoever runs it in the foreground.
        code: u8,
    },
}

/// All that is needed to launch one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Its identity.
    pub worker: WorkerId,
    /// Its app.
    pub app: AppId,
    /// Its instance number within the app.
    pub instance: u32,
    /// What to run.
    pub spec: Arc<Spec>,
    /// Where what is to run lies, in place of what the spec's paths lead to now.
    pub place: Option<Place>,
}

/// Where a launched program really lies: the paths of its spec with all symlinks followed, as they were at its launch. So
/// what ran can be run again after a link such as `current` was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The script or executable.
    pub path: String,
    /// The working directory.
    pub cwd: String,
}

/// To whom in a worker's tree a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The main process only.
    Main,
    /// Every process of the tree, deepest first.
    Tree,
}

/// Something subscribers may want to know (PM2's bus events).
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The slot it is about.
    pub slot: SlotId,
    /// What happened.
    pub kind: NoticeKind,
    /// Whether a person asked for it.
    pub manually: bool,
}

/// What happened, in PM2's words (`shared` behaviour section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A process was launched.
    Online,
    /// A start was asked for.
    Start,
    /// A process ended.
    Exit,
    /// A restart was done.
    Restart,
    /// A stop was done.
    Stop,
    /// A slot was forgotten.
    Delete,
    /// The restart limit was reached.
    RestartOverlimit,
}

impl NoticeKind {
    /// PM2's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Start => "start",
            Self::Exit => "exit",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Delete => "delete",
            Self::RestartOverlimit => "restart overlimit",
        }
    }
}
