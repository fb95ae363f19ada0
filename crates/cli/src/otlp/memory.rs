//! Since when counters have counted, and what they had reached: what a reading has to know of those before it. Pure.
//!
//! A cumulative value stands for the time since its start. The daemon does not tell when its counters began, so that is told from
//! readings (the data model of OpenTelemetry, *Cumulative streams: handling unknown start time*):
//!
//! | a counter | begins |
//! |---|---|
//! | of the first reading | with that reading: what it has by then was counted before, nobody knows since when |
//! | that is new in a later reading, or is less than it was | with the reading before: all it has was counted since then |
//! | any other | when it did |

use ostler_core::{Pid, SlotId};
use std::collections::BTreeMap;

/// How long what is not read any more is remembered, ns. An app that was deleted is not kept for ever.
const REMEMBERED: u64 = 3600 * 1_000_000_000;

/// Whose counters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Those of an app, by namespace and name.
    App(String, String),
    /// How often a worker was started again, by its app and slot. Slots' ids are used again.
    Restarts(String, String, SlotId),
    /// What came of the connections that workers of a slot were handed, by app and slot.
    Connections(String, String, SlotId),
}

/// What counters have reached that begin together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Of things.
    pub counts: Vec<u64>,
    /// Sums of what these were, which adding up in another order may change by their last digit.
    pub sums: [f64; 2],
}

#[derive(Clone, Debug)]
struct Counted {
    since: u64,
    read: u64,
    amounts: Amounts,
}

/// One process of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it began, as near as that is known; of a slot without a process, since when it has none.
    pub began: u64,
    /// Whether it has ever told what only programs of Node tell. One that hangs is Node as before.
    pub is_node: bool,
    pid: Option<Pid>,
    read: u64,
}

/// See the module's header. All moments are nanoseconds since 1970, by the wall clock.
#[derive(Debug, Default)]
pub struct Memory {
    now: u64,
    before: Option<u64>,
    counters: BTreeMap<Counter, Counted>,
    runs: BTreeMap<SlotId, Run>,
}

impl Memory {
    /// A reading that was made at this moment begins. If the clock was set back, all that was known is about moments that are still to
    /// come, and is forgotten.
    pub fn begin(&mut self, now: u64) {
        if now <= self.now {
            *self = Self::default();
        }
        self.before = (self.now > 0).then_some(self.now);
        self.now = now;
        let from = now.saturating_sub(REMEMBERED);
        self.counters.retain(|_, counted| counted.read >= from);
        self.runs.retain(|_, run| run.read >= from);
    }

    /// The moment of this reading.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Counters are read: since when they have counted, and their sums, which are never less than before.
    pub fn count(&mut self, counter: Counter, mut amounts: Amounts) -> (u64, [f64; 2]) {
        let before = self
            .counters
            .get(&counter)
            .filter(|known| amounts.continues(&known.amounts));
        let since = before.map_or(self.before.unwrap_or(self.now), |known| known.since);
        if let Some(known) = before {
            for (sum, reached) in amounts.sums.iter_mut().zip(&known.amounts.sums) {
                *sum = sum.max(*reached);
            }
        }
        let sums = amounts.sums;
        let read = self.now;
        self.counters.insert(counter, Counted { since, read, amounts });
        (since, sums)
    }

    /// A slot is read: its process, how long that has been up (0 if it is not), and whether it speaks as Node does.
    pub fn run(&mut self, slot: SlotId, pid: Option<Pid>, uptime_ms: u64, is_node: bool) -> Run {
        let known = self.runs.get(&slot).filter(|run| run.pid == pid);
        let run = Run {
            began: known.map_or_else(
                || self.now.saturating_sub(uptime_ms.saturating_mul(1_000_000)),
                |run| run.began,
            ),
            is_node: is_node || known.is_some_and(|run| run.is_node),
            pid,
            read: self.now,
        };
        self.runs.insert(slot, run);
        run
    }
}

impl Amounts {
    /// Whether this is what became of those.
    fn continues(&self, before: &Self) -> bool {
        self.counts.len() == before.counts.len()
            && self.counts.iter().zip(&before.counts).all(|(now, then)| now >= then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn shop() -> Counter {
        Counter::App("default".into(), "shop".into())
    }

    fn read(memory: &mut Memory, second: u64, count: u64, sum: f64) -> (u64, f64) {
        memory.begin(second * SECOND);
        let amounts = Amounts {
            counts: vec![count, 7],
            sums: [sum, 0.0],
        };
        let (since, sums) = memory.count(shop(), amounts);
        (since / SECOND, sums[0])
    }

    #[test]
    fn what_was_there_at_first_has_an_unknown_beginning_and_keeps_it() {
        let mut memory = Memory::default();
        assert_eq!(read(&mut memory, 100, 40, 1.5), (100, 1.5));
        assert_eq!(read(&mut memory, 110, 50, 2.0), (100, 2.0));
        assert_eq!(read(&mut memory, 120, 50, 2.0), (100, 2.0));
    }

    #[test]
    fn what_is_less_than_before_has_begun_since_the_reading_before() {
        let mut memory = Memory::default();
        read(&mut memory, 100, 40, 1.5);
        read(&mut memory, 110, 50, 2.0);
        assert_eq!(read(&mut memory, 120, 3, 0.25), (110, 0.25));
        assert_eq!(read(&mut memory, 130, 4, 0.5), (110, 0.5));
    }

    #[test]
    fn what_is_new_has_begun_since_the_reading_before() {
        let mut memory = Memory::default();
        memory.begin(90 * SECOND);
        assert_eq!(read(&mut memory, 100, 40, 1.5), (90, 1.5));
    }

    #[test]
    fn a_sum_that_lost_its_last_digit_is_no_new_beginning_and_is_not_less() {
        let mut memory = Memory::default();
        read(&mut memory, 100, 40, 1.5);
        assert_eq!(read(&mut memory, 110, 41, 1.499_999_9), (100, 1.5));
    }

    #[test]
    fn what_was_not_to_be_read_for_a_while_goes_on() {
        let mut memory = Memory::default();
        read(&mut memory, 100, 40, 1.5);
        memory.begin(110 * SECOND);
        assert_eq!(read(&mut memory, 120, 41, 1.5), (100, 1.5));
        memory.begin(5000 * SECOND);
        assert!(memory.counters.is_empty(), "but not for ever");
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut memory = Memory::default();
        read(&mut memory, 100, 40, 1.5);
        assert_eq!(read(&mut memory, 50, 41, 1.5), (50, 1.5));
    }

    #[test]
    fn a_process_began_once_and_stays_what_it_is() {
        let mut memory = Memory::default();
        let run = |memory: &mut Memory, second: u64, pid: i32, uptime_ms, is_node| {
            memory.begin(second * SECOND);
            let run = memory.run(SlotId(1), Some(Pid(pid)), uptime_ms, is_node);
            (run.began / SECOND, run.is_node)
        };
        assert_eq!(run(&mut memory, 100, 7, 40_000, true), (60, true));
        assert_eq!(run(&mut memory, 110, 7, 50_001, false), (60, true));
        assert_eq!(run(&mut memory, 120, 8, 0, false), (120, false), "its successor");
    }
}
