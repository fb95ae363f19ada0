//! Listeners, and the connections that come through them. Who gets one is decided in `ostler_core::balance`.

use super::super::LISTENERS;
use super::super::link::{Given, Link, Prepared, Unsent};
use super::super::listener::{self, Described, Listener};
use super::{Door, Engine, LISTENER_TOKENS, TURN, Waiting};
use crate::fact::Fact;
use crate::keeper_link::Deposit;
use ostler_core::balance::{self, Candidate, Client, Shares};
use ostler_core::{AppId, Balance};
use rustix::event::epoll;
use rustix::net::getpeername;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// How many connections may wait for the worker that their clients are bound to before no more are accepted. They are in our hands
/// alone, so only a few.
const HELD: usize = 16;

impl Engine {
    pub(super) fn adopt(&mut self, deposit: &Deposit) {
        let described = serde_json::from_slice::<Described>(&deposit.data);
        let (Ok(described), Some(socket)) = (described, deposit.descriptors.first()) else {
            return self.note("a listener of the predecessor's cannot be understood; it is left closed");
        };
        self.add_door(listener::adopted(described, Arc::clone(socket)));
    }

    pub(super) fn add_door(&mut self, listener: Listener) {
        let token = LISTENER_TOKENS + self.next_token;
        self.next_token += 1;
        if !listener.described.is_shared() {
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
            turn: None,
            shares: Shares::default(),
        };
        self.doors.insert(token, door);
    }

    pub(super) fn door(&self, app: AppId, key: &str) -> Option<u64> {
        let is_it = |door: &Door| door.listener.described.app == app && door.listener.described.key == key;
        self.doors.iter().find(|(_, door)| is_it(door)).map(|(token, _)| *token)
    }

    /// A connection that nobody has read from is somebody else's.
    pub(super) fn give_back(&mut self, app: AppId, given: Given) {
        if let Some(inode) = given.inode {
            self.count(app).ledger.strike(inode);
        }
        let client = self.client(self.balance(app), &given.socket);
        if let Some(door) = self.door(app, &given.key).and_then(|token| self.doors.get_mut(&token)) {
            let socket = given.socket;
            door.waiting.push_front(Waiting { socket, client });
        }
    }

    pub(super) fn unlisten(&mut self, app: AppId) {
        let of_app = self.doors.iter().filter(|(_, door)| door.listener.described.app == app);
        let of_app: Vec<u64> = of_app.map(|(token, _)| *token).collect();
        of_app.into_iter().for_each(|token| self.close_door(token));
    }

    pub(super) fn close_door(&mut self, token: u64) {
        let Some(door) = self.doors.remove(&token) else { return };
        if !door.listener.described.is_shared() {
            let _ = epoll::delete(&*self.epoll, &*door.listener.socket);
        }
        door.listener.close();
        self.release(deposit_key(&door.listener.described));
        self.drop_count(door.listener.described.app);
    }

    pub(super) fn accept(&mut self, token: u64) {
        let Some(app) = self.doors.get(&token).map(|door| door.listener.described.app) else {
            return;
        };
        let balance = self.balance(app);
        for _ in 0..TURN {
            if !self.may_accept(token, balance) || !self.knows_enough(app, balance) {
                break;
            }
            // From accept to send a connection is in our hands alone, so whatever can be done before is.
            let early = (balance != Balance::Sticky)
                .then(|| self.choose(token, balance, None))
                .flatten();
            let Some(door) = self.doors.get(&token) else { return };
            let Ok(socket) = door.listener.accept() else { break };
            let client = self.client(balance, &socket);
            let waiting = Waiting { socket, client };
            match early.or_else(|| self.choose(token, balance, client)) {
                Some((chosen, prepared)) => self.give(token, chosen, prepared, waiting),
                None => self.hold(token, waiting),
            }
        }
        self.rearm(token);
    }

    /// Whether a connection that is accepted now could go to somebody, or wait for the one that it belongs to.
    fn may_accept(&self, token: u64, balance: Balance) -> bool {
        let waiting = self.doors.get(&token).map_or(0, |door| door.waiting.len());
        let has_room = match balance {
            Balance::Sticky => waiting < HELD,
            Balance::RoundRobin | Balance::LeastConnections | Balance::Direct => true,
        };
        has_room && self.candidates(token).any(|one| one.is_free(balance))
    }

