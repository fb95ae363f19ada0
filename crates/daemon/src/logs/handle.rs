//! The handle on the log thread, and the thread's loop.

use super::archive::Notes;
use super::engine::Engine;
use super::follow::{Filter, Follower, Subscription, subscription};
use super::note::{FileError, Note};
use super::outlet::Outlet;
use super::pump::{Audience, Pump};
use super::target::{StreamId, StreamKind, Target};
use super::vault::Vault;
use ostler_core::{SlotId, WorkerId};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

/// The event data of the command queue's eventfd.
const COMMANDS: u64 = u64::MAX;
/// How long nothing must be asked for or written before files are opened that nothing was written to. A hundred apps that
/// are started at once need the processors and the file system for other things first.
const OPENING: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 25_000_000,
};
/// How many streams get a turn between two looks at the commands.
const TURNS: usize = 64;

/// What each slot's streams came to.
pub(super) type Statistics = Arc<Mutex<BTreeMap<(SlotId, StreamKind), StreamStats>>>;

/// What was not written of a slot's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Bytes that did not get into a file since this daemon started.
    pub dropped: u64,
    /// Why its file cannot be written now, if so.
    pub last_error: Option<String>,
}

type Done = Box<dyn FnOnce() + Send>;
type Failures = Box<dyn FnOnce(Vec<FileError>) + Send>;

enum Command {
    Attach {
        id: StreamId,
        name: String,
        pipe: Arc<OwnedFd>,
        target: Box<Target>,
    },
    Adopted,
    Ended {
        worker: WorkerId,
        done: Done,
    },
    Close {
        worker: WorkerId,
    },
    Forget {
        slot: SlotId,
    },
    Flush {
        paths: Vec<PathBuf>,
        done: Failures,
    },
    Reopen {
        done: Failures,
    },
    Resume,
    Say {
        line: String,
    },
    Follow {
        subscription: Box<Subscription>,
    },
    Event {
        slot: SlotId,
        name: String,
        event: String,
    },
    Stop {
        done: Done,
    },
}

/// A handle on the log thread. Cheap to clone; calls return at once, what they ask for happens in their order.
#[derive(Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Mutex<VecDeque<Command>>,
    wake: OwnedFd,
    statistics: Statistics,
    outlets: Vec<Arc<Outlet>>,
}

/// A way to one of our own outputs.
#[derive(Debug)]
pub struct Console {
    /// What is kept over a change of daemon.
    pub outlet: Arc<Outlet>,
    /// The output itself.
    pub sink: OwnedFd,
    /// What it is called: `standard output`.
    pub name: &'static str,
}

/// Who a pump talks to.
struct Listener {
    logs: Logs,
    notes: Notes,
    name: &'static str,
}

impl Audience for Listener {
    fn room(&self) {
        self.logs.send(Command::Resume);
    }

    fn trouble(&self, error: Option<io::Error>) {
        (self.notes)(Note::Console { name: self.name, error });
    }
}

