//! The end of a process: [`State::Stopping`] (told to end) and [`State::Sweeping`] (its main process has ended, what is
//! left of its tree must not survive).

use super::budget::Judgement;
use super::ladder::{Climb, Ladder, ask, scope};
use super::{Context, Input, Intent, Order, Reason, Run, Slot, State, Stopping, Sweeping, Then, Turn, Why};
use super::{ignored, is_automatic, took};
use crate::effect::{Effect, NoticeKind, Scope};
use crate::event::{ExitStatus, Origin};
use crate::history::{Cause, EndCause, Next, What};
use crate::outcome::{Failure, Verdict};
use crate::spec::{Mode, RestartPolicy};
use crate::time::{Instant, millis};
use std::sync::Arc;

impl Slot {
    /// Tells a running process to end.
    pub(super) fn tell_to_end(&mut self, run: Run, intent: Intent, cx: &mut Context<'_>) -> State {
        let worker = self.worker();
        let spec = Arc::clone(cx.spec);
        if spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker });
        }
        let ladder = ask(worker, &spec.stop, cx);
        State::Stopping(Stopping {
            run,
            why: intent.why(),
            intent,
            ladder,
        })
    }

    /// Has a worker end whose work others go on with: one of a cluster finishes with its connections first, what has inherited sockets does so
    /// from its signal on.
    pub(super) fn retire(&mut self, run: Run, by: Origin, cx: &mut Context<'_>) -> State {
        let intent = Intent::Delete { by };
        let (worker, spec) = (self.worker(), Arc::clone(cx.spec));
        if !spec.can_overlap() {
            return self.tell_to_end(run, intent, cx);
        }
        let now = cx.now.instant;
        let ladder = match spec.mode {
            Mode::Cluster => {
                cx.effects.push_back(Effect::Withdraw { worker });
                cx.effects.push_back(Effect::Drain { worker });
                Ladder::draining(now, spec.cluster.drain_timeout)
            }
            Mode::Fork => {
                let _ = ask(worker, &spec.stop, cx);
                Ladder::asked(now, spec.cluster.drain_timeout)
            }
        };
        State::Stopping(Stopping {
            run,
            why: intent.why(),
            intent,
            ladder,
        })
    }

    /// It says that it ends by itself: it is given nothing more, and the time that a worker has which others have replaced. What is
    /// to follow is for the restart policy to say, as after any end that nobody asked for.
    pub(super) fn leave(&mut self, run: Run, cx: &mut Context<'_>) -> State {
        let worker = self.worker();
        if cx.spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker });
            cx.effects.push_back(Effect::Drain { worker });
        }
        State::Stopping(Stopping {
            run,
            why: Why::Itself,
            intent: Intent::Leave,
            ladder: Ladder::draining(cx.now.instant, cx.spec.cluster.drain_timeout),
        })
    }

    /// Somebody wants more than that it finishes with its connections.
    fn hurry(&mut self, mut stopping: Stopping, cx: &mut Context<'_>) -> State {
        if stopping.ladder.is_draining()
            && let Climb::Higher(ladder) = self.climb(stopping.ladder, scope(cx.spec.stop.tree), cx)
        {
            stopping.ladder = ladder;
        }
        State::Stopping(stopping)
    }

    pub(super) fn on_stopping(&mut self, mut stopping: Stopping, input: Input, cx: &mut Context<'_>) -> Turn {
        match input {
            Input::Exited { status, oom_killed } if matches!(stopping.intent, Intent::Leave) => {
                let pressed = !stopping.ladder.is_draining();
                let cause = match self.why_ended(oom_killed) {
                    EndCause::Itself => EndCause::Announced { pressed },
                    other => other,
                };
                self.ended_unasked(status, cause, Some(stopping.ladder), cx)
            }
            Input::Exited { status, oom_killed: _ } => {
                let Stopping {
                    run: _,
                    why,
                    intent,
                    ladder,
                } = stopping;
                self.ended_as_told((status, why, intent), Some(ladder), cx)
            }
            Input::Deadline if cx.now.instant < stopping.ladder.deadline() => {
                ignored(State::Stopping(stopping), Reason::NotDue)
            }
            Input::Deadline => match self.climb(stopping.ladder, scope(cx.spec.stop.tree), cx) {
                Climb::Higher(ladder) => took(State::Stopping(Stopping { ladder, ..stopping })),
                Climb::TopReached => {
                    let then = stopping.intent.into_then(cx.now.instant);
                    self.give_up(Some((stopping.run, stopping.why)), then, cx)
                }
            },
            Input::Restart { cause } => match stopping.intent.then_restart(cause.clone()) {
                Ok(intent) => {
                    self.wait_through(&cause, cx);
                    self.ledger.renew(cx.now);
                    took(self.hurry(Stopping { intent, ..stopping }, cx))
                }
                Err(reason) => ignored(State::Stopping(stopping), reason),
            },
            Input::Stop { by } => {
                stopping.intent = Intent::Stop { by };
                took(self.hurry(stopping, cx))
            }
            Input::Delete { by } => {
                stopping.intent = Intent::Delete { by };
                took(self.hurry(stopping, cx))
            }
            Input::Retire { by } => {
                stopping.intent = Intent::Delete { by };
                took(State::Stopping(stopping))
            }
            Input::Drained if stopping.ladder.is_draining() => took(self.hurry(stopping, cx)),
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(State::Stopping(stopping), Reason::Ending)
            }
            Input::Spawned { .. } | Input::SpawnFailed { .. } | Input::TreeGone | Input::Drained => {
                ignored(State::Stopping(stopping), Reason::OutOfOrder)
            }
        }
    }

    pub(super) fn on_sweeping(&mut self, mut sweeping: Sweeping, input: Input, cx: &mut Context<'_>) -> Turn {
        match input {
            Input::TreeGone => self.carry_out(sweeping.then, sweeping.ladder.killed, cx),
            Input::Deadline if cx.now.instant < sweeping.ladder.deadline() => {
                ignored(State::Sweeping(sweeping), Reason::NotDue)
            }
            Input::Deadline => match self.climb(sweeping.ladder, Scope::Tree, cx) {
                Climb::Higher(ladder) => took(State::Sweeping(Sweeping { ladder, ..sweeping })),
                Climb::TopReached => self.give_up(None, sweeping.then, cx),
            },
            Input::Restart { cause } => match sweeping.then.then_restart(cause, cx.now.instant) {
                Ok(then) => {
                    self.ledger.renew(cx.now);
                    took(State::Sweeping(Sweeping { then, ..sweeping }))
                }
                Err(reason) => ignored(State::Sweeping(sweeping), reason),
            },
            Input::Stop { by } => {
                match sweeping.then {
                    // The end itself is on record already, with another outcome.
                    Then::Launch { .. } | Then::Rest { .. } => self.record(What::Stopped { by }, cx),
                    Then::Stop | Then::Delete { .. } => {}
                }
                sweeping.then = Then::Stop;
                took(State::Sweeping(sweeping))
            }
            Input::Delete { by } | Input::Retire { by } => {
                sweeping.then = Then::Delete { by };
                took(State::Sweeping(sweeping))
            }
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(State::Sweeping(sweeping), Reason::Ending)
            }
            Input::Spawned { .. } | Input::SpawnFailed { .. } | Input::Exited { .. } | Input::Drained => {
                ignored(State::Sweeping(sweeping), Reason::OutOfOrder)
            }
        }
    }

    /// The main process ended without having been told to.
    pub(super) fn ended_by_itself(&mut self, status: ExitStatus, oom_killed: bool, cx: &mut Context<'_>) -> Turn {
        self.ended_unasked(status, self.why_ended(oom_killed), None, cx)
    }

    /// The main process ended, and what follows is for the restart policy to say. `ladder` is how far its end had been pressed.
    fn ended_unasked(
        &mut self,
        status: ExitStatus,
        cause: EndCause,
        ladder: Option<Ladder>,
        cx: &mut Context<'_>,
    ) -> Turn {
        if let Some(state) = self.step_in_for_ended(status, cause.clone(), cx) {
            return took(state);
        }
        let uptime = self.age(cx.now.instant);
        let judgement = self
            .ledger
            .judge_exit(&cx.spec.restart, cx.settings, status, uptime, cx.now);
        self.note_end(status, cause, judgement.next(), cx);
        let retrying = matches!(judgement, Judgement::Restart { .. });
        let as_meant = matches!(judgement, Judgement::Done) && is_success(&cx.spec.restart, status);
        self.answer(
            &if as_meant {
                Verdict::Finished { status }
            } else {
                Verdict::Failed(Failure::Exited {
                    status,
                    after_ms: millis(uptime),
                    retrying,
                })
            },
            cx,
        );
        let then = self.then_by(judgement, cx);
        self.sweep(then, ladder.filter(|ladder| !ladder.is_draining()), cx)
    }

    /// The main process ended after it had been told to: what is to follow is known. `ladder` is absent when nothing
    /// had been sent yet.
    pub(super) fn ended_as_told(
        &mut self,
        (status, why, intent): (ExitStatus, Why, Intent),
        ladder: Option<Ladder>,
        cx: &mut Context<'_>,
    ) -> Turn {
        // What is left of one that has ended while it finished with its connections has been told nothing yet.
        let ladder = ladder.filter(|ladder| !ladder.is_draining());
        let killed = ladder.is_some_and(|ladder| ladder.killed);
        let cause = why.end_cause(killed);
        let by_policy = matches!(intent, Intent::Judge | Intent::Leave);
        let then = match intent {
            Intent::Stop { by: _ } => {
                self.note_end(status, cause, Next::Stopped, cx);
                Then::Stop
            }
            Intent::Delete { by } => {
                self.note_end(status, cause, Next::Stopped, cx);
                Then::Delete { by }
            }
            Intent::Restart(order) => {
                self.note_end(status, cause, Next::Restart, cx);
                Then::Launch {
                    at: cx.now.instant,
                    order,
                }
            }
            Intent::Judge | Intent::Leave => {
                let judgement = self.ledger.judge_failed_start(&cx.spec.restart, cx.settings);
                self.note_end(status, cause, judgement.next(), cx);
                let waited_ms = millis(cx.spec.ready.listen_timeout);
                let retrying = matches!(judgement, Judgement::Restart { .. });
                let probe = self.vitals.why_not_ready();
                self.answer(
                    &Verdict::Failed(Failure::NotReady {
                        waited_ms,
                        retrying,
                        probe,
                    }),
                    cx,
                );
                self.then_by(judgement, cx)
            }
        };
        if !by_policy {
            // PM2's bus tells of an end on purpose twice: by the process, then by whoever asked.
            self.publish(NoticeKind::Exit, true, cx);
        }
        self.sweep(then, ladder, cx)
    }

    pub(super) fn note_end(&mut self, status: ExitStatus, cause: EndCause, next: Next, cx: &mut Context<'_>) {
        self.ledger.last_exit = Some(status);
        let uptime = self.age(cx.now.instant);
        self.record(
            What::Ended {
                status,
                uptime,
                cause,
                next,
            },
            cx,
        );
        self.publish(NoticeKind::Exit, false, cx);
    }

    fn then_by(&mut self, judgement: Judgement, cx: &mut Context<'_>) -> Then {
        match judgement {
            Judgement::Restart { delay } => Then::Launch {
                at: cx.now.instant + delay,
                order: Order::new(Cause::Restart, true),
            },
            Judgement::Done => Then::Rest { errored: false },
            Judgement::Errored { over_limit } => {
                if over_limit {
                    self.publish(NoticeKind::RestartOverlimit, false, cx);
                }
                Then::Rest { errored: true }
            }
        }
    }

    /// Goes on once nothing of the tree is left, which is at once when only the main process matters.
    fn sweep(&mut self, then: Then, ladder: Option<Ladder>, cx: &mut Context<'_>) -> Turn {
        let killed = ladder.is_some_and(|ladder| ladder.killed);
        if !cx.spec.stop.tree {
            return self.carry_out(then, killed, cx);
        }
        cx.effects.push_back(Effect::Sweep { worker: self.worker() });
        // A signal went to the whole tree, a message only to its main process.
        let ladder = match ladder {
            Some(ladder) if killed || !cx.spec.stop.message => ladder,
            Some(_) | None => Ladder::looking(cx.now.instant),
        };
        took(State::Sweeping(Sweeping { then, ladder }))
    }
}

