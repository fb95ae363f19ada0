//! The processes that run, as the reactor holds them: descriptors and the tasks that listen to them.
//!
//! Everything here can be rebuilt by a successor from the deposits (`adopt`): the record below is what a deposit carries.

use crate::fact::Fact;
use crate::keeper_link::Deposit;
use crate::readiness::readable;
use crate::sockets::notify;
use ostler_core::{ExitStatus, Launch, Mode, Pid, Place, WorkerId};
use ostler_sys::proc::StartTime;
use ostler_sys::spawn::{ExecOutcome, Outcome};
use ostler_wire::metrics::{CustomAction, CustomMetric};
use ostler_wire::node_ipc::{self, Decoder, ToPreload};
use rustix::net::RecvFlags;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Where in a worker's deposit which descriptor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The pidfd.
    Pidfd = 0,
    /// The write end of its standard input.
    Stdin = 1,
    /// The read end of its standard output.
    Out = 2,
    /// The read end of its standard error.
    Error = 3,
    /// Our end of its IPC channel.
    Channel = 4,
    /// Its gate: with it a successor lets go of a process that was held when its predecessor died, and hears what came of its launch. Kept
    /// longer than that, since a message to the keeper costs more than a descriptor.
    Gate = 5,
    /// The socket on which it says that it is ready, if it has one.
    Notify = 6,
}

/// A running or just ended worker.
#[derive(Debug)]
pub struct Worker {
    /// Its main process.
    pub pid: Pid,
    /// When that started.
    pub start: StartTime,
    /// What it runs.
    pub launch: Launch,
    /// What `execve` was given, for the explanation of its failure; empty for one that was taken over.
    pub executable: PathBuf,
    /// Where that really lies.
    pub place: Option<Place>,
    /// Its descriptors, shared with the deposit.
    pub descriptors: Vec<Arc<OwnedFd>>,
    /// How its main process ended, once that is known.
    pub status: Option<ExitStatus>,
    /// The machine has been told of the end; only the tree is still of interest.
    pub told: bool,
    /// Whether its program runs at all is not known yet.
    pub launching: bool,
    /// How many connections it has left, once it has been told to finish with them.
    pub connections: Option<u32>,
    /// What it said of itself last.
    pub said: Option<String>,
    /// What its app measures itself, by name.
    pub custom: BTreeMap<String, CustomMetric>,
    /// What its app does when it is told to.
    pub actions: Vec<CustomAction>,
    tasks: Vec<AbortHandle>,
    /// What will hear what it says, once it is known that it runs.
    ears: Vec<Ear>,
}

