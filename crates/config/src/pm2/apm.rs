//! Attributes that concern what is measured in programs: ours, and those that feed PM2's probe and cloud agents.

use super::attribute::Attribute;
use super::kind::Kind;

const PROBE: &str = "what Ostler measures in an app needs no setting";

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "pmx",
        Kind::FlagOrText,
        "true",
        "Load a script into programs of Node that has workers of a cluster finish with their connections, and says how the program is doing.",
    ),
    Attribute::new(
        "prom_client",
        Kind::Flag,
        "false",
        "Add up over all workers what the app has registered with the package `prom-client` (its default registry), and show it in `/metrics`. Ostler's own.",
    ),
    Attribute::new("automation", Kind::Flag, "false", "Let the probe instrument the app.").later(PROBE),
    Attribute::new("trace", Kind::Anything, "false", "Trace requests.").later(PROBE),
    Attribute::new("disable_trace", Kind::Flag, "", "Do not trace requests.").later(PROBE),
    Attribute::new("v8", Kind::Anything, "false", "Collect V8 metrics.").later(PROBE),
    Attribute::new("event_loop_inspector", Kind::Anything, "false", "Dump the event loop.").later(PROBE),
    Attribute::new("deep_monitoring", Kind::Anything, "false", "Collect all metrics.").later(PROBE),
    Attribute::new("io", Kind::Anything, "", "Settings of the metrics probe.").later(PROBE),
];
