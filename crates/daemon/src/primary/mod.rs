//! The primary of Node's cluster: a thread that owns the channels of cluster workers and the listeners they share.
//!
//! # Theory of operation
//!
//! The thread waits on channels and listeners (epoll). It answers what workers ask of a primary, and gives each connection to the
//! worker that has the fewest to take yet. What concerns the rest of the daemon goes to the reactor as facts; the reactor tells it by
//! commands which workers there are and which may be given connections.
//!
//! A worker's words are looked at, acted upon, and taken off the channel only when what came of them is in the journal and with the
//! keeper; a daemon that is killed in between leaves them to its successor. See docs/design/0010.

mod census;
mod engine;
mod handled;
mod link;
mod listener;
mod probe;
mod queue;
mod shelf;
mod unfinished;

pub(crate) use engine::Reply;
pub(crate) use handled::{Accounts, HANDLED};
pub(crate) use link::Member;
pub(crate) use probe::{Handed, HandedTo, NotHanded};
pub(crate) use unfinished::Unfinished;

use crate::fact::Fact;
use crate::keeper_link::Deposit;
use census::{Census, Found};
pub(crate) use engine::dialect;
use engine::{Counting, Engine};
use ostler_core::{AppId, SlotId, WorkerId};
use ostler_wire::node_ipc::{Dialect, ToPreload};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How the keys of listeners' deposits begin.
pub const LISTENERS: &str = "listener/";
/// How the keys begin of what lies beside a listener: where connections of it wait. The rest is the same as of the listener's.
pub const SHELVES: &str = "shelf/";
/// How the keys begin under which it is kept which servers a worker has.
pub const SERVERS: &str = "servers/";

/// How the keys begin under which it is kept what was taken of a worker's message that has not ended.
pub const UNFINISHED: &str = "unfinished/";

/// Under which key it lies where connections of the listener under this key wait.
pub fn shelf_of(key: &str) -> String {
    format!("{SHELVES}{}", key.strip_prefix(LISTENERS).unwrap_or(key))
}

/// Whose listener lies under a key.
pub fn app_of(key: &str) -> Option<AppId> {
    let (app, _) = key.strip_prefix(LISTENERS)?.split_once('/')?;
    app.parse().ok().map(AppId)
}

/// Lets a listener that nobody adopts listen no more, though copies of it are about for a while yet.
pub fn shut(deposit: &Deposit) {
    for socket in &deposit.descriptors {
        let _ = rustix::net::shutdown(&**socket, rustix::net::Shutdown::Both);
    }
}

/// The event data of the command queue's eventfd.
const COMMANDS: u64 = u64::MAX;

/// What a predecessor has left of a worker.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The servers it had, by name, and whether they listened.
    pub servers: Vec<(String, bool)>,
    /// What was taken of a message that has not ended.
    pub unfinished: Option<Unfinished>,
}

/// What the thread is told.
pub(crate) enum Command {
    /// A worker's channel, of a new process or of one that was taken over.
    Attach {
        member: Member,
        channel: Arc<OwnedFd>,
        dialect: Dialect,
        left: Left,
    },
    /// A listener that a predecessor had opened, and where connections of it wait.
    Adopt {
        listener: Box<Deposit>,
        shelf: Option<Deposit>,
    },
    /// It may be given connections.
    Admit(WorkerId),
    /// It may not any more.
    Withdraw(WorkerId),
    /// It is to get no connections for a while, whatever else is said of it; or again.
    Pause(WorkerId, bool),
    /// It is to finish with the connections it has.
    Drain(WorkerId),
    /// Its main process has ended.
    Ended(WorkerId),
    /// It is gone, and with it what came of the connections that its workers were handed.
    Forget(SlotId),
    /// Nothing of the app is to listen any more.
    Unlisten(AppId),
    /// What was read of this worker's channel is in the journal.
    Kept(WorkerId),
    /// For the app.
    Say(WorkerId, serde_json::Value),
    /// For its preload; something that need not be told.
    Preload(WorkerId, ToPreload),
    /// It is to be handed a connection of ours, by its server at this port.
    Probe(WorkerId, Option<u16>, HandedTo),
    /// It is to say whether its event loop turns.
    Beat(WorkerId),
    /// Somebody wants to know what workers have.
    Count(Reply),
    /// What has been counted.
    Counted(Found),
    /// To rest, having said so, until the other end is dropped.
    Rest { rests: Sender<()>, until: Receiver<()> },
}

/// The thread rests as long as this lives.
pub(crate) struct Still {
    _until: Sender<()>,
}

/// A handle on the primary; calls return at once. Its thread is started by the first worker or listener that it is given, so
/// that a daemon without a cluster does not pay for it.
#[derive(Clone)]
pub struct Primary {
    facts: UnboundedSender<Fact>,
    generation: u32,
    /// A predecessor's, until the thread takes it.
    accounts: Arc<Mutex<Option<Accounts>>>,
    thread: Arc<OnceLock<Thread>>,
}

/// What a running thread is reached by.
struct Thread {
    commands: Mutex<VecDeque<Command>>,
    wake: OwnedFd,
}

impl std::fmt::Debug for Primary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Primary").finish_non_exhaustive()
    }
}

