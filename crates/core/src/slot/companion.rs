//! The second worker of a slot: one that comes to replace the current worker, or one that goes.
//!
//! A replacement is launched beside the current worker, which serves on. Once it is ready and has lived on for a while the two
//! change places: it is the current worker then, and its predecessor drains, is told to end, and is swept up. One that fails
//! is ended in just the same way; the current worker has never noticed.
//!
//! Called by [`Machine`](crate::Machine): facts go to the worker whose generation they name. What a roll has to know of it is
//! left in `Context::news`.

mod coming;
mod going;
mod probed;

use super::ladder::{Ladder, ask};
use super::{Context, Decision, Input, Reason, SPAWN_TIMEOUT, Slot, Spawning, SpecKey, State, Vitals};
use crate::effect::{Effect, Launch, NoticeKind, Place};
use crate::event::ExitStatus;
use crate::history::{Cause, EndCause, Entry, Next, What};
use crate::ids::{Generation, Pid, WorkerId};
use crate::outcome::Failure;
use crate::spec::{Mode, Spec};
use crate::time::{Instant, Now};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A worker beside the current one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Companion {
    pub(crate) generation: Generation,
    pub(crate) spec: SpecKey,
    pub(crate) launched: Option<Now>,
    pub(crate) place: Option<Place>,
    /// What its probes have found.
    #[serde(default, skip_serializing_if = "Vitals::is_new")]
    pub(crate) vitals: Vitals,
    /// Why the slot's worker is being replaced.
    pub(crate) cause: Cause,
    pub(crate) phase: Phase,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// It comes: its launch is ordered and not answered yet.
    Spawning { until: Instant },
    /// It comes: it runs and has to become ready.
    Starting(Starting),
    /// It comes: it is ready and has to live on until then.
    Proving { pid: Pid, until: Instant },
    /// It is not wanted any more; its launch is not answered yet.
    Abandoned { until: Instant },
    /// It goes: it finishes with its connections. In fork mode it has been told to end for that.
    Draining { pid: Pid, until: Instant },
    /// It goes: it has been told to end.
    Ending {
        pid: Pid,
        ladder: Ladder,
        why: EndCause,
        next: Next,
    },
    /// It goes: its main process has ended; what is left of its tree is being ended.
    Sweeping { ladder: Ladder },
    /// It could not be ended.
    Stuck { pid: Option<Pid> },
}

/// A replacement that has to become ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Starting {
    pub(crate) pid: Pid,
    pub(crate) until: Instant,
    /// It has said `ready`.
    pub(crate) said_ready: bool,
    /// It has come to rest.
    #[serde(default)]
    pub(crate) settled: bool,
    /// Where it does not listen though its predecessor does; absent until it listens anywhere.
    pub(crate) missing: Option<Vec<String>>,
}

/// What a roll has to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// The replacement is the current worker now.
    Replaced,
    /// The replacement has failed; the current worker goes on.
    NotReplaced(Failure),
    /// Nothing is left of the companion.
    Alone,
}

impl Companion {
    /// Whether it is to become the current worker.
    pub(crate) fn comes(&self) -> bool {
        match self.phase {
            Phase::Spawning { .. } | Phase::Starting(_) | Phase::Proving { .. } => true,
            Phase::Abandoned { .. }
            | Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::Sweeping { .. }
            | Phase::Stuck { .. } => false,
        }
    }

    /// Its main process, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match self.phase {
            Phase::Starting(Starting { pid, .. })
            | Phase::Proving { pid, .. }
            | Phase::Draining { pid, .. }
            | Phase::Ending { pid, .. } => Some(pid),
            Phase::Stuck { pid } => pid,
            Phase::Spawning { .. } | Phase::Abandoned { .. } | Phase::Sweeping { .. } => None,
        }
    }

    /// Whether a main process runs, or is being launched.
    pub(crate) fn may_run(&self) -> bool {
        self.pid().is_some() || matches!(self.phase, Phase::Spawning { .. } | Phase::Abandoned { .. })
    }

    /// When it has something to do by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Spawning { until }
            | Phase::Abandoned { until }
            | Phase::Proving { until, .. }
            | Phase::Draining { until, .. } => Some(*until),
            Phase::Starting(starting) => Some(starting.until),
            Phase::Ending { ladder, .. } | Phase::Sweeping { ladder } => Some(ladder.deadline()),
            Phase::Stuck { .. } => None,
        }
    }
}

