//! Makes the process of a command, held: on a thread that may wait for disks and name services.

use crate::effects::spawn::{credentials, text};
use crate::tree;
use ostler_config as config;
use ostler_core::{Launch, Pid};
use ostler_sys::spawn::{Command, Held};
use ostler_sys::{pipes, resolve};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What is to be run, and about whom.
#[derive(Debug)]
pub struct Order {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) cwd: String,
    /// That of the worker.
    pub(super) launch: Launch,
    /// The worker's main process.
    pub(super) pid: Pid,
    /// Ostler's home directory.
    pub(super) home: PathBuf,
    /// By which all that it starts is known.
    pub(super) marker: String,
    pub(super) open_files: Option<(u64, u64)>,
}

/// A process that waits to be let go.
#[derive(Debug)]
pub struct Made {
    pub(super) held: Held,
    /// The read end of its output.
    pub(super) output: OwnedFd,
    pub(super) executable: PathBuf,
    pub(super) order: Order,
}

impl Made {
    pub(super) fn pid(&self) -> i32 {
        self.held.pid().as_raw_nonzero().get()
    }
}

impl Order {
    /// Makes it; or says why that cannot be done.
    pub(super) fn make(self) -> Result<Made, String> {
        let environment = self.environment()?;
        let path = environment.get("PATH").map(AsRef::as_ref);
        let executable = resolve::find(self.program.as_ref(), path, Path::new(&self.cwd));
        let executable = executable.map_err(|error| error.to_string())?;
        let (output, theirs) = pipes::pipe().map_err(shortage)?;
        let command = self.command(&environment, &executable, theirs)?;
        let held = command.hold().map_err(|error| error.to_string())?;
        Ok(Made {
            held,
            output,
            executable,
            order: self,
        })
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, String> {
        let files = config::read_files(&self.launch.spec.environment).map_err(|error| error.to_string())?;
        let mut environment = config::probe_environment(&self.launch, &files, &self.home, self.pid);
        environment.remove(tree::MARKER);
        environment.insert(tree::COMMAND_MARKER.to_owned(), self.marker.clone());
        Ok(environment)
    }

    fn command(
        &self,
        environment: &BTreeMap<String, String>,
        executable: &Path,
        output: OwnedFd,
    ) -> Result<Command, String> {
        let c_string = |value: &str| text(value).map_err(|error| error.message);
        let mut command = Command::new(c_string(&executable.to_string_lossy())?);
        command.argv = std::iter::once(&self.program)
            .chain(&self.arguments)
            .map(|argument| c_string(argument))
            .collect::<Result<_, _>>()?;
        command.envp = environment
            .iter()
            .map(|(name, value)| c_string(&format!("{name}={value}")))
            .collect::<Result<_, _>>()?;
        command.cwd = c_string(&self.cwd)?;
        let second = output.try_clone().map_err(shortage)?;
        // Its standard input is `/dev/null`, as all that is not named.
        command.descriptors = vec![(output, 1), (second, 2)];
        command.nofile = self.open_files;
        let user = self.launch.spec.user.as_ref().map(credentials).transpose();
        command.credentials = user.map_err(|error| error.message)?;
        Ok(command)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn shortage(error: std::io::Error) -> String {
    format!("could not create the command's descriptors: {error}")
}
