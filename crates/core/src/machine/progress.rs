//! How far rolls are, as seen from outside. Reads, decides nothing.

use super::Machine;
use super::roll::Roll;
use crate::slot::{Companion, Phase, Slot};
use crate::time::{Instant, millis};
use crate::view::{Awaited, RollView, Step, TurnView};

impl Machine {
    /// The rolls under way, with what each of their slots is at and waits for.
    pub fn rolls(&self, now: Instant) -> Vec<RollView> {
        let rolls = self
            .apps
            .iter()
            .filter_map(|(id, app)| Some((*id, app.record.roll.as_ref()?)));
        rolls
            .map(|(app, roll)| RollView {
                app,
                undoing: roll.is_undoing(),
                turns: self.turns(roll, now),
            })
            .collect()
    }

    fn turns(&self, roll: &Roll, now: Instant) -> Vec<TurnView> {
        let slots = roll.slots();
        let mut turns: Vec<TurnView> = slots
            .filter_map(|(id, waits)| Some(self.turn_view(self.slots.get(&id)?, waits, now)))
            .collect();
        turns.sort_by_key(|turn| (turn.instance, turn.slot));
        turns
    }

    fn turn_view(&self, slot: &Slot, waits: bool, now: Instant) -> TurnView {
        let companion = slot.companion.as_ref().filter(|_| !waits);
        let step = match companion {
            None if waits => Step::Waiting,
            None => Step::Done,
            Some(companion) => step(&companion.phase),
        };
        let other = companion.and_then(Companion::pid);
        let (new_pid, old_pid) = match companion {
            Some(companion) if companion.comes() => (other, slot.pid()),
            None if waits => (None, slot.pid()),
            Some(_) | None => (slot.pid(), other),
        };
        TurnView {
            slot: slot.id,
            name: self.specs.get(slot.spec).name.clone(),
            instance: slot.instance,
            step,
            new_pid,
            old_pid,
            awaits: companion.map_or_else(Vec::new, |companion| self.awaits(slot, companion)),
            left_ms: companion
                .and_then(Companion::deadline)
                .map(|until| millis(until.since(now))),
        }
    }

    fn awaits(&self, slot: &Slot, companion: &Companion) -> Vec<Awaited> {
        let Phase::Starting(starting) = &companion.phase else {
            return Vec::new();
        };
        let said = starting.said_ready || !self.specs.get(companion.spec).ready.wait_ready;
        let ready = (!said).then_some(Awaited::Ready);
        let probed = companion.vitals.serves(&self.specs.get(companion.spec).probes);
        let probe = (!probed).then_some(Awaited::Probe);
        let listening: Vec<Awaited> = match &starting.missing {
            _ if !slot.listens => Vec::new(),
            None => vec![Awaited::Listening],
            Some(missing) => missing.iter().cloned().map(Awaited::ListeningAt).collect(),
        };
        ready.into_iter().chain(listening).chain(probe).collect()
    }
}

fn step(phase: &Phase) -> Step {
    match phase {
        Phase::Spawning { .. } => Step::Launching,
        Phase::Starting(_) => Step::Starting,
        Phase::Proving { .. } => Step::Proving,
        Phase::Draining { .. } => Step::Draining,
        Phase::Abandoned { .. } | Phase::Ending { .. } | Phase::Sweeping { .. } | Phase::Stuck { .. } => Step::Ending,
    }
}
