//! From [`Spec`]s to what runs the same apps elsewhere: Kubernetes objects, systemd units, a Dockerfile.
//!
//! Called by `ostler export`. Pure: what has to be known of the project's directory comes in as a [`Project`], what is to
//! be written goes out as [`Document`]s. Checked by `cargo xtask purity`, as the core.
//!
//! Invariant: nothing that an app declares is dropped in silence. What a target cannot say becomes a [`Remark`], which
//! stands at the top of the documents and is printed by the command line (docs/design/0016).
#![forbid(unsafe_code)]

mod container;
mod cron;
pub mod dockerfile;
pub mod kubernetes;
mod names;
mod port;
pub mod probe;
mod remarks;
mod secret;
pub mod systemd;
mod yaml;

pub use remarks::Remark;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What has to be known besides the apps themselves.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The directory that becomes `/app` in an image, absolute: where the config file lies.
    pub root: String,
    /// The config file's name in it; absent when the apps came from standard input.
    pub config: Option<String>,
    /// The block of variables that was chosen (`--env`).
    pub environment: Option<String>,
    /// The names of what lies in the root, of folders too.
    pub entries: BTreeSet<String>,
    /// `package.json`, if there is one.
    pub package: Option<Value>,
    /// The version that `.nvmrc` or `.node-version` names.
    pub node_version: Option<String>,
    /// Programs that apps name without a path, and where they are on this machine.
    pub programs: BTreeMap<String, String>,
    /// The name of this machine's time zone (IANA), in which cron patterns are meant.
    pub time_zone: Option<String>,
}

/// One file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its path below the chosen directory.
    pub path: String,
    /// Its contents.
    pub text: String,
    /// Whether it is a place for secrets, to be readable by its owner alone.
    pub private: bool,
}

impl Document {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
            private: false,
        }
    }
}

/// What an export consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The files, in the order in which they are to be read.
    pub documents: Vec<Document>,
    /// What could not be carried over, and what is left to the reader to decide.
    pub remarks: Vec<Remark>,
}
