//! Inspectors of workers that are open for somebody: for whom, and how long if he says nothing more.
//!
//! Called by the daemon. The worker counts the lease too, so that its inspector is closed even if no daemon is left to say so.

use crate::ids::WorkerId;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one word that somebody inspects holds.
pub const LEASE: Duration = Duration::from_secs(20);

/// How long a worker may take to open its inspector.
const OPEN: Duration = Duration::from_secs(5);

/// One that is open, or about to be; as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// What whoever inspects calls it.
    pub id: String,
    /// Where it is, once it is open.
    pub opened: Option<Opened>,
    until: Instant,
}

/// An open inspector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Its address, `ws://127.0.0.1:PORT/ID`.
    pub url: String,
    /// It was opened for us, and will be closed.
    pub own: bool,
}

impl Opened {
    /// The port on the loopback, if it is ours: whoever is connected to it when it is to be closed has to go.
    pub fn own_port(&self) -> Option<u16> {
        let (_, authority) = self.url.split_once("://").filter(|_| self.own)?;
        let (authority, _) = authority.split_once('/')?;
        authority.rsplit_once(':')?.1.parse().ok()
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspections(BTreeMap<WorkerId, Inspection>);

impl Inspections {
    /// Goes on with what a predecessor has written down.
    pub fn restore(inspections: impl IntoIterator<Item = (WorkerId, Inspection)>) -> Self {
        Self(inspections.into_iter().collect())
    }

    /// What is to be written down of a worker.
    pub fn get(&self, worker: WorkerId) -> Option<&Inspection> {
        self.0.get(&worker)
    }

    /// All workers that are inspected.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.0.keys().copied()
    }

    /// Whether a debugger may have stopped this worker.
    pub fn is_open(&self, worker: WorkerId) -> bool {
        self.0.get(&worker).is_some_and(|known| known.opened.is_some())
    }

    /// Somebody wants to inspect a worker, or goes on doing so. What is known of it then: nothing to tell him before it is open.
    ///
    /// # Errors
    /// If somebody else does, where.
    pub fn want(&mut self, worker: WorkerId, id: &str, now: Instant) -> Result<Option<Opened>, Option<Opened>> {
        let known = self.0.entry(worker).or_insert_with(|| Inspection {
            id: id.to_owned(),
            opened: None,
            until: now,
        });
        if known.id != id {
            return Err(known.opened.clone());
        }
        known.until = now + if known.opened.is_some() { LEASE } else { OPEN };
        Ok(known.opened.clone())
    }

    /// A worker has opened its inspector. Whether somebody waits for that.
    pub fn opened(&mut self, worker: WorkerId, id: &str, opened: Opened, now: Instant) -> bool {
        let Some(known) = self.0.get_mut(&worker).filter(|known| known.id == id) else {
            return false;
        };
        if known.opened.is_none() {
            known.until = now + LEASE;
        }
        known.opened = Some(opened);
        true
    }

    /// Nobody inspects this worker under this name any more, or it cannot be. What was known, if somebody did.
    pub fn end(&mut self, worker: WorkerId, id: &str) -> Option<Inspection> {
        self.0.get(&worker).filter(|known| known.id == id)?;
        self.0.remove(&worker)
    }

    /// A worker has ended.
    pub fn ended(&mut self, worker: WorkerId) -> Option<Inspection> {
        self.0.remove(&worker)
    }

    /// When to ask what is [`due`](Self::due).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|known| known.until).min()
    }

    /// Those of whom nobody has said anything in time.
    pub fn due(&mut self, now: Instant) -> Vec<(WorkerId, Inspection)> {
        let due = self.0.iter().filter(|(_, known)| known.until <= now);
        let due: Vec<WorkerId> = due.map(|(worker, _)| *worker).collect();
        due.into_iter()
            .filter_map(|worker| Some((worker, self.0.remove(&worker)?)))
            .collect()
    }
}
