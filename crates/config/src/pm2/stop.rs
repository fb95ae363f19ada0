//! How an app is stopped.

use super::attribute::Attribute;
use super::kind::Kind;
use super::listen;
use crate::attributes::Attributes;
use crate::units::duration;
use ostler_core::StopPolicy;

/// PM2's default.
const KILL_TIMEOUT: u64 = 1600;

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "kill_timeout",
        Kind::Milliseconds(0),
        "1600",
        "How long the app may take to stop before SIGKILL.",
    ),
    Attribute::new(
        "kill_signal",
        Kind::Signal,
        "SIGINT; with `listen` SIGTERM",
        "The signal that asks the app to stop. Ostler's own.",
    ),
    Attribute::new(
        "treekill",
        Kind::Flag,
        "true",
        "Stop the whole tree of processes, not only the main one.",
    ),
    Attribute::new(
        "shutdown_with_message",
        Kind::Flag,
        "false",
        "Send the message `shutdown` over IPC instead of the signal.",
    ),
    Attribute::new(
        "kill_retry_time",
        Kind::Milliseconds(0),
        "",
        "How often PM2 looks whether the app is gone.",
    )
    .ignored("the kernel tells Ostler the moment a process ends"),
];

/// PM2's signal; for apps that inherit their sockets the one upon which servers of every language finish what they have begun
/// (Gunicorn drops it at SIGINT).
fn default_signal(attributes: &Attributes) -> i32 {
    match listen::is_declared(attributes) {
        true => rustix::process::Signal::TERM.as_raw(),
        false => rustix::process::Signal::INT.as_raw(),
    }
}

/// The stop policy.
pub(crate) fn policy(attributes: &Attributes) -> StopPolicy {
    StopPolicy {
        signal: attributes
            .integer("kill_signal")
            .unwrap_or_else(|| default_signal(attributes)),
        kill_timeout: duration(attributes.number("kill_timeout").unwrap_or(KILL_TIMEOUT)),
        tree: attributes.flag("treekill").unwrap_or(true),
        message: attributes.flag("shutdown_with_message").unwrap_or(false),
    }
}
