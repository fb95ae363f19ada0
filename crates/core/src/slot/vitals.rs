//! What a slot makes of its workers' probes: whether they are given work, and whether they are to be replaced.
//!
//! Probes are ordered one by one: what comes of one ([`Slot::on_probe`]) orders the next, as long as its worker is up. So there is
//! at most one of a kind under way for a worker, and none for one that is on its way out. A result that changes nothing leaves the slot
//! as it was, bit by bit: a healthy app costs the journal nothing.

use super::{Context, Decision, Reason, Slot, State};
use crate::effect::Effect;
use crate::history::{Cause, What};
use crate::ids::WorkerId;
use crate::outcome::Verdict;
use crate::probe::{Health, Probe, ProbeKind, ProbeResult, Probes};
use crate::spec::{Mode, Spec};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a worker is asked whether it is ready until it is for the first time: somebody may wait for it.
const FIRST_READY: Duration = Duration::from_millis(250);
/// How long after its launch a worker's health is looked at first.
const FIRST_HEALTH: Duration = Duration::from_secs(1);

/// What is known of a worker by its probes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vitals {
    health: Tally,
    ready: Tally,
}

/// What one of its probes has found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    standing: Standing,
    /// In a row, while they are against what it stands at.
    failures: u32,
    successes: u32,
    /// What the last one found, if it failed.
    why: Option<String>,
    /// None of the failures in this row came from a worker whose event loop turns.
    hung: bool,
}

/// What is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    #[default]
    Unknown,
    Good,
    Bad,
}

impl Standing {
    fn shown(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Good => Some(true),
            Self::Bad => Some(false),
        }
    }
}

impl Tally {
    /// Takes a result in. What is believed from now on, if that is something else than before.
    fn take(&mut self, result: ProbeResult, probe: &Probe, counts: bool) -> Option<Standing> {
        match result {
            ProbeResult::Passed => {
                self.failures = 0;
                self.why = None;
                self.hung = false;
                if self.standing == Standing::Good {
                    return None;
                }
                self.successes += 1;
                if self.successes < probe.success_threshold {
                    return None;
                }
                self.turn(Standing::Good)
            }
            ProbeResult::Failed { why, hung } => {
                self.successes = 0;
                self.why = Some(why);
                if self.standing == Standing::Bad {
                    self.hung &= hung;
                    return None;
                }
                if self.standing == Standing::Unknown && !counts {
                    return None;
                }
                self.hung = hung && (self.hung || self.failures == 0);
                self.failures += 1;
                if self.failures < probe.failure_threshold {
                    return None;
                }
                self.turn(Standing::Bad)
            }
        }
    }

    fn turn(&mut self, to: Standing) -> Option<Standing> {
        self.failures = 0;
        self.successes = 0;
        self.standing = to;
        Some(to)
    }
}

impl Vitals {
    /// Whether nothing is known yet.
    pub(crate) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    fn of(&self, kind: ProbeKind) -> &Tally {
        match kind {
            ProbeKind::Health => &self.health,
            ProbeKind::Ready => &self.ready,
        }
    }

    fn of_mut(&mut self, kind: ProbeKind) -> &mut Tally {
        match kind {
            ProbeKind::Health => &mut self.health,
            ProbeKind::Ready => &mut self.ready,
        }
    }

    /// Takes a result in. What the history is to say of it: that all is well at first is nothing to tell.
    /// Nobody believes of one that has never been ready that it is not any more.
    pub(super) fn take(&mut self, kind: ProbeKind, result: ProbeResult, probe: &Probe, age: Duration) -> Option<What> {
        let counts = kind == ProbeKind::Health && age >= probe.start_period;
        let tally = self.of_mut(kind);
        let before = tally.standing;
        let failure = match (before, tally.take(result, probe, counts)?) {
            (_, Standing::Bad) => tally.why.clone(),
            (Standing::Bad, Standing::Good) => None,
            (Standing::Unknown | Standing::Good, Standing::Good) | (_, Standing::Unknown) => return None,
        };
        Some(What::Probed { kind, failure })
    }

    /// Whether nothing its probes have found speaks against giving it work.
    pub(crate) fn serves(&self, probes: &Probes) -> bool {
        let healthy = probes.health.is_none() || self.health.standing != Standing::Bad;
        healthy && (probes.ready.is_none() || self.ready.standing == Standing::Good)
    }

    /// Whether it has never been found ready, though that is asked.
    pub(super) fn awaits_ready(&self, probes: &Probes) -> bool {
        probes.ready.is_some() && self.ready.standing == Standing::Unknown
    }

    /// The time for it to become ready is over, and it is to be taken for ready.
    pub(super) fn take_for_ready(&mut self) {
        self.ready.standing = Standing::Good;
    }

