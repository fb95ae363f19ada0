//! PM2's vocabulary: every attribute that an app can have, one file a key family, and PM2's view of a process.
//!
//! Each family has a table (`ATTRIBUTES`) and turns its attributes into its part of a [`Spec`](ostler_core::Spec). The
//! tables together are the one source for checking, suggestions, and `docs/config.md`.

pub(crate) mod apm;
pub(crate) mod attribute;
pub(crate) mod cluster;
pub(crate) mod deploy;
pub(crate) mod environment;
pub(crate) mod health;
pub(crate) mod kind;
pub(crate) mod listen;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod restart;
pub(crate) mod stop;
mod view;
pub(crate) mod watch;

pub use attribute::{Attribute, Effect};
pub use kind::Kind;
pub(crate) use view::saved_env;
pub use view::{jlist_entry, pm2_env};

/// A key family: what it is about, and its table.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Heading in the reference.
    pub title: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// All families, in the order of the reference.
pub const FAMILIES: &[Family] = &[
    Family {
        title: "Program and instances",
        attributes: process::ATTRIBUTES,
    },
    Family {
        title: "Environment",
        attributes: environment::ATTRIBUTES,
    },
    Family {
        title: "Logs",
        attributes: logs::ATTRIBUTES,
    },
    Family {
        title: "Restarts and readiness",
        attributes: restart::ATTRIBUTES,
    },
    Family {
        title: "Health",
        attributes: health::ATTRIBUTES,
    },
    Family {
        title: "Cluster and reload",
        attributes: cluster::ATTRIBUTES,
    },
    Family {
        title: "Sockets for any language",
        attributes: listen::ATTRIBUTES,
    },
    Family {
        title: "Stopping",
        attributes: stop::ATTRIBUTES,
    },
    Family {
        title: "Watching files",
        attributes: watch::ATTRIBUTES,
    },
    Family {
        title: "Node.js",
        attributes: node::ATTRIBUTES,
    },
    Family {
        title: "Monitoring agents",
        attributes: apm::ATTRIBUTES,
    },
    Family {
        title: "Version control and deployment",
        attributes: deploy::ATTRIBUTES,
    },
];

/// Every attribute there is.
pub fn attributes() -> impl Iterator<Item = &'static Attribute> {
    FAMILIES.iter().flat_map(|family| family.attributes)
}
