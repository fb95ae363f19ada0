//! When systemd starts a service again.

use super::App;
use super::unit::{Unit, span};
use ostler_core::{RestartLimit, Spec};
use std::time::Duration;

/// PM2's cap on a growing delay.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// How much longer each delay is than the one before, as in PM2.
const GROWTH: f64 = 1.5;
/// Where Ostler spaces restarts by a budget, systemd has one delay for all.
const STEADY_DELAY: Duration = Duration::from_secs(1);

/// When it is given up, in `[Unit]`.
pub(super) fn limits(spec: &Spec, unit: &mut Unit) {
    if !spec.restart.auto {
        return;
    }
    match spec.restart.limit {
        RestartLimit::Rolling => unit.line("StartLimitIntervalSec", 0),
        RestartLimit::Unstable { max_restarts } => {
            let each = spec.restart.min_uptime + delay(spec);
            unit.line("StartLimitIntervalSec", span(each.saturating_mul(max_restarts.max(1))));
            unit.line("StartLimitBurst", max_restarts.max(1));
        }
    }
}

/// The rest, in `[Service]`.
pub(super) fn restarts(app: &App<'_>, unit: &mut Unit) {
    let policy = &app.spec.restart;
    if !policy.auto {
        unit.line("Restart", "no");
        return;
    }
    unit.line("Restart", "always");
    unit.line("RestartSec", span(delay(app.spec)));
    if let Some(first) = policy
        .backoff
        .filter(|first| !first.is_zero() && *first < LONGEST_DELAY)
    {
        let delays = std::iter::successors(Some(first), |delay| Some(delay.mul_f64(GROWTH)));
        let steps = delays.take_while(|delay| *delay < LONGEST_DELAY).count();
        unit.line("RestartSteps", steps);
        unit.line("RestartMaxDelaySec", span(LONGEST_DELAY));
    }
    if !policy.stop_exit_codes.is_empty() {
        let codes: Vec<String> = policy.stop_exit_codes.iter().map(ToString::to_string).collect();
        unit.line("SuccessExitStatus", codes.join(" "));
        unit.line("RestartPreventExitStatus", codes.join(" "));
    }
}

fn delay(spec: &Spec) -> Duration {
    let policy = &spec.restart;
    match (&policy.limit, policy.backoff.or(policy.delay)) {
        (RestartLimit::Rolling | RestartLimit::Unstable { .. }, Some(delay)) => delay,
        (RestartLimit::Rolling, None) => STEADY_DELAY,
        (RestartLimit::Unstable { .. }, None) => Duration::from_millis(100),
    }
}
