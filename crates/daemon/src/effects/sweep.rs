//! `Effect::Sweep`: nothing of a worker's tree may be left.
//!
//! Whatever a dead main process leaves behind has become a child of this daemon or of the keeper (both are subreapers). So the answer in
//! the usual case, "nothing", costs two reads in `/proc`. Only what was started before a keeper was killed may have fallen to whoever
//! stands above the keeper (init as a rule); for such workers that one's children are looked at too. Leftovers are watched by pidfd until
//! they end.

use crate::fact::Fact;
use crate::reactor::Daemon;
use crate::readiness::readable;
use crate::tree::{self, Orphans, is_dead};
use ostler_core::{Event, WorkerId};
use ostler_sys::proc::Stat;
use ostler_sys::{Pid, pidfd};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How soon to look again for leftovers that cannot be watched, or that made others while they were looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Daemon {
    /// Begins to see to it.
    pub(crate) fn sweep(&mut self, worker: WorkerId) {
        self.sweeping.insert(worker);
        self.sweep_due = true;
    }

    /// Looks after all trees being swept at once: one look at the children for all of them.
    pub(crate) fn sweep_now(&mut self) {
        if !std::mem::take(&mut self.sweep_due) || self.sweeping.is_empty() {
            return;
        }
        let orphans = self.orphans();
        for worker in self.sweeping.clone() {
            let mut left = self.contained(worker);
            left.extend(orphans.of.get(&worker).into_iter().flatten());
            if left.is_empty() {
                self.swept(worker);
            } else {
                self.watch_leftovers(&left);
            }
        }
    }

    fn swept(&mut self, worker: WorkerId) {
        // A main process that still runs is not left over: its end is told by its own pidfd, and asks again.
        if self.workers.get(&worker).is_some_and(|record| record.status.is_none()) {
            return;
        }
        self.sweeping.remove(&worker);
        self.containment.remove(worker);
        self.settle(worker);
        self.send(Fact::Machine(Event::TreeGone { worker }));
    }

    /// What lives in its group beside a main process that still runs.
    fn contained(&self, worker: WorkerId) -> Vec<i32> {
        let main = self.workers.get(&worker).map(|record| record.pid.0);
        let members = self.containment.members(worker);
        members
            .into_iter()
            .filter(|pid| Some(*pid) != main && !is_dead(*pid))
            .collect()
    }

    fn watch_leftovers(&self, left: &[i32]) {
        let held = left.first().and_then(|pid| Pid::from_raw(*pid)).and_then(|pid| {
            let stat = Stat::read(pid).ok()??;
            pidfd::open(pid, stat.start_time).ok()?
        });
        let facts = self.facts.clone();
        tokio::spawn(async move {
            match held.map(|held| readable(Arc::new(held))) {
                Some(Ok(held)) => drop(tokio::time::timeout(LOOK_AGAIN * 10, held.readable()).await),
                Some(Err(_)) | None => tokio::time::sleep(LOOK_AGAIN).await,
            }
            let _ = facts.send(Fact::LeftoverEnded);
        });
    }

    /// A leftover may have ended: reap what is ours to reap, and look again.
    pub(crate) fn leftover_ended(&mut self) {
        self.reap_orphans();
        self.sweep_due = true;
    }

    /// What hangs below us and the keeper without being a worker.
    pub(crate) fn orphans(&self) -> Orphans {
        let mut ours = vec![self.own_pid, self.keeper_pid];
        if !self.fostered.is_empty() {
            ours.extend(parent(self.keeper_pid));
        }
        let mut known: BTreeSet<i32> = self
            .workers
            .values()
            .filter(|record| record.status.is_none())
            .map(|record| record.pid.0)
            .collect();
        known.extend(&ours);
        let living = self.workers.values().map(|record| (record.pid.0, record.id()));
        let sessions: BTreeMap<i32, WorkerId> = self
            .remains
            .iter()
            .map(|(worker, remains)| (remains.pid.0, *worker))
            .chain(living)
            .collect();
        let mut orphans = tree::orphans(&ours, &known, &sessions, &self.home_text);
        for left in orphans.of.values_mut() {
            left.retain(|pid| !is_dead(*pid));
        }
        orphans.of.retain(|_, left| !left.is_empty());
        orphans
    }

    /// Reaps children of ours that are no workers and no commands: detached processes of apps that ended up here.
    pub(crate) fn reap_orphans(&self) {
        let workers = self.workers.values().map(|record| record.pid.0);
        let known: BTreeSet<i32> = workers.chain(self.commands.pids()).collect();
        for pid in tree::children(self.own_pid)
            .into_iter()
            .filter(|pid| !known.contains(pid))
        {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = Stat::read(Pid::from_raw(pid)?).ok()??;
    Some(stat.parent?.as_raw_nonzero().get())
}
