//! A companion that comes: from its launch until it takes the current worker's place, or fails.

use super::super::ladder::{Ladder, ask};
use super::super::{Context, Decision, Input, Order, Reason, Run, SPAWN_TIMEOUT, Slot, Spawning, State};
use super::{Companion, News, Phase, Starting, age_of, spec_of};
use crate::effect::{Effect, NoticeKind};
use crate::event::{ExitStatus, SpawnError};
use crate::history::{Cause, EndCause, Next, What};
use crate::ids::Pid;
use crate::outcome::{Failure, Verdict};
use crate::slot::resting;
use crate::slot::{Vitals, first_probes};
use crate::spec::{Mode, OnReadyTimeout, Spec};
use crate::time::{Instant, millis};
use std::sync::Arc;
use std::time::Duration;

impl Slot {
    pub(super) fn companion_spawning(
        &mut self,
        mut companion: Companion,
        until: Instant,
        input: Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        let same = Phase::Spawning { until };
        match input {
            Input::Spawned { pid, place } => {
                companion.launched = Some(cx.now);
                companion.place = place.or(companion.place);
                self.record_of(
                    &companion,
                    What::Started {
                        pid,
                        cause: companion.cause.clone(),
                    },
                    cx,
                );
                self.publish(NoticeKind::Online, false, cx);
                let spec = spec_of(cx);
                let starting = Starting {
                    pid,
                    until: cx.now.instant + spec.ready.listen_timeout,
                    said_ready: false,
                    settled: false,
                    missing: None,
                };
                if spec.mode == Mode::Fork {
                    cx.effects.push_back(Effect::ObserveStart {
                        worker: self.worker_of(&companion),
                    });
                }
                cx.effects.extend(first_probes(self.worker_of(&companion), &spec));
                let phase = self.starting_or_proving(starting, &companion.vitals, &spec, cx.now.instant);
                self.keep(companion, phase, Decision::Took)
            }
            Input::SpawnFailed { error } => self.companion_not_spawned(&companion, error, cx),
            Input::Exited { status, oom_killed } => self.companion_failed(companion, status, oom_killed, cx),
            Input::Deadline if cx.now.instant < until => self.keep(companion, same, Decision::Ignored(Reason::NotDue)),
            Input::Deadline => {
                cx.news.push(News::NotReplaced(resting::launch_overdue()));
                let until = cx.now.instant + SPAWN_TIMEOUT;
                self.keep(companion, Phase::Abandoned { until }, Decision::Took)
            }
            Input::TreeGone
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. }
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => self.keep(companion, same, Decision::Ignored(Reason::OutOfOrder)),
        }
    }

    fn companion_not_spawned(&mut self, companion: &Companion, error: SpawnError, cx: &mut Context<'_>) -> Decision {
        let what = What::StartFailed {
            error: error.message.clone(),
            cause: companion.cause.clone(),
        };
        self.record_of(companion, what, cx);
        cx.news.push(News::NotReplaced(Failure::Spawn {
            message: error.message,
            retrying: false,
        }));
        self.alone(cx)
    }

    pub(super) fn companion_starting(
        &mut self,
        companion: Companion,
        mut starting: Starting,
        input: Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        match input {
            Input::Ready => starting.said_ready = true,
            Input::Listening { missing } => starting.missing = Some(missing),
            Input::Settled if spec_of(cx).mode == Mode::Fork => starting.settled = true,
            Input::Deadline if cx.now.instant < starting.until => {
                return self.keep(companion, Phase::Starting(starting), Decision::Ignored(Reason::NotDue));
            }
            Input::Deadline => return self.companion_overdue(companion, starting, cx),
            Input::Exited { status, oom_killed } => return self.companion_failed(companion, status, oom_killed, cx),
            Input::Stopping => return self.companion_leaves(companion, starting.pid, cx),
            Input::Settled
            | Input::Drained
            | Input::Memory { .. }
            | Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::TreeGone
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => {
                return self.keep(
                    companion,
                    Phase::Starting(starting),
                    Decision::Ignored(Reason::OutOfOrder),
                );
            }
        }
        let spec = spec_of(cx);
        let phase = self.starting_or_proving(starting, &companion.vitals, &spec, cx.now.instant);
        self.keep(companion, phase, Decision::Took)
    }

    /// Ready means in a cluster: it has said so, if it is to, and it listens wherever its predecessor does. Else it has said so; or
    /// it takes what comes in on what it inherited; or it has come to rest, and of its predecessor no more was known.
    /// Its probes must not speak against it in any case; one that passes a readiness probe need not have come to rest.
    pub(super) fn starting_or_proving(&self, starting: Starting, vitals: &Vitals, spec: &Spec, now: Instant) -> Phase {
        let listens = starting.missing.as_ref().is_some_and(Vec::is_empty);
        let ready = match (spec.mode, spec.ready.wait_ready) {
            (Mode::Cluster, wait) => (!wait || starting.said_ready) && (!self.listens || listens),
            (Mode::Fork, true) => starting.said_ready,
            (Mode::Fork, false) => {
                let asked = spec.probes.ready.is_some();
                starting.said_ready || listens || ((starting.settled || asked) && !self.listens)
            }
        };
        if ready && vitals.serves(&spec.probes) {
            Phase::Proving {
                pid: starting.pid,
                until: now + spec.cluster.min_ready,
            }
        } else {
            Phase::Starting(starting)
        }
    }

    fn companion_overdue(&mut self, mut companion: Companion, starting: Starting, cx: &mut Context<'_>) -> Decision {
        let spec = spec_of(cx);
        let Starting { pid, missing, .. } = starting;
        if spec.mode == Mode::Fork && !spec.ready.wait_ready && !self.listens && spec.probes.ready.is_none() {
            // Always at work, so that it never came to rest; it lives, and of its predecessor no more was known.
            let until = cx.now.instant + spec.cluster.min_ready;
            return self.keep(companion, Phase::Proving { pid, until }, Decision::Took);
        }
        if spec.ready.on_timeout == OnReadyTimeout::Accept {
            companion.vitals.take_for_ready();
            return self.change_places(companion, pid, cx);
        }
        let probe = companion.vitals.why_not_ready();
        let waited_ms = millis(spec.ready.listen_timeout);
        cx.news.push(News::NotReplaced(match missing {
            Some(missing) if !missing.is_empty() => Failure::NotListening { missing, waited_ms },
            None if spec.mode == Mode::Fork && !spec.ready.wait_ready && probe.is_none() => Failure::NotListening {
                missing: spec.listen.iter().map(|listen| listen.address.to_string()).collect(),
                waited_ms,
            },
            Some(_) | None => Failure::NotReady {
                waited_ms,
                retrying: false,
                probe,
            },
        }));
        let ladder = self.tell_companion(&companion, &spec, cx);
        let (why, next) = (EndCause::NeverReady, Next::NotReplaced);
        self.keep(companion, Phase::Ending { pid, ladder, why, next }, Decision::Took)
    }

    pub(super) fn companion_proving(
        &mut self,
        companion: Companion,
        pid: Pid,
        until: Instant,
        input: Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        let same = Phase::Proving { pid, until };
        match input {
            Input::Deadline if cx.now.instant < until => self.keep(companion, same, Decision::Ignored(Reason::NotDue)),
            Input::Deadline => self.change_places(companion, pid, cx),
            Input::Exited { status, oom_killed } => self.companion_failed(companion, status, oom_killed, cx),
            Input::Stopping => self.companion_leaves(companion, pid, cx),
            // It took one of its servers down again.
            Input::Listening { missing } if self.listens && !missing.is_empty() => {
                let starting = Starting {
                    pid,
                    until: cx.now.instant + spec_of(cx).ready.listen_timeout,
                    said_ready: true,
                    settled: true,
                    missing: Some(missing),
                };
                self.keep(companion, Phase::Starting(starting), Decision::Took)
            }
            Input::Ready | Input::Settled | Input::Listening { .. } => {
                self.keep(companion, same, Decision::Ignored(Reason::NotAwaited))
            }
            Input::Drained
            | Input::Memory { .. }
            | Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::TreeGone
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => self.keep(companion, same, Decision::Ignored(Reason::OutOfOrder)),
        }
    }

    /// The replacement is the current worker from now on, and its predecessor drains: when it is told to over its channel, or by
    /// its stop signal, upon which servers stop accepting and finish what they have begun.
    fn change_places(&mut self, companion: Companion, pid: Pid, cx: &mut Context<'_>) -> Decision {
        let spec = spec_of(cx);
        let before = Arc::clone(cx.spec);
        let Some(old) = self.pid() else {
            // Only a running worker is replaced, and for one that ended the replacement has stepped in.
            debug_assert!(false, "invariant: a replacement that comes has a worker to replace");
            let phase = Phase::Proving {
                pid,
                until: cx.now.instant,
            };
            self.companion = Some(Companion { phase, ..companion });
            return self.abandon(cx);
        };
        // One whose event loop does not turn finishes nothing.
        let hung = matches!(companion.cause, Cause::Unhealthy { hung: true, .. });
        let patience = if hung {
            Duration::ZERO
        } else {
            before.cluster.drain_timeout
        };
        let until = cx.now.instant + patience;
        self.put_in_place(
            companion,
            Phase::Draining { pid: old, until },
            State::Online(Run { pid }),
            cx,
        );
        self.take_up_work(&spec, cx);
        if let Some(worker) = self.companion_worker() {
            match before.mode {
                Mode::Cluster => cx.effects.push_back(Effect::Drain { worker }),
                Mode::Fork => drop(ask(worker, &before.stop, cx)),
            }
        }
        // Whoever still waits for its predecessor to be up has got a worker that is.
        self.answer(&Verdict::Online { pid }, cx);
        cx.news.push(News::Replaced);
        Decision::Took
    }

    /// What belongs to a current worker from now on.
    fn take_up_work(&mut self, spec: &Spec, cx: &mut Context<'_>) {
        if spec.mode == Mode::Cluster && self.vitals.serves(&spec.probes) {
            cx.effects.push_back(Effect::Admit { worker: self.worker() });
        }
        self.be_sampled(spec, cx);
    }

    fn be_sampled(&mut self, spec: &Spec, cx: &mut Context<'_>) {
        if spec.is_weighed() {
            cx.effects.push_back(Effect::SampleMemory {
                worker: self.worker(),
                every: cx.settings.memory_interval,
            });
        }
    }

    /// The current worker ended by itself: a replacement that is on its way takes its place at once, proven or not. Whoever
    /// waited for the current one to be up is told how it ended, as after any crash. Gives the slot's state.
    pub(in crate::slot) fn step_in_for_ended(
        &mut self,
        status: ExitStatus,
        cause: EndCause,
        cx: &mut Context<'_>,
    ) -> Option<State> {
        let companion = self.companion.take_if(|companion| companion.comes())?;
        self.note_end(status, cause, Next::Replaced, cx);
        let failure = Failure::Exited {
            status,
            after_ms: millis(self.age(cx.now.instant)),
            retrying: true,
        };
        self.answer(&Verdict::Failed(failure), cx);
        let worker = self.worker();
        let ladder = Ladder::looking(cx.now.instant);
        let state = self.step_in(companion, Phase::Sweeping { ladder }, cx);
        if cx.spec.stop.tree {
            cx.effects.push_back(Effect::Sweep { worker });
        } else {
            self.companion = None;
            cx.news.push(News::Alone);
        }
        Some(state)
    }

    /// The current worker has not become ready in time: as when it ended, but it has to be told to.
    pub(in crate::slot) fn step_in_for_overdue(&mut self, pid: Pid, cx: &mut Context<'_>) -> Option<State> {
        let companion = self.companion.take_if(|companion| companion.comes())?;
        let failure = Failure::NotReady {
            waited_ms: millis(cx.spec.ready.listen_timeout),
            retrying: true,
            probe: self.vitals.why_not_ready(),
        };
        self.answer(&Verdict::Failed(failure), cx);
        let worker = self.worker();
        if cx.spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker });
        }
        let ladder = ask(worker, &cx.spec.stop, cx);
        let (why, next) = (EndCause::NeverReady, Next::Replaced);
        Some(self.step_in(companion, Phase::Ending { pid, ladder, why, next }, cx))
    }

    /// A replacement that is on its way becomes the current worker as it is, and its predecessor goes. Gives the slot's state.
    fn step_in(&mut self, companion: Companion, predecessor: Phase, cx: &mut Context<'_>) -> State {
        let spec = spec_of(cx);
        let state = match &companion.phase {
            Phase::Spawning { until } => State::Spawning(Spawning {
                until: *until,
                order: Order::new(companion.cause.clone(), true),
                intent: None,
            }),
            Phase::Starting(starting) if spec.ready.wait_ready && !starting.said_ready => State::Launching {
                run: Run { pid: starting.pid },
                until: starting.until,
            },
            Phase::Starting(Starting { pid, .. }) | Phase::Proving { pid, .. } => State::Online(Run { pid: *pid }),
            Phase::Abandoned { .. }
            | Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::Sweeping { .. }
            | Phase::Stuck { .. } => unreachable!("invariant: it comes"),
        };
        self.put_in_place(companion, predecessor, state.clone(), cx);
        match state {
            State::Launching { .. } => self.be_sampled(&spec, cx),
            State::Online(_) => self.take_up_work(&spec, cx),
            _ => {}
        }
        cx.news.push(News::Replaced);
        state
    }

    /// The companion becomes the current worker, the current worker the companion.
    fn put_in_place(&mut self, companion: Companion, phase: Phase, state: State, cx: &mut Context<'_>) {
        let Companion {
            generation,
            spec,
            launched,
            place,
            vitals,
            cause,
            phase: _,
        } = companion;
        self.companion = Some(Companion {
            generation: std::mem::replace(&mut self.generation, generation),
            spec: std::mem::replace(&mut self.spec, spec),
            launched: std::mem::replace(&mut self.ledger.launched, launched),
            place: std::mem::replace(&mut self.place, place),
            vitals: std::mem::replace(&mut self.vitals, vitals),
            cause,
            phase,
        });
        self.state = state;
        self.over = None;
        self.ledger.restarts = self.ledger.restarts.saturating_add(1);
        self.ledger.renew(cx.now);
    }

    /// A replacement has ended before it took over.
    fn companion_failed(
        &mut self,
        companion: Companion,
        status: ExitStatus,
        oom_killed: bool,
        cx: &mut Context<'_>,
    ) -> Decision {
        let why = EndCause::unasked(oom_killed);
        let after = age_of(&companion, cx.now.instant);
        cx.news.push(News::NotReplaced(Failure::Exited {
            status,
            after_ms: millis(after),
            retrying: false,
        }));
        self.companion_ended(companion, status, why, Next::NotReplaced, None, cx)
    }

    pub(super) fn companion_abandoned(
        &mut self,
        mut companion: Companion,
        until: Instant,
        input: Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        let same = Phase::Abandoned { until };
        match input {
            Input::Spawned { pid, place } => {
                companion.launched = Some(cx.now);
                companion.place = place;
                self.record_of(
                    &companion,
                    What::Started {
                        pid,
                        cause: companion.cause.clone(),
                    },
                    cx,
                );
                let phase = self.end_companion(&companion, pid, Next::NotReplaced, cx);
                self.keep(companion, phase, Decision::Took)
            }
            Input::SpawnFailed { .. } => self.alone(cx),
            Input::Exited { status, .. } => {
                self.companion_ended(companion, status, EndCause::Itself, Next::NotReplaced, None, cx)
            }
            Input::Deadline if cx.now.instant < until => self.keep(companion, same, Decision::Ignored(Reason::NotDue)),
            Input::Deadline => {
                let until = cx.now.instant + SPAWN_TIMEOUT;
                self.keep(companion, Phase::Abandoned { until }, Decision::Took)
            }
            Input::TreeGone
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. }
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => self.keep(companion, same, Decision::Ignored(Reason::OutOfOrder)),
        }
    }
}