fn begin_pumping(console: Console, logs: Logs, notes: Notes) -> io::Result<()> {
    let Console { outlet, sink, name } = console;
    let told = notes.clone();
    let pump = Pump::new(outlet, sink, Listener { logs, notes, name });
    let run = move || {
        let ended = catch_unwind(AssertUnwindSafe(|| pump.run()));
        if let Err(error) = ended.unwrap_or_else(|_| Err(io::Error::other("it panicked"))) {
            told(Note::Ended(error));
        }
    };
    thread::Builder::new().name("output".into()).spawn(run)?;
    Ok(())
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Starts the log thread on a vault, fresh or a killed predecessor's; a chunk that the latter had in flight is
    /// finished before anything else. `notes` is called in the log thread and must not block.
    ///
    /// # Errors
    /// No descriptors, memory or thread to be had; or a journal of another version, with which nothing can be done but to
    /// begin with a fresh vault.
    pub fn start(vault: Vault, notes: impl Fn(Note) + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_with(vault, Vec::new(), notes)
    }

    /// The same, with ways to our own standard output and error; the first for both where there is no second.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        vault: Vault,
        consoles: Vec<Console>,
        notes: impl Fn(Note) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let notes: Notes = Arc::new(notes);
        let statistics = Statistics::default();
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &*epoll,
            &wake,
            epoll::EventData::new_u64(COMMANDS),
            epoll::EventFlags::IN,
        )?;
        let outlets: Vec<Arc<Outlet>> = consoles.iter().map(|console| Arc::clone(&console.outlet)).collect();
        let engine = Engine::new(vault, &outlets, epoll.clone(), notes.clone(), statistics.clone())?;
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            wake,
            statistics,
            outlets,
        });
        for console in consoles {
            begin_pumping(console, Self { shared: shared.clone() }, notes.clone())?;
        }
        let thread = LogThread {
            engine,
            shared: shared.clone(),
            epoll,
        };
        let run = move || {
            // A panic must not leave a daemon that goes on without logs.
            let ended = catch_unwind(AssertUnwindSafe(|| thread.run()));
            if let Err(error) = ended.unwrap_or_else(|_| Err(io::Error::other("it panicked"))) {
                notes(Note::Ended(error));
            }
        };
        thread::Builder::new().name("logs".into()).spawn(run)?;
        Ok(Self { shared })
    }

    /// Takes a stream on. The pipe's read end must be copied into the keeper before the app can write to it. Attached
    /// again after a takeover, the stream goes on with the very byte it was left at.
    pub fn attach(&self, id: StreamId, name: String, pipe: impl Into<Arc<OwnedFd>>, target: Target) {
        self.attach_all([(id, name, pipe.into(), target)]);
    }

    /// [`attach`](Self::attach) for several streams, waking the thread once.
    pub fn attach_all(&self, streams: impl IntoIterator<Item = (StreamId, String, Arc<OwnedFd>, Target)>) {
        self.send_all(streams.into_iter().map(|(id, name, pipe, target)| Command::Attach {
            id,
            name,
            pipe,
            target: Box::new(target),
        }));
    }

    /// After a takeover: every stream that goes on has been attached again. What the predecessor held back of others is
    /// written, and they are forgotten.
    pub fn adopted(&self) {
        self.send(Command::Adopted);
    }

    /// The worker's main process is gone: what is in its pipes now is written, an unfinished last line is ended, then
    /// `done` is called in the log thread. The pipes stay open for grandchildren, until they end or [`close`](Self::close).
    pub fn ended(&self, worker: WorkerId, done: impl FnOnce() + Send + 'static) {
        self.send(Command::Ended {
            worker,
            done: Box::new(done),
        });
    }

    /// Writes what is in the worker's pipes and closes them.
    pub fn close(&self, worker: WorkerId) {
        self.send(Command::Close { worker });
    }

    /// Closes all pipes of a slot and forgets its statistics.
    pub fn forget(&self, slot: SlotId) {
        self.send(Command::Forget { slot });
    }

    /// Empties files, then calls `done` in the log thread with what failed.
    pub fn flush(&self, paths: Vec<PathBuf>, done: impl FnOnce(Vec<FileError>) + Send + 'static) {
        self.send(Command::Flush {
            paths,
            done: Box::new(done),
        });
    }

    /// Opens all files anew by their paths, after an external logrotate has renamed them; then calls `done` in the log
    /// thread with what failed (such a file is written on under its old descriptor).
    pub fn reopen(&self, done: impl FnOnce(Vec<FileError>) + Send + 'static) {
        self.send(Command::Reopen { done: Box::new(done) });
    }

    /// Follows output from now on. First comes a `Begin` for each known slot and each that has a process; a slot that
    /// is made later has its `Begin` before its first output. Output of an unfinished line that is held back from the
    /// file comes right after the `Begin`s, so that file and stream together are everything exactly once.
    pub fn follow(&self, filter: Filter) -> Follower {
        let (subscription, follower) = subscription(filter);
        self.send(Command::Follow {
            subscription: Box::new(subscription),
        });
        follower
    }

    /// Hands a process event (`online`, `exit`, …) to the followers who asked for events, in order with the output.
    pub fn event(&self, slot: SlotId, name: String, event: String) {
        self.send(Command::Event { slot, name, event });
    }

    /// What was dropped, and why; streams from which nothing ever was are left out.
    pub fn stats(&self) -> BTreeMap<(SlotId, StreamKind), StreamStats> {
        self.shared
            .statistics
            .lock()
            .expect("invariant: nobody panics with this lock")
            .clone()
    }

    /// Says something of our own on our standard error, between the lines of apps.
    pub fn say(&self, line: String) {
        self.send(Command::Say { line });
    }

    /// How many bytes for our own outputs nobody has taken yet.
    pub fn left_for_consoles(&self) -> u64 {
        self.shared.outlets.iter().map(|outlet| outlet.left()).sum()
    }

    /// Ends the thread between two chunks and then calls `done` in it: for a successor that takes the vault over while
    /// this process still lives. Later calls of this handle have no effect.
    pub fn stop(&self, done: impl FnOnce() + Send + 'static) {
        self.send(Command::Stop { done: Box::new(done) });
    }

    fn send(&self, command: Command) {
        self.send_all([command]);
    }

    fn send_all(&self, new: impl IntoIterator<Item = Command>) {
        let mut commands = self
            .shared
            .commands
            .lock()
            .expect("invariant: nobody panics with this lock");
        let sleeps = commands.is_empty();
        commands.extend(new);
        drop(commands);
        // Whoever sent the first of several has woken the thread, which takes all there are.
        if sleeps {
            // Fails only when the counter is full, which wakes the thread just as well.
            let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        }
    }
}

