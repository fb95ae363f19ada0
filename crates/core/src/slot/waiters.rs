//! Who waits for a slot, and for what.
//!
//! Called by [`Machine`](crate::Machine) when a request reaches a slot, and by the slot when it has news for those who wait.
//! Invariant: all who wait for a slot want the same of it, and it is what the slot is about to become. So nobody needs to
//! write down what they want: [`Slot::aim`] says it.

use super::{Context, Input, Intent, Slot, Spawning, State, Then, is_automatic};
use crate::event::Origin;
use crate::history::Cause;
use crate::ids::Ticket;
use crate::outcome::{Failure, Verdict};

/// Whoever waits for a worker to be up waits for its successor where a file is saved meanwhile, say. Where that happens again and again
/// no worker may ever be up: so often is enough.
const PATIENCE: u32 = 2;

/// What a request wants of a slot, and what a slot is about to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// A process that was launched after the request came.
    Up,
    /// Nothing runs.
    Down,
    /// Nothing runs and the slot is forgotten.
    Gone,
}

impl Aim {
    /// What a slot is told by somebody who wants this.
    pub(crate) fn input(self, by: Origin) -> Input {
        match self {
            Self::Up => Input::Restart {
                cause: Cause::Asked(by),
            },
            Self::Down => Input::Stop { by },
            Self::Gone => Input::Delete { by },
        }
    }
}

impl Slot {
    /// What it is about to become, unless somebody asks for something else.
    pub(crate) fn aim(&self) -> Aim {
        match &self.state {
            State::Waiting { .. }
            | State::Launching { .. }
            | State::Online(_)
            | State::Spawning(Spawning { intent: None, .. }) => Aim::Up,
            State::Spawning(Spawning {
                intent: Some(intent), ..
            }) => intent.aim(),
            State::Stopping(stopping) => stopping.intent.aim(),
            State::Sweeping(sweeping) => sweeping.then.aim(),
            State::Stuck(stuck) => stuck.then.aim(),
            State::Leaving { then, killed: _ } => then.aim(),
            State::Down { .. } => Aim::Down,
        }
    }

    /// Lets a request wait for what becomes of the slot, and says who need not wait any more, since they wanted
    /// something else. Whoever wants the same joins: all of them get the same verdict.
    pub(crate) fn await_by(&mut self, ticket: Ticket, aim: Aim) -> Vec<Ticket> {
        let overtaken = if self.aim() == aim {
            Vec::new()
        } else {
            self.waited_through = 0;
            std::mem::take(&mut self.waiters)
        };
        self.waiters.push(ticket);
        overtaken
    }

    /// Whether somebody waits for what becomes of it.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// The worker that somebody waits for may be restarted before it is up: the next one is waited for, within reason.
    pub(super) fn wait_through(&mut self, cause: &Cause, cx: &mut Context<'_>) {
        if !is_automatic(cause) || !self.is_awaited() {
            return;
        }
        self.waited_through += 1;
        if self.waited_through > PATIENCE {
            let times = self.waited_through;
            let cause = cause.clone();
            self.answer(&Verdict::Failed(Failure::Restarted { times, cause }), cx);
        }
    }

    /// Answers all who wait for this slot.
    pub(super) fn answer(&mut self, verdict: &Verdict, cx: &mut Context<'_>) {
        self.waited_through = 0;
        let answered = self.waiters.drain(..).map(|ticket| (ticket, verdict.clone()));
        cx.verdicts.extend(answered);
    }
}

impl Intent {
    fn aim(&self) -> Aim {
        match self {
            Self::Stop { by: _ } => Aim::Down,
            Self::Delete { by: _ } => Aim::Gone,
            Self::Restart(_) | Self::Judge | Self::Leave => Aim::Up,
        }
    }
}

impl Then {
    fn aim(&self) -> Aim {
        match self {
            Self::Launch { .. } => Aim::Up,
            Self::Rest { .. } | Self::Stop => Aim::Down,
            Self::Delete { by: _ } => Aim::Gone,
        }
    }
}
