//! Who has something to do when: the deadlines of all slots and apps, so that the next one is found at once however many
//! there are. Derived from their records and therefore in no journal.

use crate::ids::{AppId, SlotId};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A slot's own, or its cron pattern's.
    Slot(SlotId),
    /// The quiet time after a file change.
    Watch(AppId),
    /// A roll may go on though the last worker replaced still drains.
    Roll(AppId),
    /// Everything is to have ended.
    Patience,
}

/// All deadlines. Invariant: both maps hold the same pairs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Instant, Key)>,
    by_key: BTreeMap<Key, Instant>,
}

impl Agenda {
    /// Sets or clears a deadline.
    pub(crate) fn set(&mut self, key: Key, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Whose deadline has come, earliest first.
    pub(crate) fn due(&self, now: Instant) -> Vec<Key> {
        self.by_time
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|&(_, key)| key)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moves_leaves_nothing_behind() {
        let mut agenda = Agenda::default();
        let key = Key::Slot(SlotId(1));
        agenda.set(key, Some(Instant(10)));
        agenda.set(key, Some(Instant(30)));
        agenda.set(Key::Watch(AppId(0)), Some(Instant(20)));
        assert_eq!(agenda.next(), Some(Instant(20)));
        assert_eq!(agenda.due(Instant(30)), [Key::Watch(AppId(0)), key]);
        agenda.set(Key::Watch(AppId(0)), None);
        agenda.set(key, None);
        assert_eq!(agenda.next(), None);
    }
}
