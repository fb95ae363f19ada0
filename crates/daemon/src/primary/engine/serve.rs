//! Listeners, and the connections that come through them. Who gets one is decided in `ostler_core::balance`.

use super::super::link::{Given, Link, Prepared, Unsent};
use super::super::listener::{self, Described, Listener};
use super::super::queue::{Queue, Watch};
use super::super::shelf::{Shelf, client_of};
use super::super::{LISTENERS, shelf_of};
use super::{Door, Engine, LISTENER_TOKENS, TURN, Waiting};
use crate::fact::Fact;
use crate::keeper_link::Deposit;
use ostler_core::balance::{Candidates, Client, PATIENCE, Shares};
use ostler_core::{AppId, Balance};
use rustix::event::epoll;
use rustix::net::{Shutdown, shutdown};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

/// How many connections may wait for the worker that their clients are bound to before no more are accepted.
const HELD: usize = 64;

impl Engine {
    pub(super) fn adopt(&mut self, deposit: &Deposit, shelf: Option<&Deposit>) {
        let described = serde_json::from_slice::<Described>(&deposit.data);
        let (Ok(described), Some(socket)) = (described, deposit.descriptors.first()) else {
            return self.note("a listener of the predecessor's cannot be understood; it is left closed");
        };
        let owners = described.owners.clone();
        let listener = listener::adopted(described, Arc::clone(socket));
        let shelf = match shelf.map(|shelf| Shelf::adopt(&shelf.descriptors, self.generation)) {
            Some(Ok(shelf)) => shelf,
            Some(Err(error)) => {
                self.note(&format!("connections that waited for a worker are lost: {error}"));
                self.new_shelf(&listener)
            }
            None => self.new_shelf(&listener),
        };
        let door = self.put_door(listener, shelf);
        let own = deposit.descriptors.iter().skip(1);
        for (socket, owner) in own.zip(owners) {
            self.add_queue(door, Arc::clone(socket), owner);
        }
    }

    /// A listener's connections are served from now on; its door's token.
    pub(super) fn add_door(&mut self, listener: Listener) -> u64 {
        let shelf = self.new_shelf(&listener);
        self.put_door(listener, shelf)
    }

    /// Where connections of a listener wait, left with the keeper. Where none can be made they wait in our hands alone.
    fn new_shelf(&self, listener: &Listener) -> Shelf {
        if listener.described.is_shared() {
            return Shelf::default();
        }
        match Shelf::create().and_then(|shelf| Ok((shelf.descriptors()?, shelf))) {
            Ok((descriptors, shelf)) => {
                let key = shelf_of(&deposit_key(&listener.described));
                let data = Vec::new();
                self.tell(Fact::Deposit { key, data, descriptors });
                shelf
            }
            Err(error) => {
                let shown = listener.shown();
                self.note(&format!(
                    "connections at {shown} that wait for a worker cannot be kept for a successor: {error}"
                ));
                Shelf::default()
            }
        }
    }

