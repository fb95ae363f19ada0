//! `Effect::Weigh`: the workers of a cluster together weigh what one session weighs (`core/src/sharing.rs`).

use crate::fact::Fact;
use crate::reactor::Daemon;
use crate::workers::{Part, Worker};
use ostler_core::{AppId, WorkerId, sharing};
use ostler_sys::{Pid, scheduling};
use std::io::ErrorKind;
use std::time::Duration;

/// How often the kernel lets somebody who is not root change a session's weight, be it whose it may.
const PAUSE: Duration = Duration::from_millis(100);

impl Daemon {
    /// Weighs all workers of an app anew.
    pub(crate) fn weigh_app(&self, app: AppId) {
        let of_app = self.workers.values().filter(|record| record.launch.app == app);
        let weighed: Vec<WorkerId> = of_app.filter(|record| is_weighed(record)).map(Worker::id).collect();
        weighed.into_iter().for_each(|worker| self.weigh(worker));
    }

    /// Weighs a worker that leads its session by now. One that is alone weighs what it does when it begins.
    pub(crate) fn weigh_new(&self, worker: WorkerId) {
        let alone = |record: &Worker| self.machine.instances(record.launch.app) < 2;
        if self.workers.get(&worker).is_some_and(|record| !alone(record)) {
            self.weigh(worker);
        }
    }

    /// Weighs a worker, now or as soon as the kernel lets us.
    pub(crate) fn weigh(&self, worker: WorkerId) {
        let Some(record) = self.workers.get(&worker).filter(|record| is_weighed(record)) else {
            return;
        };
        let (Some(pidfd), Some(pid)) = (record.descriptor(Part::Pidfd), Pid::from_raw(record.pid.0)) else {
            return;
        };
        let niceness = sharing::niceness(self.machine.instances(record.launch.app));
        // Other errors say that there are no such weights here: control groups have a say instead, or nobody.
        let refused = scheduling::weigh_session(pid, pidfd, niceness).err();
        if refused.is_some_and(|error| error.kind() == ErrorKind::WouldBlock) {
            let facts = self.facts.clone();
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE).await;
                let _ = facts.send(Fact::Weigh(worker));
            });
        }
    }
}

/// Programs that share no port stay as they are, each with a share of its own.
fn is_weighed(record: &Worker) -> bool {
    record.is_of_cluster() && !record.launching && record.status.is_none()
}
