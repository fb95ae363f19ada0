//! How evenly connections were shared so far. In a burst a worker that the system lets run later takes its connections later; it
//! is given the more afterwards.

use crate::ids::WorkerId;
use std::collections::BTreeMap;

/// How far behind a worker can be: one that was slow for an hour is not to be flooded when it is not any more.
const MOST: u64 = 256;

/// What the workers of one listener were given.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    given: BTreeMap<WorkerId, u64>,
    most: u64,
}

impl Shares {
    /// How many fewer connections it was given than the one that was given most. A newcomer begins with as many as that one.
    pub fn behind(&self, worker: WorkerId) -> u64 {
        self.given.get(&worker).map_or(0, |given| (self.most - given).min(MOST))
    }

    /// A worker is given a connection.
    pub fn give(&mut self, worker: WorkerId) {
        let is_new = !self.given.contains_key(&worker);
        let given = self.most - self.behind(worker) + u64::from(!is_new || self.most == 0);
        self.given.insert(worker, given);
        self.most = self.most.max(given);
    }

    /// A worker is gone.
    pub fn forget(&mut self, worker: WorkerId) {
        self.given.remove(&worker);
    }
}
