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

mod engine;
mod link;
mod listener;

use crate::fact::Fact;
use crate::keeper_link::Deposit;
use engine::Engine;
pub(crate) use engine::dialect;
use ostler_core::{AppId, WorkerId};
use ostler_wire::node_ipc::Dialect;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::mpsc::UnboundedSender;

/// How the keys of listeners' deposits begin.
pub const LISTENERS: &str = "listener/";
/// How the keys begin under which it is kept which servers a worker has.
pub const SERVERS: &str = "servers/";

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

/// What the thread is told.
pub(crate) enum Command {
    /// A worker's channel, of a new process or of one that was taken over, with the servers it had.
    Attach {
        worker: WorkerId,
        app: AppId,
        channel: Arc<OwnedFd>,
        dialect: Dialect,
        servers: Vec<(String, bool)>,
    },
    /// A listener that a predecessor had opened.
    Adopt(Box<Deposit>),
    /// It may be given connections.
    Admit(WorkerId),
    /// It may not any more.
    Withdraw(WorkerId),
    /// It is to finish with the connections it has.
    Drain(WorkerId),
    /// Its main process has ended.
    Ended(WorkerId),
    /// Nothing of the app is to listen any more.
    Unlisten(AppId),
    /// What was read of this worker's channel is in the journal.
    Kept(WorkerId),
    /// For the app.
    Say(WorkerId, serde_json::Value),
}

/// A handle on the primary thread; calls return at once.
#[derive(Clone)]
pub struct Primary {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Mutex<VecDeque<Command>>,
    wake: OwnedFd,
}

impl std::fmt::Debug for Primary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Primary").finish_non_exhaustive()
    }
}

impl Primary {
    /// Starts the thread of the daemon of this generation.
    ///
    /// # Errors
    /// No descriptors, memory or thread to be had.
    pub fn start(facts: UnboundedSender<Fact>, generation: u32) -> io::Result<Self> {
        let poll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &*poll,
            &wake,
            epoll::EventData::new_u64(COMMANDS),
            epoll::EventFlags::IN,
        )?;
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            wake,
        });
        let primary = Self { shared: shared.clone() };
        let engine = Engine::new(poll, facts.clone(), primary.clone(), generation);
        thread::Builder::new().name("primary".into()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| run(engine, &shared)));
            let error = match ended {
                Ok(Ok(never)) => match never {},
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            };
            let _ = facts.send(Fact::Fatal(format!(
                "the primary of cluster workers has ended: {error}"
            )));
        })?;
        Ok(primary)
    }

    pub(crate) fn send(&self, command: Command) {
        let mut commands = self
            .shared
            .commands
            .lock()
            .expect("invariant: nobody panics with this lock");
        let sleeps = commands.is_empty();
        commands.push_back(command);
        drop(commands);
        if sleeps {
            // Fails only when the counter is full, which wakes the thread just as well.
            let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        }
    }
}

fn run(mut engine: Engine, shared: &Shared) -> io::Result<std::convert::Infallible> {
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
                COMMANDS => obey(&mut engine, shared),
                token => engine.ready(token, event.flags),
            }
        }
        engine.tick();
    }
}

fn obey(engine: &mut Engine, shared: &Shared) {
    let mut count = [0; 8];
    let _ = rustix::io::read(&shared.wake, &mut count);
    loop {
        let next = shared
            .commands
            .lock()
            .expect("invariant: nobody panics with this lock")
            .pop_front();
        let Some(command) = next else { return };
        engine.obey(command);
    }
}
