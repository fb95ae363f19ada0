//! A cgroup for each worker, where a version 2 hierarchy is ours to use: then a tree is exactly what is in its group, whatever its
//! processes do to hide. Where there is none, `tree` finds what can be found.
//!
//! Groups are named by worker, so a successor finds them again.

use ostler_core::WorkerId;
use ostler_sys::cgroup::{Branch, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;

/// The groups, if there can be any.
#[derive(Debug, Default)]
pub struct Containment {
    branch: Option<Branch>,
    groups: BTreeMap<WorkerId, Group>,
}

impl Containment {
    /// Below our own cgroup, if that is ours to use. Groups of earlier daemons whose worker is gone are removed.
    pub fn new(home: &str, wanted: &BTreeSet<WorkerId>) -> Self {
        let mut hasher = DefaultHasher::new();
        home.hash(&mut hasher);
        let mut containment = Self {
            branch: Branch::grow(&format!("{:016x}", hasher.finish())),
            groups: BTreeMap::new(),
        };
        containment.find_again(wanted);
        containment
    }

    fn find_again(&mut self, wanted: &BTreeSet<WorkerId>) {
        let Some(branch) = &self.branch else { return };
        for name in branch.names().unwrap_or_default() {
            let worker = crate::workers::named(&name);
            match (branch.group(&name), worker.filter(|worker| wanted.contains(worker))) {
                (Ok(group), Some(worker)) => drop(self.groups.insert(worker, group)),
                // Still occupied: the next daemon tries again.
                (Ok(group), None) => drop(group.remove()),
                (Err(_), _) => {}
            }
        }
    }

    /// A group for a worker that is being launched: its directory, for the new process to be born in.
    pub fn birthplace(&mut self, worker: WorkerId) -> Option<OwnedFd> {
        let group = self.branch.as_ref()?.group(&worker.to_string()).ok()?;
        let directory = group.directory().ok()?;
        self.groups.insert(worker, group);
        Some(directory)
    }

    /// The processes in a worker's group.
    pub fn members(&self, worker: WorkerId) -> Vec<i32> {
        let members = self
            .groups
            .get(&worker)
            .and_then(|group| group.processes().ok())
            .unwrap_or_default();
        members.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect()
    }

    /// Kills everything in a worker's group, in one step where the kernel can (Linux 5.14). False if there is no group.
    ///
    /// # Errors
    /// If the group could not be killed.
    pub fn kill(&self, worker: WorkerId) -> io::Result<bool> {
        self.groups
            .get(&worker)
            .map_or(Ok(false), |group| group.kill().map(|()| true))
    }

    /// Whether the OOM killer struck in a worker's group. False where the kernel does not count it.
    pub fn oom_killed(&self, worker: WorkerId) -> bool {
        self.groups
            .get(&worker)
            .and_then(Group::oom_kills)
            .is_some_and(|kills| kills > 0)
    }

    /// The worker's tree is gone, and its group goes too.
    pub fn remove(&mut self, worker: WorkerId) {
        if let Some(group) = self.groups.remove(&worker) {
            // EBUSY while a zombie is not reaped yet: the next daemon or the next group of that name takes care of it.
            let _ = group.remove();
        }
    }

    /// The end: nothing is left to contain.
    pub fn close(&mut self) {
        self.groups.clear();
        if let Some(branch) = self.branch.take() {
            let _ = branch.remove();
        }
    }
}
