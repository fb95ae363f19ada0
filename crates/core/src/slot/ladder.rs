//! How an end is pressed, step by step: where others go on serving, time to finish with connections; the polite signal, after `kill_timeout` SIGKILL (repeated each second, for a tree
//! that still forks), and when that does not help either within `kill_timeout` or 5 s, whichever is longer, it is given
//! up on.

use super::{Context, Slot};
use crate::effect::{Effect, Scope};
use crate::ids::WorkerId;
use crate::spec::StopPolicy;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// SIGKILL, the same number on every Unix.
pub(super) const SIGKILL: i32 = 9;
/// How long leftovers of a process that ended by itself may take to end by themselves before they are told to. A tree
/// without leftovers never waits for it: its `TreeGone` comes at once.
const LOOK: Duration = Duration::from_millis(50);
/// SIGKILL is repeated this often.
const KILL_AGAIN: Duration = Duration::from_secs(1);
/// SIGKILL gets at least this long to show its effect.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How far an end has been pressed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ladder {
    pub(crate) step: Step,
    /// SIGKILL was needed.
    pub(crate) killed: bool,
}

/// The rungs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// A worker of a cluster finishes with its connections; nothing has been sent to its process.
    Draining { until: Instant },
    /// Nothing has been sent to what is left.
    Looking { until: Instant },
    /// The polite signal, or the message, has been sent.
    Asked { until: Instant },
    /// SIGKILL has been sent, and will be again.
    Killing { again: Instant, until: Instant },
}

/// How an end is hurried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    /// What comes next comes now.
    Further,
    /// SIGKILL comes now.
    Kill,
}

/// Whether an end can be pressed further.
pub(super) enum Climb {
    Higher(Ladder),
    TopReached,
}

impl Ladder {
    /// A worker has just been told to finish with its connections.
    pub(super) fn draining(now: Instant, drain_timeout: Duration) -> Self {
        Self {
            step: Step::Draining {
                until: now + drain_timeout,
            },
            killed: false,
        }
    }

    /// Whether it still finishes with its connections.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.step, Step::Draining { .. })
    }

    /// Leftovers of a process, to which nothing has been sent.
    pub(super) fn looking(now: Instant) -> Self {
        Self {
            step: Step::Looking { until: now + LOOK },
            killed: false,
        }
    }

    /// The polite signal, or the message, has just been sent.
    pub(super) fn asked(now: Instant, kill_timeout: Duration) -> Self {
        Self {
            step: Step::Asked {
                until: now + kill_timeout,
            },
            killed: false,
        }
    }

    /// SIGKILL has just been sent.
    pub(super) fn killing(now: Instant, kill_timeout: Duration) -> Self {
        let until = now + kill_timeout.max(KILL_PATIENCE);
        Self {
            step: Step::Killing {
                again: now + KILL_AGAIN,
                until,
            },
            killed: true,
        }
    }

    /// Brings the next step forward to now. Whether there was one to be brought forward.
    pub(super) fn hurry(&mut self, press: Press, now: Instant) -> bool {
        let until = match self.step {
            Step::Draining { until } | Step::Looking { until } | Step::Asked { until } => until,
            Step::Killing { .. } => return false,
        };
        let sooner = now.min(until);
        let next = match (self.step, press) {
            (Step::Draining { .. }, Press::Further) => Step::Draining { until: sooner },
            (Step::Looking { .. }, Press::Further) => Step::Looking { until: sooner },
            (Step::Draining { .. } | Step::Looking { .. }, Press::Kill)
            | (Step::Asked { .. } | Step::Killing { .. }, Press::Further | Press::Kill) => {
                Step::Asked { until: sooner }
            }
        };
        std::mem::replace(&mut self.step, next) != next
    }

    pub(super) fn deadline(&self) -> Instant {
        match self.step {
            Step::Draining { until } | Step::Looking { until } | Step::Asked { until } => until,
            Step::Killing { again, until } => again.min(until),
        }
    }
}

impl Slot {
    /// Presses the end of the current worker further.
    pub(super) fn climb(&mut self, ladder: Ladder, scope: Scope, cx: &mut Context<'_>) -> Climb {
        let spec = Arc::clone(cx.spec);
        press(self.worker(), &spec.stop, ladder, scope, cx)
    }
}

/// The first rung: tells a worker to end, politely.
pub(super) fn ask(worker: WorkerId, policy: &StopPolicy, cx: &mut Context<'_>) -> Ladder {
    cx.effects.push_back(if policy.message {
        Effect::SendShutdown { worker }
    } else {
        Effect::Signal {
            worker,
            signal: policy.signal,
            scope: scope(policy.tree),
        }
    });
    Ladder::asked(cx.now.instant, policy.kill_timeout)
}

/// Presses an end further.
pub(super) fn press(
    worker: WorkerId,
    policy: &StopPolicy,
    ladder: Ladder,
    scope: Scope,
    cx: &mut Context<'_>,
) -> Climb {
    let (now, kill_timeout) = (cx.now.instant, policy.kill_timeout);
    let (signal, ladder) = match ladder.step {
        Step::Draining { until: _ } => return Climb::Higher(ask(worker, policy, cx)),
        Step::Looking { until: _ } => (
            policy.signal,
            Ladder {
                killed: ladder.killed,
                ..Ladder::asked(now, kill_timeout)
            },
        ),
        Step::Asked { until: _ } => (SIGKILL, Ladder::killing(now, kill_timeout)),
        Step::Killing { again: _, until } if now >= until => return Climb::TopReached,
        Step::Killing { again: _, until } => (
            SIGKILL,
            Ladder {
                step: Step::Killing {
                    again: now + KILL_AGAIN,
                    until,
                },
                killed: true,
            },
        ),
    };
    cx.effects.push_back(Effect::Signal { worker, signal, scope });
    Climb::Higher(ladder)
}

/// To whom the signals of an app go while its main process runs.
pub(super) fn scope(tree: bool) -> Scope {
    if tree { Scope::Tree } else { Scope::Main }
}
