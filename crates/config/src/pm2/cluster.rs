//! How workers that serve side by side share connections, and how they are replaced. Ostler's own keys.

use super::attribute::Attribute;
use super::kind::Kind;
use super::listen;
use crate::attributes::Attributes;
use crate::units::duration;
use ostler_core::{Balance, ClusterPolicy, Runtime, Serialization};

const MIN_READY: u64 = 1000;
const DRAIN_TIMEOUT: u64 = 30_000;

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "balance",
        Kind::Choice(&["round-robin", "least-connections", "sticky", "direct"]),
        "round-robin",
        "Which worker gets a connection: the next in turn, the one with the fewest open, the one that the client's address \
         belongs to (IPv4 whole, the first 64 bits of IPv6), or one by chance, which accepts it by itself: the most connections a second, less \
         evenly spread (Node only; Bun and Deno have round-robin then). Ostler's own.",
    ),
    Attribute::new(
        "min_ready",
        Kind::Milliseconds(0),
        "1s",
        "How long a new worker has to live, ready, before a reload lets its predecessor go. Ostler's own.",
    ),
    Attribute::new(
        "drain_timeout",
        Kind::Milliseconds(0),
        "30s",
        "How long a replaced worker may take to finish with its connections. With `listen` it counts from the stop signal, and a declared `kill_timeout` holds instead. Ostler's own.",
    ),
    Attribute::new(
        "serialization",
        Kind::Choice(&["json", "advanced"]),
        "json",
        "How messages between the app and Ostler are written, as in Node's `child_process.fork`. Ostler's own.",
    ),
];

/// The policy that attributes declare.
pub(crate) fn policy(attributes: &Attributes, runtime: Option<Runtime>) -> ClusterPolicy {
    // Where the stop signal begins the drain, who says how long a stop may take says it of this one too.
    let own = attributes
        .number("kill_timeout")
        .filter(|_| listen::is_declared(attributes));
    let foreign = matches!(runtime, Some(Runtime::Bun | Runtime::Deno));
    let span = |key: &str, default: u64| duration(attributes.number(key).unwrap_or(default));
    ClusterPolicy {
        balance: match attributes.text("balance") {
            Some("least-connections") => Balance::LeastConnections,
            Some("sticky") => Balance::Sticky,
            // Deno dies of a connection that is given to a worker with a listener of its own; of Bun's servers some do not listen through us at all.
            Some("direct") if !foreign => Balance::Direct,
            Some(_) | None => Balance::RoundRobin,
        },
        // Deno hangs with a preload, and Bun has nothing that it could hook into.
        preload: attributes.flag("pmx").unwrap_or(true) && !foreign,
        serialization: match attributes.text("serialization") {
            // Bun's is another one, of which we know nothing.
            Some("advanced") if runtime != Some(Runtime::Bun) => Serialization::Advanced,
            Some(_) | None => Serialization::Json,
        },
        min_ready: span("min_ready", MIN_READY),
        drain_timeout: span("drain_timeout", own.unwrap_or(DRAIN_TIMEOUT)),
    }
}
