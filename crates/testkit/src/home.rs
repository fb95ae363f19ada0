//! A private home for one manager, and what a test sees of it.

use crate::invocation::{Invocation, Output};
use crate::manager::Manager;
use crate::process::{self, Process};
use crate::row::Row;
use crate::wait::{DEADLINE, wait_within};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long processes may take to vanish after `kill` has answered.
const VANISHING: Duration = Duration::from_secs(5);

/// A manager with a temporary home of its own. Dropping it ends the manager and fails if any process is left.
#[derive(Debug)]
pub struct Home {
    manager: Manager,
    root: TempDir,
    path: PathBuf,
}

/// The manager's own processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The keeper's process id.
    pub keeper: i32,
    /// The daemon's process id.
    pub daemon: i32,
}

impl Home {
    /// A cold home: its directory does not exist before the first command makes it.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn new(manager: Manager) -> Self {
        let root = Self::root();
        let path = root.path().join("home");
        Self { manager, root, path }
    }

    /// A home at a given place, e.g. on a small file system.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn at(manager: Manager, path: impl Into<PathBuf>) -> Self {
        Self {
            manager,
            root: Self::root(),
            path: path.into(),
        }
    }

    fn root() -> TempDir {
        let root = tempfile::Builder::new()
            .prefix("ostler-")
            .tempdir()
            .expect("a temporary directory");
        fs::create_dir(root.path().join("work")).expect("a directory for apps");
        root
    }

    /// The manager's home (`OSTLER_HOME`).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory for apps and their files, outside the manager's home; commands run in it.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Which manager it is.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// A file below the work directory, with its directories.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().expect("invariant: it lies below a directory"))
            .expect("a directory below the work directory");
        fs::write(&path, contents).expect("a file below the work directory");
        path
    }

    /// An executable file below the work directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.write(name, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script made executable");
        path
    }

    /// An ecosystem file (JSON) with these apps.
    ///
    /// # Panics
    /// When it cannot be written.
    #[expect(clippy::needless_pass_by_value, reason = "callers write it as a literal")]
    pub fn ecosystem(&self, apps: Value) -> PathBuf {
        self.write("ecosystem.json", serde_json::json!({ "apps": apps }).to_string())
    }

    /// A command of the manager, ready to be refined and run.
    pub fn call(&self, arguments: &[&str]) -> Invocation {
        let mut command = Command::new(&self.manager.command);
        command.args(arguments);
        self.surround(&mut command);
        Invocation::new(command)
    }

    /// Any other program in the same clean environment.
    pub fn program(&self, program: impl AsRef<Path>) -> Invocation {
        let mut command = Command::new(program.as_ref());
        self.surround(&mut command);
        Invocation::new(command)
    }

    /// Nothing of the developer's own environment but `PATH` gets through.
    fn surround(&self, command: &mut Command) {
        command.env_clear().current_dir(self.work());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .env("HOME", self.root.path())
            .env("USER", "tester")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC");
        command.env("NO_COLOR", "1").env(self.manager.home_variable, &self.path);
        command.envs(self.manager.extra.iter().copied());
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.call(arguments).run()
    }

    /// Runs a command that has to end well.
    ///
    /// # Panics
    /// When its exit code is not 0.
    pub fn ok(&self, arguments: &[&str]) -> Output {
        self.call(arguments).ok()
    }

    /// Starts an ecosystem file with these apps; it has to end well.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(&self, apps: Value) -> Output {
        let file = self.ecosystem(apps);
        self.call(&["start"]).arg(file).ok()
    }

    /// `jlist`.
    ///
    /// # Panics
    /// When the command fails or its output is not one JSON array and nothing else.
    pub fn jlist(&self) -> Vec<Row> {
        let output = self.ok(&["jlist"]);
        let rows: Vec<Value> =
            serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("jlist is JSON ({error}): {output}"));
        rows.into_iter().map(Row).collect()
    }

    /// The rows of one name.
    pub fn rows(&self, name: &str) -> Vec<Row> {
        self.jlist().into_iter().filter(|row| row.name() == name).collect()
    }

    /// The only row of a name.
    ///
    /// # Panics
    /// When there is none or more than one.
    pub fn row(&self, name: &str) -> Row {
        let mut rows = self.rows(name);
        assert_eq!(rows.len(), 1, "one process is called {name}\n{}", self.report());
        rows.remove(0)
    }

    /// The pids that run under a name.
    pub fn pids(&self, name: &str) -> Vec<i32> {
        self.rows(name).iter().map(Row::pid).filter(|pid| *pid != 0).collect()
    }

    /// The pid of the only process of a name.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn pid(&self, name: &str) -> i32 {
        let pids = self.pids(name);
        assert_eq!(pids.len(), 1, "one process runs as {name}\n{}", self.report());
        pids[0]
    }

    /// The status of the only process of a name.
    pub fn status(&self, name: &str) -> String {
        self.row(name).status().to_owned()
    }

    /// Waits until the only process of a name has this status, and returns its row.
    pub fn wait_status(&self, name: &str, status: &str) -> Row {
        self.wait_for(&format!("{name} to be {status}"), || {
            let row = self.row(name);
            (row.status() == status).then_some(row)
        })
    }

    /// Waits until the condition holds.
    ///
    /// # Panics
    /// When it does not within [`DEADLINE`]; the message has the list, the histories and the ends of the logs.
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        self.wait_for(what, || condition().then_some(()));
    }

    /// Waits until there is a value.
    ///
    /// # Panics
    /// See [`wait_until`](Self::wait_until).
    pub fn wait_for<T>(&self, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        self.wait_long(DEADLINE, what, probe)
    }

    /// [`wait_for`](Self::wait_for) with another limit.
    ///
    /// # Panics
    /// See [`wait_until`](Self::wait_until).
    pub fn wait_long<T>(&self, limit: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
        wait_within(limit, probe)
            .unwrap_or_else(|limit| panic!("waited {limit:?} in vain for {what}\n{}", self.report()))
    }

    /// The contents of a file below the manager's home, as text; empty when there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path.join(name)).unwrap_or_default()).into_owned()
    }

    /// The standard output log of an app, as text; empty when there is none.
    pub fn out_log(&self, name: &str) -> String {
        self.read(&format!("logs/{name}-out.log"))
    }

    /// The standard error log of an app, as text; empty when there is none.
    pub fn error_log(&self, name: &str) -> String {
        self.read(&format!("logs/{name}-error.log"))
    }

    /// The processes that bear this home's name, without the commands this test itself runs.
    pub fn processes(&self) -> Vec<Process> {
        let own = i32::try_from(std::process::id()).expect("invariant: a process id fits");
        let mut found = process::naming(self.root.path());
        if !self.path.starts_with(self.root.path()) {
            found.extend(process::naming(&self.path));
        }
        found.sort_by_key(|process| process.pid);
        found.dedup_by_key(|process| process.pid);
        found.retain(|process| process.parent != own);
        found
    }

    /// The manager's own processes: those that run its program, are not managed, and are no commands of this test.
    pub fn own_processes(&self) -> Vec<Process> {
        let managed: Vec<i32> = self.managed().iter().map(Row::pid).collect();
        let own = |process: &Process| self.manager.runs(process.pid) && !managed.contains(&process.pid);
        self.processes().into_iter().filter(own).collect()
    }

    /// What PM2 itself runs is the same program its apps run; only there the list is needed to tell them apart.
    fn managed(&self) -> Vec<Row> {
        if self.manager.is_ostler() {
            Vec::new()
        } else {
            self.jlist()
        }
    }

    /// Keeper and daemon, as the daemon says and `/proc` confirms.
    ///
    /// # Panics
    /// When, after a while, no daemon answers that is the child of a living keeper.
    pub fn topology(&self) -> Topology {
        self.wait_for("a daemon that answers, and its keeper", || {
            let pong = self.control("/v1/ping").ok()?;
            let pid = |key: &str| i32::try_from(pong[key].as_i64()?).ok();
            let told = Topology {
                keeper: pid("keeper")?,
                daemon: pid("daemon")?,
            };
            let related = process::read(told.daemon)?.parent == told.keeper;
            (related && self.manager.runs(told.keeper) && self.manager.runs(told.daemon)).then_some(told)
        })
    }

    /// Waits until there is a new daemon and nothing of the manager but it and its keeper.
    ///
    /// # Panics
    /// See [`wait_until`](Self::wait_until).
    pub fn wait_recovered(&self, before: Topology) -> Topology {
        self.wait_for("a new daemon, one keeper, and nothing else", || {
            let now = self.topology();
            (now.daemon != before.daemon && self.own_processes().len() == 2).then_some(now)
        })
    }

    /// All there is to know when something went wrong: list, histories, processes, ends of logs.
    pub fn report(&self) -> String {
        let mut text = format!("--- list\n{}", self.run(&["list"]));
        if let Ok(rows) = serde_json::from_str::<Vec<Value>>(&self.run(&["jlist"]).stdout) {
            for name in rows.iter().filter_map(|row| row["name"].as_str()) {
                text += &format!("\n--- why {name}\n{}", self.run(&["why", name]).stdout);
            }
        }
        text += &format!("\n--- processes\n{}", process::describe(&self.processes()));
        for directory in [self.path.clone(), self.path.join("logs")] {
            text += &ends_of_logs(&directory);
        }
        text
    }

    /// Ends the manager; whatever is left then is killed and returned.
    fn end(&self) -> Vec<Process> {
        if self.path.exists() {
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.run(&["kill"])
            })));
        }
        let gone = wait_within(VANISHING, || self.processes().is_empty().then_some(()));
        let left = if gone.is_ok() { Vec::new() } else { self.processes() };
        for process in &left {
            process::kill(process.pid);
        }
        left
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let left = self.end();
        if left.is_empty() {
            return;
        }
        let text = format!(
            "processes are left in {}:\n{}",
            self.path.display(),
            process::describe(&left)
        );
        if std::thread::panicking() {
            drop(std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()));
        } else {
            panic!("{text}");
        }
    }
}

fn ends_of_logs(directory: &Path) -> String {
    let Ok(entries) = fs::read_dir(directory) else {
        return String::new();
    };
    let logs = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| format!("\n--- end of {}\n{}", path.display(), end_of(&path)))
        .collect()
}

fn end_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = bytes.len().saturating_sub(2000);
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}
