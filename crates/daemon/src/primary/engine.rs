//! The primary thread's state, and what it does about each thing that happens. `talk` is about channels, `serve` about listeners.

mod count;
mod direct;
mod serve;
mod talk;

pub(crate) use count::Reply;

use super::HandedTo;
use super::census::Census;
use super::handled::Accounts;
use super::link::{Link, Unsent};
use super::listener::Listener;
use super::queue::Queue;
use super::shelf::Shelf;
use super::unfinished::Unfinished;
use super::{Command, Left, Primary, SERVERS, UNFINISHED};
use crate::fact::Fact;
use count::{Asker, Count};
use ostler_core::balance::{Client, Shares};
use ostler_core::{AppId, Event, WorkerId};
use ostler_wire::node_ipc::{Dialect, ToPreload, ToWorker};
use rustix::event::{Timespec, epoll};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How much of a channel is looked at at once. Less than a socket holds (some 200 KiB), or a longer message would never be seen to
/// fill it, and be waited for by both sides.
const PEEK: usize = 64 * 1024;
/// How many connections are taken from a listener before others have their turn.
const TURN: usize = 64;
/// How long a worker rests that gave a connection back.
const REST: Duration = Duration::from_millis(20);

/// How long it may take until a successor would know of a connection that a worker has taken. A system call for each would be a twentieth
/// of what a connection costs us.
const KEEP: Duration = Duration::from_millis(50);

/// How often connections are looked at that wait for one worker, in case that it stalls.
const HELD_LOOK: Duration = Duration::from_millis(100);

/// Tokens of listeners are above this, those of channels below.
const LISTENER_TOKENS: u64 = 1 << 40;

/// A listener and the connections of it that nobody could be given yet.
#[derive(Debug)]
struct Door {
    listener: Listener,
    waiting: Shelf,
    /// The common queue, and those of workers that accept by themselves. The first has the door's own token.
    queues: Vec<Queue>,
    /// Which of them get new connections, as the kernel was told.
    steered: Option<Vec<u32>>,
    /// Who had the last one, and so comes last among equals.
    turn: Option<WorkerId>,
    shares: Shares,
    /// The worker that connections wait for though others have room, and since when that was seen.
    held_up: Option<(WorkerId, Instant)>,
}

/// A connection that waits for a worker.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) socket: OwnedFd,
    /// Whose it is, where that decides.
    pub(super) client: Option<Client>,
}

/// What connections are counted by.
pub(super) struct Counting {
    pub(super) census: Census,
    pub(super) accounts: Accounts,
}

/// See the module's header.
pub(super) struct Engine {
    epoll: Arc<OwnedFd>,
    facts: UnboundedSender<Fact>,
    handle: Primary,
    generation: u32,
    links: BTreeMap<u64, Link>,
    tokens: BTreeMap<WorkerId, u64>,
    doors: BTreeMap<u64, Door>,
    /// Which door a queue belongs to.
    queues: BTreeMap<u64, u64>,
    census: Census,
    accounts: Accounts,
    /// When what workers have taken is kept for a successor; none while it is.
    keep_at: Option<Instant>,
    counts: BTreeMap<AppId, Count>,
    askers: Vec<Asker>,
    /// Probes of workers that have to read something first.
    pub(super) unhanded: Vec<(WorkerId, Option<u16>, HandedTo)>,
    next_token: u64,
    buffer: Vec<u8>,
}

impl Engine {
    pub(super) fn new(
        epoll: Arc<OwnedFd>,
        facts: UnboundedSender<Fact>,
        handle: Primary,
        counting: Counting,
        generation: u32,
    ) -> Self {
        Self {
            epoll,
            facts,
            handle,
            generation,
            links: BTreeMap::new(),
            tokens: BTreeMap::new(),
            doors: BTreeMap::new(),
            queues: BTreeMap::new(),
            census: counting.census,
            accounts: counting.accounts,
            keep_at: None,
            counts: BTreeMap::new(),
            askers: Vec::new(),
            unhanded: Vec::new(),
            next_token: 0,
            buffer: vec![0; PEEK],
        }
    }