impl Then {
    /// What becomes of a plan when a restart is asked for; as [`Intent::then_restart`].
    fn then_restart(&self, cause: Cause, now: Instant) -> Result<Self, Reason> {
        let counts = match self {
            Self::Stop | Self::Delete { .. } if is_automatic(&cause) => return Err(Reason::Overruled),
            // Taken out of a crash loop's hands: a start, not a restart of something that runs.
            Self::Launch { order, .. } => order.counts && order.cause != Cause::Restart,
            Self::Stop | Self::Delete { .. } | Self::Rest { .. } => false,
        };
        Ok(Self::Launch {
            at: now,
            order: Order::new(cause, counts),
        })
    }
}

impl Why {
    pub(super) fn end_cause(self, killed: bool) -> EndCause {
        match self {
            Self::Told(cause) => EndCause::Told { cause, killed },
            Self::NeverReady => EndCause::NeverReady,
            Self::Itself => EndCause::Announced { pressed: true },
        }
    }
}

/// Whether an end that the policy calls "done" is a success: a death by signal is not, though it counts as exit code
/// 0 where `stop_exit_codes` are looked up.
pub(crate) fn is_success(policy: &RestartPolicy, status: ExitStatus) -> bool {
    match status {
        ExitStatus::Code(code) => code == 0 || policy.stop_exit_codes.contains(&code),
        ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
    }
}