impl Primary {
    /// The primary of the daemon of this generation.
    pub fn new(facts: UnboundedSender<Fact>, generation: u32, accounts: Option<Accounts>) -> Self {
        Self {
            facts,
            generation,
            accounts: Arc::new(Mutex::new(accounts)),
            thread: Arc::default(),
        }
    }

    /// Tells what each worker has, as soon as that is known.
    pub(crate) fn count(&self, reply: Reply) {
        match self.thread.get() {
            Some(_) => self.send(Command::Count(reply)),
            None => reply(&BTreeMap::new()),
        }
    }

    pub(crate) fn send(&self, command: Command) {
        let concerns_nobody = !matches!(command, Command::Attach { .. } | Command::Adopt { .. });
        let thread = match self.thread.get() {
            Some(thread) => thread,
            None if concerns_nobody => return,
            None => match self.start() {
                Ok(thread) => thread,
                Err(error) => return self.report(&format!("cannot be started: {error}")),
            },
        };
        let mut commands = thread.commands();
        let sleeps = commands.is_empty();
        commands.push_back(command);
        drop(commands);
        if sleeps {
            // Fails only when the counter is full, which wakes the thread just as well.
            let _ = rustix::io::write(&thread.wake, &1u64.to_ne_bytes());
        }
    }

    /// Waits, so long at most, until the thread has no connection in its hands, and has it rest then. For a program that is about to be another one:
    /// that ends threads wherever they are.
    pub(crate) fn still(&self, patience: Duration) -> Still {
        let (rests, resting) = channel();
        let (still, until) = channel();
        self.send(Command::Rest { rests, until });
        // One that does not come to rest in time, or that there is none of, is done without.
        let _ = resting.recv_timeout(patience);
        Still { _until: still }
    }

    fn start(&self) -> io::Result<&Thread> {
        let poll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &*poll,
            &wake,
            epoll::EventData::new_u64(COMMANDS),
            epoll::EventFlags::IN,
        )?;
        let commands = Mutex::default();
        let reached = self.thread.get_or_init(|| Thread { commands, wake });
        let counting = Counting {
            census: Census::start(self.clone())?,
            accounts: self.accounts()?,
        };
        let engine = Engine::new(poll, self.facts.clone(), self.clone(), counting, self.generation);
        let primary = self.clone();
        thread::Builder::new().name("primary".into()).spawn(move || {
            let Some(thread) = primary.thread.get() else { return };
            // Without it everything works, a tenth slower under full load.
            let _ = ostler_sys::scheduling::take_turns();
            let ended = catch_unwind(AssertUnwindSafe(|| run(engine, thread)));
            primary.report(&match ended {
                Ok(Ok(never)) => match never {},
                Ok(Err(error)) => format!("has ended: {error}"),
                Err(_) => "has ended: it panicked".to_owned(),
            });
        })?;
        Ok(reached)
    }

    /// A slot is gone. Its id may be another's at once.
    pub(crate) fn forget(&self, slot: SlotId) {
        if self.thread.get().is_some() {
            return self.send(Command::Forget(slot));
        }
        if let Some(accounts) = self.inherited().as_mut() {
            // It overwrites what is in the file: no memory is needed.
            let _ = accounts.forget(slot);
        }
    }

    /// Where it is counted what came of the connections that workers were handed: a predecessor's, or one that a successor will have.
    fn accounts(&self) -> io::Result<Accounts> {
        if let Some(accounts) = self.inherited().take() {
            return Ok(accounts);
        }
        let file = ostler_sys::memfd::create(HANDLED)?;
        let _ = self.facts.send(Fact::Deposit {
            key: HANDLED.to_owned(),
            data: Vec::new(),
            descriptors: vec![file.as_fd().try_clone_to_owned()?],
        });
        Accounts::open(file)
    }

    fn inherited(&self) -> MutexGuard<'_, Option<Accounts>> {
        self.accounts.lock().expect("invariant: nobody panics with this lock")
    }

    fn report(&self, what: &str) {
        let _ = self
            .facts
            .send(Fact::Fatal(format!("the primary of cluster workers {what}")));
    }
}

impl Thread {
    fn commands(&self) -> MutexGuard<'_, VecDeque<Command>> {
        self.commands.lock().expect("invariant: nobody panics with this lock")
    }
}

fn run(mut engine: Engine, thread: &Thread) -> io::Result<std::convert::Infallible> {
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        let patience = engine.patience();
        match epoll::wait(
            engine.epoll(),
            rustix::buffer::spare_capacity(&mut events),
            patience.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // What workers say comes first: who asks for a new connection has had the last answer, and its worker had acked that
        // connection before it answered.
        events.sort_by_key(|event: &epoll::Event| event.data.u64());
        for event in &events {
            match event.data.u64() {
                COMMANDS => obey(&mut engine, thread),
                token => engine.ready(token, event.flags),
            }
        }
        engine.tick();
    }
}

fn obey(engine: &mut Engine, thread: &Thread) {
    let mut count = [0; 8];
    let _ = rustix::io::read(&thread.wake, &mut count);
    loop {
        let next = thread.commands().pop_front();
        let Some(command) = next else { return };
        engine.obey(command);
    }
}
