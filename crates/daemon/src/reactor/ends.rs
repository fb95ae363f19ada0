//! The end of workers: how they ended, what they still had to say, and telling the machine.

use super::Daemon;
use crate::fact::Fact;
use crate::paths;
use crate::primary::Command;
use crate::workers::{Part, Worker};
use ostler_core::{Event, ExitStatus, WorkerId};
use ostler_sys::{Pid, pidfd};
use ostler_wire::keeper::ToDaemon;
use std::time::Duration;

/// How long the keeper may take to say how a child of its own ended.
const STATUS_PATIENCE: Duration = Duration::from_millis(250);

/// How long the primary may take to finish with the connection that it has in its hands: some system calls.
const REST: Duration = Duration::from_millis(100);

/// What the OOM killer ends a process with.
const KILL: i32 = rustix::process::Signal::KILL.as_raw();

impl Daemon {
    /// A worker's pidfd says that it has ended.
    pub(super) fn ended(&mut self, worker: WorkerId) {
        // The machine has to hear of a worker's beginning first: `launched` comes back here.
        let of_interest = |record: &&Worker| record.status.is_none() && !record.launching;
        let Some(record) = self.workers.get(&worker).filter(of_interest) else {
            return;
        };
        match self.learn_status(record) {
            Some(status) => self.ended_with(worker, status),
            None => {
                let facts = self.facts.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(STATUS_PATIENCE).await;
                    let _ = facts.send(Fact::StatusOverdue(worker));
                });
            }
        }
    }

    /// From the process itself if it is our child, without reaping it yet: a successor must be able to ask again. Else from
    /// whoever can tell: the kernel's memory of it, its zombie, and the keeper, which knows it by a number only.
    fn learn_status(&self, record: &Worker) -> Option<ExitStatus> {
        let pidfd = record.descriptor(Part::Pidfd)?;
        if let Ok(Some(status)) = pidfd::peek(pidfd) {
            return Some(converted(status));
        }
        let pid = Pid::from_raw(record.pid.0)?;
        let asked = pidfd::exit_status_of_foreign(pidfd, pid, record.start);
        let reported = || {
            let newest = self.reaped.iter().rev().find(|(pid, _)| *pid == record.pid.0)?;
            ostler_sys::ExitStatus::from_wait_status(newest.1)
        };
        asked.or_else(reported).map(converted)
    }

    fn ended_with(&mut self, worker: WorkerId, status: ExitStatus) {
        let Some(record) = self.workers.get_mut(&worker) else {
            return;
        };
        record.status = Some(status);
        if record.is_of_cluster() {
            self.primary.send(Command::Ended(worker));
        }
        self.cancel_commands(worker);
        let facts = self.facts.clone();
        self.logs.ended(worker, move || {
            let _ = facts.send(Fact::Drained(worker));
        });
    }

    /// What it wrote is in the log: now the machine may know.
    pub(super) fn drained(&mut self, worker: WorkerId) {
        self.stop_observing(worker);
        self.sampling.remove(&worker);
        self.beats.remove(&worker);
        let Some(record) = self.workers.get_mut(&worker) else {
            return;
        };
        let Some(status) = record.status.filter(|_| !std::mem::replace(&mut record.told, true)) else {
            return;
        };
        let killed = ExitStatus::Signal {
            signal: KILL,
            core_dumped: false,
        };
        let oom_killed = status == killed && self.containment.oom_killed(worker);
        self.tell(Event::Exited {
            worker,
            status,
            oom_killed,
        });
        self.bury_later(worker);
    }

    /// Nobody knows how it ended.
    pub(super) fn status_overdue(&mut self, worker: WorkerId) {
        let Some(record) = self.workers.get(&worker).filter(|record| record.status.is_none()) else {
            return;
        };
        let known = self.learn_status(record);
        self.ended_with(worker, known.unwrap_or(ExitStatus::Unknown));
    }

    /// Once the machine's view of the end is in the journal, the process is reaped and forgotten.
    fn bury_later(&mut self, worker: WorkerId) {
        let effects: Vec<ostler_core::Effect> = std::iter::from_fn(|| self.machine.poll_effect()).collect();
        self.keep_changes(&effects);
        self.bury(worker);
        for effect in effects {
            self.run_effect(effect);
        }
        self.settle(worker);
    }

    /// Reaps a worker's main process. What it has left behind is looked after by `remains`.
    pub(crate) fn bury(&mut self, worker: WorkerId) {
        if let Some(record) = self.workers.remove(&worker) {
            self.unsay(worker);
            self.forget_actions(worker);
            self.profile_ended(worker);
            self.inspection_ended(worker);
            self.counted_last(record.launch.app, worker);
            self.registered_last(record.launch.app, worker);
            if let Some(pidfd) = record.descriptor(Part::Pidfd) {
                let _ = pidfd::wait(pidfd);
            }
            // What is to be written is to be removed after it.
            self.write_pid_files();
            self.scribe.remove(paths::pid_file(&record.launch.spec, worker.slot));
            self.leave_remains(worker, record.pid);
            self.sweep_due |= self.sweeping.contains(&worker);
        }
    }

    /// The keeper says something, or is gone.
    pub(super) fn hear_keeper(&mut self, message: Option<&ToDaemon>) {
        match message {
            Some(ToDaemon::Reaped { pid, status }) => self.reaped_by_keeper(*pid, *status),
            Some(ToDaemon::Hello { .. } | ToDaemon::Deposit { .. } | ToDaemon::Go) => {}
            None => self.take_over(),
        }
    }

    fn reaped_by_keeper(&mut self, pid: i32, status: i32) {
        self.may_be_starter(pid, status);
        self.reaped.push((pid, status));
        let excess = self.reaped.len().saturating_sub(1024);
        self.reaped.drain(..excess);
        let waiting = self
            .workers
            .values()
            .find(|record| record.pid.0 == pid && record.status.is_none());
        if let Some(worker) = waiting.map(Worker::id) {
            self.ended(worker);
        }
    }

    fn take_over(&mut self) {
        self.note("the keeper is gone; taking its place");
        // What it has accepted and not given to a worker yet would end with this program.
        let _still = self.primary.still(REST);
        match crate::take_over::become_keeper(&self.keeper, self.generation, &self.reaped) {
            Ok(never) => match never {},
            // Apps run on and are supervised; only the next death of this daemon would find nobody to follow it.
            Err(error) => self.note(&format!("taking the keeper's place failed: {error}")),
        }
    }
}

/// The operating system's word in the machine's.
pub(super) fn converted(status: ostler_sys::ExitStatus) -> ExitStatus {
    match status {
        ostler_sys::ExitStatus::Code(code) => ExitStatus::Code(code),
        ostler_sys::ExitStatus::Signal { signal, core_dumped } => ExitStatus::Signal { signal, core_dumped },
    }
}
