//! When a process that ended is started again: PM2's rules, and the rolling budget for apps that set none of them.
//!
//! **PM2's rules** ([`RestartLimit::Unstable`]). An exit is unstable when the process lived less than `min_uptime` and
//! the slot was made or restarted by hand less than `min_uptime * max_restarts` ago. At `max_restarts` unstable exits the
//! slot is `errored`: a script that fails at once is launched 16 times and restarted 15 times.
//!
//! **The rolling budget** ([`RestartLimit::Rolling`]). It never gives up. A slot has a credit of five short-lived
//! processes, which are replaced at once. After that restarts are spaced: 100 ms, doubling to the cap of 15 s. Only being
//! up earns credit: one more for each 12 s, everything after 30 s in one go. A window of wall time would not do: at
//! a spacing of 15 s it empties by itself, and a hopeless app would get bursts of immediate restarts for ever. A process
//! that lived at least `min_uptime` costs nothing, so an app that is killed again and again, but works in between, is
//! back at once each time.

use crate::event::ExitStatus;
use crate::history::Next;
use crate::settings::Settings;
use crate::spec::{RestartLimit, RestartPolicy};
use crate::time::{Instant, Now, millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds of uptime that pay for the immediate replacement of one short-lived process.
const PRICE_MS: u64 = 12_000;
/// The most credit there is: five immediate replacements.
const FULL_CREDIT_MS: u64 = 5 * PRICE_MS;
/// The first delay of spaced restarts.
const FIRST_DELAY_MS: u64 = 100;

/// What a slot remembers of its processes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// When it was made or last restarted by hand; forgotten when it is given up.
    pub(crate) created: Option<Now>,
    /// When the current or last process was launched.
    pub(crate) launched: Option<Now>,
    /// PM2: `restart_time`.
    pub(crate) restarts: u32,
    /// PM2: `unstable_restarts`; under the rolling budget the short-lived processes in a row.
    pub(crate) unstable: u32,
    /// How the last process ended.
    pub(crate) last_exit: Option<ExitStatus>,
    /// The last delay (PM2: `prev_restart_delay`).
    pub(crate) delay_ms: u64,
    /// Credit of the rolling budget.
    credit_ms: u64,
    /// How many spaced restarts there were in a row.
    spaced: u32,
    /// Launches in a row that failed for a passing reason.
    pub(crate) spawn_failures: u32,
    /// Replacements in a row of workers that were not well, none of which was well for long.
    #[serde(default)]
    pub(crate) reliefs: u32,
    /// The next of these does not begin before.
    #[serde(default)]
    pub(crate) relief_at: Option<Instant>,
}

/// What is to become of a slot whose process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Launch it again after this delay.
    Restart { delay: Duration },
    /// It is done.
    Done,
    /// It is given up.
    Errored {
        /// By the restart limit, as opposed to a failed start that is not to be repeated.
        over_limit: bool,
    },
}

impl Judgement {
    pub(crate) fn next(self) -> Next {
        match self {
            Self::Restart { delay: Duration::ZERO } => Next::Restart,
            Self::Restart { delay } => Next::RestartIn { delay },
            Self::Done => Next::Done,
            Self::Errored { .. } => Next::Errored,
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            created: None,
            launched: None,
            restarts: 0,
            unstable: 0,
            last_exit: None,
            delay_ms: 0,
            credit_ms: FULL_CREDIT_MS,
            spaced: 0,
            spawn_failures: 0,
            reliefs: 0,
            relief_at: None,
        }
    }
}

impl Ledger {
    /// A restart on purpose (by hand, cron, a changed file, the memory limit): what went before is forgiven.
    pub(crate) fn renew(&mut self, now: Now) {
        self.created = Some(now);
        self.unstable = 0;
        self.delay_ms = 0;
        self.credit_ms = FULL_CREDIT_MS;
        self.spaced = 0;
        self.spawn_failures = 0;
    }

    /// `reset`: the counters go back to 0, a back-off goes on.
    pub(crate) fn reset(&mut self, now: Now) {
        self.created = Some(now);
        self.restarts = 0;
        self.unstable = 0;
    }

    /// Judges a process that ended by itself after `uptime`.
    pub(crate) fn judge_exit(
        &mut self,
        policy: &RestartPolicy,
        settings: &Settings,
        status: ExitStatus,
        uptime: Duration,
        now: Now,
    ) -> Judgement {
        if uptime >= settings.backoff_reset {
            self.delay_ms = 0;
        }
        if !policy.auto || stops(policy, status) {
            return Judgement::Done;
        }
        let short = uptime < policy.min_uptime;
        self.judge(policy, settings, short && self.is_young(policy, now), short, uptime)
    }

    /// Judges a start that failed for a lasting reason: the process did not become ready, or there was none at all. It counts as unstable however
    /// long that took, and without PM2's window of age: `listen_timeout` alone would exceed that after a few tries, and a launch
    /// that fails takes no time, so outside the window the next would follow at once, for ever.
    pub(crate) fn judge_failed_start(&mut self, policy: &RestartPolicy, settings: &Settings) -> Judgement {
        if !policy.auto {
            return Judgement::Errored { over_limit: false };
        }
        self.judge(policy, settings, true, true, Duration::ZERO)
    }