impl Slot {
    /// The companion's identity.
    pub(crate) fn companion_worker(&self) -> Option<WorkerId> {
        self.companion.as_ref().map(|companion| WorkerId {
            slot: self.id,
            generation: companion.generation,
        })
    }

    /// Whether a replacement could be launched beside its worker now.
    pub(crate) fn can_be_replaced(&self) -> bool {
        self.companion.is_none() && self.is_up()
    }

    /// Whether another worker is to take the place of its worker, or could not be ended, so that there is no room for one. One that goes makes
    /// room.
    pub(crate) fn is_being_replaced(&self) -> bool {
        self.companion.as_ref().is_some_and(Companion::comes) || self.has_stuck_companion()
    }

    /// Whether its worker runs and is meant to.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Launching { .. } | State::Online(_))
    }

    /// Whether a worker that is to be up has been launched and is not known to run yet. What it runs cannot be changed any more, and it cannot be
    /// replaced yet.
    pub(crate) fn is_being_launched(&self) -> bool {
        matches!(self.state, State::Spawning(Spawning { intent: None, .. }))
    }

    /// Launches a replacement.
    pub(crate) fn replace(
        &mut self,
        (key, spec): (SpecKey, &Arc<Spec>),
        place: Option<Place>,
        cause: Cause,
        cx: &mut Context<'_>,
    ) -> Decision {
        let generation = self.next_generation();
        let companion = Companion {
            generation,
            spec: key,
            launched: None,
            place: place.clone(),
            vitals: Vitals::default(),
            cause,
            phase: Phase::Spawning {
                until: cx.now.instant + SPAWN_TIMEOUT,
            },
        };
        self.companion = Some(companion);
        cx.effects.push_back(Effect::Spawn(Launch {
            worker: WorkerId {
                slot: self.id,
                generation,
            },
            app: self.app,
            instance: self.instance,
            spec: Arc::clone(spec),
            place,
        }));
        Decision::Took
    }

    /// The roll that it came for is off, or the slot is to go down: it goes.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) -> Decision {
        let Some(mut companion) = self.companion.take() else {
            return Decision::Ignored(Reason::NothingRuns);
        };
        companion.phase = match companion.phase {
            Phase::Spawning { until } => Phase::Abandoned { until },
            Phase::Starting(Starting { pid, .. }) | Phase::Proving { pid, .. } => {
                self.end_companion(&companion, pid, Next::NotReplaced, cx)
            }
            Phase::Draining { pid, .. } => self.end_drained(&companion, pid, kill_timeout(cx), cx),
            ends @ (Phase::Abandoned { .. } | Phase::Ending { .. } | Phase::Sweeping { .. } | Phase::Stuck { .. }) => {
                ends
            }
        };
        self.companion = Some(companion);
        Decision::Took
    }

    /// Takes an input in for the companion.
    pub(crate) fn on_companion(&mut self, input: Input, cx: &mut Context<'_>) -> Decision {
        let Some(mut companion) = self.companion.take() else {
            return Decision::Ignored(Reason::OutOfOrder);
        };
        let phase = std::mem::replace(&mut companion.phase, Phase::Stuck { pid: None });
        match phase {
            Phase::Spawning { until } => self.companion_spawning(companion, until, input, cx),
            Phase::Starting(starting) => self.companion_starting(companion, starting, input, cx),
            Phase::Proving { pid, until } => self.companion_proving(companion, pid, until, input, cx),
            Phase::Abandoned { until } => self.companion_abandoned(companion, until, input, cx),
            Phase::Draining { pid, until } => self.companion_draining(companion, (pid, until), &input, cx),
            Phase::Ending { pid, ladder, why, next } => {
                self.companion_ending(companion, (pid, ladder, why, next), &input, cx)
            }
            Phase::Sweeping { ladder } => self.companion_sweeping(companion, ladder, &input, cx),
            Phase::Stuck { pid } => self.companion_stuck(companion, pid, &input, cx),
        }
    }

    fn keep(&mut self, companion: Companion, phase: Phase, decision: Decision) -> Decision {
        self.companion = Some(Companion { phase, ..companion });
        decision
    }

    /// Tells a running companion to end, on account of what it was launched or replaced for.
    fn end_companion(&mut self, companion: &Companion, pid: Pid, next: Next, cx: &mut Context<'_>) -> Phase {
        let spec = spec_of(cx);
        let ladder = self.tell_companion(companion, &spec, cx);
        let why = EndCause::Told {
            cause: companion.cause.clone(),
            killed: false,
        };
        Phase::Ending { pid, ladder, why, next }
    }

    /// One that drains has to end now. In fork mode it was told so when it began, and many programs take a second signal for "at
    /// once"; it has so long.
    fn end_drained(&mut self, companion: &Companion, pid: Pid, patience: Duration, cx: &mut Context<'_>) -> Phase {
        if spec_of(cx).mode == Mode::Cluster {
            return self.end_companion(companion, pid, Next::Replaced, cx);
        }
        Phase::Ending {
            pid,
            ladder: Ladder::asked(cx.now.instant, patience),
            why: EndCause::Told {
                cause: companion.cause.clone(),
                killed: false,
            },
            next: Next::Replaced,
        }
    }

    /// A replacement says that it is ending: it will not take over. It has as long for it as one that drains.
    fn companion_leaves(&mut self, companion: Companion, pid: Pid, cx: &mut Context<'_>) -> Decision {
        cx.news.push(News::NotReplaced(Failure::Leaving));
        let ladder = Ladder::draining(cx.now.instant, spec_of(cx).cluster.drain_timeout);
        let (why, next) = (EndCause::Announced { pressed: false }, Next::NotReplaced);
        self.keep(companion, Phase::Ending { pid, ladder, why, next }, Decision::Took)
    }

    fn tell_companion(&mut self, companion: &Companion, spec: &Spec, cx: &mut Context<'_>) -> Ladder {
        let worker = self.worker_of(companion);
        if spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker });
        }
        ask(worker, &spec.stop, cx)
    }

    /// Its main process has ended: nothing of its tree is to survive.
    fn companion_ended(
        &mut self,
        companion: Companion,
        status: ExitStatus,
        cause: EndCause,
        next: Next,
        ladder: Option<Ladder>,
        cx: &mut Context<'_>,
    ) -> Decision {
        let uptime = age_of(&companion, cx.now.instant);
        self.record_of(
            &companion,
            What::Ended {
                status,
                uptime,
                cause,
                next,
            },
            cx,
        );
        self.publish(NoticeKind::Exit, false, cx);
        if !spec_of(cx).stop.tree {
            return self.alone(cx);
        }
        cx.effects.push_back(Effect::Sweep {
            worker: self.worker_of(&companion),
        });
        let ladder = ladder.unwrap_or_else(|| Ladder::looking(cx.now.instant));
        self.keep(companion, Phase::Sweeping { ladder }, Decision::Took)
    }

    /// Nothing is left of the companion.
    fn alone(&mut self, cx: &mut Context<'_>) -> Decision {
        self.companion = None;
        cx.news.push(News::Alone);
        match std::mem::take(&mut self.state) {
            State::Leaving { then, killed } => {
                let (state, decision) = self.carry_out(then, killed, cx);
                self.state = state;
                decision
            }
            state => {
                self.state = state;
                Decision::Took
            }
        }
    }

    fn worker_of(&self, companion: &Companion) -> WorkerId {
        WorkerId {
            slot: self.id,
            generation: companion.generation,
        }
    }

    fn record_of(&self, companion: &Companion, what: What, cx: &mut Context<'_>) {
        cx.effects.push_back(Effect::Record(Entry {
            at: cx.now.wall,
            app: cx.spec.name.clone(),
            slot: self.id,
            instance: self.instance,
            generation: companion.generation,
            what,
        }));
    }
}

/// What the companion runs.
fn spec_of(cx: &Context<'_>) -> Arc<Spec> {
    Arc::clone(cx.other.unwrap_or(cx.spec))
}

fn kill_timeout(cx: &Context<'_>) -> Duration {
    spec_of(cx).stop.kill_timeout
}

fn age_of(companion: &Companion, now: Instant) -> Duration {
    companion
        .launched
        .map_or(Duration::ZERO, |launched| now.since(launched.instant))
}