    pub(super) fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    /// How long to wait for something to happen.
    pub(super) fn patience(&self) -> Option<Timespec> {
        let now = Instant::now();
        let rests = self.links.values().filter_map(|link| link.rests_until);
        // Whoever waits for a worker waits for it to stall, at worst.
        let held = self.doors.values().any(|door| !door.waiting.is_empty());
        let held = held.then_some(now + HELD_LOOK);
        let unread = self.links.values().filter_map(|link| link.until_read);
        let looks = self
            .doors
            .values()
            .flat_map(|door| &door.queues)
            .filter_map(Queue::next_look);
        let next = rests
            .chain(held)
            .chain(unread)
            .chain(looks)
            .chain(self.next_let_go())
            .chain(self.next_count(now))
            .chain(self.keep_at)
            .min()?;
        let left = next.saturating_duration_since(now) + Duration::from_millis(1);
        Timespec::try_from(left).ok()
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Attach {
                member,
                channel,
                dialect,
                left,
            } => self.attach(
                Link::new(member, channel, dialect, u64::from(self.generation) << 32),
                left,
            ),
            Command::Adopt { listener, shelf } => self.adopt(&listener, shelf.as_ref()),
            Command::Admit(worker) => self.with(worker, |link| link.admitted = true),
            Command::Withdraw(worker) => self.with(worker, |link| link.admitted = false),
            Command::Pause(worker, paused) => self.with(worker, |link| link.paused = paused),
            Command::Drain(worker) => self.drain(worker),
            Command::Ended(worker) => self.ended(worker),
            Command::Forget(slot) => self.forget_handled(slot),
            Command::Unlisten(app) => self.unlisten(app),
            Command::Kept(worker) => self.kept(worker),
            Command::Say(worker, message) => self.say(worker, &message),
            Command::Preload(worker, message) => self.tell_preload(worker, message),
            Command::Probe(worker, port, to) => self.probe(worker, port, to),
            Command::Beat(worker) => self.ask_for_beat(worker),
            Command::Count(reply) => self.ask_for_counts(reply),
            Command::Counted(found) => self.counted(found),
            Command::Rest { rests, until } => {
                let _ = rests.send(());
                // Ends by an error, when nobody is left who could say anything.
                let _ = until.recv();
            }
        }
    }

    pub(super) fn token_of(&self, worker: WorkerId) -> Option<u64> {
        self.tokens.get(&worker).copied()
    }

    fn with(&mut self, worker: WorkerId, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.token_of(worker).and_then(|token| self.links.get_mut(&token)) {
            change(link);
        }
    }

    fn attach(&mut self, mut link: Link, left: Left) {
        let token = self.next_token;
        self.next_token += 1;
        if let Some(error) = left.unfinished.and_then(|unfinished| link.go_on(unfinished).err()) {
            self.cannot_keep(link.worker, &error);
        }
        for (key, listens) in left.servers {
            if listens {
                link.servers.insert(key, true);
            } else {
                link.half_told.insert(key);
            }
        }
        link.handled = self.accounts.of(link.worker);
        link.kept_handled = link.handled;
        self.tokens.insert(link.worker, token);
        let _ = rustix::io::ioctl_fionbio(link.socket.as_fd(), true);
        let added = epoll::add(&*self.epoll, &*link.socket, epoll::EventData::new_u64(token), reading());
        if let Err(error) = added {
            self.note(&format!(
                "the channel of worker {} cannot be listened to: {error}",
                link.worker
            ));
        }
        self.links.insert(token, link);
    }

    /// Something is to be read, or there is room to write.
    pub(super) fn ready(&mut self, token: u64, flags: epoll::EventFlags) {
        if token >= LISTENER_TOKENS {
            return self.connections_at(token);
        }
        if flags.contains(epoll::EventFlags::OUT)
            && let Some(link) = self.links.get_mut(&token)
        {
            link.flush();
            self.rewatch(token);
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            self.read(token);
        }
    }

    /// What is due by the clock, and whatever may go on after what happened.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        for link in self.links.values_mut() {
            link.rests_until = link.rests_until.filter(|until| *until > now);
            link.look_whether_read(now);
        }
        let full = self.links.iter().filter(|(_, link)| link.is_full && !link.awaits_room);
        let full: Vec<u64> = full.map(|(token, _)| *token).collect();
        full.into_iter().for_each(|token| self.rewatch(token));
        self.hand_what_waits();
        let tokens: Vec<u64> = self.doors.keys().copied().collect();
        for token in tokens {
            self.serve_waiting(token);
            self.help_out(token, now);
            self.steer(token);
            self.rearm(token);
        }
        self.count_what_is_due(now);
        if self.keep_at.is_some_and(|at| at <= now) {
            self.keep_handled();
        }
    }

    /// Listens to a channel as its state asks: not while what was read is not kept, and for room only if it was full.
    pub(super) fn rewatch(&mut self, token: u64) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let mut flags = epoll::EventFlags::empty();
        flags.set(reading(), link.untaken == 0);
        // An end of the channel is told of in any case, but once is enough while nothing can be done about it.
        flags.set(epoll::EventFlags::ONESHOT, link.untaken > 0);
        flags.set(epoll::EventFlags::OUT, link.is_full);
        link.awaits_room = link.is_full;
        let _ = epoll::modify(&*self.epoll, &*link.socket, epoll::EventData::new_u64(token), flags);
    }

    fn drain(&mut self, worker: WorkerId) {
        let Some(token) = self.token_of(worker) else { return };
        let Some(link) = self.links.get_mut(&token) else { return };
        link.admitted = false;
        link.draining = true;
        if !link.preload {
            return self.watch_drain(token);
        }
        if link.send(&ToWorker::Ostler(ToPreload::Drain)) == Err(Unsent::Closed) {
            self.tell(Fact::Machine(Event::Drained { worker }));
        }
        self.rewatch(token);
    }

    /// Tells a worker's preload something that need not be told. One whose channel is full has other worries.
    pub(super) fn tell_preload(&mut self, worker: WorkerId, message: ToPreload) {
        self.with(worker, |link| {
            if link.preload && !link.is_full {
                let _ = link.send(&ToWorker::Ostler(message));
            }
        });
    }

    pub(super) fn link(&self, token: u64) -> Option<&Link> {
        self.links.get(&token)
    }

    pub(super) fn link_mut(&mut self, token: u64) -> Option<&mut Link> {
        self.links.get_mut(&token)
    }

    /// What an app calls so.
    pub(super) fn listener(&self, app: AppId, key: &str) -> Option<&Listener> {
        let door = self.door(app, key).and_then(|token| self.doors.get(&token))?;
        Some(&door.listener)
    }

    fn say(&mut self, worker: WorkerId, message: &serde_json::Value) {
        let Some(token) = self.token_of(worker) else { return };
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.send(&ToWorker::User(message)) == Err(Unsent::TooLong) {
            self.note(&format!(
                "a message for worker {worker} is longer than 32 KiB and was not sent"
            ));
        }
        self.rewatch(token);
    }

    /// The worker has closed its end. What it has not taken it will not take.
    fn hung_up(&mut self, token: u64) {
        let Some(mut link) = self.links.remove(&token) else {
            return;
        };
        let _ = epoll::delete(&*self.epoll, &*link.socket);
        self.tokens.remove(&link.worker);
        self.end_handled(&link);
        for door in self.doors.values_mut() {
            door.shares.forget(link.worker);
            door.disown(link.worker);
        }
        self.count(link.app).ledger.forget(link.worker);
        for given in link.take_back() {
            self.give_back(link.app, given);
        }
        self.drop_count(link.app);
        if link.draining {
            self.tell(Fact::Machine(Event::Drained { worker: link.worker }));
        }
        self.release(format!("{SERVERS}{}", link.worker));
        if link.unfinished.is_some() {
            self.release(format!("{UNFINISHED}{}", link.worker));
        }
    }

    fn ended(&mut self, worker: WorkerId) {
        if let Some(token) = self.token_of(worker) {
            // Its last words, among them what it has taken.
            self.read(token);
            self.hung_up(token);
        }
    }

    /// Makes what is to be kept of a message that has not ended, and leaves it with the keeper; whether that was possible.
    fn begin_unfinished(&mut self, token: u64) -> bool {
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        let worker = link.worker;
        let made = Unfinished::create().and_then(|made| Ok((made.descriptors()?, made)));
        match made {
            Ok((descriptors, made)) => {
                link.unfinished = Some(made);
                let (key, data) = (format!("{UNFINISHED}{worker}"), Vec::new());
                self.tell(Fact::Deposit { key, data, descriptors });
                true
            }
            Err(error) => {
                self.cannot_keep(worker, &error);
                false
            }
        }
    }

    fn cannot_keep(&self, worker: WorkerId, error: &std::io::Error) {
        self.note(&format!(
            "what worker {worker} is saying cannot be kept for the case that this daemon is killed just now: {error}"
        ));
        self.release(format!("{UNFINISHED}{worker}"));
    }

    fn release(&self, key: String) {
        self.tell(Fact::Release(key));
    }

    fn note(&self, text: &str) {
        self.tell(Fact::Note(text.to_owned()));
    }

    fn tell(&self, fact: Fact) {
        // A reactor that has ended needs no facts.
        let _ = self.facts.send(fact);
    }
}

fn reading() -> epoll::EventFlags {
    epoll::EventFlags::IN | epoll::EventFlags::RDHUP
}

/// The dialect in which a worker of this serialisation begins.
pub(crate) fn dialect(serialization: ostler_core::Serialization) -> Dialect {
    match serialization {
        ostler_core::Serialization::Json => Dialect::Json,
        ostler_core::Serialization::Advanced => Dialect::Advanced,
    }
}