    /// The delay before a launch that failed for a passing reason is tried again. It costs no restart.
    pub(crate) fn delay_after_transient_failure(&mut self, settings: &Settings) -> Duration {
        self.spawn_failures = self.spawn_failures.saturating_add(1);
        Duration::from_millis(doubled(self.spawn_failures, settings))
    }

    /// A worker that is not well is replaced now. The first few in a row at once, as for those that end by themselves; then they are spaced, so
    /// that an app whose successors are no better is not launched again and again.
    pub(crate) fn relieve(&mut self, policy: &RestartPolicy, settings: &Settings, now: Now) {
        self.reliefs = self.reliefs.saturating_add(1);
        let credit = u32::try_from(FULL_CREDIT_MS / PRICE_MS).unwrap_or(u32::MAX);
        let spaced = doubled(self.reliefs.saturating_sub(credit), settings);
        let delay = spaced.max(policy.delay.map_or(0, millis));
        self.relief_at = (delay > 0).then(|| now.instant + Duration::from_millis(delay));
    }

    /// What went before is forgiven.
    pub(crate) fn forget_reliefs(&mut self) {
        self.reliefs = 0;
        self.relief_at = None;
    }

    /// Within PM2's window of `min_uptime * max_restarts` since it was made.
    fn is_young(&self, policy: &RestartPolicy, now: Now) -> bool {
        match (policy.limit.clone(), self.created) {
            (RestartLimit::Unstable { max_restarts }, Some(created)) => {
                now.instant.since(created.instant) < policy.min_uptime.saturating_mul(max_restarts)
            }
            (RestartLimit::Unstable { .. }, None) => false,
            (RestartLimit::Rolling, Some(_) | None) => true,
        }
    }

    fn judge(
        &mut self,
        policy: &RestartPolicy,
        settings: &Settings,
        unstable: bool,
        short: bool,
        uptime: Duration,
    ) -> Judgement {
        match policy.limit {
            RestartLimit::Unstable { max_restarts } => {
                self.unstable += u32::from(unstable);
                if self.unstable >= max_restarts {
                    self.unstable = 0;
                    self.created = None;
                    return Judgement::Errored { over_limit: true };
                }
                self.restart_after(self.configured_delay_ms(policy, settings))
            }
            RestartLimit::Rolling => {
                self.unstable = if short { self.unstable.saturating_add(1) } else { 0 };
                let spacing = self.spacing_ms(settings, short, uptime);
                self.restart_after(spacing.max(self.configured_delay_ms(policy, settings)))
            }
        }
    }

    fn restart_after(&mut self, delay_ms: u64) -> Judgement {
        self.delay_ms = delay_ms;
        Judgement::Restart {
            delay: Duration::from_millis(delay_ms),
        }
    }

    /// `exp_backoff_restart_delay` (half as much again each time) or `restart_delay`.
    fn configured_delay_ms(&self, policy: &RestartPolicy, settings: &Settings) -> u64 {
        match (policy.backoff, policy.delay) {
            (Some(base), Some(_) | None) if base > Duration::ZERO => match self.delay_ms {
                0 => millis(base),
                last => (last.saturating_mul(3) / 2).min(millis(settings.backoff_cap)),
            },
            (Some(_) | None, delay) => delay.map_or(0, millis),
        }
    }

    /// The rolling budget's word on a process that lived for `uptime`.
    fn spacing_ms(&mut self, settings: &Settings, short: bool, uptime: Duration) -> u64 {
        self.credit_ms = self.credit_ms.saturating_add(millis(uptime)).min(FULL_CREDIT_MS);
        if uptime >= settings.backoff_reset {
            self.credit_ms = FULL_CREDIT_MS;
        }
        if self.credit_ms == FULL_CREDIT_MS {
            self.spaced = 0;
        }
        if self.credit_ms >= PRICE_MS {
            self.credit_ms -= if short { PRICE_MS } else { 0 };
            return 0;
        }
        if short {
            self.spaced = self.spaced.saturating_add(1);
        }
        doubled(self.spaced, settings)
    }
}

/// 0, 100, 200, 400 … ms up to the cap, for the 0th, 1st, 2nd, 3rd … time in a row.
fn doubled(times: u32, settings: &Settings) -> u64 {
    match times.checked_sub(1) {
        None => 0,
        Some(exponent) => 2_u64
            .saturating_pow(exponent)
            .saturating_mul(FIRST_DELAY_MS)
            .min(millis(settings.backoff_cap)),
    }
}

/// Whether an exit says "done". PM2 takes a death by signal for exit code 0.
fn stops(policy: &RestartPolicy, status: ExitStatus) -> bool {
    match status {
        ExitStatus::Code(code) => policy.stop_exit_codes.contains(&code),
        ExitStatus::Signal { .. } => policy.stop_exit_codes.contains(&0),
        ExitStatus::Unknown => false,
    }
}
