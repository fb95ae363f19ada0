//! What could not be ended, not even by SIGKILL: [`State::Stuck`]. It shows as `errored`. Nothing is launched beside it, and
//! no clock runs: another request presses again, and if it ends late, what was asked for is done then (except a
//! launch, which would come as a surprise).

use super::ladder::{Ladder, SIGKILL, scope};
use super::{Context, Input, Intent, Order, Reason, Run, Slot, State, Stopping, Stuck, Sweeping, Then, Turn, Why};
use super::{ignored, is_automatic, took};
use crate::effect::{Effect, Scope};
use crate::event::ExitStatus;
use crate::history::Next;
use crate::outcome::{Failure, Verdict};
use crate::time::Instant;

impl Slot {
    /// SIGKILL has not helped.
    pub(super) fn give_up(&mut self, main: Option<(Run, Why)>, then: Then, cx: &mut Context<'_>) -> Turn {
        self.answer(&Verdict::Failed(Failure::Unkillable), cx);
        let then = match then {
            Then::Launch { .. } => Then::Rest { errored: true },
            Then::Rest { .. } | Then::Stop | Then::Delete { .. } => then,
        };
        took(State::Stuck(Stuck { main, then }))
    }

    pub(super) fn on_stuck(&mut self, stuck: Stuck, input: Input, cx: &mut Context<'_>) -> Turn {
        match input {
            Input::Exited { status, oom_killed: _ } => match stuck.main {
                Some((_, why)) => self.stuck_main_ended(status, why, stuck.then, cx),
                None => ignored(State::Stuck(stuck), Reason::OutOfOrder),
            },
            Input::TreeGone => match stuck.main {
                Some(_) => ignored(State::Stuck(stuck), Reason::OutOfOrder),
                None => self.carry_out(stuck.then, true, cx),
            },
            Input::Restart { cause } if is_automatic(&cause) => ignored(State::Stuck(stuck), Reason::Overruled),
            Input::Restart { cause } => {
                self.ledger.renew(cx.now);
                took(self.press_again(stuck, Intent::Restart(Order::new(cause, false)), cx))
            }
            Input::Stop { by } => took(self.press_again(stuck, Intent::Stop { by }, cx)),
            Input::Delete { by } | Input::Retire { by } => took(self.press_again(stuck, Intent::Delete { by }, cx)),
            Input::Deadline => ignored(State::Stuck(stuck), Reason::NotDue),
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                ignored(State::Stuck(stuck), Reason::Ending)
            }
            Input::Spawned { .. } | Input::SpawnFailed { .. } | Input::Drained => {
                ignored(State::Stuck(stuck), Reason::OutOfOrder)
            }
        }
    }

    fn stuck_main_ended(&mut self, status: ExitStatus, why: Why, then: Then, cx: &mut Context<'_>) -> Turn {
        let next = match then {
            Then::Launch { .. } | Then::Rest { .. } => Next::Errored,
            Then::Stop | Then::Delete { .. } => Next::Stopped,
        };
        self.note_end(status, why.end_cause(true), next, cx);
        if !cx.spec.stop.tree {
            return self.carry_out(then, true, cx);
        }
        cx.effects.push_back(Effect::Sweep { worker: self.worker() });
        took(State::Stuck(Stuck { main: None, then }))
    }

    /// Tries SIGKILL once more.
    fn press_again(&mut self, stuck: Stuck, intent: Intent, cx: &mut Context<'_>) -> State {
        let (worker, policy, now) = (self.worker(), &cx.spec.stop, cx.now.instant);
        let scope = if stuck.main.is_some() {
            scope(policy.tree)
        } else {
            Scope::Tree
        };
        cx.effects.push_back(Effect::Signal {
            worker,
            signal: SIGKILL,
            scope,
        });
        let ladder = Ladder::killing(now, policy.kill_timeout);
        match stuck.main {
            Some((run, why)) => State::Stopping(Stopping {
                run,
                why,
                intent,
                ladder,
            }),
            None => State::Sweeping(Sweeping {
                then: intent.into_then(now),
                ladder,
            }),
        }
    }
}

impl Intent {
    /// What follows when the main process has ended already.
    pub(super) fn into_then(self, now: Instant) -> Then {
        match self {
            Self::Stop { by: _ } => Then::Stop,
            Self::Delete { by } => Then::Delete { by },
            Self::Restart(order) => Then::Launch { at: now, order },
            Self::Judge | Self::Leave => Then::Rest { errored: true },
        }
    }
}
