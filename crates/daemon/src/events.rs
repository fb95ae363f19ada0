//! Events of state, for whoever watches: a ring of the latest ones that all watchers read, each at its own pace.
//!
//! Written by the reactor, read by the API's tasks. Memory is bounded whoever reads how slowly: one that has fallen behind the ring is told how
//! many events it has lost, and begins again with a snapshot. Nothing is written down while nobody watches, nor for long after the
//! last one has gone.

use bytes::Bytes;
use ostler_core::Instant;
use ostler_wire::events::{EventId, StateEvent};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// How many bytes the ring has at most.
const MAX_BYTES: usize = 512 << 10;

/// How many bytes a reader takes at once, unless a single event has more: the reactor waits while they are copied.
const PIECE: usize = 32 << 10;

/// What an event costs besides its bytes.
const COST: usize = 64;

/// How long a watcher that has gone may take to come back and miss nothing.
const ABSENCE: Duration = Duration::from_secs(60);

/// The writing end.
#[derive(Debug)]
pub struct Events {
    shared: Arc<Shared>,
    /// One beside ours for each watcher.
    watchers: Arc<()>,
    /// Until when events are kept though nobody watches; none while they are not.
    wanted_until: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    filled: Notify,
}

#[derive(Debug)]
struct Ring {
    generation: u32,
    events: VecDeque<Bytes>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
    ended: bool,
}

/// A watcher.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    /// The number of the event that it has to see next.
    next: u64,
    _counted: Arc<()>,
}

/// What a watcher comes upon.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Events, encoded, one after the other.
    Events(Bytes),
    /// So many are gone.
    Lost(u64),
}

impl Events {
    /// Of the daemon of this generation.
    pub fn new(generation: u32) -> Self {
        let ring = Ring {
            generation,
            events: VecDeque::new(),
            bytes: 0,
            next: 1,
            ended: false,
        };
        Self {
            shared: Arc::new(Shared {
                ring: Mutex::new(ring),
                filled: Notify::new(),
            }),
            watchers: Arc::new(()),
            wanted_until: None,
        }
    }

    /// Whether anybody watches, or has until lately. When that has just ceased to be so, what was kept is let go of.
    pub fn are_wanted(&mut self, now: Instant) -> bool {
        if Arc::strong_count(&self.watchers) > 1 {
            self.wanted_until = Some(now + ABSENCE);
        }
        let wanted = self.wanted_until.is_some_and(|until| now < until);
        if !wanted && self.wanted_until.take().is_some() {
            self.shared.lock().interrupt();
        }
        wanted
    }

    /// Adds an event.
    pub fn push(&self, event: &StateEvent) {
        let mut ring = self.shared.lock();
        let id = ring.id(ring.next);
        ring.push(event.encode(Some(id)).into());
        drop(ring);
        self.shared.filled.notify_waiters();
    }

    /// The number that a snapshot of now has: that of the last event before it.
    pub fn last(&self) -> EventId {
        let ring = self.shared.lock();
        ring.id(ring.next - 1)
    }

    /// Somebody who has seen what was until now.
    pub fn watch(&mut self, now: Instant) -> Watcher {
        self.wanted_until = Some(now + ABSENCE);
        let next = self.shared.lock().next;
        Watcher {
            shared: Arc::clone(&self.shared),
            next,
            _counted: Arc::clone(&self.watchers),
        }
    }

    /// Somebody who has seen what was until this event, if what came after it is still there; else how many events are not, if
    /// that is known.
    ///
    /// # Errors
    /// How many have been lost.
    pub fn resume(&mut self, after: EventId, now: Instant) -> Result<Watcher, Option<u64>> {
        let (generation, first, next) = {
            let ring = self.shared.lock();
            (ring.generation, ring.first(), ring.next)
        };
        if after.generation != generation || after.sequence >= next {
            return Err(None);
        }
        let wanted = after.sequence + 1;
        if wanted < first {
            return Err(Some(first - wanted));
        }
        let mut watcher = self.watch(now);
        watcher.next = wanted;
        Ok(watcher)
    }

    /// Nothing will follow.
    pub fn end(&self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("invariant: nobody panics with this lock")
    }
}

impl Ring {
    fn id(&self, sequence: u64) -> EventId {
        EventId {
            generation: self.generation,
            sequence,
        }
    }

    /// The number of the oldest event that is still there; of the next one if none is.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    fn push(&mut self, event: Bytes) {
        self.bytes += event.len() + COST;
        self.events.push_back(event);
        self.next += 1;
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.len() + COST;
        }
    }

    /// What happens from now on is not written down: whoever comes back later has missed something.
    fn interrupt(&mut self) {
        self.events.clear();
        self.bytes = 0;
        self.next += 1;
    }

    /// This event and those after it, as many as are taken at once, and the number of the next one.
    fn from(&self, next: u64) -> (Bytes, u64) {
        let skipped = usize::try_from(next - self.first()).unwrap_or(usize::MAX);
        let mut taken = Vec::new();
        let mut count = 0;
        for event in self.events.iter().skip(skipped) {
            if count > 0 && taken.len() + event.len() > PIECE {
                break;
            }
            taken.extend_from_slice(event);
            count += 1;
        }
        (taken.into(), next + count)
    }
}

