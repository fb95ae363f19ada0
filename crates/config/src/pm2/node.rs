//! Attributes that concern Node.js and the way it is started.

use super::attribute::Attribute;
use super::kind::Kind;

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "node_args",
        Kind::Words,
        "",
        "Arguments of the interpreter, before the script.",
    )
    .aliases(&["interpreter_args"]),
    Attribute::new(
        "source_map_support",
        Kind::Flag,
        "false",
        "Let Node map stack traces through source maps.",
    )
    .later("give `node_args: \"--enable-source-maps\"` meanwhile"),
    Attribute::new("disable_source_map_support", Kind::Flag, "", "Leave source maps alone.")
        .ignored("Ostler leaves source maps alone"),
    Attribute::new("windowsHide", Kind::Flag, "", "Hide the console window.")
        .aliases(&["windows_hide"])
        .ignored("there is no such window on this system"),
];
