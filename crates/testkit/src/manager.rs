//! Which manager is driven: Ostler, or PM2 as the peer it is measured against.

use crate::process;
use crate::tools;
use std::path::{Path, PathBuf};

/// A manager's command and how its processes are told from those it manages.
#[derive(Clone, Debug)]
pub struct Manager {
    /// What is executed.
    pub(crate) command: PathBuf,
    /// The program its own processes run (`/proc/PID/exe`), links resolved.
    pub(crate) program: PathBuf,
    /// The environment variable that names its home.
    pub(crate) home_variable: &'static str,
    /// Further variables every command gets.
    pub(crate) extra: &'static [(&'static str, &'static str)],
}

impl Manager {
    /// Ostler, by the path of its binary.
    ///
    /// # Panics
    /// When the binary does not exist.
    pub fn ostler(binary: impl AsRef<Path>) -> Self {
        let command = canonical(binary.as_ref());
        Self {
            program: command.clone(),
            command,
            home_variable: "OSTLER_HOME",
            extra: &[],
        }
    }

    /// PM2, by the path of its command. Its own processes run the Node found in `PATH`.
    ///
    /// # Panics
    /// When there is no such command or no Node.
    pub fn pm2(command: impl AsRef<Path>) -> Self {
        let node = tools::in_path("node").expect("PM2 needs node in PATH");
        let extra = &[("PM2_DISCRETE_MODE", "true"), ("PM2_DISABLE_VERSION_CHECK", "true")];
        Self {
            command: canonical(command.as_ref()),
            program: canonical(&node),
            home_variable: "PM2_HOME",
            extra,
        }
    }

    /// Ostler's `binary`, or the PM2 that `OSTLER_TEST_PEER` names.
    pub fn under_test(binary: impl AsRef<Path>) -> Self {
        match std::env::var_os("OSTLER_TEST_PEER") {
            Some(peer) => Self::pm2(PathBuf::from(peer)),
            None => Self::ostler(binary),
        }
    }

    /// Whether this is Ostler and not its peer.
    pub fn is_ostler(&self) -> bool {
        self.home_variable == "OSTLER_HOME"
    }

    /// Whether a process runs the manager's program.
    pub(crate) fn runs(&self, pid: i32) -> bool {
        process::program(pid).is_some_and(|program| program == self.program)
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize()
        .unwrap_or_else(|error| panic!("the program {} is there: {error}", path.display()))
}
