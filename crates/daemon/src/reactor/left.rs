//! What a predecessor has left of workers of clusters beside their channels: the servers they have, and messages that have not ended.

use super::Daemon;
use super::adopt::copies_of;
use crate::primary::{self, Left, Unfinished};
use crate::workers;
use ostler_core::WorkerId;
use std::io;

impl Daemon {
    /// What workers served and said that are gone is of no interest.
    pub(super) fn drop_servers(&mut self) {
        let kept = [primary::SERVERS, primary::UNFINISHED].map(|prefix| self.keeper.with_prefix(prefix));
        let keys = kept.into_iter().flatten().map(|(key, _)| key.to_owned());
        for key in keys.collect::<Vec<String>>() {
            if !workers::of_key(&key).is_some_and(|worker| self.workers.contains_key(&worker)) {
                self.keeper.release(&key);
            }
        }
    }

    /// What a predecessor has left of a worker of a cluster.
    pub(crate) fn left_of(&mut self, worker: WorkerId) -> Left {
        let deposit = self.keeper.get(&format!("{}{worker}", primary::SERVERS));
        let servers = deposit.and_then(|deposit| serde_json::from_slice(&deposit.data).ok());
        Left {
            servers: servers.unwrap_or_default(),
            unfinished: self.unfinished_of(worker),
        }
    }

    fn unfinished_of(&mut self, worker: WorkerId) -> Option<Unfinished> {
        let key = format!("{}{worker}", primary::UNFINISHED);
        self.keeper.get(&key)?;
        let copies = copies_of(&self.keeper, &key);
        let adopted = copies.and_then(|copies| {
            let missing = |_| io::Error::other("descriptors are missing");
            Unfinished::adopt(copies.try_into().map_err(missing)?)
        });
        let report = |error| self.note(&format!("what worker {worker} was saying is lost: {error}"));
        adopted.map_err(report).ok()
    }
}
