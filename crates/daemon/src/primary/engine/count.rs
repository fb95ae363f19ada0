//! What each worker has: connections taken since it began, and open now.
//!
//! Nothing is counted while nobody needs to know. Who does: whoever asks for a list, `least-connections` as connections arrive, a worker
//! without the preload that drains, and the ledger itself before it grows without bounds.

use super::super::census::{About, Found, Question, What};
use super::Engine;
use crate::fact::Fact;
use ostler_core::balance::Ledger;
use ostler_core::{AppId, Balance, Event, Pid, SlotId, WorkerId};
use ostler_sys::connections::Place;
use ostler_sys::proc::ListeningSockets;
use ostler_wire::control::{Connections, Handled};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How old a count may be, at least. Busy listeners take connections by the hundred meanwhile; what is given is known at once, only
/// what closes is not.
const FRESH: Duration = Duration::from_millis(20);
/// Counting takes at most one part of so many of a processor's time.
const SHARE: u32 = 20;
/// A count that old says nothing any more: connections wait for the next one rather than being given by it.
const STALE: Duration = Duration::from_secs(1);
/// How soon it is tried again when connections could not be counted.
const RETRY: Duration = Duration::from_secs(10);
/// In how many counts, one after the other, a worker must have had no connection to have drained. A walk over the kernel's tables
/// while they change may miss one; two hardly do.
const EMPTY: u8 = 2;

/// What is known of an app's connections.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) ledger: Ledger,
    under_way: Option<Instant>,
    /// How long the count took that is being completed.
    took: Duration,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    asked: Instant,
    took: Duration,
    known: bool,
}

impl Count {
    /// How many a worker has open.
    pub(super) fn open(&self, worker: WorkerId) -> Option<u64> {
        let known = self.last.is_some_and(|last| last.known);
        known.then(|| self.ledger.open(worker))
    }

    /// When the last count stops being fresh.
    fn due(&self) -> Option<Instant> {
        self.last.map(|last| {
            let fresh = if last.known {
                (last.took * SHARE).max(FRESH)
            } else {
                RETRY
            };
            last.asked + fresh
        })
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due > now)
    }

    /// Whether connections had better wait for the count that is under way.
    fn is_awaited(&self, now: Instant) -> bool {
        let asked = self.last.map(|last| last.asked);
        let stale = asked.is_none_or(|asked| now.duration_since(asked) > STALE);
        stale && self.under_way.is_some_and(|since| now.duration_since(since) < STALE)
    }
}

/// Somebody who wants to know what workers have, and whose apps are being counted.
pub(super) struct Asker {
    awaited: BTreeSet<AppId>,
    reply: Reply,
}

/// Who is told what workers have.
pub(crate) type Reply = Box<dyn FnOnce(&BTreeMap<WorkerId, Connections>) + Send>;

impl Engine {
    /// Tells what workers have, as soon as it has been counted.
    pub(super) fn ask_for_counts(&mut self, reply: Reply) {
        let now = Instant::now();
        let apps: BTreeSet<AppId> = self.links.values().map(|link| link.app).collect();
        let mut awaited = BTreeSet::new();
        for app in apps {
            if !self.count(app).is_fresh(now) && self.begin_count(app) {
                awaited.insert(app);
            }
        }
        self.askers.push(Asker { awaited, reply });
        self.answer_askers();
    }

    fn answer_askers(&mut self) {
        let (answered, waiting): (Vec<Asker>, _) = self.askers.drain(..).partition(|asker| asker.awaited.is_empty());
        self.askers = waiting;
        if answered.is_empty() {
            return;
        }
        // What was once shown is never taken back by a successor.
        self.keep_handled();
        let counts = self.counts();
        for asker in answered {
            (asker.reply)(&counts);
        }
    }

    fn counts(&self) -> BTreeMap<WorkerId, Connections> {
        let of = |link: &super::Link| {
            let counted = self.counts.get(&link.app).filter(|_| self.serves(link));
            // Of what it accepts by itself nobody tells us.
            let known = !self.accepts_by_itself(link.worker);
            Connections {
                accepted: known.then_some(link.handled.accepted),
                refused: known.then_some(link.handled.refused),
                active: counted.and_then(|count| count.open(link.worker)),
                handled: known.then(|| self.accounts.of_slot(link.worker.slot)),
            }
        };
        self.links.values().map(|link| (link.worker, of(link))).collect()
    }

