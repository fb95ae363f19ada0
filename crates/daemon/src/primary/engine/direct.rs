//! `balance: direct`: workers accept by themselves, each from a queue of its own. We say which queues get new connections, and empty those that
//! nobody accepts from.

use super::super::listener;
use super::super::queue::{self, Queue, STANDS, Watch};
use super::{Door, Engine, LISTENER_TOKENS};
use ostler_core::balance::steered;
use ostler_core::{Balance, WorkerId};
use ostler_sys::reuseport;
use ostler_wire::node_ipc::Query;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

impl Door {
    /// The queue that a worker accepts from by itself.
    pub(super) fn queue_of(&self, worker: WorkerId) -> Option<&Arc<OwnedFd>> {
        let own = self.queues.iter().find(|queue| queue.owner == Some(worker));
        own.map(|queue| &queue.socket)
    }

    /// A worker is gone; what it left in its queue is anybody's.
    pub(super) fn disown(&mut self, worker: WorkerId) {
        let own = self.queues.iter_mut().filter(|queue| queue.owner == Some(worker));
        own.for_each(|queue| queue.belongs_to(None));
    }

    /// Whether a worker leaves connections standing that it should accept by itself.
    pub(super) fn stands(&self, worker: WorkerId) -> bool {
        self.queues
            .iter()
            .any(|queue| queue.owner == Some(worker) && queue.stands)
    }
}

impl Engine {
    pub(super) fn add_queue(&mut self, door: u64, socket: Arc<OwnedFd>, owner: Option<WorkerId>) {
        let token = LISTENER_TOKENS + self.next_token;
        self.next_token += 1;
        let queue = Queue::new(socket, token, owner);
        let registered = queue.register(&self.epoll);
        let Some(door_of_it) = self.doors.get_mut(&door) else {
            return;
        };
        door_of_it.queues.push(queue);
        self.queues.insert(token, door);
        if let Err(error) = registered {
            let shown = self.doors.get(&door).map(|door| door.listener.shown());
            self.note(&format!("{} cannot be listened to: {error}", shown.unwrap_or_default()));
        }
    }

    /// Gives a worker that wants to accept by itself a queue to do so: one that is nobody's any more, or a new one. Where there is none to be had it
    /// gets its connections through us.
    pub(super) fn give_queue(&mut self, token: u64, link: u64, query: &Query) {
        let Some(link) = self.links.get(&link).filter(|link| link.balance == Balance::Direct) else {
            return;
        };
        let worker = link.worker;
        let Some(door) = self
            .doors
            .get_mut(&token)
            .filter(|door| door.listener.described.has_room_beside())
        else {
            return;
        };
        if door.queue_of(worker).is_some() {
            return;
        }
        let alive = &self.tokens;
        let mut own = door.queues.iter_mut().skip(1);
        if let Some(free) = own.find(|queue| queue.owner.is_none_or(|owner| !alive.contains_key(&owner))) {
            free.belongs_to(Some(worker));
        } else if door.queues.len() < queue::MOST {
            match queue::beside(&door.listener, listener::backlog(query)) {
                Ok(socket) => self.add_queue(token, Arc::new(socket), Some(worker)),
                Err(error) => {
                    let shown = door.listener.shown();
                    self.note(&format!("worker {worker} gets no queue of its own at {shown}: {error}"));
                }
            }
        }
        self.deposit(token);
    }

    /// Workers in rotation that accept connections of this listener by themselves.
    pub(super) fn accepting(&self, token: u64) -> BTreeSet<WorkerId> {
        let Some(door) = self.doors.get(&token) else {
            return BTreeSet::new();
        };
        let owners = door.queues.iter().filter_map(|queue| queue.owner);
        owners
            .filter(|owner| self.is_in_rotation(*owner, &door.listener.described.key))
            .collect()
    }

    /// Whether a worker has a queue of its own somewhere.
    pub(super) fn accepts_by_itself(&self, worker: WorkerId) -> bool {
        self.doors.values().any(|door| door.queue_of(worker).is_some())
    }

    fn is_in_rotation(&self, worker: WorkerId, key: &str) -> bool {
        let link = self.token_of(worker).and_then(|token| self.links.get(&token));
        link.is_some_and(|link| link.is_in_rotation(key))
    }

    /// Tells the kernel which queues are to get new connections, if that has changed.
    pub(super) fn steer(&mut self, token: u64) {
        let accepting = self.accepting(token);
        let Some(door) = self.doors.get(&token).filter(|door| door.queues.len() > 1) else {
            return;
        };
        let described = &door.listener.described;
        let mut others = self
            .links
            .values()
            .filter(|link| link.app == described.app && !accepting.contains(&link.worker));
        let others = others.any(|link| link.is_in_rotation(&described.key));
        let own = door.queues.iter().skip(1);
        let chosen = steered(
            own.map(|queue| queue.owner.is_some_and(|owner| accepting.contains(&owner))),
            others,
        );
        if door.steered.as_ref() == Some(&chosen) {
            return;
        }
        let told = reuseport::steer(&*door.listener.socket, &chosen);
        if let Err(error) = told {
            // Connections come to all queues alike then, and we take them out of those that nobody accepts from.
            self.note(&format!(
                "connections to {} cannot be steered: {error}",
                door.listener.shown()
            ));
        }
        if let Some(door) = self.doors.get_mut(&token) {
            door.steered = Some(chosen);
        }
    }

    /// There are connections in a queue.
    pub(super) fn connections_at(&mut self, token: u64) {
        let Some(door) = self.queues.get(&token).copied() else {
            return;
        };
        let Some(queues) = self.doors.get_mut(&door).map(|door| &mut door.queues) else {
            return;
        };
        let Some(place) = queues.iter().position(|queue| queue.token == token) else {
            return;
        };
        match queues[place].watch {
            Watch::First => queues[place].watch = Watch::Look(Instant::now() + STANDS, 0),
            Watch::Connections => {
                self.accept(door, place);
            }
            Watch::Off | Watch::Look(..) => {}
        }
    }

    /// Looks at queues whose workers had something to accept. Where connections stand at each of some looks, others get them too, unless theirs stand as
    /// well: their worker is hung, or busy for long. One that is only slower than they come loses nothing by it.
    pub(super) fn help_out(&mut self, token: u64, now: Instant) {
        let Some(door) = self.doors.get_mut(&token) else { return };
        let mut standing = Vec::new();
        for (place, queue) in door.queues.iter_mut().enumerate() {
            if queue.look(&self.epoll, now) {
                standing.push(place);
            }
        }
        for place in standing {
            let accepted = self.accept(token, place);
            let queue = self.doors.get_mut(&token).and_then(|door| door.queues.get_mut(place));
            if let Some(queue) = queue {
                queue.helped |= accepted > 0;
            }
        }
    }
}