/// A task that hears what a worker says.
struct Ear(Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

impl Worker {
    /// From a deposit, new or inherited. Its end is listened for at once, its words from [`begin_to_hear`](Self::begin_to_hear) on.
    ///
    /// # Errors
    /// If its descriptors cannot be listened to.
    pub fn new(mark: Mark, launch: Launch, deposit: &Deposit, facts: &UnboundedSender<Fact>) -> io::Result<Self> {
        let descriptors = deposit.descriptors.clone();
        let (pid, start) = (Pid(mark.pid), StartTime(mark.start));
        let mut worker = Self {
            pid,
            start,
            launch,
            executable: PathBuf::new(),
            place: None,
            descriptors,
            status: None,
            told: false,
            launching: false,
            connections: None,
            said: None,
            custom: BTreeMap::new(),
            actions: Vec::new(),
            tasks: Vec::new(),
            ears: Vec::new(),
        };
        worker.listen(facts)?;
        Ok(worker)
    }

    /// One of its descriptors.
    pub fn descriptor(&self, part: Part) -> Option<&Arc<OwnedFd>> {
        self.descriptors.get(part as usize)
    }

    /// Whether the primary owns its channel.
    pub fn is_of_cluster(&self) -> bool {
        self.launch.spec.mode == Mode::Cluster
    }

    /// Its identity.
    pub fn id(&self) -> WorkerId {
        self.launch.worker
    }

    /// Goes on with a launch that a predecessor has begun: lets the process go, and reports if it is not known to run.
    ///
    /// # Errors
    /// `send(2)`, `recv(2)` or `epoll_ctl(2)`.
    pub fn go_on(&mut self, facts: &UnboundedSender<Fact>) -> io::Result<()> {
        let Some(gate) = self.descriptor(Part::Gate) else {
            return Ok(());
        };
        let mut outcome = Outcome::inherited(gate.try_clone()?)?;
        match outcome.read()? {
            ExecOutcome::Running => {}
            ExecOutcome::Pending => self.await_launch(outcome, facts)?,
            failed @ ExecOutcome::Failed(_) => {
                self.launching = true;
                let _ = facts.send(Fact::Launched(self.id(), Ok(failed)));
            }
        }
        Ok(())
    }

    /// Reports when `execve` has succeeded or failed.
    ///
    /// # Errors
    /// `epoll_ctl(2)`.
    pub fn await_launch(&mut self, outcome: Outcome, facts: &UnboundedSender<Fact>) -> io::Result<()> {
        let outcome = readable(outcome)?;
        self.launching = true;
        let (worker, facts) = (self.id(), facts.clone());
        self.spawn(async move {
            let result = launched(outcome).await;
            let _ = facts.send(Fact::Launched(worker, result));
        });
        Ok(())
    }

    fn listen(&mut self, facts: &UnboundedSender<Fact>) -> io::Result<()> {
        if let Some(pidfd) = self.descriptor(Part::Pidfd) {
            let pidfd = readable(Arc::clone(pidfd))?;
            let (worker, facts) = (self.id(), facts.clone());
            self.spawn(async move {
                let _ = pidfd.readable().await;
                let _ = facts.send(Fact::Ended(worker));
            });
        }
        // The channels of a cluster's workers are the primary's.
        let own = self.launch.spec.mode == Mode::Fork;
        if let Some(channel) = self.descriptor(Part::Channel).filter(|_| own) {
            let channel = readable(Arc::clone(channel))?;
            let (worker, facts) = (self.id(), facts.clone());
            self.ears.push(Ear(Box::pin(hear(channel, worker, facts))));
        }
        if let Some(socket) = self.descriptor(Part::Notify) {
            let socket = readable(Arc::clone(socket))?;
            let facts = facts.clone();
            let said = notify::hear(socket, (self.id(), self.pid), facts);
            self.ears.push(Ear(Box::pin(said)));
        }
        Ok(())
    }

    /// Hears what it says, now that it is known to run. A program of a few microseconds may have said that it is ready before `execve` has
    /// told us anything. Until then its words wait in the socket.
    pub fn begin_to_hear(&mut self) {
        for Ear(task) in std::mem::take(&mut self.ears) {
            self.spawn(task);
        }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task).abort_handle());
    }

    /// Sends a line over its IPC channel. A full channel is the app's own doing and loses the message.
    ///
    /// # Errors
    /// What `send(2)` gives, or `NotConnected` if there is no channel.
    pub fn send(&self, message: &serde_json::Value) -> io::Result<()> {
        self.put(&node_ipc::encode(message))
    }

    /// Tells our preload something, in a fork app that has it.
    ///
    /// # Errors
    /// See [`send`](Self::send).
    pub fn tell_preload(&self, message: ToPreload) -> io::Result<()> {
        self.put(&node_ipc::encode_for_preload(message))
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let channel = self.descriptor(Part::Channel).ok_or(io::ErrorKind::NotConnected)?;
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(channel.as_fd(), bytes, flags)?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn launched(mut outcome: AsyncFd<Outcome>) -> io::Result<ExecOutcome> {
    loop {
        let mut ready = outcome.readable_mut().await?;
        match ready.get_inner_mut().read()? {
            ExecOutcome::Pending => ready.clear_ready(),
            known @ (ExecOutcome::Running | ExecOutcome::Failed(_)) => return Ok(known),
        }
    }
}

/// Reads an IPC channel: looks at what is there, passes on the messages that are complete, and takes them off the channel only
/// when what came of them is in the journal. A daemon killed in between leaves them to its successor.
async fn hear(channel: AsyncFd<Arc<OwnedFd>>, worker: WorkerId, facts: UnboundedSender<Fact>) {
    let mut decoder = Decoder::default();
    while let Ok(mut ready) = channel.readable().await {
        // Made anew each time: most apps say little, and a hundred idle buffers would be most of our memory.
        let mut buffer = vec![0; 64 * 1024];
        match rustix::net::recv(
            channel.get_ref(),
            &mut buffer[..],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        ) {
            Ok((0, _)) => return,
            Ok((length, _)) => {
                let taken = complete_part(&buffer[..length], buffer.len());
                for message in decoder.feed(&buffer[..taken]) {
                    let _ = facts.send(Fact::Message(worker, message));
                }
                if taken == 0 {
                    ready.clear_ready();
                } else {
                    let (kept, is_kept) = oneshot::channel();
                    let _ = facts.send(Fact::Heard(Box::new(|| {
                        let _ = kept.send(());
                    })));
                    let _ = is_kept.await;
                    let _ = rustix::net::recv(channel.get_ref(), &mut buffer[..taken], RecvFlags::DONTWAIT);
                }
            }
            Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// How much of what was looked at may be taken: whole lines, or all of it when the buffer is full of one.
fn complete_part(bytes: &[u8], room: usize) -> usize {
    match memchr::memrchr(b'\n', bytes) {
        Some(end) => end + 1,
        None if bytes.len() == room => bytes.len(),
        None => 0,
    }
}

/// What a worker's deposit says beside its descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its main process.
    pub pid: i32,
    /// When that started (field 22 of `/proc/<pid>/stat`), against a reused number.
    pub start: u64,
}

impl Mark {
    /// As bytes.
    pub fn encode(self) -> Vec<u8> {
        [&self.pid.to_le_bytes()[..], &self.start.to_le_bytes()].concat()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (pid, start) = bytes.split_at_checked(4)?;
        Some(Self {
            pid: i32::from_le_bytes(pid.try_into().ok()?),
            start: u64::from_le_bytes(start.try_into().ok()?),
        })
    }
}

/// The key of a worker's deposit.
pub fn key(worker: WorkerId) -> String {
    format!("{WORKERS}{worker}")
}

/// How the keys of workers' deposits begin.
pub const WORKERS: &str = "worker/";

/// The worker whose deposit lies under a key.
pub fn of_key(key: &str) -> Option<WorkerId> {
    named(key.split_once('/')?.1)
}

/// The worker that is written so, e.g. `3.1`.
pub fn named(text: &str) -> Option<WorkerId> {
    let (slot, generation) = text.split_once('.')?;
    Some(WorkerId::new(slot.parse().ok()?, generation.parse().ok()?))
}

/// All workers.
pub type Workers = BTreeMap<WorkerId, Worker>;