    /// Whether connections come to it through a listener of ours.
    fn serves(&self, link: &super::Link) -> bool {
        let doors = self
            .doors
            .values()
            .filter(|door| door.listener.described.app == link.app);
        let mut doors = doors.filter(|door| !door.listener.described.datagram);
        doors.any(|door| link.servers.contains_key(&door.listener.described.key))
    }

    pub(super) fn count(&mut self, app: AppId) -> &mut Count {
        self.counts.entry(app).or_default()
    }

    /// Has the connections of an app counted; whether an answer will come.
    fn begin_count(&mut self, app: AppId) -> bool {
        if self.count(app).under_way.is_some() {
            return true;
        }
        let doors = self.doors.values().filter(|door| door.listener.described.app == app);
        let places: BTreeSet<Place> = doors.filter_map(|door| door.listener.place()).collect();
        if places.is_empty() {
            return false;
        }
        let count = self.count(app);
        let number = count.ledger.begin();
        count.under_way = Some(Instant::now());
        self.ask(app, number, About::Open(places))
    }

    fn ask(&mut self, app: AppId, number: u64, about: About) -> bool {
        let asked = self.census.ask(Question { app, number, about });
        if !asked {
            // The thread has panicked: nothing is known from now on.
            self.counted_not(app);
        }
        asked
    }

    fn counted_not(&mut self, app: AppId) {
        let count = self.count(app);
        let asked = count.under_way.take().unwrap_or_else(Instant::now);
        count.last = Some(Last {
            asked,
            took: Duration::ZERO,
            known: false,
        });
    }

    /// An answer to what was asked.
    pub(super) fn counted(&mut self, found: Found) {
        let Found { app, number, what } = found;
        match what {
            What::Open(Ok(open), took) => {
                let count = self.count(app);
                let unknown = count.ledger.settle(number, &open);
                count.took = took;
                if !unknown.is_empty() {
                    return self.ask_for_owners(app, number, unknown);
                }
            }
            What::Open(Err(error), _) => {
                if self.count(app).last.is_none_or(|last| last.known) {
                    self.note(&format!("open connections cannot be counted: {error}"));
                }
                self.counted_not(app);
            }
            What::Owners(connections, owners) => self.count(app).ledger.claim(&connections, &owners),
        }
        self.complete(app);
    }

    fn ask_for_owners(&mut self, app: AppId, number: u64, connections: Vec<u64>) {
        let workers = self.links.values().filter(|link| link.app == app);
        let workers = workers.map(|link| (link.worker, link.pid)).collect();
        if !self.ask(app, number, About::Owners { connections, workers }) {
            self.complete(app);
        }
    }

    /// All that can be known of an app is known.
    fn complete(&mut self, app: AppId) {
        let count = self.count(app);
        let began = count.under_way.take();
        if let Some(asked) = began {
            let took = count.took;
            count.last = Some(Last {
                asked,
                took,
                known: true,
            });
        }
        self.look_at_drains(app, began);
        for asker in &mut self.askers {
            asker.awaited.remove(&app);
        }
        self.answer_askers();
        self.drop_count(app);
    }

    /// Nothing of an app is left to be counted.
    pub(super) fn drop_count(&mut self, app: AppId) {
        let is_left = self.links.values().any(|link| link.app == app)
            || self.doors.values().any(|door| door.listener.described.app == app);
        if !is_left && self.counts.get(&app).is_some_and(|count| count.under_way.is_none()) {
            self.counts.remove(&app);
        }
    }

    /// A worker without the preload does not tell when it has drained: it has when nothing is on its way to it, and the kernel
    /// knows of no connection that it has open.
    fn look_at_drains(&mut self, app: AppId, began: Option<Instant>) {
        let Some(count) = self.counts.get(&app) else { return };
        let (mut drained, mut left) = (Vec::new(), Vec::new());
        for link in self.links.values_mut().filter(|link| link.app == app) {
            let counted_since = |since: &Instant| began.is_some_and(|began| began >= *since);
            if !link.drains_since.as_ref().is_some_and(counted_since) {
                continue;
            }
            let open = count.open(link.worker);
            if let Some(open) = open.filter(|open| link.left != Some(*open)) {
                link.left = Some(open);
                left.push(Fact::Draining(link.worker, u32::try_from(open).unwrap_or(u32::MAX)));
            }
            let is_empty = link.has_taken_all() && open == Some(0);
            link.empty_counts = if is_empty { link.empty_counts + 1 } else { 0 };
            if link.empty_counts >= EMPTY {
                link.drains_since = None;
                drained.push(link.worker);
            }
        }
        left.into_iter().for_each(|fact| self.tell(fact));
        for worker in drained {
            self.tell(Fact::Machine(Event::Drained { worker }));
        }
    }

