//! Configuration: from what users write — ecosystem files, flags, PM2's saved lists — to [`Spec`]s, with diagnostics.
//!
//! Called by the command line ([`load_file`], [`load_stdin`], [`from_command_line`], [`names_in_file`]) and by the daemon
//! ([`patch`], [`child_environment`], [`saved`], [`pm2`]). Nothing here talks to processes, except that configs in
//! JavaScript are evaluated by the user's node.
//!
//! Invariants: a config is used whole or not at all; nothing in it is dropped in silence (what has no effect is a
//! warning); settings and environment are separate name spaces.
//!
//! ```text
//! text ──source──▶ Document ──shape──▶ entries ──check──▶ Attributes ──resolve──▶ Spec
//! ```

mod attributes;
mod beginning;
mod check;
mod diagnostic;
mod dotenv;
mod environment;
mod inspector;
mod interpreter;
mod listeners;
mod load;
mod patch;
mod paths;
mod place;
pub mod pm2;
pub mod reference;
mod resolve;
pub mod saved;
mod shape;
pub mod signal;
mod source;
mod unique_id;
mod units;
mod users;
mod words;
mod wrapper;

pub use beginning::{Beginning, Extent, begin};
pub use diagnostic::{ConfigError, ConfigErrorKind, Diagnostic, Position};
pub use environment::{
    EnvironmentFileError, Variables, child_environment, log_path, probe_environment, read_files, with_id,
};
pub use inspector::inspect_port;
pub use listeners::{FIRST_DESCRIPTOR, PID_VARIABLE, filled_in};
pub use load::{from_command_line, is_config_file, load_file, load_stdin, names_in_file, names_in_stdin};
pub use patch::patch;
pub use paths::which;
pub use units::milliseconds;

use ostler_core::Spec;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The caller's surroundings: everything that a config's meaning depends on besides its text.
#[derive(Clone, Debug)]
pub struct Context {
    /// The caller's working directory, absolute: what relative paths start from, as in PM2.
    pub cwd: PathBuf,
    /// Ostler's home: `logs/` and `pids/` are in it.
    pub home: PathBuf,
    /// The caller's environment.
    pub environment: BTreeMap<String, String>,
    /// The caller's user name.
    pub username: String,
    /// The node that evaluates JavaScript; the first in the caller's `PATH` when absent.
    pub node: Option<PathBuf>,
    /// How long a config in JavaScript may take; [`PATIENCE`] unless the user said otherwise.
    pub patience: Duration,
}

/// How long a config in JavaScript may take: a hang is to be reported within 10 s of the command.
pub const PATIENCE: Duration = Duration::from_secs(9);

impl Context {
    /// A program in the caller's `PATH`.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        which(name, self.environment.get("PATH")?, &self.cwd)
    }
}

/// What the command line says about a config file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--env`: the `env_<name>` block to use.
    pub env_name: Option<String>,
    /// `--only`: names of the apps that are meant; all when empty.
    pub only: Vec<String>,
    /// Flags by attribute name. `watch`, `ignore_watch`, `instances`, `uid`, `gid` and `cwd` win over the file, `namespace`
    /// counts where the file has none; others have no effect with a file, and a warning says so.
    pub attributes: Map<String, Value>,
}

/// A usable configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The apps, in the config's order.
    pub specs: Vec<Spec>,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
}