struct LogThread {
    engine: Engine,
    shared: Arc<Shared>,
    epoll: Arc<OwnedFd>,
}

impl LogThread {
    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(TURNS);
        loop {
            events.clear();
            let patience = self.engine.has_unopened_files().then_some(&OPENING);
            match epoll::wait(&*self.epoll, rustix::buffer::spare_capacity(&mut events), patience) {
                Ok(0) => self.engine.open_files(),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    COMMANDS => {
                        if let Some(done) = self.obey() {
                            drop(self);
                            done();
                            return Ok(());
                        }
                    }
                    key => self.engine.turn(usize::try_from(key).unwrap_or(usize::MAX)),
                }
            }
        }
    }

    /// Carries out what was asked for; gives what to call after the end if it was the end.
    fn obey(&mut self) -> Option<Done> {
        let mut count = [0; 8];
        // Nothing to read means that an earlier look took the commands along.
        let _ = rustix::io::read(&self.shared.wake, &mut count);
        loop {
            let next = self
                .shared
                .commands
                .lock()
                .expect("invariant: nobody panics with this lock")
                .pop_front();
            match next? {
                Command::Attach { id, name, pipe, target } => self.engine.attach(id, name, pipe, &target),
                Command::Adopted => self.engine.disown(|_| true),
                Command::Ended { worker, done } => {
                    self.engine.ended(|id| id.worker == worker);
                    done();
                }
                Command::Close { worker } => self.engine.close(|id| id.worker == worker),
                Command::Forget { slot } => self.engine.forget(slot),
                Command::Flush { paths, done } => done(self.engine.flush(&paths)),
                Command::Reopen { done } => done(self.engine.reopen()),
                Command::Resume => self.engine.resume(),
                Command::Say { line } => self.engine.say(&line),
                Command::Follow { subscription } => self.engine.follow(*subscription),
                Command::Event { slot, name, event } => self.engine.event(slot, &name, &event),
                Command::Stop { done } => return Some(done),
            }
        }
    }
}
