//! What comes of probes for the app as a whole: workers that are not well are replaced, one at a time.

use super::Machine;
use crate::ids::{SlotId, WorkerId};
use crate::probe::{ProbeKind, ProbeResult};
use crate::slot::Slot;
use crate::spec::Spec;
use crate::time::Now;
use std::time::Duration;

impl Machine {
    /// What came of a probe.
    pub(super) fn probed(&mut self, worker: WorkerId, kind: ProbeKind, result: ProbeResult, took: Duration, now: Now) {
        let Some(slot) = self.slots.get(&worker.slot) else {
            return;
        };
        if slot.companion_worker() == Some(worker) {
            self.turn(worker.slot, now, |slot, cx| {
                slot.on_companion_probe(kind, result, took, cx)
            });
        } else if slot.worker() == worker {
            self.turn(worker.slot, now, |slot, cx| slot.on_probe(kind, result, took, cx));
            self.relieve(worker.slot, now);
        }
    }

    /// Replaces a worker that is not well, unless another one of its app is just being replaced or started: then the next probe that fails
    /// is the occasion.
    fn relieve(&mut self, id: SlotId, now: Now) {
        let Some(slot) = self.slots.get(&id) else { return };
        let spec = self.specs.get(slot.spec);
        let Some(cause) = slot.is_unhealthy(spec) else { return };
        let (policy, app) = (spec.restart.clone(), slot.app);
        let early = slot.ledger.relief_at.is_some_and(|at| at > now.instant);
        let is_busy = |other: &Slot| other.id != id && is_on_its_way(other, self.specs.get(other.spec));
        let others = self.slots_of(app).any(is_busy);
        let busy = others || self.is_rolling(app) || slot.companion.is_some();
        if early || busy || !policy.auto || self.is_shutting_down() {
            return;
        }
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.ledger.relieve(&policy, &self.settings, now);
        self.touched.insert(id);
        self.restart_by_itself(&[id], &cause, now);
    }
}

/// Whether a slot is between two workers, or has one of which is not known yet whether it is well.
fn is_on_its_way(slot: &Slot, spec: &Spec) -> bool {
    slot.is_in_transit() || (slot.is_up() && slot.vitals.awaits_health(&spec.probes))
}
