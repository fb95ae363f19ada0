//! When an app is started again, and when it counts as ready.

use super::attribute::Attribute;
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::diagnostic::Problem;
use crate::units::duration;
use ostler_core::{OnReadyTimeout, ReadyPolicy, RestartLimit, RestartPolicy};

const MIN_UPTIME: u64 = 1000;
const MAX_RESTARTS: u32 = 16;
const LISTEN_TIMEOUT: u64 = 3000;

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "autorestart",
        Kind::Flag,
        "true",
        "Start the app again when it exits by itself.",
    ),
    Attribute::new(
        "autostart",
        Kind::Flag,
        "true",
        "Launch it on `start`; `false` only registers it, stopped.",
    ),
    Attribute::new(
        "max_restarts",
        Kind::Whole(0, u32::MAX as i64),
        "",
        "Give up at so many unstable restarts in a row. Without this key and `min_uptime` Ostler never gives up: it spaces restarts further and further.",
    ),
    Attribute::new(
        "min_uptime",
        Kind::Milliseconds(100),
        "1s",
        "An exit before this age is unstable. Setting it brings PM2's limit of 16 unstable restarts.",
    ),
    Attribute::new(
        "restart_delay",
        Kind::Milliseconds(0),
        "0",
        "A fixed wait before each restart.",
    ),
    Attribute::new(
        "exp_backoff_restart_delay",
        Kind::Milliseconds(0),
        "0",
        "The first wait of a growing one; it wins over `restart_delay`.",
    ),
    Attribute::new(
        "stop_exit_codes",
        Kind::ExitCodes,
        "",
        "Exit codes that mean \"done\": no restart.",
    ),
    Attribute::new("cron_restart", Kind::Cron, "", "Restart by the clock, local time.").aliases(&["cron"]),
    Attribute::new(
        "max_memory_restart",
        Kind::Memory,
        "",
        "Restart when the whole tree of processes uses more resident memory.",
    ),
    Attribute::new(
        "max_memory_kill",
        Kind::Memory,
        "",
        "Kill the whole tree of processes, without asking, when it uses more resident memory: for what grows too fast to be replaced. Above `max_memory_restart`. Ostler's own.",
    ),
    Attribute::new(
        "wait_ready",
        Kind::Flag,
        "false",
        "The app is up when it says so: `process.send('ready')`, or `READY=1` to `$NOTIFY_SOCKET` (sd_notify(3)) in fork mode.",
    ),
    Attribute::new(
        "listen_timeout",
        Kind::Milliseconds(0),
        "3000",
        "How long to wait for it.",
    ),
    Attribute::new(
        "ready_timeout",
        Kind::Choice(&["fail", "accept"]),
        "fail",
        "What the end of `listen_timeout` means: the start has failed, or (as in PM2) the app counts as ready. Ostler's own.",
    ),
];

/// The restart policy. The rule of PM2 holds as soon as one of the two keys that parametrise it is set.
pub(crate) fn policy(attributes: &Attributes) -> RestartPolicy {
    let max_restarts = attributes.number("max_restarts");
    let min_uptime = attributes.number("min_uptime");
    let limit = if max_restarts.is_some() || min_uptime.is_some() {
        let max_restarts = max_restarts
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(MAX_RESTARTS);
        RestartLimit::Unstable { max_restarts }
    } else {
        RestartLimit::Rolling
    };
    RestartPolicy {
        auto: attributes.flag("autorestart").unwrap_or(true),
        stop_exit_codes: attributes.integers("stop_exit_codes"),
        limit,
        delay: attributes
            .number("restart_delay")
            .filter(|span| *span > 0)
            .map(duration),
        backoff: attributes
            .number("exp_backoff_restart_delay")
            .filter(|span| *span > 0)
            .map(duration),
        min_uptime: duration(min_uptime.unwrap_or(MIN_UPTIME)),
    }
}

/// When it counts as ready.
pub(crate) fn readiness(attributes: &Attributes) -> ReadyPolicy {
    let accept = attributes.text("ready_timeout") == Some("accept");
    ReadyPolicy {
        wait_ready: attributes.flag("wait_ready").unwrap_or(false),
        listen_timeout: duration(attributes.number("listen_timeout").unwrap_or(LISTEN_TIMEOUT)),
        on_timeout: if accept {
            OnReadyTimeout::Accept
        } else {
            OnReadyTimeout::Fail
        },
    }
}

/// The memory above which it is killed.
pub(crate) fn memory_kill(attributes: &Attributes) -> Result<Option<u64>, Problem> {
    let bytes = |name: &str| attributes.number(name).filter(|bytes| *bytes > 0);
    let (soft, hard) = (bytes("max_memory_restart"), bytes("max_memory_kill"));
    match (soft, hard) {
        (Some(soft), Some(hard)) if hard <= soft => Err(Problem::invalid(
            "max_memory_kill",
            "it is not above `max_memory_restart`, which would never come to act",
            "leave room between them for what is used while a successor starts",
        )),
        (Some(_) | None, hard) => Ok(hard),
    }
}

/// The cron pattern, if any; `0` turned it off.
pub(crate) fn cron(attributes: &Attributes) -> Option<String> {
    attributes
        .text("cron_restart")
        .filter(|pattern| !pattern.is_empty())
        .map(str::to_owned)
}
