//! What a slot has come to when nothing runs in it, for whoever has to know whether all is over; and how its end is hurried.

use super::ladder::Press;
use super::{Phase, Slot, State};
use crate::event::ExitStatus;
use crate::spec::Spec;
use crate::time::Instant;

/// What has become of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Something runs, or is going to without anybody's doing: by a restart, by the clock, by a file that changes.
    Busy,
    /// It ran, and a person has stopped it.
    Held,
    /// It was never to run (`autostart: false`).
    Unused,
    /// Its process has ended, so, and its restart policy calls that done.
    Done(ExitStatus),
    /// It was given up, or could not be launched.
    Failed,
}

impl Slot {
    /// What has become of it.
    pub(crate) fn rest(&self, spec: &Spec) -> Rest {
        let State::Down { errored } = self.state else {
            return Rest::Busy;
        };
        // `watched` is true from a start until a stop by hand, whether there is anything to watch or not.
        let wanted = self.watched;
        match (self.has_run(), wanted) {
            _ if self.companion.is_some() || self.cron.is_some() || self.watching(spec) => Rest::Busy,
            _ if errored => Rest::Failed,
            (true, true) => Rest::Done(self.ledger.last_exit.unwrap_or(ExitStatus::Unknown)),
            (true, false) => Rest::Held,
            (false, true) => Rest::Failed,
            (false, false) => Rest::Unused,
        }
    }

    /// Whether a process was ever launched in it.
    pub(crate) fn has_run(&self) -> bool {
        self.ledger.launched.is_some()
    }

    /// Has what is being ended of it end sooner. Whether that changes anything.
    pub(crate) fn press_now(&mut self, press: Press, now: Instant) -> bool {
        let own = match &mut self.state {
            State::Stopping(stopping) => stopping.ladder.hurry(press, now),
            State::Sweeping(sweeping) => sweeping.ladder.hurry(press, now),
            State::Down { .. }
            | State::Spawning(_)
            | State::Launching { .. }
            | State::Online(_)
            | State::Waiting { .. }
            | State::Stuck(_)
            | State::Leaving { .. } => false,
        };
        let companion = self.companion.as_mut().map(|companion| &mut companion.phase);
        let other = match companion {
            Some(Phase::Draining { until, pid: _ }) => {
                let sooner = *until > now;
                *until = now.min(*until);
                sooner
            }
            Some(Phase::Ending { ladder, .. } | Phase::Sweeping { ladder }) => ladder.hurry(press, now),
            Some(
                Phase::Spawning { .. }
                | Phase::Starting(_)
                | Phase::Proving { .. }
                | Phase::Abandoned { .. }
                | Phase::Stuck { .. },
            )
            | None => false,
        };
        own || other
    }
}
