//! The test bed: an app with a folder of its own, its watch, and what the watch reports.

mod changes;
mod ignoring;
mod limits;
mod roots;

use super::kernel::Kernel;
use super::service::{Command, Service};
use super::{Report, Running, Watches};
use ostler_core::{
    Environment, Interpreter, LogFile, LogFormat, LogSpec, Mode, OnReadyTimeout, Program, ReadyPolicy, RestartLimit,
    RestartPolicy, SlotId, Spec, StopPolicy, WatchSpec,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);
/// After so long without a sentinel's report another sentinel is made.
const PATIENCE: Duration = Duration::from_millis(500);
/// What the configuration puts in when the user says nothing.
const DEFAULT_IGNORE: &str = r"/[\/\\]\.|node_modules/";
const SLOT: SlotId = SlotId(3);

struct Bed {
    _home: TempDir,
    /// The app's folder.
    cwd: PathBuf,
    spec: Spec,
    watches: Watches,
    reports: (Sender<Report>, Receiver<Report>),
    /// Paths whose reports are no surprise any more.
    seen: BTreeSet<PathBuf>,
    sentinels: u32,
}

impl Bed {
    /// An app in an empty folder, with `watch: true` and PM2's default for what is ignored. Not watched yet.
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let home_path = home.path().canonicalize().expect("its real path");
        // The folder above has a dot in its name, as many of users' have.
        let cwd = home_path.join(".apps/app");
        fs::create_dir_all(&cwd).expect("the app's folder");
        let spec = spec(&home_path, &cwd);
        Self {
            _home: home,
            cwd,
            spec,
            watches: Watches::default(),
            reports: channel(),
            seen: BTreeSet::new(),
            sentinels: 0,
        }
    }

    fn watched() -> Self {
        let mut bed = Self::new();
        bed.watch();
        bed
    }

    fn ignoring(ignore: &[&str]) -> Self {
        let mut bed = Self::new();
        bed.watch_spec().ignore = ignore.iter().map(|&entry| entry.to_owned()).collect();
        bed
    }

    fn watch_spec(&mut self) -> &mut WatchSpec {
        self.spec.watch.as_mut().expect("the app is watched")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cwd.join(name)
    }

    /// Begins to watch, and waits until everything is set up.
    fn watch(&mut self) {
        let reports = self.reports.0.clone();
        let report = move |report| reports.send(report).expect("the test reads");
        self.watches.watch(SLOT, &Arc::new(self.spec.clone()), report);
        self.settled();
    }

    fn settled(&self) {
        let (answer, answered) = channel();
        let running = self.watches.running.as_ref().expect("something is watched");
        running.send(Command::Settled(answer));
        answered.recv_timeout(DEADLINE).expect("the thread answers");
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the file's folder");
        fs::write(path, content).expect("the file");
    }

    /// The next report within `patience`; a note fails the test.
    fn next(&self, patience: Duration) -> Option<PathBuf> {
        match self.reports.1.recv_timeout(patience) {
            Ok(Report::Changed { slot, path }) => {
                assert_eq!(slot, SLOT);
                Some(path)
            }
            Ok(Report::Note(note)) => panic!("unexpected note: {note}"),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the bed holds a sender"),
        }
    }

    fn note(&self) -> String {
        match self.reports.1.recv_timeout(DEADLINE) {
            Ok(Report::Note(note)) => note,
            other => panic!("not a note: {other:?}"),
        }
    }

    /// The next report is of this path.
    fn expect(&mut self, name: &str) {
        let path = self.path(name);
        self.expect_path(&path);
    }

    fn expect_path(&mut self, path: &Path) {
        let deadline = Instant::now() + DEADLINE;
        self.seen.insert(path.to_owned());
        loop {
            let next = self.next(deadline.saturating_duration_since(Instant::now()));
            let next = next.unwrap_or_else(|| panic!("no report of {}", path.display()));
            if next == path {
                return self.quiet();
            }
            assert!(
                self.seen.contains(&next),
                "{} reported, not {}",
                next.display(),
                path.display()
            );
        }
    }

    /// Nothing more is reported than what was expected. A new folder, which is one event, ends the wait.
    fn quiet(&mut self) {
        self.quiet_in(self.cwd.clone().as_path());
    }

    fn quiet_in(&mut self, folder: &Path) {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            self.sentinels += 1;
            let sentinel = folder.join(format!("sentinel-{}", self.sentinels));
            fs::create_dir(&sentinel).expect("a sentinel");
            self.seen.insert(sentinel.clone());
            while let Some(next) = self.next(PATIENCE) {
                if next == sentinel {
                    return;
                }
                assert!(self.seen.contains(&next), "unexpected report of {}", next.display());
            }
        }
        panic!("no sentinel is reported");
    }
}

/// As [`Running::start`], with what the kernel gave.
fn start_with(kernel: impl FnOnce() -> Kernel + Send + 'static) -> Running {
    let wake = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).expect("an eventfd");
    let wake = Arc::new(wake);
    let (commands, incoming) = channel();
    let woken = Arc::clone(&wake);
    std::thread::spawn(move || Service::with(incoming, woken, kernel()).run());
    Running {
        commands: Some(commands),
        wake,
    }
}

fn spec(home: &Path, cwd: &Path) -> Spec {
    let log = |name: &str| LogFile::Path(home.join(name).display().to_string());
    Spec {
        name: "app".into(),
        namespace: "default".into(),
        program: Program {
            path: cwd.join("server.js").display().to_string(),
            interpreter: Interpreter::Program("node".into()),
            interpreter_args: Vec::new(),
            args: Vec::new(),
            cwd: cwd.display().to_string(),
        },
        mode: Mode::Fork,
        cluster: ostler_core::ClusterPolicy::default(),
        listen: Vec::new(),
        instances: 1,
        environment: Environment::default(),
        user: None,
        logs: LogSpec {
            out: log("app-out-{id}.log"),
            error: log("app-error-{id}.log"),
            combined: None,
            merged: false,
            format: LogFormat::Raw,
            date_format: None,
            disabled: false,
            rotation: None,
        },
        restart: RestartPolicy {
            auto: true,
            stop_exit_codes: Vec::new(),
            limit: RestartLimit::Rolling,
            delay: None,
            backoff: None,
            min_uptime: Duration::from_secs(1),
        },
        stop: StopPolicy {
            signal: 2,
            kill_timeout: Duration::from_millis(1600),
            tree: true,
            message: false,
        },
        ready: ReadyPolicy {
            wait_ready: false,
            listen_timeout: Duration::from_secs(3),
            on_timeout: OnReadyTimeout::Fail,
        },
        cron: None,
        watch: Some(WatchSpec {
            paths: vec![cwd.display().to_string()],
            ignore: vec![DEFAULT_IGNORE.to_owned()],
            delay: Duration::ZERO,
        }),
        probes: ostler_core::Probes::default(),
        memory_limit: None,
        memory_kill: None,
        prom_client: false,
        autostart: true,
        pid_file: home.join("pids/app-{id}.pid").display().to_string(),
        username: "somebody".into(),
        attributes: serde_json::Map::new(),
    }
}
