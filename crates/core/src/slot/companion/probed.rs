//! What comes of the probes of a companion that comes.

use super::super::{Context, Decision, Reason, Slot};
use super::{Companion, News, Phase, Starting, age_of, spec_of};
use crate::history::{Cause, EndCause, Next};
use crate::ids::Pid;
use crate::outcome::Failure;
use crate::probe::{ProbeKind, ProbeResult};
use std::time::Duration;

impl Slot {
    /// What came of a probe of the companion.
    pub(crate) fn on_companion_probe(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        took: Duration,
        cx: &mut Context<'_>,
    ) -> Decision {
        let spec = spec_of(cx);
        let coming = |companion: &mut Companion| matches!(companion.phase, Phase::Starting(_) | Phase::Proving { .. });
        let Some(probe) = spec.probes.get(kind) else {
            return Decision::Ignored(Reason::NotAwaited);
        };
        let Some(mut companion) = self.companion.take_if(coming) else {
            return Decision::Ignored(Reason::Ending);
        };
        let before = companion.vitals.clone();
        let age = age_of(&companion, cx.now.instant);
        let turned = companion.vitals.take(kind, result, probe, age);
        if let Some(what) = turned {
            self.record_of(&companion, what, cx);
        }
        if let (Some(pid), Some(why)) = (companion.pid(), companion.vitals.why_unhealthy()) {
            return self.companion_unhealthy(companion, pid, why, cx);
        }
        let worker = self.worker_of(&companion);
        let next = companion.vitals.next_probe((worker, kind), &spec, probe, age, took);
        cx.effects.push_back(next);
        let (phase, moved) = match companion.phase.clone() {
            Phase::Starting(starting) => {
                let phase = self.starting_or_proving(starting, &companion.vitals, &spec, cx.now.instant);
                let moved = matches!(phase, Phase::Proving { .. });
                (phase, moved)
            }
            // It was ready and is not any more.
            Phase::Proving { pid, .. } if !companion.vitals.serves(&spec.probes) => {
                let until = cx.now.instant + spec.ready.listen_timeout;
                let missing = Some(Vec::new());
                let starting = Starting {
                    pid,
                    until,
                    said_ready: true,
                    settled: true,
                    missing,
                };
                (Phase::Starting(starting), true)
            }
            same => (same, false),
        };
        let decision = if moved || before != companion.vitals {
            Decision::Took
        } else {
            Decision::Ignored(Reason::NotAwaited)
        };
        self.keep(companion, phase, decision)
    }

    /// It listens, and is not well: it does not take over.
    fn companion_unhealthy(
        &mut self,
        companion: Companion,
        pid: Pid,
        (why, hung): (String, bool),
        cx: &mut Context<'_>,
    ) -> Decision {
        cx.news.push(News::NotReplaced(Failure::Unhealthy { why: why.clone() }));
        let spec = spec_of(cx);
        let ladder = self.tell_companion(&companion, &spec, cx);
        let cause = Cause::Unhealthy { why, hung };
        let why = EndCause::Told { cause, killed: false };
        let next = Next::NotReplaced;
        self.keep(companion, Phase::Ending { pid, ladder, why, next }, Decision::Took)
    }
}