    /// Whether its health is asked and not known yet.
    pub(crate) fn awaits_health(&self, probes: &Probes) -> bool {
        probes.health.is_some() && self.health.standing == Standing::Unknown
    }

    /// What its health probe has found, and whether its event loop hangs, if that is believed.
    pub(super) fn why_unhealthy(&self) -> Option<(String, bool)> {
        let bad = self.health.standing == Standing::Bad;
        bad.then(|| (self.health.why.clone().unwrap_or_default(), self.health.hung))
    }

    /// What its readiness probe has found, if it fails.
    pub(super) fn why_not_ready(&self) -> Option<String> {
        self.ready.why.clone()
    }

    /// The probe after this one, which took so long.
    pub(super) fn next_probe(
        &self,
        (worker, kind): (WorkerId, ProbeKind),
        spec: &Spec,
        probe: &Probe,
        age: Duration,
        took: Duration,
    ) -> Effect {
        // Somebody may wait for it to become ready.
        let first = kind == ProbeKind::Ready && self.awaits_ready(&spec.probes) && age < spec.ready.listen_timeout;
        let interval = if first {
            probe.interval.min(FIRST_READY)
        } else {
            probe.interval
        };
        Effect::Probe {
            worker,
            kind,
            check: probe.check.clone(),
            timeout: probe.timeout,
            after: interval.saturating_sub(took),
        }
    }

    /// For lists.
    pub(crate) fn view(&self, probes: &Probes) -> Health {
        let shown = |kind: ProbeKind| probes.get(kind).and_then(|_| self.of(kind).standing.shown());
        Health {
            healthy: shown(ProbeKind::Health),
            ready: shown(ProbeKind::Ready).or_else(|| self.ready.why.as_ref().map(|_| false)),
            why: self.health.why.clone().or_else(|| self.ready.why.clone()),
        }
    }
}

/// The first probes of a worker, or of one that was taken over.
pub(crate) fn first_probes(worker: WorkerId, spec: &Spec) -> impl Iterator<Item = Effect> {
    let kinds = [(ProbeKind::Ready, Duration::ZERO), (ProbeKind::Health, FIRST_HEALTH)];
    kinds.into_iter().filter_map(move |(kind, after)| {
        let probe = spec.probes.get(kind)?;
        Some(Effect::Probe {
            worker,
            kind,
            check: probe.check.clone(),
            timeout: probe.timeout,
            after: after.min(probe.interval),
        })
    })
}

impl Slot {
    /// What came of a probe of the current worker.
    pub(crate) fn on_probe(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        took: Duration,
        cx: &mut Context<'_>,
    ) -> Decision {
        let Some(probe) = cx.spec.probes.get(kind) else {
            return Decision::Ignored(Reason::NotAwaited);
        };
        if !self.is_up() {
            return Decision::Ignored(Reason::Ending);
        }
        let (before, probes) = (self.vitals.clone(), &cx.spec.probes);
        let age = self.age(cx.now.instant);
        let turned = self.vitals.take(kind, result, probe, age);
        let next = self.vitals.next_probe((self.worker(), kind), cx.spec, probe, age, took);
        let (served, serves) = (before.serves(probes), self.vitals.serves(probes));
        if let Some(what) = turned {
            self.record(what, cx);
        }
        if served && !serves && cx.spec.mode == Mode::Cluster {
            cx.effects.push_back(Effect::Withdraw { worker: self.worker() });
        }
        if !served && serves && matches!(self.state, State::Online(_)) {
            self.admit(cx);
            self.answer_if_up(cx);
        }
        cx.effects.push_back(next);
        let forgiven = self.forgive(cx);
        if before == self.vitals && !forgiven {
            return Decision::Ignored(Reason::NotAwaited);
        }
        Decision::Took
    }

    /// One that has been well for long has nothing to do with those before it.
    fn forgive(&mut self, cx: &Context<'_>) -> bool {
        let well = self.vitals.health.standing == Standing::Good && self.vitals.health.failures == 0;
        if self.ledger.reliefs == 0 || !well || self.age(cx.now.instant) < cx.settings.backoff_reset {
            return false;
        }
        self.ledger.forget_reliefs();
        true
    }

    fn answer_if_up(&mut self, cx: &mut Context<'_>) {
        if let Some(pid) = self.pid() {
            self.answer(&Verdict::Online { pid }, cx);
        }
    }

    /// Why its worker is to be replaced, if it is.
    pub(crate) fn is_unhealthy(&self, spec: &Spec) -> Option<Cause> {
        let asked = spec.probes.health.is_some() && self.is_up();
        let (why, hung) = self.vitals.why_unhealthy().filter(|_| asked)?;
        Some(Cause::Unhealthy { why, hung })
    }
}