    fn put_door(&mut self, listener: Listener, waiting: Shelf) -> u64 {
        let token = LISTENER_TOKENS + self.next_token;
        let (socket, is_shared) = (Arc::clone(&listener.socket), listener.described.is_shared());
        let door = Door {
            listener,
            waiting,
            queues: Vec::new(),
            steered: None,
            turn: None,
            shares: Shares::default(),
            held_up: None,
        };
        self.doors.insert(token, door);
        if is_shared {
            self.next_token += 1;
        } else {
            self.add_queue(token, socket, None);
        }
        token
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
            door.waiting.lay(Waiting { socket, client });
        }
    }

    pub(super) fn unlisten(&mut self, app: AppId) {
        let of_app = self.doors.iter().filter(|(_, door)| door.listener.described.app == app);
        let of_app: Vec<u64> = of_app.map(|(token, _)| *token).collect();
        for token in of_app {
            self.accept_what_waits(token);
            self.close_door(token);
        }
    }

    /// Connections that have come in already still go to workers, as many as these have room for, if there are any left.
    fn accept_what_waits(&mut self, token: u64) {
        let Some(door) = self.doors.get_mut(&token) else { return };
        if door.listener.described.is_shared() {
            return;
        }
        // There is no later: nobody is waited for.
        door.shares = Shares::default();
        for queue in 0..door.queues.len() {
            self.accept(token, queue);
        }
    }

    pub(super) fn close_door(&mut self, token: u64) {
        let Some(door) = self.doors.remove(&token) else { return };
        for queue in &door.queues {
            let _ = epoll::delete(&*self.epoll, &*queue.socket);
            let _ = shutdown(&*queue.socket, Shutdown::Both);
            self.queues.remove(&queue.token);
        }
        door.listener.close();
        let key = deposit_key(&door.listener.described);
        self.release(shelf_of(&key));
        self.release(key);
        self.drop_count(door.listener.described.app);
    }

    /// Gives connections of a queue to whoever may have them; how many.
    pub(super) fn accept(&mut self, token: u64, queue: usize) -> usize {
        let mut accepted = 0;
        let Some(app) = self.doors.get(&token).map(|door| door.listener.described.app) else {
            return accepted;
        };
        let balance = self.balance(app);
        self.note_lull(token, app);
        for _ in 0..TURN {
            let candidates = self.candidates(token, balance);
            if !self.may_accept(token, &candidates) || !self.knows_enough(app, balance) {
                break;
            }
            // From accept to send a connection is in our hands alone, so whatever can be done before is.
            let early = (balance != Balance::Sticky)
                .then(|| self.choose(token, &candidates, None))
                .flatten();
            let queue = self.doors.get(&token).and_then(|door| door.queues.get(queue));
            let Some(Ok(socket)) = queue.map(Queue::accept) else {
                break;
            };
            accepted += 1;
            let client = self.client(balance, &socket);
            let waiting = Waiting { socket, client };
            match early.or_else(|| self.choose(token, &candidates, client)) {
                Some((chosen, prepared)) => self.give(token, chosen, prepared, waiting),
                None => self.hold(token, waiting),
            }
        }
        accepted
    }

    /// Whether a connection that is accepted now could go to somebody, or wait for the one that it belongs to.
    fn may_accept(&self, token: u64, candidates: &Candidates) -> bool {
        let waiting = self.doors.get(&token).map_or(0, |door| door.waiting.len());
        let has_room = match candidates.balance {
            Balance::Sticky => waiting < HELD,
            Balance::RoundRobin | Balance::LeastConnections | Balance::Direct => true,
        };
        has_room && candidates.is_any_free()
    }

    /// Connections that wait, each for whoever is free, or for the one that it belongs to.
    pub(super) fn serve_waiting(&mut self, token: u64) {
        let Some(door) = self.doors.get(&token).filter(|door| !door.waiting.is_empty()) else {
            return;
        };
        let balance = self.balance(door.listener.described.app);
        let mut left = door.waiting.len();
        while let Some((place, chosen, prepared)) = self.first_served(token, balance, left) {
            let Some(door) = self.doors.get_mut(&token) else { return };
            // Those before it wait on, behind the others: each is in our hands for a moment only.
            for _ in 0..place {
                if let Some(other) = door.waiting.take() {
                    door.waiting.lay(other);
                }
            }
            left -= place + 1;
            if let Some(served) = door.waiting.take() {
                self.give(token, chosen, prepared, served);
            }
        }
    }

    /// The first of so many that wait who can be given to somebody, by its place; to whom, and what goes with it.
    fn first_served(&self, token: u64, balance: Balance, among: usize) -> Option<(usize, u64, Prepared)> {
        let clients = self.doors.get(&token)?.waiting.clients().take(among);
        let candidates = self.candidates(token, balance);
        clients.enumerate().find_map(|(place, client)| {
            let (chosen, prepared) = self.choose(token, &candidates, client)?;
            Some((place, chosen, prepared))
        })
    }

    fn hold(&mut self, token: u64, waiting: Waiting) {
        if let Some(door) = self.doors.get_mut(&token) {
            door.waiting.lay(waiting);
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
    fn choose(&self, token: u64, candidates: &Candidates, client: Option<Client>) -> Option<(u64, Prepared)> {
        let door = self.doors.get(&token)?;
        let chosen = candidates.choose(client, door.turn)?;
        let chosen = *self.tokens.get(&chosen)?;
        let prepared = self.links.get(&chosen)?.prepare(&door.listener.described.key);
        Some((chosen, prepared))
    }

    /// How each worker of the app stands for connections of this listener.
    fn candidates(&self, token: u64, balance: Balance) -> Candidates {
        let mut candidates = Candidates {
            balance,
            lead: 0,
            all: Vec::new(),
        };
        let Some(door) = self.doors.get(&token) else {
            return candidates;
        };
        let described = &door.listener.described;
        let count = self.counts.get(&described.app);
        let now = Instant::now();
        let links = self.links.values().filter(|link| link.app == described.app);
        candidates.all.extend(links.map(|link| {
            let open = count.and_then(|count| count.open(link.worker));
            let mut candidate = link.candidate(&described.key, &door.shares, open, now);
            candidate.rests |= door.stands(link.worker);
            candidate
        }));
        candidates.lead = door.shares.lead();
        candidates
    }

    /// Connections come, after some time without maybe.
    fn note_lull(&mut self, token: u64, app: AppId) {
        let now = Instant::now();
        let of_app = self.links.values().filter(|link| link.app == app);
        let idle = of_app.map(|link| link.idle(now)).min();
        if let Some((door, idle)) = self.doors.get_mut(&token).zip(idle) {
            door.shares.lull(idle);
        }
    }

    /// Connections are held up, or not any more, for the sake of a worker that others are not to get far ahead of. It has only so much of that.
    fn note_who_holds_up(&mut self, token: u64, candidates: &Candidates) {
        let by = candidates.held_up_by();
        let Some(door) = self.doors.get_mut(&token) else { return };
        let now = Instant::now();
        if let Some((before, since)) = door.held_up.take() {
            door.shares.held_up(before, now.saturating_duration_since(since));
        }
        door.held_up = by.map(|by| (by, now));
    }

    /// When nobody is waited for any more that connections are held up by.
    pub(super) fn next_let_go(&self) -> Option<Instant> {
        let by = self.doors.values().filter_map(|door| door.held_up);
        let since = by.filter_map(|(worker, _)| self.links.get(self.tokens.get(&worker)?)?.silent_since());
        since.min().map(|since| since + PATIENCE)
    }

    /// As its newest worker in rotation wants it: a reload may have brought another way.
    pub(super) fn balance(&self, app: AppId) -> Balance {
        let of_app = |link: &&Link| link.app == app && link.admitted;
        let newest = self.links.values().rev().find(of_app);
        newest.map_or(Balance::RoundRobin, |link| link.balance)
    }

    /// Whose a connection is, where that decides.
    fn client(&self, balance: Balance, socket: &OwnedFd) -> Option<Client> {
        (balance == Balance::Sticky).then(|| client_of(socket)).flatten()
    }

    /// The kernel is to tell of connections only while somebody could be given one; those that a worker accepts by itself are its own.
    pub(super) fn rearm(&mut self, token: u64) {
        let Some(door) = self.doors.get(&token).filter(|door| !door.queues.is_empty()) else {
            return;
        };
        let app = door.listener.described.app;
        let balance = self.balance(app);
        let accepting = self.accepting(token);
        let candidates = self.candidates(token, balance);
        self.note_who_holds_up(token, &candidates);
        let may = self.may_accept(token, &candidates) && !self.awaits_count(app, balance);
        let Some(door) = self.doors.get_mut(&token) else { return };
        for queue in &mut door.queues {
            let is_its_own = queue.owner.is_some_and(|owner| accepting.contains(&owner));
            let watch = match queue.watch {
                Watch::First | Watch::Look(..) if is_its_own => queue.watch,
                _ if is_its_own => Watch::First,
                _ if may => Watch::Connections,
                _ => Watch::Off,
            };
            queue.watch_for(&self.epoll, watch);
        }
    }

    pub(super) fn deposit(&self, token: u64) {
        let Some(door) = self.doors.get(&token) else { return };
        let own = door.queues.iter().skip(1);
        let mut described = door.listener.described.clone();
        described.owners = own.clone().map(|queue| queue.owner).collect();
        let sockets = std::iter::once(&door.listener.socket).chain(own.map(|queue| &queue.socket));
        let copies: std::io::Result<Vec<OwnedFd>> = sockets.map(|socket| socket.as_fd().try_clone_to_owned()).collect();
        self.tell(Fact::Deposit {
            key: deposit_key(&described),
            data: serde_json::to_vec(&described).expect("invariant: what JSON gave is JSON"),
            descriptors: copies.unwrap_or_default(),
        });
    }
}

fn deposit_key(described: &Described) -> String {
    format!("{LISTENERS}{}/{}", described.app, described.key)
}
