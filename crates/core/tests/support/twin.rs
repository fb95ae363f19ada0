//! A second machine that lives from its journal.

use super::settings;
use ostler_core::{AppId, Change, Effect, Machine, SlotId, SlotView, SpecKey, Ticket};
use std::collections::BTreeMap;

/// What a change is about; the last change of a key wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Spec(SpecKey),
    Slot(SlotId),
    App(AppId),
    Ticket(Ticket),
    Counters,
}

pub struct Twin {
    pub machine: Machine,
    /// The last change of each key, as text.
    compacted: BTreeMap<Key, String>,
    /// Every change, as text.
    whole: Vec<String>,
    each_step: bool,
}

impl Twin {
    pub fn restored_at_each_step() -> Self {
        Self {
            each_step: true,
            ..Self::restored_on_demand()
        }
    }

    pub fn restored_on_demand() -> Self {
        let machine = Machine::new(settings());
        Self {
            machine,
            compacted: BTreeMap::new(),
            whole: Vec::new(),
            each_step: false,
        }
    }

    /// Both machines were given the same; what they order, say and wait for must be the same too.
    pub fn compare(&mut self, original: &mut Machine, effects: &[Effect]) {
        let own: Vec<Effect> = std::iter::from_fn(|| self.machine.poll_effect()).collect();
        assert_eq!(effects, own, "a restored machine orders something else");
        assert_eq!(
            original.next_deadline(),
            self.machine.next_deadline(),
            "a restored machine waits for something else"
        );
        let views: (Vec<SlotView>, Vec<SlotView>) = (original.slots().collect(), self.machine.slots().collect());
        assert_eq!(views.0, views.1, "a restored machine shows something else");
        let changes = self.machine.drain_changes();
        assert_eq!(
            original.drain_changes(),
            changes,
            "a restored machine remembers something else"
        );
        for change in changes {
            let text = serde_json::to_string(&change).expect("a change can be written");
            self.compacted.insert(key(&change), text.clone());
            self.whole.push(text);
        }
        if self.each_step {
            self.replace(true);
        }
    }

    /// The daemon dies; a new one goes on, from a compacted journal or from a whole one.
    pub fn replace(&mut self, compacted: bool) {
        self.machine = self.heir(compacted);
        while let Some(effect) = self.machine.poll_effect() {
            assert!(is_repeatable(&effect), "{effect:?} must not be ordered anew");
        }
        assert!(
            self.machine.drain_changes().is_empty(),
            "a restored machine has nothing new to remember"
        );
    }

    /// The machine of a new daemon, with all that it orders anew.
    pub fn heir(&self, compacted: bool) -> Machine {
        let texts: Vec<&String> = if compacted {
            self.compacted.values().collect()
        } else {
            self.whole.iter().collect()
        };
        let changes = texts
            .into_iter()
            .map(|text| serde_json::from_str::<Change>(text).expect("a change can be read"));
        Machine::restore(settings(), changes)
    }
}

/// What a restored machine may order anew.
fn is_repeatable(effect: &Effect) -> bool {
    match effect {
        Effect::Spawn(_)
        | Effect::ObserveStart { .. }
        | Effect::Sweep { .. }
        | Effect::Watch { .. }
        | Effect::SampleMemory { .. }
        | Effect::Probe { .. }
        | Effect::Admit { .. }
        | Effect::Drain { .. }
        | Effect::Exit { .. } => true,
        Effect::Signal { .. }
        | Effect::SendShutdown { .. }
        | Effect::Unwatch { .. }
        | Effect::Withdraw { .. }
        | Effect::Unlisten { .. }
        | Effect::KeepListeners { .. }
        | Effect::Weigh { .. }
        | Effect::Reply { .. }
        | Effect::Record(_)
        | Effect::Publish(_)
        | Effect::Forget { .. } => false,
    }
}

fn key(change: &Change) -> Key {
    match change {
        Change::Spec { key, .. } | Change::SpecGone { key } => Key::Spec(*key),
        Change::Slot { id, .. } | Change::SlotGone { id } => Key::Slot(*id),
        Change::App { id, .. } | Change::AppGone { id } => Key::App(*id),
        Change::Ticket { ticket, .. } | Change::Answered { ticket, .. } => Key::Ticket(*ticket),
        Change::Counters(_) => Key::Counters,
    }
}
