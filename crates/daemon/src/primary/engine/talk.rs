//! What workers say, and what they are told: looked at, acted upon, and taken off the channel once that is kept.

use super::super::Command;
use super::super::SERVERS;
use super::super::link::{Link, Reply, Unsent};
use super::super::listener::{Listener, address_of, key_of};
use super::{Door, Engine, KEEP, PEEK, REST};
use crate::fact::{Fact, Kept};
use ostler_core::{Address, AppId, Event, WorkerId};
use ostler_wire::node_ipc::{FromPreload, FromWorker, Message, Query, ToWorker};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::os::fd::AsFd;
use std::time::Instant;

impl Engine {
    pub(super) fn read(&mut self, token: u64) {
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
            let was_within = link.channel.is_within_frame();
            link.channel
                .feed(&self.buffer[..whole], |message| messages.push(message));
            // A message that has to be taken before it has ended: from its beginning on, or not at all.
            let begins = !was_within && link.channel.is_within_frame() && link.unfinished.is_none();
            let mut is_of_concern = false;
            for message in messages {
                is_of_concern |= self.hear(token, message);
            }
            if is_of_concern || begins && self.begin_unfinished(token) {
                return self.wait_until_kept(token, whole);
            }
            self.take(token, whole);
            if length < PEEK {
                // That was all there was. What came meanwhile the kernel tells of at once.
                return;
            }
        }
    }

    pub(super) fn take(&mut self, token: u64, length: usize) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let failed = link.take(&mut self.buffer[..length]);
        if let Some(error) = failed {
            let worker = link.worker;
            self.cannot_keep(worker, &error);
        }
    }

    pub(super) fn wait_until_kept(&mut self, token: u64, length: usize) {
        let Some(link) = self.links.get_mut(&token) else { return };
        link.untaken = length;
        let (worker, explained_first) = (link.worker, std::mem::take(&mut link.awaits_explanation));
        self.rewatch(token);
        if !explained_first {
            let kept = self.when_kept(worker);
            self.tell(Fact::Heard(kept));
        }
    }

    /// What is called when what a worker said is kept.
    fn when_kept(&self, worker: WorkerId) -> Kept {
        let handle = self.handle.clone();
        Box::new(move || handle.send(Command::Kept(worker)))
    }

    pub(super) fn kept(&mut self, worker: WorkerId) {
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
    pub(super) fn hear(&mut self, token: u64, message: FromWorker) -> bool {
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
            FromWorker::Ostler(FromPreload::Draining { connections }) => {
                self.tell(Fact::Draining(worker, connections));
            }
            FromWorker::Ostler(FromPreload::Drained) => {
                self.tell(Fact::Machine(Event::Drained { worker }));
                return true;
            }
            FromWorker::Ostler(FromPreload::Beat) => self.tell(Fact::Message(worker, Message::Beat)),
            FromWorker::Inspected(said) => {
                self.tell(Fact::Message(worker, Message::Inspected(said)));
                return true;
            }
            FromWorker::Report(report) => self.tell(Fact::Message(worker, Message::Report(report))),
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
    pub(super) fn asked(&mut self, token: u64, seq: u64, query: &Query) -> bool {
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
                    let door = self.add_door(listener);
                    self.deposit(door);
                }
                Err(error) => {
                    self.refuse(token, seq, key, query, error);
                    return true;
                }
            }
        }
        if let Some(door) = self.door(app, &key) {
            self.give_queue(door, token, query);
        }
        let Some(link) = self.links.get_mut(&token) else {
            return false;
        };
        link.servers.insert(key.clone(), false);
        link.after.push(Reply {
            ack: seq,
            key,
            refused: None,
        });
        self.deposit_servers(token);
        true
    }

    /// A worker is told that it cannot listen when it is written down why: what it does then is often to end.
    pub(super) fn refuse(&mut self, token: u64, ack: u64, key: String, query: &Query, error: Errno) {
        let address = address_of(query).filter(|_| error == Errno::ADDRINUSE);
        let owner = address.as_ref().and_then(|address| self.owner_of(address));
        let Some(link) = self.links.get_mut(&token) else { return };
        let worker = link.worker;
        link.awaits_explanation |= address.is_some();
        let why = format!("{key}: {}", std::io::Error::from(error));
        link.after.push(Reply {
            ack,
            key,
            refused: Some((error, query.data.clone())),
        });
        self.note(&format!("worker {worker} could not listen on {why}"));
        match address {
            Some(address) => {
                let explained = self.when_kept(worker);
                self.tell(Fact::AddressInUse {
                    worker,
                    address,
                    owner,
                    explained,
                });
            }
            None => self.tell(Fact::Machine(Event::ListenFailed { worker, error: why })),
        }
    }

    /// The app of ours that listens on an address.
    fn owner_of(&self, address: &Address) -> Option<AppId> {
        let is_there = |door: &&Door| door.listener.overlaps(address);
        self.doors
            .values()
            .find(is_there)
            .map(|door| door.listener.described.app)
    }

    pub(super) fn reply(&mut self, token: u64, reply: &Reply) {
        let Some(link) = self.links.get_mut(&token) else { return };
        if let Some((error, data)) = &reply.refused {
            let (ack, key, errno) = (reply.ack, reply.key.as_str(), -error.raw_os_error());
            let _ = link.send(&ToWorker::Fails { ack, key, data, errno });
            return;
        }
        let door = self
            .doors
            .values()
            .find(|door| door.listener.described.app == link.app && door.listener.described.key == reply.key);
        let Some(door) = door else { return };
        let Reply { ack, key, .. } = reply;
        let listener = &door.listener;
        let data = &listener.described.data;
        let shared = door
            .queue_of(link.worker)
            .or_else(|| listener.described.is_shared().then_some(&listener.socket));
        let sent = if let Some(socket) = shared {
            let kind = listener.shared_kind();
            let shares = ToWorker::Shares {
                ack: *ack,
                key,
                data,
                kind,
            };
            link.send_with(&shares, Some(socket.as_fd()))
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

    pub(super) fn listens(&mut self, token: u64, query: &Query) -> bool {
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
    pub(super) fn missing(&self, token: u64, app: AppId) -> Vec<String> {
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
    pub(super) fn closed(&mut self, token: u64, key: &str) -> bool {
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

    pub(super) fn taken(&mut self, token: u64, ack: u64, accepted: bool) {
        let Some(link) = self.links.get_mut(&token) else { return };
        if link.probe_taken(ack, accepted) {
            return;
        }
        link.handled.accepted += u64::from(accepted);
        link.handled.refused += u64::from(!accepted);
        self.keep_at = self.keep_at.or_else(|| Some(Instant::now() + KEEP));
        let Some(given) = link.taken(ack) else { return };
        if !accepted {
            link.rests_until = Some(Instant::now() + REST);
            let app = link.app;
            self.give_back(app, given);
        }
    }

    pub(super) fn deposit_servers(&self, token: u64) {
        let Some(link) = self.links.get(&token) else { return };
        let half_told = link.half_told.iter().map(|key| (key, &false));
        let servers: Vec<(&String, &bool)> = link.servers.iter().chain(half_told).collect();
        self.tell(Fact::Deposit {
            key: format!("{SERVERS}{}", link.worker),
            data: serde_json::to_vec(&servers).expect("invariant: names are text"),
            descriptors: Vec::new(),
        });
    }
}

fn listening(link: &Link) -> impl Iterator<Item = &String> {
    link.servers.iter().filter(|(_, listens)| **listens).map(|(key, _)| key)
}