impl Watcher {
    /// What there is to see next; none when nothing will follow.
    pub async fn next(&mut self) -> Option<Seen> {
        let shared = Arc::clone(&self.shared);
        loop {
            // Whoever fills the ring after this wakes us, also if it is before we wait.
            let filled = shared.filled.notified();
            if let Some(found) = self.look() {
                return found;
            }
            filled.await;
        }
    }

    fn look(&mut self) -> Option<Option<Seen>> {
        let ring = self.shared.lock();
        let first = ring.first();
        if self.next < first {
            let lost = first - self.next;
            self.next = ring.next;
            return Some(Some(Seen::Lost(lost)));
        }
        if self.next < ring.next {
            let (events, next) = ring.from(self.next);
            self.next = next;
            return Some(Some(Seen::Events(events)));
        }
        ring.ended.then_some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::SlotId;
    use ostler_wire::events::Removed;

    const NOW: Instant = Instant(1000);

    fn removed(id: u32) -> StateEvent {
        StateEvent::Removed(Removed { id: SlotId(id) })
    }

    /// The slots that are said to be removed, and what was lost.
    fn seen(watcher: &mut Watcher) -> (Vec<u32>, u64) {
        let (mut ids, mut lost) = (Vec::new(), 0);
        while let Some(Some(seen)) = watcher.look() {
            match seen {
                Seen::Events(bytes) => {
                    let text = String::from_utf8(bytes.to_vec()).expect("text");
                    let numbers = text.split("{\"id\":").skip(1).filter_map(|rest| rest.split('}').next());
                    ids.extend(numbers.filter_map(|number| number.parse::<u32>().ok()));
                }
                Seen::Lost(count) => lost += count,
            }
        }
        (ids, lost)
    }

    #[test]
    fn each_watcher_sees_everything_since_it_came_at_its_own_pace() {
        let mut events = Events::new(1);
        let mut early = events.watch(NOW);
        events.push(&removed(1));
        let mut late = events.watch(NOW);
        assert_eq!(seen(&mut early), (vec![1], 0));
        events.push(&removed(2));
        events.push(&removed(3));
        assert_eq!(seen(&mut early), (vec![2, 3], 0));
        assert_eq!(seen(&mut late), (vec![2, 3], 0));
    }

    #[test]
    fn one_that_comes_back_goes_on_where_it_was_as_long_as_the_ring_reaches_back() {
        let mut events = Events::new(4);
        let _watched = events.watch(NOW);
        (1..=10).for_each(|id| events.push(&removed(id)));
        let after = EventId {
            generation: 4,
            sequence: 7,
        };
        let mut back = events.resume(after, NOW).expect("still there");
        assert_eq!(seen(&mut back), (vec![8, 9, 10], 0));
        let last = events.last();
        assert_eq!(
            seen(&mut events.resume(last, NOW).expect("nothing missed")),
            (vec![], 0)
        );
        let of_another = EventId { generation: 3, ..after };
        assert_eq!(events.resume(of_another, NOW).expect_err("another daemon's"), None);
        let made_up = EventId { sequence: 900, ..after };
        assert_eq!(events.resume(made_up, NOW).expect_err("not yet"), None);
    }

    #[test]
    fn the_ring_is_bounded_and_a_slow_reader_is_told_how_many_it_has_lost() {
        let mut events = Events::new(1);
        let (mut slow, mut quick) = (events.watch(NOW), events.watch(NOW));
        let mut read = 0;
        for id in 0..50_000 {
            events.push(&removed(id));
            if id % 100 == 0 {
                read += seen(&mut quick).0.len();
            }
        }
        read += seen(&mut quick).0.len();
        assert_eq!(read, 50_000);
        let ring = events.shared.lock();
        assert!(ring.bytes <= MAX_BYTES, "{}", ring.bytes);
        let kept = ring.events.len() as u64;
        drop(ring);
        assert_eq!(slow.look(), Some(Some(Seen::Lost(50_000 - kept))));
        assert_eq!(slow.look(), None, "a snapshot has the rest");
        let first = EventId {
            generation: 1,
            sequence: 1,
        };
        assert_eq!(events.resume(first, NOW).expect_err("gone"), Some(50_000 - kept - 1));
    }

    #[test]
    fn nothing_is_kept_while_nobody_watches_and_who_comes_back_then_is_told() {
        let mut events = Events::new(1);
        assert!(!events.are_wanted(NOW));
        let watcher = events.watch(NOW);
        assert!(events.are_wanted(NOW));
        events.push(&removed(1));
        let last = events.last();
        drop(watcher);
        assert!(events.are_wanted(NOW + ABSENCE / 2), "it may come back");
        assert!(events.resume(last, NOW).is_ok());
        assert!(!events.are_wanted(NOW + ABSENCE * 2));
        assert_eq!(events.shared.lock().bytes, 0);
        assert_eq!(events.resume(last, NOW).expect_err("who knows"), Some(1));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_event_and_by_the_end() {
        let mut events = Events::new(1);
        let mut watcher = events.watch(NOW);
        let waiting = tokio::spawn(async move {
            let first = watcher.next().await;
            (first, watcher.next().await)
        });
        tokio::task::yield_now().await;
        events.push(&removed(1));
        tokio::task::yield_now().await;
        events.end();
        let (first, second) = waiting.await.expect("it ends");
        assert!(matches!(first, Some(Seen::Events(_))) && second.is_none());
    }
}