    /// Connections that wait, each for whoever is free, or for the one that it belongs to.
    pub(super) fn serve_waiting(&mut self, token: u64) {
        let Some(door) = self.doors.get_mut(&token).filter(|door| !door.waiting.is_empty()) else {
            return;
        };
        let app = door.listener.described.app;
        let waiting = std::mem::take(&mut door.waiting);
        let balance = self.balance(app);
        for one in waiting {
            match self.choose(token, balance, one.client) {
                Some((chosen, prepared)) => self.give(token, chosen, prepared, one),
                None => self.hold(token, one),
            }
        }
    }

    fn hold(&mut self, token: u64, waiting: Waiting) {
        if let Some(door) = self.doors.get_mut(&token) {
            door.waiting.push_back(waiting);
        }
    }

    /// Gives a connection to a worker. One that cannot be sent waits.
    fn give(&mut self, token: u64, chosen: u64, prepared: Prepared, waiting: Waiting) {
        let (Some(door), Some(link)) = (self.doors.get_mut(&token), self.links.get_mut(&chosen)) else {
            return;
        };
        let (app, worker) = (link.app, link.worker);
        match link.give(prepared, waiting.socket) {
            Ok(inode) => {
                door.turn = Some(worker);
                door.shares.give(worker);
                if let Some(inode) = inode {
                    self.count(app).ledger.give(inode, worker);
                }
            }
            Err((socket, reason)) => {
                link.admitted &= reason == Unsent::Full;
                self.hold(token, Waiting { socket, ..waiting });
                self.rewatch(chosen);
            }
        }
    }

    /// The worker that is to get a connection, by its channel's token, and what goes with it.
    fn choose(&self, token: u64, balance: Balance, client: Option<Client>) -> Option<(u64, Prepared)> {
        let door = self.doors.get(&token)?;
        let chosen = balance::choose(balance, client, door.turn, self.candidates(token))?;
        let chosen = *self.tokens.get(&chosen)?;
        let prepared = self.links.get(&chosen)?.prepare(&door.listener.described.key);
        Some((chosen, prepared))
    }

    /// How each worker of the app stands for connections of this listener.
    fn candidates(&self, token: u64) -> impl Iterator<Item = Candidate> {
        let door = self.doors.get(&token);
        let count = door.and_then(|door| self.counts.get(&door.listener.described.app));
        let now = Instant::now();
        let links = self.links.values();
        links.filter_map(move |link| {
            let door = door.filter(|door| door.listener.described.app == link.app)?;
            let behind = door.shares.behind(link.worker);
            let open = count.and_then(|count| count.open(link.worker));
            Some(link.candidate(&door.listener.described.key, behind, open, now))
        })
    }

    /// As its newest worker in rotation wants it: a reload may have brought another way.
    fn balance(&self, app: AppId) -> Balance {
        let of_app = |link: &&Link| link.app == app && link.admitted;
        let newest = self.links.values().rev().find(of_app);
        newest.map_or(Balance::RoundRobin, |link| link.balance)
    }

    /// Whose a connection is, where that decides; nobody's in particular if it came over a unix socket.
    fn client(&self, balance: Balance, socket: &OwnedFd) -> Option<Client> {
        let peer = (balance == Balance::Sticky)
            .then(|| getpeername(socket).ok())
            .flatten()
            .flatten()?;
        Some(Client::at(SocketAddr::try_from(peer).ok()?.ip()))
    }

    /// The kernel is to tell of connections only while somebody could be given one.
    pub(super) fn rearm(&mut self, token: u64) {
        let Some(door) = self.doors.get(&token) else { return };
        let described = &door.listener.described;
        let balance = self.balance(described.app);
        let wanted =
            !described.is_shared() && self.may_accept(token, balance) && !self.awaits_count(described.app, balance);
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

    pub(super) fn deposit(&self, listener: &Listener) {
        let data = serde_json::to_vec(&listener.described).expect("invariant: what JSON gave is JSON");
        let socket = listener.socket.as_fd().try_clone_to_owned();
        self.tell(Fact::Deposit {
            key: deposit_key(&listener.described),
            data,
            descriptors: socket.into_iter().collect(),
        });
    }
}

fn deposit_key(described: &Described) -> String {
    format!("{LISTENERS}{}/{}", described.app, described.key)
}
