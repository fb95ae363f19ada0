//! What tests of examples have in common.

use ostler_testkit::{Cannon, Connections, Home, Invocation, Manager, free_port, process, tools};
use std::fs;
use std::path::{Path, PathBuf};

/// How many connections the load has.
const CONNECTIONS: u32 = 20;

/// How many answers show that there is load.
const SOME: u64 = 200;

/// The folder of an example.
pub fn source(name: &str) -> PathBuf {
    tools::workspace().join("examples").join(name)
}

/// An example with packages of npm, installed and built in a folder of its own.
///
/// # Errors
/// What npm said.
///
/// # Panics
/// When it is the example that is wrong, and not the registry that is out of reach.
pub fn installed(name: &str) -> Result<PathBuf, String> {
    let installed = tools::npm_project(&format!("example-{name}"), &source(name));
    if let Err(reason) = &installed {
        let is_ours = reason.starts_with("npm run") || reason.contains("EUSAGE");
        assert!(!is_ours, "{name}: {reason}");
    }
    installed
}

/// An example that needs no packages, in the home's work directory.
pub fn copied(home: &Home, name: &str) -> PathBuf {
    let directory = home.work().join(name);
    fs::create_dir(&directory).expect("a folder");
    for entry in fs::read_dir(source(name)).expect("the example").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::copy(entry.path(), directory.join(entry.file_name())).expect("a copy");
        }
    }
    directory
}

/// A running example.
pub struct Example {
    pub home: Home,
    pub port: u16,
    /// Its app's name.
    name: String,
    directory: PathBuf,
}

impl Example {
    /// Starts what its config file declares, with these options, on a port of its own. Its folder is what `prepare` gives.
    ///
    /// # Errors
    /// What `prepare` said.
    pub fn start(
        name: &str,
        options: &[&str],
        prepare: impl FnOnce(&Home) -> Result<PathBuf, String>,
    ) -> Result<Self, String> {
        let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
        let directory = prepare(&home)?;
        let (name, port) = (name.to_owned(), free_port());
        let example = Self {
            home,
            port,
            name,
            directory,
        };
        example.call(&["start", "ecosystem.config.js"]).args(options).ok();
        Ok(example)
    }

    /// A command, typed in the example's folder.
    pub fn call(&self, arguments: &[&str]) -> Invocation {
        let call = self.home.call(arguments).within(&self.directory);
        call.env("PORT", self.port.to_string())
    }

    /// Its folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn pids(&self) -> Vec<i32> {
        self.home.pids(&self.name)
    }

    /// Replaces every worker.
    pub fn reload(&self) {
        let before = self.pids();
        self.call(&["reload", &self.name]).ok();
        let after = self.pids();
        assert_eq!(after.len(), before.len(), "{}", self.home.report());
        assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
        assert!(before.iter().all(|pid| !process::is_alive(*pid)), "{before:?}");
    }

    /// Load on a path, until all workers have been replaced by `replace` and the new ones have answered.
    ///
    /// # Errors
    /// Why there is no autocannon.
    pub fn under_load(&self, path: &str, kind: Connections, replace: impl FnOnce(&Self)) -> Result<Cannon, String> {
        let load = Cannon::begin(self.port, path, CONNECTIONS, kind)?;
        self.home.wait_until("load", || load.answered() > SOME);
        replace(self);
        let answered = load.answered();
        self.home
            .wait_until("answers of the new ones", || load.answered() > answered + SOME);
        Ok(load)
    }

    /// Load on a path, a reload in its middle, and nothing is lost.
    ///
    /// # Errors
    /// Why there is no autocannon.
    pub fn loses_nothing(&self, path: &str, kind: Connections) -> Result<(), String> {
        let load = self.under_load(path, kind, Self::reload)?;
        load.end_without_loss(format!("{}: a reload under load", self.name));
        assert!(self.home.rows(&self.name).iter().all(|row| row.status() == "online"));
        Ok(())
    }
}
