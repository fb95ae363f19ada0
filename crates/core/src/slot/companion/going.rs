//! A companion that goes: it drains, is told to end, and what is left of its tree is ended.

use super::super::ladder::{Climb, Ladder, press, scope};
use super::super::{Context, Decision, Input, Reason, Slot, State};
use super::{Companion, News, Phase, spec_of};
use crate::effect::Scope;
use crate::history::{EndCause, Next};
use crate::ids::Pid;
use crate::outcome::{Failure, Verdict};
use crate::spec::Mode;
use crate::time::Instant;
use std::time::Duration;

impl Slot {
    pub(super) fn companion_draining(
        &mut self,
        companion: Companion,
        (pid, until): (Pid, Instant),
        input: &Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        let same = Phase::Draining { pid, until };
        match input {
            Input::Deadline if cx.now.instant < until => self.keep(companion, same, Decision::Ignored(Reason::NotDue)),
            Input::Drained | Input::Deadline => {
                let phase = self.end_drained(&companion, pid, Duration::ZERO, cx);
                self.keep(companion, phase, Decision::Took)
            }
            Input::Exited { status, oom_killed } => {
                let told = EndCause::Told {
                    cause: companion.cause.clone(),
                    killed: false,
                };
                let why = match spec_of(cx).mode {
                    Mode::Fork if !oom_killed => told,
                    Mode::Fork | Mode::Cluster => EndCause::unasked(*oom_killed),
                };
                self.companion_ended(companion, *status, why, Next::Replaced, None, cx)
            }
            Input::Ready | Input::Stopping | Input::Settled | Input::Listening { .. } | Input::Memory { .. } => {
                self.keep(companion, same, Decision::Ignored(Reason::Ending))
            }
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::TreeGone
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => self.keep(companion, same, Decision::Ignored(Reason::OutOfOrder)),
        }
    }

    pub(super) fn companion_ending(
        &mut self,
        companion: Companion,
        (pid, ladder, why, next): (Pid, Ladder, EndCause, Next),
        input: &Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        match input {
            Input::Exited { status, .. } => {
                let why = match why {
                    EndCause::Told { cause, killed: _ } => EndCause::Told {
                        cause,
                        killed: ladder.killed,
                    },
                    EndCause::Announced { pressed: _ } => EndCause::Announced {
                        pressed: !ladder.is_draining(),
                    },
                    other @ (EndCause::Itself
                    | EndCause::OomKilled
                    | EndCause::NeverReady
                    | EndCause::OverMemory { .. }) => other,
                };
                let ladder = Some(ladder).filter(|ladder| !ladder.is_draining());
                self.companion_ended(companion, *status, why, next, ladder, cx)
            }
            Input::Deadline if cx.now.instant >= ladder.deadline() => {
                let (spec, worker) = (spec_of(cx), self.worker_of(&companion));
                match press(worker, &spec.stop, ladder, scope(spec.stop.tree), cx) {
                    Climb::Higher(ladder) => {
                        self.keep(companion, Phase::Ending { pid, ladder, why, next }, Decision::Took)
                    }
                    Climb::TopReached => self.companion_unkillable(companion, Some(pid), cx),
                }
            }
            Input::Deadline => self.keep(
                companion,
                Phase::Ending { pid, ladder, why, next },
                Decision::Ignored(Reason::NotDue),
            ),
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::TreeGone
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. }
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. } => self.keep(
                companion,
                Phase::Ending { pid, ladder, why, next },
                Decision::Ignored(Reason::Ending),
            ),
        }
    }

    pub(super) fn companion_sweeping(
        &mut self,
        companion: Companion,
        ladder: Ladder,
        input: &Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        let same = Phase::Sweeping { ladder };
        match input {
            Input::TreeGone => self.alone(cx),
            Input::Deadline if cx.now.instant >= ladder.deadline() => {
                let (spec, worker) = (spec_of(cx), self.worker_of(&companion));
                match press(worker, &spec.stop, ladder, Scope::Tree, cx) {
                    Climb::Higher(ladder) => self.keep(companion, Phase::Sweeping { ladder }, Decision::Took),
                    Climb::TopReached => self.companion_unkillable(companion, None, cx),
                }
            }
            Input::Deadline => self.keep(companion, same, Decision::Ignored(Reason::NotDue)),
            Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Exited { .. }
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

    /// Whoever waits for the slot to be empty is told that it will not be.
    pub(in crate::slot) fn answer_if_stuck(&mut self, cx: &mut Context<'_>) {
        if self.has_stuck_companion() {
            self.answer(&Verdict::Failed(Failure::Unkillable), cx);
        }
    }

    /// Whether its companion could not be ended.
    pub(crate) fn has_stuck_companion(&self) -> bool {
        let phase = self.companion.as_ref().map(|companion| &companion.phase);
        matches!(phase, Some(Phase::Stuck { .. }))
    }

    /// No roll waits for what outlived SIGKILL; if it ends late, it is swept up like any other.
    fn companion_unkillable(&mut self, companion: Companion, pid: Option<Pid>, cx: &mut Context<'_>) -> Decision {
        self.keep(companion, Phase::Stuck { pid }, Decision::Took);
        if matches!(self.state, State::Leaving { .. }) {
            self.answer_if_stuck(cx);
        }
        cx.news.push(News::Alone);
        Decision::Took
    }

    pub(super) fn companion_stuck(
        &mut self,
        companion: Companion,
        pid: Option<Pid>,
        input: &Input,
        cx: &mut Context<'_>,
    ) -> Decision {
        match input {
            Input::Exited { status, .. } if pid.is_some() => {
                let told = EndCause::Told {
                    cause: companion.cause.clone(),
                    killed: true,
                };
                self.companion_ended(companion, *status, told, Next::Replaced, None, cx)
            }
            Input::TreeGone if pid.is_none() => self.alone(cx),
            Input::Exited { .. }
            | Input::TreeGone
            | Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::Ready
            | Input::Stopping
            | Input::Settled
            | Input::Listening { .. }
            | Input::Drained
            | Input::Memory { .. }
            | Input::Restart { .. }
            | Input::Stop { .. }
            | Input::Delete { .. }
            | Input::Retire { .. }
            | Input::Deadline => self.keep(companion, Phase::Stuck { pid }, Decision::Ignored(Reason::Ending)),
        }
    }
}
