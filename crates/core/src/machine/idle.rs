//! The end of everything: when nothing runs any more and nothing is going to, which in a container is the end of it; and how
//! an end that was asked for is hurried.

use super::Machine;
use crate::effect::Effect;
use crate::event::ExitStatus;
use crate::ids::AppId;
use crate::schedule::agenda::Key;
use crate::slot::{Press, Rest, Slot, is_success};
use crate::spec::Spec;
use crate::time::Now;
use std::time::Duration;

/// What is left over beyond the time that specs allow, for ourselves.
const MARGIN: Duration = Duration::from_millis(500);
/// When patience is over, whatever was only just launched is looked for again this often.
const AGAIN: Duration = Duration::from_millis(250);
/// PM2's code for "nothing is online any more" (`pm2-runtime`).
const NOTHING_ONLINE: u8 = 2;
/// Nothing could be started at all.
const NEVER_STARTED: u8 = 1;

impl Machine {
    pub(super) fn starter_ended(&mut self, status: ExitStatus) {
        if self.counters.started.is_none() {
            self.counters.started = Some(status == ExitStatus::Code(0));
            self.dirty.counters = true;
        }
    }

    /// Ends everything if it has ended by itself. Called whenever anything may have changed.
    pub(super) fn exit_when_idle(&mut self) {
        let Some(well) = self.counters.started.filter(|_| !self.is_shutting_down()) else {
            return;
        };
        let code = match (self.slots.is_empty(), well) {
            (true, false) => Some(NEVER_STARTED),
            (true, true) => self.settings.auto_exit.then_some(0),
            (false, _) => self.settings.auto_exit.then(|| self.code_of_rest()).flatten(),
        };
        if let Some(code) = code {
            self.counters.over = Some(code);
            self.dirty.counters = true;
            self.effects.push_back(Effect::Exit { code });
        }
    }

    /// What it all came to; nothing yet while anything runs, is going to, or was stopped by a person, who may go on with it.
    fn code_of_rest(&self) -> Option<u8> {
        let mut ends = Vec::new();
        for slot in self.slots.values() {
            let spec = self.specs.get(slot.spec);
            match slot.rest(spec) {
                Rest::Busy | Rest::Held => return None,
                Rest::Unused => {}
                Rest::Done(status) => ends.push(Some((status, spec))),
                Rest::Failed => ends.push(None),
            }
        }
        Some(match ends.as_slice() {
            [] => 0,
            [Some((status, _))] => code(*status),
            all if all
                .iter()
                .all(|end| end.is_some_and(|(status, spec)| is_success(&spec.restart, status))) =>
            {
                0
            }
            _ if !self.slots.values().any(Slot::has_run) => NEVER_STARTED,
            _ => NOTHING_ONLINE,
        })
    }

    /// As long as the slowest of the apps may take, but not longer than all together may.
    pub(super) fn patience(&self) -> Duration {
        let of = |spec: &Spec| {
            let drain = if spec.can_overlap() {
                spec.cluster.drain_timeout
            } else {
                Duration::ZERO
            };
            drain.saturating_add(spec.stop.kill_timeout)
        };
        let longest = self.slots.values().map(|slot| of(self.specs.get(slot.spec))).max();
        let longest = longest.unwrap_or_default().saturating_add(MARGIN);
        longest.min(self.settings.longest_end)
    }

    /// Closes the listeners of all clusters, before their workers are told to finish: what has come in until then still goes to
    /// them, and what comes later is refused, as by a server that is gone.
    pub(super) fn close_clusters(&mut self) {
        let listening = self.apps.iter_mut().filter(|(_, app)| app.record.listens);
        let listening: Vec<AppId> = listening
            .map(|(id, app)| {
                app.record.listens = false;
                *id
            })
            .collect();
        for app in listening {
            self.dirty.apps.insert(app);
            self.effects.push_back(Effect::Unlisten { app });
        }
    }

    /// Presses each end that is under way.
    pub(super) fn hurry(&mut self, press: Press, now: Now) {
        for (id, slot) in &mut self.slots {
            if slot.press_now(press, now.instant) {
                self.touched.insert(*id);
            }
        }
    }

    pub(super) fn out_of_patience(&mut self, now: Now) {
        self.hurry(Press::Kill, now);
        self.counters.patience = Some(now.instant + AGAIN);
        self.dirty.counters = true;
        self.agenda.set(Key::Patience, self.counters.patience);
    }
}

/// An end as the exit code of a shell's child.
fn code(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => u8::try_from(code & 0xff).unwrap_or(1),
        ExitStatus::Signal { signal, core_dumped: _ } => u8::try_from(128 + signal).unwrap_or(1),
        ExitStatus::Unknown => 1,
    }
}
