//! What an app's workers have counted in all, also those that are gone.

use super::tally::Tally;
use crate::ids::WorkerId;
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    ended: Tally,
    workers: BTreeMap<WorkerId, Tally>,
}

impl Totals {
    /// Of an app whose workers that are gone had counted this.
    pub fn after(ended: Tally) -> Self {
        Self {
            ended,
            workers: BTreeMap::new(),
        }
    }

    /// A worker says what it has counted since it began. What it said before is part of that.
    pub fn report(&mut self, worker: WorkerId, tally: Tally) {
        self.workers.insert(worker, tally);
    }

    /// A worker is gone: what it had counted stays.
    pub fn end(&mut self, worker: WorkerId) {
        if let Some(tally) = self.workers.remove(&worker) {
            self.ended.merge(&tally);
        }
    }

    /// What those have counted that are gone.
    pub fn ended(&self) -> &Tally {
        &self.ended
    }

    /// What a worker has counted; none that never reported.
    pub fn of(&self, worker: WorkerId) -> Option<&Tally> {
        self.workers.get(&worker)
    }

    /// Those who have reported and are not gone.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.keys().copied()
    }

    /// Everything.
    pub fn all(&self) -> Tally {
        let mut all = self.ended.clone();
        for tally in self.workers.values() {
            all.merge(tally);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    proptest! {
        /// Workers answer requests, some reports are lost, workers are replaced: the sum is what was reported, and never less than before.
        #[test]
        fn sums_only_grow(steps in prop::collection::vec((0..4_u32, 0..50_u64, any::<bool>(), any::<bool>()), 1..100)) {
            let mut totals = Totals::default();
            let mut generations = [0_u32; 4];
            let mut counted = [0_u64; 4];
            let mut told = [0_u64; 4];
            let (mut gone, mut last) = (0, 0);
            for (slot, more, is_lost, ends) in steps {
                let at = slot as usize;
                counted[at] += more;
                if !is_lost {
                    told[at] = counted[at];
                    let tally = Tally { aborted: counted[at], ..Tally::default() };
                    totals.report(WorkerId::new(slot, generations[at]), tally);
                }
                if ends {
                    totals.end(WorkerId::new(slot, generations[at]));
                    gone += told[at];
                    generations[at] += 1;
                    (counted[at], told[at]) = (0, 0);
                }
                let all = totals.all().aborted;
                prop_assert!(all >= last);
                prop_assert_eq!(all, gone + told.iter().sum::<u64>());
                last = all;
            }
        }
    }
}
