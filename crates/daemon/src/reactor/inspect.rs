//! Inspectors of workers: opened when somebody asks for one, kept open as long as he says so, closed.

use super::changes::put_json;
use super::operate::{system_error, user_error};
use super::profile::named;
use super::{Daemon, now};
use crate::api::Reply;
use crate::fact::Fact;
use crate::workers::Part;
use ostler_core::inspection::{Inspection, LEASE, Opened};
use ostler_core::profiling::ProfileSaid;
use ostler_core::{SlotView, WorkerId};
use ostler_sys::sever::sever;
use ostler_wire::control::ApiError;
use ostler_wire::inspection::{InspectionChange, InspectionState};
use ostler_wire::node_ipc::ToInspector;
use std::time::Duration;

/// When whoever is connected to an inspector that is to be closed is cut off.
const CUT_OFF: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// What the keys of inspections begin with.
pub(super) const INSPECTIONS: &str = "inspection/";

/// Somebody who waits for an inspector to open.
#[derive(Debug)]
pub(crate) struct Waiting {
    worker: WorkerId,
    id: String,
    reply: Reply<InspectionState>,
}

impl Daemon {
    /// Somebody wants to inspect a worker, goes on doing so, or has done.
    pub(super) fn inspect(&mut self, change: InspectionChange, reply: Reply<InspectionState>) {
        match change {
            InspectionChange::Open { id, slot, port } => match self.inspectable(slot) {
                Ok((worker, view)) => self.open_inspector(worker, &view, id, port, reply),
                Err(error) => drop(reply.send(Err(error))),
            },
            InspectionChange::Close { id, slot } => {
                let closed = self.machine.slot(slot).map(|view| self.close_inspector(&view, &id));
                let unknown = || crate::select::not_found(&slot.to_string());
                drop(reply.send(closed.ok_or_else(unknown)));
            }
        }
    }

