//! A slot whose main process runs and is meant to: [`State::Launching`] and [`State::Online`].

use super::ladder::{SIGKILL, scope};
use super::{Context, Decision, Input, Intent, Order, Reason, Run, Slot, State, Turn, ignored, is_automatic, took};
use crate::effect::Effect;
use crate::history::{Cause, EndCause};
use crate::outcome::{Failure, Verdict};
use crate::settings::Settings;
use crate::spec::{Mode, OnReadyTimeout, Spec};
use crate::time::{Instant, millis};
use std::time::Duration;

impl Slot {
    pub(super) fn on_launching(&mut self, run: Run, until: Instant, input: Input, cx: &mut Context<'_>) -> Turn {
        let same = State::Launching { run, until };
        match input {
            Input::Ready => took(self.up_at_last(run, cx)),
            Input::Deadline if cx.now.instant < until => ignored(same, Reason::NotDue),
            Input::Deadline => match cx.spec.ready.on_timeout {
                OnReadyTimeout::Accept => {
                    self.vitals.take_for_ready();
                    took(self.up_at_last(run, cx))
                }
                OnReadyTimeout::Fail => took(match self.step_in_for_overdue(run.pid, cx) {
                    Some(state) => state,
                    None => self.tell_to_end(run, Intent::Judge, cx),
                }),
            },
            // It has said that it will say so itself.
            Input::Settled => ignored(same, Reason::NotAwaited),
            Input::Exited { status, oom_killed } => self.ended_by_itself(status, oom_killed, cx),
            Input::Memory { bytes } => self.weigh(run, bytes, same, cx),
            Input::Restart { cause } => took(self.restart_running(run, cause, cx)),
            Input::Stop { by } => took(self.tell_to_end(run, Intent::Stop { by }, cx)),
            Input::Delete { by } => took(self.tell_to_end(run, Intent::Delete { by }, cx)),
            Input::Retire { by } => took(self.retire(run, by, cx)),
            Input::Stopping => took(self.leave(run, cx)),
            Input::Listening { missing: _ } => {
                self.listens = true;
                took(same)
            }
            Input::Spawned { .. } | Input::SpawnFailed { .. } | Input::TreeGone | Input::Drained => {
                ignored(same, Reason::OutOfOrder)
            }
        }
    }

    pub(super) fn on_online(&mut self, run: Run, input: Input, cx: &mut Context<'_>) -> Turn {
        let same = State::Online(run);
        match input {
            Input::Ready | Input::Settled if self.is_awaited() => took(self.up(run, cx)),
            Input::Ready | Input::Settled => ignored(same, Reason::NotAwaited),
            Input::Deadline => self.online_for_long(run, cx),
            Input::Exited { status, oom_killed } => self.ended_by_itself(status, oom_killed, cx),
            Input::Memory { bytes } => self.weigh(run, bytes, same, cx),
            Input::Restart { cause } => took(self.restart_running(run, cause, cx)),
            Input::Stop { by } => took(self.tell_to_end(run, Intent::Stop { by }, cx)),
            Input::Delete { by } => took(self.tell_to_end(run, Intent::Delete { by }, cx)),
            Input::Retire { by } => took(self.retire(run, by, cx)),
            Input::Stopping => took(self.leave(run, cx)),
            Input::Listening { missing: _ } => {
                self.listens = true;
                took(self.up(run, cx))
            }
            Input::Spawned { .. } | Input::SpawnFailed { .. } | Input::TreeGone | Input::Drained => {
                ignored(same, Reason::OutOfOrder)
            }
        }
    }

    /// It was to say so itself, and has, or is taken for up because it did not: until then it was given nothing.
    fn up_at_last(&mut self, run: Run, cx: &mut Context<'_>) -> State {
        self.admit(cx);
        self.up(run, cx)
    }

    /// From now on it may be given connections.
    pub(super) fn admit(&self, cx: &mut Context<'_>) {
        if cx.spec.mode == Mode::Cluster && self.vitals.serves(&cx.spec.probes) {
            cx.effects.push_back(Effect::Admit { worker: self.worker() });
        }
    }

    /// It is proven to be up, unless it has to be found ready yet.
    fn up(&mut self, run: Run, cx: &mut Context<'_>) -> State {
        if !self.vitals.serves(&cx.spec.probes) {
            return State::Online(run);
        }
        self.answer(&Verdict::Online { pid: run.pid }, cx);
        State::Online(run)
    }

