//! The primary thread's state, and what it does about each thing that happens.

use super::link::{Given, Link, Reply, Unsent};
use super::listener::{self, Described, Listener, key_of};
use super::{Command, LISTENERS, Primary, SERVERS};
use crate::fact::Fact;
use crate::keeper_link::Deposit;
use ostler_core::{AppId, Event, WorkerId};
use ostler_wire::node_ipc::{Dialect, FromPreload, FromWorker, Message, Query, ToPreload, ToWorker};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::collections::{BTreeMap, VecDeque};
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

/// Tokens of listeners are above this, those of channels below.
const LISTENER_TOKENS: u64 = 1 << 40;

/// A listener and the connections of it that nobody could be given yet.
#[derive(Debug)]
struct Door {
    listener: Listener,
    waiting: VecDeque<OwnedFd>,
    /// The kernel tells of new connections.
    armed: bool,
    /// Whose turn it is among equals.
    turn: u64,
}

/// See the module's header.
pub(super) struct Engine {
    epoll: Arc<OwnedFd>,
    facts: UnboundedSender<Fact>,
    handle: Primary,
    epoch: u64,
    links: BTreeMap<u64, Link>,
    doors: BTreeMap<u64, Door>,
    next_token: u64,
    buffer: Vec<u8>,
}

impl Engine {
    pub(super) fn new(epoll: Arc<OwnedFd>, facts: UnboundedSender<Fact>, handle: Primary, generation: u32) -> Self {
        Self {
            epoll,
            facts,
            handle,
            epoch: u64::from(generation) << 32,
            links: BTreeMap::new(),
            doors: BTreeMap::new(),
            next_token: 0,
            buffer: vec![0; PEEK],
        }
    }

