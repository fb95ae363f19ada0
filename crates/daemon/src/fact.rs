//! Everything that wakes the reactor. Each source of facts is a task or thread that sends here and decides nothing.

use crate::api::Call;
use ostler_core::{Address, AppId, Event, WorkerId};
use ostler_wire::keeper::ToDaemon;
use ostler_wire::node_ipc;

/// What is called once something is kept.
pub type Kept = Box<dyn FnOnce() + Send>;

/// A fact, on its way to the reactor.
pub enum Fact {
    /// For the machine as it is.
    Machine(Event),
    /// A client calls.
    Call(Call),
    /// The keeper says something; `None` when it is gone.
    Keeper(Option<ToDaemon>),
    /// A worker's main process has ended (its pidfd says so); how is still to be asked.
    Ended(WorkerId),
    /// What an ended worker had written is in its log.
    Drained(WorkerId),
    /// Nobody has told within reason how an ended worker ended.
    StatusOverdue(WorkerId),
    /// `execve` of a launched worker has succeeded or failed.
    Launched(WorkerId, std::io::Result<ostler_sys::spawn::ExecOutcome>),
    /// An app says something over its IPC channel.
    Message(WorkerId, node_ipc::Message),
    /// A cluster worker wanted to listen where somebody else does.
    AddressInUse {
        /// Which.
        worker: WorkerId,
        /// Where.
        address: Address,
        /// The app of ours that listens there, if it is one.
        owner: Option<AppId>,
        /// Called when it is written down who that is.
        explained: Kept,
    },
    /// What a worker says of itself, for people.
    Said(WorkerId, String),
    /// What workers have registered was waited for long enough: how often had been asked when it was.
    RegisteredOverdue(u64),
    /// What came of an action of apps was waited for long enough: the operation's id.
    RepliesOverdue(String),
    /// The file that a profile goes into is made, or why not: the operation's id.
    ProfilePlaced(String, Result<String, String>),
    /// Whoever is connected to this port of a worker's closed inspector has to go.
    Sever(WorkerId, u16),
    /// A worker that finishes with its connections has so many left.
    Draining(WorkerId, u32),
    /// Nobody is left who could write into the pipes of a worker that has ended.
    WritersGone(WorkerId),
    /// What was in those pipes is in the log.
    PipesRead(WorkerId),
    /// Somebody wants to know when what came of the facts before this one is in the journal, and with the keeper.
    Heard(Kept),
    /// To be left with the keeper, under a key.
    Deposit {
        /// The key.
        key: String,
        /// What a successor has to know.
        data: Vec<u8>,
        /// What it needs.
        descriptors: Vec<std::os::fd::OwnedFd>,
    },
    /// To be taken back from the keeper.
    Release(String),
    /// Some child that is no worker may have ended (`SIGCHLD`).
    ChildEnded,
    /// A process left over from a worker has ended.
    LeftoverEnded,
    /// How many connections workers of clusters have open.
    Open(Vec<(WorkerId, u64)>),
    /// Time to look at a worker.
    Look(crate::effects::probe::Look),
    /// What is told of commands that look at workers.
    Command(crate::effects::command::News),
    /// What a look at a worker has found.
    Looked(crate::effects::probe::Looked),
    /// Time to sample the memory of this worker.
    SampleMemory(WorkerId),
    /// Time to try again to weigh this worker.
    Weigh(WorkerId),
    /// Somebody set the wall clock, so much further than it would have been.
    ClockSet {
        /// Negative when it was set back.
        by_millis: i64,
    },
    /// The saved list is up, or as good as: lines to be said about it.
    Booted(Vec<String>),
    /// A system administrator's signal.
    Told(Told),
    /// Something to be said in the daemon's own log.
    Note(String),
    /// A part of this daemon has failed for good; a successor must take over.
    Fatal(String),
}

/// What a signal to the daemon asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `SIGTERM`, `SIGINT`, `SIGQUIT`: save the list, stop everything, end.
    End(&'static str),
    /// `SIGUSR2`: reopen the log files.
    ReopenLogs,
    /// `SIGHUP` in a container: reload all apps.
    Reload,
    /// A signal that in a container is meant for the apps.
    Forward(i32),
}
