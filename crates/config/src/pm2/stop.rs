//! How an app is stopped.

use super::attribute::Attribute;
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::units::duration;
use ostler_core::StopPolicy;

/// PM2's defaults: SIGINT, and SIGKILL 1600 ms later.
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
        "SIGINT",
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

/// The stop policy.
pub(crate) fn policy(attributes: &Attributes) -> StopPolicy {
    StopPolicy {
        signal: attributes
            .integer("kill_signal")
            .unwrap_or(rustix::process::Signal::INT.as_raw()),
        kill_timeout: duration(attributes.number("kill_timeout").unwrap_or(KILL_TIMEOUT)),
        tree: attributes.flag("treekill").unwrap_or(true),
        message: attributes.flag("shutdown_with_message").unwrap_or(false),
    }
}