    fn open_inspector(
        &mut self,
        worker: WorkerId,
        view: &SlotView,
        id: String,
        port: u16,
        reply: Reply<InspectionState>,
    ) {
        let known = match self.inspections.want(worker, &id, now().instant) {
            Ok(known) => known,
            Err(theirs) => {
                let at = theirs.map_or_else(String::new, |opened| format!(" at {}", opened.url));
                let mut error = user_error(format!("{} is being inspected already{at}", named(view)));
                error.hint = Some("One at a time: end the other `ostler inspect`, or use its address.".to_owned());
                return drop(reply.send(Err(error)));
            }
        };
        self.keep_inspection(worker);
        // Told again each time: the worker counts by itself how long it holds.
        let order = ToInspector::Open {
            id: &id,
            port,
            lease_ms: u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX),
        };
        self.say_to(worker, order.message(), "the order to open its inspector");
        match known {
            // One that a debugger has stopped could not answer.
            Some(opened) => drop(reply.send(Ok(self.state(view, Some(opened))))),
            None => self.inspecting.push(Waiting { worker, id, reply }),
        }
    }

    fn close_inspector(&mut self, view: &SlotView, id: &str) -> InspectionState {
        let worker = super::calls::worker(view);
        if let Some(inspection) = self.inspections.end(worker, id) {
            self.inspection_over(worker, &inspection);
            let order = ToInspector::Close { id };
            self.say_to(worker, order.message(), "the order to close its inspector");
        }
        self.state(view, None)
    }

    /// A worker has opened its inspector.
    pub(super) fn inspector_opened(&mut self, worker: WorkerId, id: &str, opened: &Opened) {
        if !self.inspections.opened(worker, id, opened.clone(), now().instant) {
            // Too late for whoever wanted it.
            let order = ToInspector::Close { id };
            return self.say_to(worker, order.message(), "the order to close its inspector");
        }
        self.keep_inspection(worker);
        let view = self.machine.slot(worker.slot);
        for reply in self.waiting_for(worker, id) {
            let state = view.as_ref().map(|view| self.state(view, Some(opened.clone())));
            drop(reply.send(state.ok_or_else(|| crate::select::not_found(&worker.slot.to_string()))));
        }
    }

    /// A worker says why it could not open it.
    pub(super) fn inspector_failed(&mut self, worker: WorkerId, id: &str, said: ProfileSaid) {
        let ProfileSaid::Failed(why) = said else { return };
        if let Some(inspection) = self.inspections.end(worker, id) {
            self.inspection_over(worker, &inspection);
        }
        self.refuse_waiting(worker, id, &format!("could not open its inspector: {why}"), None);
    }

    /// Time has come for something about inspections.
    pub(super) fn inspections_due(&mut self) {
        for (worker, inspection) in self.inspections.due(now().instant) {
            self.inspection_over(worker, &inspection);
            let id = inspection.id;
            let order = ToInspector::Close { id: &id };
            self.say_to(worker, order.message(), "the order to close its inspector");
            let hint = "Its event loop does not turn, or it was started by an older Ostler: `ostler reload` then.";
            self.refuse_waiting(worker, &id, "did not open its inspector in time", Some(hint));
        }
    }

    /// A worker is gone.
    pub(super) fn inspection_ended(&mut self, worker: WorkerId) {
        if let Some(Inspection { id, .. }) = self.inspections.ended(worker) {
            self.journal.remove(&key(worker));
            self.refuse_waiting(worker, &id, "has ended", None);
        }
    }

    /// Goes on with what a predecessor knew.
    pub(super) fn adopt_inspections(&mut self) {
        let known: Vec<WorkerId> = self.inspections.workers().collect();
        for worker in known {
            if !self.workers.contains_key(&worker) {
                self.inspection_ended(worker);
            }
        }
    }

    /// A debugger cannot have stopped it from now on. Node waits with all it has to do until the last debugger has said goodbye, and one that is stopped
    /// by a breakpoint does not even hear that it is to close: so whoever is connected is cut off, more than once, since the worker hears in its own time.
    fn inspection_over(&mut self, worker: WorkerId, inspection: &Inspection) {
        self.journal.remove(&key(worker));
        self.spared.go_on(worker);
        let Some(port) = inspection.opened.as_ref().and_then(Opened::own_port) else {
            return;
        };
        for after in CUT_OFF {
            let facts = self.facts.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                let _ = facts.send(Fact::Sever(worker, port));
            });
        }
    }

    /// Cuts off whoever is connected to an inspector that is to be closed, unless it is open for somebody anew.
    pub(super) fn sever_inspector(&mut self, worker: WorkerId, port: u16) {
        let again = self.inspections.get(worker).is_some();
        let record = self
            .workers
            .get(&worker)
            .filter(|record| record.status.is_none() && !again);
        let Some((pid, pidfd)) = record.and_then(|record| Some((record.pid, record.descriptor(Part::Pidfd)?.clone())))
        else {
            return;
        };
        let facts = self.facts.clone();
        self.scribe.run(move || {
            let Some(process) = ostler_sys::Pid::from_raw(pid.0) else {
                return;
            };
            if let Err(error) = sever(process, &*pidfd, port) {
                let _ = facts.send(Fact::Note(format!(
                    "debuggers of process {pid} could not be cut off ({error}); its inspector closes when they hang up"
                )));
            }
        });
    }

    fn keep_inspection(&mut self, worker: WorkerId) {
        if let Some(inspection) = self.inspections.get(worker) {
            put_json(&mut self.journal, &key(worker), inspection);
        }
    }

    fn waiting_for(&mut self, worker: WorkerId, id: &str) -> Vec<Reply<InspectionState>> {
        let waits = |waiting: &mut Waiting| waiting.worker == worker && waiting.id == id;
        let waiting = self.inspecting.extract_if(.., waits);
        waiting.map(|waiting| waiting.reply).collect()
    }

    fn refuse_waiting(&mut self, worker: WorkerId, id: &str, why: &str, hint: Option<&str>) {
        let name = self.machine.slot(worker.slot).as_ref().map(named);
        let name = name.unwrap_or_else(|| format!("worker {worker}"));
        for reply in self.waiting_for(worker, id) {
            let error = ApiError {
                hint: hint.map(str::to_owned),
                ..system_error(format!("{name} {why}"))
            };
            drop(reply.send(Err(error)));
        }
    }

    fn state(&self, view: &SlotView, opened: Option<Opened>) -> InspectionState {
        let (url, own) = opened.map_or((None, false), |opened| (Some(opened.url), opened.own));
        InspectionState {
            id: view.id,
            name: view.spec.name.clone(),
            instance: view.instance,
            pid: view.pid.unwrap_or(ostler_core::Pid(0)),
            url,
            own,
        }
    }
}

fn key(worker: WorkerId) -> String {
    format!("{INSPECTIONS}{worker}")
}
