//! Listeners, and who gets the connections that come through them.

use super::super::LISTENERS;
use super::super::link::{Given, Unsent};
use super::super::listener::{self, Described, Listener};
use super::{Door, Engine, LISTENER_TOKENS, TURN};
use crate::fact::Fact;
use crate::keeper_link::Deposit;
use ostler_core::AppId;
use rustix::event::epoll;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

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

    pub(super) fn door(&self, app: AppId, key: &str) -> Option<u64> {
        let is_it = |door: &Door| door.listener.described.app == app && door.listener.described.key == key;
        self.doors.iter().find(|(_, door)| is_it(door)).map(|(token, _)| *token)
    }

    /// A connection that nobody has read from is somebody else's.
    pub(super) fn give_back(&mut self, app: AppId, given: Given) {
        if let Some(door) = self.door(app, &given.key).and_then(|token| self.doors.get_mut(&token)) {
            door.waiting.push_front(given.socket);
        }
    }

    pub(super) fn unlisten(&mut self, app: AppId) {
        let of_app = self.doors.iter().filter(|(_, door)| door.listener.described.app == app);
        let of_app: Vec<u64> = of_app.map(|(token, _)| *token).collect();
        of_app.into_iter().for_each(|token| self.close_door(token));
    }

    pub(super) fn close_door(&mut self, token: u64) {
        let Some(door) = self.doors.remove(&token) else { return };
        if !door.listener.described.datagram {
            let _ = epoll::delete(&*self.epoll, &*door.listener.socket);
        }
        door.listener.close();
        self.release(deposit_key(&door.listener.described));
    }

    pub(super) fn accept(&mut self, token: u64) {
        for _ in 0..TURN {
            let Some(free) = self.next_free(token) else { break };
            let Some(door) = self.doors.get_mut(&token) else { return };
            let Ok(socket) = door.listener.accept() else { break };
            self.give(token, free, socket);
        }
        self.rearm(token);
    }

    pub(super) fn serve_waiting(&mut self, token: u64) {
        while let Some(free) = self.next_free(token) {
            let Some(socket) = self.doors.get_mut(&token).and_then(|door| door.waiting.pop_front()) else {
                return;
            };
            self.give(token, free, socket);
        }
    }

    pub(super) fn give(&mut self, token: u64, free: u64, socket: OwnedFd) {
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
    pub(super) fn next_free(&self, token: u64) -> Option<u64> {
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
    pub(super) fn rearm(&mut self, token: u64) {
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