    fn restart_running(&mut self, run: Run, cause: Cause, cx: &mut Context<'_>) -> State {
        if !is_automatic(&cause) {
            self.ledger.forget_reliefs();
        }
        self.wait_through(&cause, cx);
        self.pinned = None;
        self.ledger.renew(cx.now);
        self.tell_to_end(run, Intent::Restart(Order::new(cause, true)), cx)
    }

    fn weigh(&mut self, run: Run, bytes: u64, same: State, cx: &mut Context<'_>) -> Turn {
        match cx.spec.memory_limit {
            Some(limit) if bytes > limit => took(self.restart_running(run, Cause::MemoryLimit { bytes, limit }, cx)),
            Some(_) | None => ignored(same, Reason::WithinLimit),
        }
    }

    /// It has more memory than it may ever have. Its end is as any that it comes to by itself, but for the reason.
    pub(crate) fn kill_for_memory(&mut self, bytes: u64, limit: u64, cx: &mut Context<'_>) -> Decision {
        let worker = self.worker();
        if cx.spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker });
        }
        cx.effects.push_back(Effect::Signal {
            worker,
            signal: SIGKILL,
            scope: scope(cx.spec.stop.tree),
        });
        self.over = Some((bytes, limit));
        Decision::Took
    }

    /// Why it has ended, though nobody had told it to.
    pub(super) fn why_ended(&self, oom_killed: bool) -> EndCause {
        match self.over {
            Some((bytes, limit)) => EndCause::OverMemory { bytes, limit },
            None => EndCause::unasked(oom_killed),
        }
    }

    /// Two things become true by mere time: that it is up, and that its back-off is over.
    fn online_for_long(&mut self, run: Run, cx: &mut Context<'_>) -> Turn {
        let age = self.age(cx.now.instant);
        let proven = self.is_awaited() && age >= proof(cx.spec);
        let overdue = self.vitals.awaits_ready(&cx.spec.probes) && age >= cx.spec.ready.listen_timeout;
        if overdue && cx.spec.ready.on_timeout == OnReadyTimeout::Accept {
            self.vitals.take_for_ready();
            return took(self.up_at_last(run, cx));
        }
        if proven && !self.vitals.serves(&cx.spec.probes) {
            // It runs on, and is given work as soon as it is found ready.
            let waited_ms = millis(age);
            let probe = self.vitals.why_not_ready();
            self.answer(&Verdict::Failed(Failure::Unready { waited_ms, probe }), cx);
            return took(State::Online(run));
        }
        let calmed = self.ledger.delay_ms > 0 && age >= cx.settings.backoff_reset;
        if calmed {
            self.ledger.delay_ms = 0;
        }
        match (proven, calmed) {
            (true, true | false) => took(self.up(run, cx)),
            (false, true) => took(State::Online(run)),
            (false, false) => ignored(State::Online(run), Reason::NotDue),
        }
    }

    pub(super) fn online_deadline(&self, spec: &Spec, settings: &Settings) -> Option<Instant> {
        let launched = self.ledger.launched?.instant;
        let proven = self.is_awaited().then_some(launched + proof(spec));
        let calmed = (self.ledger.delay_ms > 0).then_some(launched + settings.backoff_reset);
        let accepts = spec.ready.on_timeout == OnReadyTimeout::Accept && self.vitals.awaits_ready(&spec.probes);
        let accepted = accepts.then_some(launched + spec.ready.listen_timeout);
        proven.into_iter().chain(calmed).chain(accepted).min()
    }

    /// How long the current or last process has lived, or would have.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.ledger
            .launched
            .map_or(Duration::ZERO, |moment| now.since(moment.instant))
    }
}

/// How long whoever waits is to wait for a sign that a program is up, before its being alive is taken for it. Workers of a
/// cluster say so themselves by listening, and are given the time for it.
fn proof(spec: &Spec) -> Duration {
    match spec.mode {
        Mode::Fork if spec.probes.ready.is_none() => spec.restart.min_uptime,
        Mode::Fork | Mode::Cluster => spec.restart.min_uptime.max(spec.ready.listen_timeout),
    }
}
