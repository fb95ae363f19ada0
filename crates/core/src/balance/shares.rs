//! How evenly connections were shared so far. In a burst a worker that the system lets run later takes its connections later; others wait
//! for it a little, and it is given the more afterwards.

use crate::ids::WorkerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far behind a worker can be: one that was slow for an hour is not to be flooded when it is not any more.
const MOST: u64 = 256;

/// How many connections more than a worker that is waited for the others may be given, at least.
const LEAD: u64 = 8;

/// The same as a part of what they were given since the last lull. A bound that does not grow would keep workers in step for as long as
/// they have all they can do, at a tenth fewer connections a second.
const LEAD_PART: u64 = 8;

/// How long a worker may take nothing of what it was given and still be waited for: a turn of each of some ten other processes on its
/// processor. Who needs longer is busy, or hangs.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// For how long in all connections are held up for one worker, until it has caught up. Who needs longer is slower than others, and is not
/// to make them as slow.
const PATIENCE_IN_ALL: Duration = Duration::from_millis(500);

/// After how long without anything to be taken by anybody it begins anew: who comes then is in no burst, and is not to make up for one.
const LULL: Duration = Duration::from_millis(5);

/// What the workers of one listener were given.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    of: BTreeMap<WorkerId, Share>,
    most: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    given: u64,
    /// For how long connections were held up for it since it last had as many as anybody.
    held_up: Duration,
}

impl Shares {
    /// How many fewer connections it was given than the one that was given most. A newcomer begins with as many as that one.
    pub fn behind(&self, worker: WorkerId) -> u64 {
        self.of
            .get(&worker)
            .map_or(0, |share| (self.most - share.given).min(MOST))
    }

    /// How many more a worker may be given than one that is waited for.
    pub fn lead(&self) -> u64 {
        LEAD.max(self.most / LEAD_PART)
    }

    /// A worker is given a connection.
    pub fn give(&mut self, worker: WorkerId) {
        let is_new = !self.of.contains_key(&worker);
        let given = self.most - self.behind(worker) + u64::from(!is_new || self.most == 0);
        let share = self.of.entry(worker).or_default();
        share.given = given;
        if given >= self.most {
            share.held_up = Duration::ZERO;
        }
        self.most = self.most.max(given);
    }

    /// Nobody had anything to take for so long.
    pub fn lull(&mut self, so_long: Duration) {
        if so_long >= LULL {
            *self = Self::default();
        }
    }

    /// Whether others are not to get far ahead of a worker that has not taken what it was given, and did nothing of the kind for so long.
    pub fn waits_for(&self, worker: WorkerId, silent: Duration) -> bool {
        let held_up = self.of.get(&worker).map_or(Duration::ZERO, |share| share.held_up);
        silent < PATIENCE && held_up < PATIENCE_IN_ALL
    }

    /// Connections were held up for a worker's sake.
    pub fn held_up(&mut self, by: WorkerId, so_long: Duration) {
        if let Some(share) = self.of.get_mut(&by) {
            share.held_up += so_long;
        }
    }

    /// A worker is gone.
    pub fn forget(&mut self, worker: WorkerId) {
        self.of.remove(&worker);
    }
}
