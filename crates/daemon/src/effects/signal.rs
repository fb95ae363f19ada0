//! `Effect::Signal` and `Effect::SendShutdown`: telling a worker or its whole tree something.

use crate::reactor::Daemon;
use crate::tree;
use crate::workers::Part;
use ostler_core::{Scope, WorkerId};
use ostler_sys::proc::Stat;
use ostler_sys::{Pid, pidfd};
use serde_json::json;
use std::collections::BTreeSet;

const KILL: i32 = rustix::process::Signal::KILL.as_raw();

impl Daemon {
    /// Sends a signal. Whatever has ended meanwhile is passed over: its pidfd has told the machine, or will.
    pub(crate) fn signal(&mut self, worker: WorkerId, signal: i32, scope: Scope) {
        match scope {
            Scope::Main => {}
            Scope::Tree => self.signal_tree_below(worker, signal),
        }
        let Some(record) = self.workers.get(&worker).filter(|record| record.status.is_none()) else {
            return;
        };
        if let Some(main) = record.descriptor(Part::Pidfd)
            && let Err(error) = pidfd::signal(main, signal)
        {
            self.note(&format!(
                "signal {signal} to process {} of `{}`: {error}",
                record.pid, record.launch.spec.name
            ));
        }
    }

    /// Deepest first, and what the worker has detached before what hangs below it.
    fn signal_tree_below(&self, worker: WorkerId, signal: i32) {
        if signal == KILL && self.containment.kill(worker).unwrap_or(false) {
            return;
        }
        let main = self.workers.get(&worker).map(|record| record.pid.0);
        let mut pids: Vec<i32> = self
            .containment
            .members(worker)
            .into_iter()
            .filter(|pid| Some(*pid) != main)
            .collect();
        pids.reverse();
        for orphan in self.orphans().of.get(&worker).into_iter().flatten() {
            pids.extend(tree::below(*orphan));
            pids.push(*orphan);
        }
        if let Some(record) = self.workers.get(&worker).filter(|record| record.status.is_none()) {
            pids.extend(tree::below(record.pid.0));
        }
        let mut told = BTreeSet::new();
        pids.retain(|pid| told.insert(*pid));
        for pid in pids {
            signal_held(pid, signal);
        }
    }

    /// Sends `"shutdown"` over the worker's IPC channel.
    pub(crate) fn send_shutdown(&self, worker: WorkerId) {
        self.say_to(worker, json!("shutdown"), "the shutdown message");
    }
}

/// Signals a process through a pidfd, opened for just the process that was found: if the number belongs to another one by the
/// time it is opened, its start time differs and nothing is sent.
pub fn signal_held(pid: i32, signal: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(Some(stat)) = Stat::read(pid) else { return };
    if let Ok(Some(held)) = pidfd::open(pid, stat.start_time) {
        let _ = pidfd::signal(&held, signal);
    }
}
