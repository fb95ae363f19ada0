//! What is left of a worker whose main process has ended and been told of: its pipes, as long as somebody may write into them, and
//! its session's number, by which leftovers of its tree are known.
//!
//! Its deposit stays with the keeper until neither is of use, so that a daemon killed meanwhile costs neither a line of a surviving
//! grandchild nor the sight of a leftover.

use super::Daemon;
use crate::fact::Fact;
use crate::keeper_link::Deposit;
use crate::readiness::readable;
use crate::workers::{self, Part};
use ostler_core::{Pid, SlotId, WorkerId};
use ostler_sys::pipes;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What is left of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Remains {
    /// What its main process was: the number of its session too.
    pub pid: Pid,
    /// Somebody may still write into its pipes, or what was written is not read yet.
    written: bool,
}

impl Daemon {
    /// Begins to look after what a worker's main process left.
    pub(super) fn leave_remains(&mut self, worker: WorkerId, pid: Pid) {
        let pipes: Vec<Arc<OwnedFd>> = self.keeper.get(&workers::key(worker)).map(outputs).unwrap_or_default();
        let written = !pipes.iter().all(is_finished);
        self.remains.insert(worker, Remains { pid, written });
        if written {
            let facts = self.facts.clone();
            tokio::spawn(async move {
                for pipe in pipes {
                    // A pipe that cannot be watched is read once more and then given up.
                    let _ = last_writer_gone(pipe).await;
                }
                let _ = facts.send(Fact::WritersGone(worker));
            });
        }
    }

    /// Nobody writes any more: once what was written is read, the pipes are of no use.
    pub(super) fn writers_gone(&mut self, worker: WorkerId) {
        let facts = self.facts.clone();
        self.logs.ended(worker, move || {
            let _ = facts.send(Fact::PipesRead(worker));
        });
    }

    /// What was written is in the log.
    pub(super) fn pipes_read(&mut self, worker: WorkerId) {
        if let Some(remains) = self.remains.get_mut(&worker) {
            remains.written = false;
        }
        self.settle(worker);
    }

    /// Takes the deposit back when nothing needs it any more.
    pub(crate) fn settle(&mut self, worker: WorkerId) {
        let settled = self.remains.get(&worker).is_some_and(|remains| !remains.written);
        if settled && !self.sweeping.contains(&worker) {
            self.remains.remove(&worker);
            self.fostered.remove(&worker);
            self.keeper.release(&workers::key(worker));
        }
    }

    /// A slot is gone, and its logs with it: what is still written has nowhere to go.
    pub(crate) fn abandon_remains(&mut self, slot: SlotId) {
        let of_slot: Vec<WorkerId> = self
            .remains
            .keys()
            .copied()
            .filter(|worker| worker.slot == slot)
            .collect();
        for worker in of_slot {
            self.pipes_read(worker);
        }
    }
}

fn outputs(deposit: &Deposit) -> Vec<Arc<OwnedFd>> {
    let parts = [Part::Out, Part::Error].into_iter();
    parts
        .filter_map(|part| deposit.descriptors.get(part as usize).cloned())
        .collect()
}

/// Nobody can write into it, and all that was written has been read.
fn is_finished(pipe: &Arc<OwnedFd>) -> bool {
    pipes::writers_are_gone(pipe).unwrap_or(true) && pipes::unread(pipe).unwrap_or(0) == 0
}

/// Waits for it. Whatever is written meanwhile wakes this too, and is left to the log.
async fn last_writer_gone(pipe: Arc<OwnedFd>) -> io::Result<()> {
    let pipe = readable(pipe)?;
    loop {
        let mut ready = pipe.readable().await?;
        if pipes::writers_are_gone(pipe.get_ref())? {
            return Ok(());
        }
        ready.clear_ready();
    }
}