    pub(super) fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    /// How long to wait for something to happen.
    pub(super) fn patience(&self) -> Option<Timespec> {
        let rests = self.links.values().filter_map(|link| link.rests_until).min()?;
        let left = rests.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(left).ok()
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Attach {
                worker,
                app,
                channel,
                dialect,
                servers,
            } => self.attach(Link::new(worker, app, channel, dialect, self.epoch), servers),
            Command::Adopt(deposit) => self.adopt(&deposit),
            Command::Admit(worker) => self.with(worker, |link| link.admitted = true),
            Command::Withdraw(worker) => self.with(worker, |link| link.admitted = false),
            Command::Drain(worker) => self.drain(worker),
            Command::Ended(worker) => self.ended(worker),
            Command::Unlisten(app) => self.unlisten(app),
            Command::Kept(worker) => self.kept(worker),
            Command::Say(worker, message) => self.say(worker, &message),
        }
    }

    fn token_of(&self, worker: WorkerId) -> Option<u64> {
        let found = self.links.iter().find(|(_, link)| link.worker == worker);
        found.map(|(token, _)| *token)
    }

    fn with(&mut self, worker: WorkerId, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.token_of(worker).and_then(|token| self.links.get_mut(&token)) {
            change(link);
        }
    }

    fn attach(&mut self, mut link: Link, servers: Vec<(String, bool)>) {
        let token = self.next_token;
        self.next_token += 1;
        for (key, listens) in servers {
            if listens {
                link.servers.insert(key, true);
            } else {
                link.half_told.insert(key);
            }
        }
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

    fn adopt(&mut self, deposit: &Deposit) {
        let described = serde_json::from_slice::<Described>(&deposit.data);
        let (Ok(described), Some(socket)) = (described, deposit.descriptors.first()) else {
            return self.note("a listener of the predecessor's cannot be understood; it is left closed");
        };
        self.add_door(listener::adopted(described, Arc::clone(socket)));
    }

    fn add_door(&mut self, listener: Listener) {
        let token = LISTENER_TOKENS + self.next_token;
        self.next_token += 1;
        if !listener.described.datagram {
            let quiet = epoll::EventFlags::empty();
            let added = epoll::add(&*self.epoll, &*listener.socket, epoll::EventData::new_u64(token), quiet);
            if let Err(error) = added {
                self.note(&format!("{} cannot be listened to: {error}", listener.shown()));
            }
        }
        let door = Door {
            listener,
            waiting: VecDeque::new(),
            armed: false,
            turn: 0,
        };
        self.doors.insert(token, door);
    }

    fn door(&self, app: AppId, key: &str) -> Option<u64> {
        let is_it = |door: &Door| door.listener.described.app == app && door.listener.described.key == key;
        self.doors.iter().find(|(_, door)| is_it(door)).map(|(token, _)| *token)
    }

    /// Something is to be read, or there is room to write.
    pub(super) fn ready(&mut self, token: u64, flags: epoll::EventFlags) {
        if token >= LISTENER_TOKENS {
            return self.accept(token);
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
        }
        let full = self.links.iter().filter(|(_, link)| link.is_full && !link.awaits_room);
        let full: Vec<u64> = full.map(|(token, _)| *token).collect();
        full.into_iter().for_each(|token| self.rewatch(token));
        let tokens: Vec<u64> = self.doors.keys().copied().collect();
        for token in tokens {
            self.serve_waiting(token);
            self.rearm(token);
        }
    }

    /// Listens to a channel as its state asks: not while what was read is not kept, and for room only if it was full.
    fn rewatch(&mut self, token: u64) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let mut flags = epoll::EventFlags::empty();
        flags.set(reading(), link.untaken == 0);
        // An end of the channel is told of in any case, but once is enough while nothing can be done about it.
        flags.set(epoll::EventFlags::ONESHOT, link.untaken > 0);
        flags.set(epoll::EventFlags::OUT, link.is_full);
        link.awaits_room = link.is_full;
        let _ = epoll::modify(&*self.epoll, &*link.socket, epoll::EventData::new_u64(token), flags);
    }

    fn read(&mut self, token: u64) {
        while let Some(link) = self.links.get_mut(&token).filter(|link| link.untaken == 0) {
            let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let length = match rustix::net::recv(&*link.socket, &mut self.buffer[..], peek) {
                Ok((0, _)) => return self.hung_up(token),
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => return self.hung_up(token),
            };
            let whole = link.channel.take(&self.buffer[..length], PEEK);
            if whole == 0 {
                return;
            }
            let mut messages = Vec::new();
            link.channel
                .feed(&self.buffer[..whole], |message| messages.push(message));
            let mut is_of_concern = false;
            for message in messages {
                is_of_concern |= self.hear(token, message);
            }
            if is_of_concern {
                return self.wait_until_kept(token, whole);
            }
            self.take(token, whole);
        }
    }

    fn take(&mut self, token: u64, length: usize) {
        let Some(link) = self.links.get(&token) else { return };
        let _ = rustix::net::recv(&*link.socket, &mut self.buffer[..length], RecvFlags::DONTWAIT);
    }

    fn wait_until_kept(&mut self, token: u64, length: usize) {
        let Some(link) = self.links.get_mut(&token) else { return };
        link.untaken = length;
        let (worker, handle) = (link.worker, self.handle.clone());
        self.rewatch(token);
        self.tell(Fact::Heard(Box::new(move || handle.send(Command::Kept(worker)))));
    }

    fn kept(&mut self, worker: WorkerId) {
        let Some(token) = self.token_of(worker) else { return };
        let Some(link) = self.links.get_mut(&token) else { return };
        let (length, replies) = (std::mem::take(&mut link.untaken), std::mem::take(&mut link.after));
        for reply in replies {
            self.reply(token, &reply);
        }
        self.take(token, length);
        self.rewatch(token);
        self.read(token);
    }

    /// Acts upon a message; whether others have to know of it before it is taken.
    fn hear(&mut self, token: u64, message: FromWorker) -> bool {
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        let worker = link.worker;
        match message {
            FromWorker::HandleAck | FromWorker::HandleNack => link.handle_arrived(),
            FromWorker::Accepted { ack, accepted } => self.taken(token, ack, accepted),
            FromWorker::QueryServer { seq, query } => return self.asked(token, seq, &query),
            FromWorker::Listening(query) => return self.listens(token, &query),
            FromWorker::Close { key } => return self.closed(token, &key),
            FromWorker::ExitedAfterDisconnect { seq } => drop(link.send(&ToWorker::Ack { ack: seq })),
            FromWorker::Handle { message } => {
                let _ = link.send(&ToWorker::HandleAck);
                self.tell(Fact::Message(worker, Message::User(message)));
                return true;
            }
            FromWorker::Sockets(question) => drop(link.send(&ToWorker::NoSockets(&question))),
            FromWorker::Ostler(FromPreload::Drained) => {
                self.tell(Fact::Machine(Event::Drained { worker }));
                return true;
            }
            FromWorker::Ready => {
                self.tell(Fact::Message(worker, Message::Ready));
                return true;
            }
            FromWorker::User(value) => {
                self.tell(Fact::Message(worker, Message::User(value)));
                return true;
            }
            FromWorker::Garbage(length) => {
                self.tell(Fact::Message(worker, Message::Garbage(length)));
                return true;
            }
            FromWorker::Online | FromWorker::OtherInternal => {}
        }
        false
    }

    /// A worker wants to listen.
    fn asked(&mut self, token: u64, seq: u64, query: &Query) -> bool {
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        let (app, key) = (link.app, key_of(query));
        link.half_told.remove(&key);
        let twice = link.servers.contains_key(&key);
        if twice || self.door(app, &key).is_none() {
            let opened = if twice {
                Err(Errno::ADDRINUSE)
            } else {
                Listener::open(app, query)
            };
            match opened {
                Ok(listener) => {
                    self.deposit(&listener);
                    self.add_door(listener);
                }
                Err(error) => {
                    self.refuse(token, seq, &key, query, error);
                    return false;
                }
            }
        }
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        link.servers.insert(key.clone(), false);
        link.after.push(Reply { ack: seq, key });
        self.deposit_servers(token);
        true
    }

    fn refuse(&mut self, token: u64, ack: u64, key: &str, query: &Query, error: Errno) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let (worker, data, errno) = (link.worker, &query.data, -error.raw_os_error());
        let _ = link.send(&ToWorker::Fails { ack, key, data, errno });
        self.note(&format!("worker {worker} could not listen on {key}: {error}"));
    }

    fn reply(&mut self, token: u64, reply: &Reply) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let door = self
            .doors
            .values()
            .find(|door| door.listener.described.app == link.app && door.listener.described.key == reply.key);
        let Some(door) = door else { return };
        let Reply { ack, key } = reply;
        let listener = &door.listener;
        let data = &listener.described.data;
        let sent = if listener.described.datagram {
            let kind = listener.shared_kind();
            let shares = ToWorker::Shares {
                ack: *ack,
                key,
                data,
                kind,
            };
            link.send_with(&shares, Some(listener.socket.as_fd()))
        } else {
            let name = listener.name();
            link.send(&ToWorker::Listens {
                ack: *ack,
                key,
                data,
                name,
            })
        };
        if sent == Err(Unsent::TooLong) {
            let worker = link.worker;
            self.note(&format!(
                "worker {worker} sent more with its listen() than can be sent back"
            ));
        }
    }

    fn listens(&mut self, token: u64, query: &Query) -> bool {
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        let (worker, app) = (link.worker, link.app);
        // What it says has the real port, also where any was asked for: it is the next one that does not listen yet.
        let key = key_of(query);
        let named = match link.servers.contains_key(&key) {
            true => Some(key),
            false => link
                .servers
                .iter()
                .find(|(_, listens)| !**listens)
                .map(|(key, _)| key.clone()),
        };
        if let Some(key) = named.or_else(|| link.half_told.pop_first()) {
            link.half_told.remove(&key);
            link.servers.insert(key, true);
        }
        let missing = self.missing(token, app);
        self.deposit_servers(token);
        self.tell(Fact::Machine(Event::Listening { worker, missing }));
        true
    }

    /// Where workers of the app that are in rotation listen and this one does not.
    fn missing(&self, token: u64, app: AppId) -> Vec<String> {
        let Some(own) = self.links.get(&token) else {
            return Vec::new();
        };
        let others = self
            .links
            .values()
            .filter(|link| link.app == app && link.admitted && link.worker != own.worker);
        let keys: std::collections::BTreeSet<&String> = others.flat_map(listening).collect();
        let missing = keys.into_iter().filter(|key| own.servers.get(*key) != Some(&true));
        let doors = missing.filter_map(|key| self.door(app, key).and_then(|token| self.doors.get(&token)));
        doors.map(|door| door.listener.shown()).collect()
    }

    /// A worker has closed a server. When none is left that has not been told to, the app means it.
    fn closed(&mut self, token: u64, key: &str) -> bool {
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        link.servers.remove(key);
        link.half_told.remove(key);
        let (app, meant) = (link.app, link.admitted && !link.draining);
        self.deposit_servers(token);
        let used = self
            .links
            .values()
            .any(|link| link.app == app && link.servers.contains_key(key));
        if let Some(door) = self.door(app, key).filter(|_| meant && !used) {
            self.close_door(door);
        }
        true
    }

    fn taken(&mut self, token: u64, ack: u64, accepted: bool) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let Some(given) = link.taken(ack) else { return };
        if !accepted {
            link.rests_until = Some(Instant::now() + REST);
            let app = link.app;
            self.give_back(app, given);
        }
    }

    /// A connection that nobody has read from is somebody else's.
    fn give_back(&mut self, app: AppId, given: Given) {
        if let Some(door) = self.door(app, &given.key).and_then(|token| self.doors.get_mut(&token)) {
            door.waiting.push_front(given.socket);
        }
    }

    fn drain(&mut self, worker: WorkerId) {
        let Some(token) = self.token_of(worker) else { return };
        let Some(link) = self.links.get_mut(&token) else { return };
        link.admitted = false;
        link.draining = true;
        if link.send(&ToWorker::Ostler(ToPreload::Drain)) == Err(Unsent::Closed) {
            self.tell(Fact::Machine(Event::Drained { worker }));
        }
        self.rewatch(token);
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
        for given in link.take_back() {
            self.give_back(link.app, given);
        }
        if link.draining {
            self.tell(Fact::Machine(Event::Drained { worker: link.worker }));
        }
        self.release(format!("{SERVERS}{}", link.worker));
    }

    fn ended(&mut self, worker: WorkerId) {
        if let Some(token) = self.token_of(worker) {
            // Its last words, among them what it has taken.
            self.read(token);
            self.hung_up(token);
        }
    }

    fn unlisten(&mut self, app: AppId) {
        let of_app = self.doors.iter().filter(|(_, door)| door.listener.described.app == app);
        let of_app: Vec<u64> = of_app.map(|(token, _)| *token).collect();
        of_app.into_iter().for_each(|token| self.close_door(token));
    }

    fn close_door(&mut self, token: u64) {
        let Some(door) = self.doors.remove(&token) else { return };
        if !door.listener.described.datagram {
            let _ = epoll::delete(&*self.epoll, &*door.listener.socket);
        }
        door.listener.close();
        self.release(deposit_key(&door.listener.described));
    }

    fn accept(&mut self, token: u64) {
        for _ in 0..TURN {
            let Some(free) = self.next_free(token) else { break };
            let Some(door) = self.doors.get_mut(&token) else { return };
            let Ok(socket) = door.listener.accept() else { break };
            self.give(token, free, socket);
        }
        self.rearm(token);
    }

    fn serve_waiting(&mut self, token: u64) {
        while let Some(free) = self.next_free(token) {
            let Some(socket) = self.doors.get_mut(&token).and_then(|door| door.waiting.pop_front()) else {
                return;
            };
            self.give(token, free, socket);
        }
    }

    fn give(&mut self, token: u64, free: u64, socket: OwnedFd) {
        let (Some(door), Some(link)) = (self.doors.get_mut(&token), self.links.get_mut(&free)) else {
            return;
        };
        match link.give(&door.listener.described.key, socket) {
            Ok(()) => door.turn = free,
            Err((socket, Unsent::Full)) => {
                door.waiting.push_front(socket);
                self.rewatch(free);
            }
            Err((socket, Unsent::Closed | Unsent::TooLong)) => {
                door.waiting.push_front(socket);
                link.admitted = false;
            }
        }
    }

    /// The worker with the fewest connections to take; equals take turns.
    fn next_free(&self, token: u64) -> Option<u64> {
        let door = self.doors.get(&token)?;
        let described = &door.listener.described;
        let free = self.links.iter().filter(|(_, link)| link.app == described.app);
        let free = free.filter_map(|(token, link)| Some((link.pending_if_free(&described.key)?, *token)));
        let turn = door.turn;
        // The next after the one that had the last turn, in the order of tokens, comes first among equals.
        let (_, _, chosen) = free.map(|(pending, token)| (pending, token <= turn, token)).min()?;
        Some(chosen)
    }

    /// The kernel is to tell of connections only while somebody could be given one.
    fn rearm(&mut self, token: u64) {
        let Some(door) = self.doors.get(&token) else { return };
        let described = &door.listener.described;
        let wanted = !described.datagram
            && self
                .links
                .values()
                .any(|link| link.app == described.app && link.pending_if_free(&described.key).is_some());
        let Some(door) = self.doors.get_mut(&token).filter(|door| door.armed != wanted) else {
            return;
        };
        door.armed = wanted;
        let flags = if wanted {
            epoll::EventFlags::IN
        } else {
            epoll::EventFlags::empty()
        };
        let _ = epoll::modify(
            &*self.epoll,
            &*door.listener.socket,
            epoll::EventData::new_u64(token),
            flags,
        );
    }

    fn deposit(&self, listener: &Listener) {
        let data = serde_json::to_vec(&listener.described).expect("invariant: what JSON gave is JSON");
        let socket = listener.socket.as_fd().try_clone_to_owned();
        self.tell(Fact::Deposit {
            key: deposit_key(&listener.described),
            data,
            descriptors: socket.into_iter().collect(),
        });
    }

    fn deposit_servers(&self, token: u64) {
        let Some(link) = self.links.get(&token) else { return };
        let half_told = link.half_told.iter().map(|key| (key, &false));
        let servers: Vec<(&String, &bool)> = link.servers.iter().chain(half_told).collect();
        self.tell(Fact::Deposit {
            key: format!("{SERVERS}{}", link.worker),
            data: serde_json::to_vec(&servers).expect("invariant: names are text"),
            descriptors: Vec::new(),
        });
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

fn listening(link: &Link) -> impl Iterator<Item = &String> {
    link.servers.iter().filter(|(_, listens)| **listens).map(|(key, _)| key)
}

fn deposit_key(described: &Described) -> String {
    format!("{LISTENERS}{}/{}", described.app, described.key)
}

/// The dialect in which a worker of this serialisation begins.
pub(crate) fn dialect(serialization: ostler_core::Serialization) -> Dialect {
    match serialization {
        ostler_core::Serialization::Json => Dialect::Json,
        ostler_core::Serialization::Advanced => Dialect::Advanced,
    }
}