    /// A worker drains that does not tell when it has.
    pub(super) fn watch_drain(&mut self, token: u64) {
        let Some(link) = self.links.get(&token) else { return };
        let worker = link.worker;
        if !self.serves(link) && listens_by_itself(link.pid) == Some(false) {
            return self.tell(Fact::Machine(Event::Drained { worker }));
        }
        if let Some(link) = self.links.get_mut(&token).filter(|link| link.drains_since.is_none()) {
            link.drains_since = Some(Instant::now());
            link.empty_counts = 0;
        }
    }

    /// Has counted what is due, by the clock or by what has happened.
    pub(super) fn count_what_is_due(&mut self, now: Instant) {
        let drains = self
            .links
            .values()
            .filter(|link| link.drains_since.is_some())
            .map(|link| link.app);
        let grown = self
            .counts
            .iter()
            .filter(|(_, count)| count.ledger.is_full())
            .map(|(app, _)| *app);
        let apps: BTreeSet<AppId> = drains.chain(grown).collect();
        for app in apps {
            if !self.count(app).is_fresh(now) && !self.begin_count(app) {
                // Nothing of ours is left to be counted; who still drains does so until its deadline.
                let of_app = self.links.values_mut().filter(|link| link.app == app);
                of_app.for_each(|link| link.drains_since = None);
            }
        }
    }

    /// When next something is due by the clock: a count, or the end of waiting for one.
    pub(super) fn next_count(&self, now: Instant) -> Option<Instant> {
        let drains = self.links.values().filter(|link| link.drains_since.is_some());
        let counts = drains.filter_map(|link| self.counts.get(&link.app));
        let idle = counts.filter(|count| count.under_way.is_none());
        let awaited = self.counts.values().filter_map(|count| Some(count.under_way? + STALE));
        idle.filter_map(Count::due)
            .chain(awaited.filter(|until| *until > now))
            .min()
    }

    /// A connection has come to a listener: whether it may be given to somebody by what is known.
    pub(super) fn knows_enough(&mut self, app: AppId, balance: Balance) -> bool {
        if balance != Balance::LeastConnections {
            return true;
        }
        let now = Instant::now();
        if !self.count(app).is_fresh(now) {
            self.begin_count(app);
        }
        !self.count(app).is_awaited(now)
    }

    /// Whether connections of an app wait for a count.
    pub(super) fn awaits_count(&self, app: AppId, balance: Balance) -> bool {
        let count = self.counts.get(&app).filter(|_| balance == Balance::LeastConnections);
        count.is_some_and(|count| count.is_awaited(Instant::now()))
    }

    /// Keeps for a successor what came of the connections that each worker was handed.
    pub(super) fn keep_handled(&mut self) {
        self.keep_at = None;
        for link in self.links.values_mut().filter(|link| link.handled != link.kept_handled) {
            link.kept_handled = link.handled;
            // No memory to grow the file by: a successor counts from what it finds.
            let _ = self.accounts.keep(link.worker, link.handled);
        }
    }

    /// A worker is gone: what it has taken stays with its slot.
    pub(super) fn end_handled(&mut self, link: &super::Link) {
        let kept = self.accounts.keep(link.worker, link.handled);
        // As when it is kept.
        let _ = kept.and_then(|()| self.accounts.end(link.worker));
    }

    /// A slot is gone. Its id may be another's at once.
    pub(super) fn forget_handled(&mut self, slot: SlotId) {
        // Whose end has not been seen yet has nothing to leave to another one.
        let links = self.links.values_mut().filter(|link| link.worker.slot == slot);
        links.for_each(|link| link.handled = Handled::default());
        // It overwrites what is in the file: no memory is needed.
        let _ = self.accounts.forget(slot);
    }
}

/// Whether a process accepts connections through a listener that is not ours.
fn listens_by_itself(pid: Pid) -> Option<bool> {
    let pid = ostler_sys::Pid::from_raw(pid.0)?;
    ListeningSockets::default().are_held_by(pid).ok()
}
