//! A slot in which no process runs: [`State::Down`], [`State::Waiting`], and [`State::Spawning`], where one may run
//! but is not known to.

use super::budget::Judgement;
use super::{Context, Input, Intent, Order, Reason, Run, SPAWN_TIMEOUT, Slot, Spawning, State, Then, Turn};
use super::{first_probes, ignored, is_automatic, took};
use crate::effect::{Effect, NoticeKind};
use crate::event::SpawnError;
use crate::history::{Cause, What};
use crate::ids::Pid;
use crate::outcome::{Failure, Verdict};
use crate::spec::Mode;
use crate::time::Instant;

impl Slot {
    pub(super) fn on_down(&mut self, errored: bool, input: Input, cx: &mut Context<'_>) -> Turn {
        let same = State::Down { errored };
        match input {
            Input::Restart { cause } => {
                self.ledger.renew(cx.now);
                self.pinned = None;
                took(self.launch(Order::new(cause, false), cx))
            }
            // What is left of a predecessor is still on its way out.
            Input::Stop { by: _ } if self.companion.is_some() => self.carry_out(Then::Stop, false, cx),
            Input::Stop { by: _ } => {
                self.answer(&Verdict::WasStopped, cx);
                took(State::Down { errored: false })
            }
            Input::Delete { by } | Input::Retire { by } => self.carry_out(Then::Delete { by }, false, cx),
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(same, Reason::NothingRuns)
            }
            Input::Deadline => ignored(same, Reason::NotDue),
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Exited { .. }
            | Input::TreeGone
            | Input::Drained => ignored(same, Reason::OutOfOrder),
        }
    }

    pub(super) fn on_waiting(&mut self, until: Instant, order: Order, input: Input, cx: &mut Context<'_>) -> Turn {
        let same = |order| State::Waiting { until, order };
        match input {
            Input::Deadline if cx.now.instant < until => ignored(same(order), Reason::NotDue),
            Input::Deadline => took(self.launch(order, cx)),
            Input::Restart { cause } => {
                self.ledger.renew(cx.now);
                took(self.launch(Order::new(cause, false), cx))
            }
            Input::Stop { by } => {
                self.record(What::Stopped { by }, cx);
                self.carry_out(Then::Stop, false, cx)
            }
            Input::Delete { by } | Input::Retire { by } => self.carry_out(Then::Delete { by }, false, cx),
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(same(order), Reason::NothingRuns)
            }
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Exited { .. }
            | Input::TreeGone
            | Input::Drained => ignored(same(order), Reason::OutOfOrder),
        }
    }

    pub(super) fn on_leaving(&mut self, then: Then, killed: bool, input: Input, cx: &mut Context<'_>) -> Turn {
        match input {
            Input::Restart { cause } if is_automatic(&cause) => {
                ignored(State::Leaving { then, killed }, Reason::Overruled)
            }
            Input::Restart { cause } => {
                self.ledger.renew(cx.now);
                self.pinned = None;
                took(self.launch(Order::new(cause, false), cx))
            }
            Input::Stop { .. } => self.carry_out(Then::Stop, killed, cx),
            Input::Delete { by } | Input::Retire { by } => self.carry_out(Then::Delete { by }, killed, cx),
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(State::Leaving { then, killed }, Reason::NothingRuns)
            }
            Input::Deadline => ignored(State::Leaving { then, killed }, Reason::NotDue),
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Exited { .. }
            | Input::TreeGone
            | Input::Drained => ignored(State::Leaving { then, killed }, Reason::OutOfOrder),
        }
    }

    pub(super) fn on_spawning(&mut self, mut spawning: Spawning, input: Input, cx: &mut Context<'_>) -> Turn {
        match input {
            Input::Spawned { pid, place } => {
                self.place = place;
                self.spawned(spawning, pid, cx)
            }
            Input::SpawnFailed { error } => self.spawn_failed(spawning, error, cx),
            // Its launch and its end were both seen by a daemon that is gone; only the end is left to tell.
            Input::Exited { status, oom_killed } => {
                self.ledger.launched = Some(cx.now);
                match spawning.intent {
                    None => self.ended_by_itself(status, oom_killed, cx),
                    Some(intent) => {
                        let why = intent.why();
                        self.ended_as_told((status, why, intent), None, cx)
                    }
                }
            }
            Input::Restart { cause } => {
                let intent = match &spawning.intent {
                    None => Ok(Intent::Restart(Order::new(cause, true))),
                    Some(intent) => intent.then_restart(cause),
                };
                match intent {
                    Ok(intent) => {
                        self.ledger.renew(cx.now);
                        took(State::Spawning(Spawning {
                            intent: Some(intent),
                            ..spawning
                        }))
                    }
                    Err(reason) => ignored(State::Spawning(spawning), reason),
                }
            }
            Input::Stop { by } => took(State::Spawning(Spawning {
                intent: Some(Intent::Stop { by }),
                ..spawning
            })),
            Input::Delete { by } | Input::Retire { by } => took(State::Spawning(Spawning {
                intent: Some(Intent::Delete { by }),
                ..spawning
            })),
            Input::Deadline if cx.now.instant < spawning.until => ignored(State::Spawning(spawning), Reason::NotDue),
            Input::Deadline => {
                self.answer(&overdue(spawning.intent.as_ref()), cx);
                spawning.until = cx.now.instant + SPAWN_TIMEOUT;
                took(State::Spawning(spawning))
            }
            Input::TreeGone
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. } => ignored(State::Spawning(spawning), Reason::OutOfOrder),
        }
    }

    /// The process runs: whatever was asked meanwhile is done now.
    fn spawned(&mut self, spawning: Spawning, pid: Pid, cx: &mut Context<'_>) -> Turn {
        let run = Run { pid };
        self.ledger.launched = Some(cx.now);
        self.ledger.spawn_failures = 0;
        let Order { cause, counts } = spawning.order;
        let manually = matches!(cause, Cause::Asked(_));
        self.record(What::Started { pid, cause }, cx);
        self.publish(NoticeKind::Online, false, cx);
        if manually {
            self.publish(if counts { NoticeKind::Restart } else { NoticeKind::Start }, true, cx);
        }
        if let Some(intent) = spawning.intent {
            return took(self.tell_to_end(run, intent, cx));
        }
        if cx.spec.is_weighed() {
            cx.effects.push_back(Effect::SampleMemory {
                worker: self.worker(),
                every: cx.settings.memory_interval,
            });
        }
        cx.effects.extend(first_probes(self.worker(), cx.spec));
        if cx.spec.ready.wait_ready {
            return took(State::Launching {
                run,
                until: cx.now.instant + cx.spec.ready.listen_timeout,
            });
        }
        self.admit(cx);
        // A worker of a cluster says so itself by listening. Of others it is to be known for the day when they are replaced.
        if cx.spec.mode == Mode::Fork && (self.is_awaited() || cx.spec.can_overlap()) {
            cx.effects.push_back(Effect::ObserveStart { worker: self.worker() });
        }
        took(State::Online(run))
    }

    fn spawn_failed(&mut self, spawning: Spawning, error: SpawnError, cx: &mut Context<'_>) -> Turn {
        let cause = spawning.order.cause.clone();
        self.record(
            What::StartFailed {
                error: error.message.clone(),
                cause,
            },
            cx,
        );
        match spawning.intent {
            Some(Intent::Stop { by: _ }) => self.carry_out(Then::Stop, false, cx),
            Some(Intent::Delete { by }) => self.carry_out(Then::Delete { by }, false, cx),
            // Nothing ran that had to be ended first: what failed has been counted, if it was to be.
            Some(Intent::Restart(order)) => took(self.launch(Order::new(order.cause, false), cx)),
            Some(Intent::Judge | Intent::Leave) | None => self.judge_failed_spawn(spawning.order, error, cx),
        }
    }

    fn judge_failed_spawn(&mut self, order: Order, error: SpawnError, cx: &mut Context<'_>) -> Turn {
        let (state, retrying) = if error.transient {
            let delay = self.ledger.delay_after_transient_failure(cx.settings);
            let again = Order::new(order.cause, false);
            (
                State::Waiting {
                    until: cx.now.instant + delay,
                    order: again,
                },
                true,
            )
        } else {
            match self.ledger.judge_failed_start(&cx.spec.restart, cx.settings) {
                Judgement::Restart { delay } => (
                    self.launch_at(cx.now.instant + delay, Order::new(Cause::Restart, true), cx),
                    true,
                ),
                Judgement::Errored { over_limit } => {
                    if over_limit {
                        self.publish(NoticeKind::RestartOverlimit, false, cx);
                    }
                    (State::Down { errored: true }, false)
                }
                Judgement::Done => (State::Down { errored: false }, false),
            }
        };
        self.answer(
            &Verdict::Failed(Failure::Spawn {
                message: error.message,
                retrying,
            }),
            cx,
        );
        took(state)
    }

    /// Does what was to be done once nothing of the last process is left.
    pub(super) fn carry_out(&mut self, then: Then, killed: bool, cx: &mut Context<'_>) -> Turn {
        let whole = matches!(then, Then::Stop | Then::Delete { .. });
        if whole && self.companion.is_some() {
            self.answer_if_stuck(cx);
            return took(State::Leaving { then, killed });
        }
        match then {
            Then::Launch { at, order } => took(self.launch_at(at, order, cx)),
            Then::Rest { errored } => took(State::Down { errored }),
            Then::Stop => {
                self.publish(NoticeKind::Stop, true, cx);
                self.answer(&Verdict::Stopped { killed }, cx);
                took(State::Down { errored: false })
            }
            Then::Delete { by } => self.forget(by, cx),
        }
    }
}

/// What whoever waits is told when a launch stays unanswered.
fn overdue(intent: Option<&Intent>) -> Verdict {
    Verdict::Failed(match intent {
        Some(Intent::Stop { .. } | Intent::Delete { .. }) => Failure::Unkillable,
        Some(Intent::Restart(_) | Intent::Judge | Intent::Leave) | None => launch_overdue(),
    })
}

pub(super) fn launch_overdue() -> Failure {
    let seconds = SPAWN_TIMEOUT.as_secs();
    Failure::Spawn {
        message: format!(
            "the program could not be launched within {seconds} s; the system is still trying \
             (is its file on a disk that does not answer?)"
        ),
        retrying: true,
    }
}
