//! `Effect::Spawn`: from a launch to a process.
//!
//! Order matters: descriptors are made, the process is created held, copies go to the keeper, the log is attached, and only then is it
//! let go. Whenever this daemon is killed, either the keeper has the descriptors, with the gate among them that lets the process go,
//! and the successor carries on with this very process; or the process ends without having run anything, and nobody knew of it.

use crate::fact::Fact;
use crate::keeper_link::Deposit;
use crate::logs::{StreamId, StreamKind, Target};
use crate::paths;
use crate::primary::{self, Command as PrimaryCommand, Left, Member};
use crate::reactor::Daemon;
use crate::sockets::{NotSpawned, notify};
use crate::tree;
use crate::workers::{self, Mark, Part, Worker};
use ostler_config as config;
use ostler_core::{Event, Interpreter, Launch, Mode, Place, Runtime, Serialization, SpawnError, Spec, WorkerId};
use ostler_sys::proc::Stat;
use ostler_sys::resolve::{Attempt, Explanation};
use ostler_sys::spawn::{Command, Credentials, ExecOutcome, Held};
use ostler_sys::{channel, pidfd, pipes, resolve, users};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The descriptor number of the IPC channel in the app: 3, as PM2 and Node's own `fork` have it, or behind the sockets it inherits, which
/// come first (sd_listen_fds(3)). Node takes it from wherever `NODE_CHANNEL_FD` says.
fn channel_number(spec: &Spec) -> i32 {
    config::FIRST_DESCRIPTOR + i32::try_from(spec.listen.len()).unwrap_or(i32::MAX)
}

impl Daemon {
    /// Launches a worker; what comes of it is sent back as a fact.
    pub(crate) fn spawn(&mut self, launch: Launch) {
        let worker = launch.worker;
        if self.workers.contains_key(&worker) {
            return self.confirm_spawned(worker);
        }
        match self.try_spawn(launch) {
            Ok(()) => {}
            Err(NotSpawned::Known(error)) => self.send(Fact::Machine(Event::SpawnFailed { worker, error })),
            Err(NotSpawned::AddressInUse(in_use)) => {
                let facts = self.facts.clone();
                in_use.explain(move |error| {
                    let _ = facts.send(Fact::Machine(Event::SpawnFailed { worker, error }));
                });
            }
        }
    }

    /// A successor's machine orders again what its predecessor had done already, or begun.
    fn confirm_spawned(&mut self, worker: WorkerId) {
        if let Some(record) = self.workers.get(&worker).filter(|record| !record.launching) {
            let (pid, place) = (record.pid, record.place.clone());
            self.pid_files
                .push((paths::pid_file(&record.launch.spec, worker.slot), pid.0));
            self.send(Fact::Machine(Event::Spawned { worker, pid, place }));
        }
    }

    fn try_spawn(&mut self, launch: Launch) -> Result<(), NotSpawned> {
        let worker = launch.worker;
        let place = self.place(&launch);
        let mut environment = self.child_environment(&launch)?;
        let mut ends = Ends::make(channel_number(&launch.spec)).map_err(shortage)?;
        if notify::is_wanted(&launch.spec) {
            let (socket, name) = notify::open().map_err(shortage)?;
            ends.ours.push(socket);
            environment.insert(notify::VARIABLE.to_owned(), name);
        }
        let executable = find(&launch, &environment)?;
        ends.theirs.extend(self.inherited(&launch)?);
        let tree = launch.spec.stop.tree;
        let birthplace = tree.then(|| self.containment.birthplace(worker)).flatten();
        let command = self.command(&launch, &environment, &executable, ends.theirs, birthplace)?;
        let held = command.hold().map_err(|error| SpawnError {
            transient: error.transient(),
            message: error.to_string(),
        })?;
        let let_go = self.let_go(launch, held, ends.ours, (executable, place));
        let_go.map_err(|error| {
            self.keeper.release(&workers::key(worker));
            shortage(error).into()
        })
    }

    /// Where what is launched lies at this moment.
    fn place(&mut self, launch: &Launch) -> Option<Place> {
        let program = &launch.spec.program;
        launch.place.clone().or_else(|| {
            Some(Place {
                path: self.real_paths.of(&program.path)?,
                cwd: self.real_paths.of(&program.cwd)?,
            })
        })
    }

    fn let_go(
        &mut self,
        launch: Launch,
        held: Held,
        ours: Vec<OwnedFd>,
        (executable, place): (PathBuf, Option<Place>),
    ) -> std::io::Result<()> {
        let worker = launch.worker;
        let mark = self.deposit(worker, &held, ours)?;
        let deposit = self
            .keeper
            .get(&workers::key(worker))
            .expect("invariant: deposited just now")
            .clone();
        // Statuses of processes that had its number before it say nothing of it.
        self.reaped.retain(|(pid, _)| *pid != mark.pid);
        let mut record = Worker::new(mark, launch, &deposit, &self.facts)?;
        record.executable = executable;
        record.place = place;
        self.attach_logs(worker, &record.launch.spec, &deposit);
        let released = held.release()?;
        record.launching = true;
        self.workers.insert(worker, record);
        self.launches.push((worker, released.outcome));
        Ok(())
    }

    /// Takes in what has come of launches, as far as it is known by now.
    pub(crate) fn hear_launches(&mut self) {
        for (worker, mut outcome) in std::mem::take(&mut self.launches) {
            match outcome.read() {
                Ok(ExecOutcome::Pending) => self.launches.push((worker, outcome)),
                known => self.launched(worker, &known),
            }
        }
    }

    /// What is not known yet comes as a fact.
    pub(crate) fn await_launches(&mut self) {
        for (worker, outcome) in std::mem::take(&mut self.launches) {
            let Some(record) = self.workers.get_mut(&worker) else {
                continue;
            };
            if let Err(error) = record.await_launch(outcome, &self.facts) {
                self.launched(worker, &Err(error));
            }
        }
    }

    fn deposit(&mut self, worker: WorkerId, held: &Held, mut ours: Vec<OwnedFd>) -> std::io::Result<Mark> {
        ours.insert(Part::Pidfd as usize, held.pidfd().try_clone_to_owned()?);
        ours.insert(Part::Gate as usize, held.gate().try_clone_to_owned()?);
        let start = Stat::read(held.pid())?.map_or(0, |stat| stat.start_time.0);
        let mark = Mark {
            pid: held.pid().as_raw_nonzero().get(),
            start,
        };
        self.keeper.deposit(&workers::key(worker), mark.encode(), ours);
        Ok(mark)
    }

    /// Hands the read ends of a worker's output to the log.
    pub(crate) fn attach_logs(&self, worker: WorkerId, spec: &Spec, deposit: &Deposit) {
        let parts = [(Part::Out, StreamKind::Out), (Part::Error, StreamKind::Error)];
        self.logs.attach_all(parts.into_iter().filter_map(|(part, kind)| {
            let pipe = deposit.descriptors.get(part as usize)?;
            let form = self.container.as_ref().map(|container| container.form);
            let target = Target::of(&spec.logs, kind, worker.slot).with_console(form, kind);
            Some((StreamId { worker, kind }, spec.name.clone(), Arc::clone(pipe), target))
        }));
    }

    /// Hears what a worker says, now that it is known to run: itself, or by the primary, with what a predecessor has left of it. What one says
    /// that does not run yet counts for nothing; and whoever has much to launch may learn of a worker's words and of its launch at once.
    pub(crate) fn hear(&mut self, worker: WorkerId) {
        let left = self.left_of(worker);
        if let Some(record) = self.workers.get_mut(&worker) {
            record.begin_to_hear();
        }
        if let Some(record) = self.workers.get(&worker) {
            self.attach_channel(record, left);
        }
    }

    /// Hands the channel of a cluster's worker to the primary.
    fn attach_channel(&self, record: &Worker, left: Left) {
        let channel = record.descriptor(Part::Channel).filter(|_| record.is_of_cluster());
        if let Some(channel) = channel {
            self.primary.send(PrimaryCommand::Attach {
                member: Member {
                    worker: record.id(),
                    app: record.launch.app,
                    instance: record.launch.instance,
                    pid: record.pid,
                    balance: record.launch.spec.cluster.balance,
                    preload: self.preload_of(&record.launch).is_some(),
                    runtime: record.launch.spec.program.interpreter.runtime(),
                },
                channel: Arc::clone(channel),
                dialect: primary::dialect(record.launch.spec.cluster.serialization),
                left,
            });
        }
    }

    /// `execve` has told.
    pub(crate) fn launched(&mut self, worker: WorkerId, outcome: &std::io::Result<ExecOutcome>) {
        let Some(record) = self.workers.get_mut(&worker) else {
            return;
        };
        record.launching = false;
        let pid = record.pid;
        match outcome {
            Ok(ExecOutcome::Failed(error)) => {
                let spec = &record.launch.spec;
                let program = record.executable.clone();
                let user = spec.user.as_ref().map(|user| user.user.as_str());
                let attempt = Attempt {
                    program: &program,
                    cwd: spec.program.cwd.as_ref(),
                    user,
                };
                let Explanation { message, transient } = resolve::explain(error, attempt);
                self.bury(worker);
                self.tell(Event::SpawnFailed {
                    worker,
                    error: SpawnError { message, transient },
                });
            }
            Ok(ExecOutcome::Running | ExecOutcome::Pending) | Err(_) => {
                let path = paths::pid_file(&record.launch.spec, worker.slot);
                self.pid_files.push((path, pid.0));
                self.versions.note(&record.launch.spec.program.path);
                let place = record.place.clone();
                self.tell(Event::Spawned { worker, pid, place });
                self.hear(worker);
                self.weigh_new(worker);
                // Its end may have been told before its beginning, and was not listened to then.
                if self.has_ended(worker) {
                    self.send(Fact::Ended(worker));
                }
            }
        }
    }

    fn has_ended(&self, worker: WorkerId) -> bool {
        let pidfd = self
            .workers
            .get(&worker)
            .and_then(|record| record.descriptor(Part::Pidfd));
        pidfd.is_some_and(|pidfd| pidfd::has_exited(pidfd).unwrap_or(false))
    }

    fn child_environment(&self, launch: &Launch) -> Result<BTreeMap<String, String>, SpawnError> {
        let files = config::read_files(&launch.spec.environment).map_err(|error| SpawnError {
            message: error.to_string(),
            transient: false,
        })?;
        let mut environment = config::child_environment(launch, &files, &self.home);
        let spec = &launch.spec;
        environment.insert("NODE_CHANNEL_FD".to_owned(), channel_number(spec).to_string());
        let advanced = spec.mode == Mode::Cluster && spec.cluster.serialization == Serialization::Advanced;
        let mode = if advanced { "advanced" } else { "json" };
        environment.insert("NODE_CHANNEL_SERIALIZATION_MODE".to_owned(), mode.to_owned());
        if spec.mode == Mode::Cluster {
            environment.insert("NODE_UNIQUE_ID".to_owned(), cluster_id(launch.worker).to_string());
        }
        tree::mark(&mut environment, launch.worker, &self.home_text);
        Ok(environment)
    }

    /// The script by which a program of Node drains and says how it is doing, if it gets one.
    pub(crate) fn preload_of(&self, launch: &Launch) -> Option<&str> {
        let spec = &launch.spec;
        let runs_node = match spec.mode {
            // Whatever leads workers of a cluster to Node hands on what Node is to load (`tsx`, `ts-node`).
            Mode::Cluster => matches!(spec.program.interpreter, Interpreter::Program(_)),
            Mode::Fork => spec.program.interpreter.runtime() == Some(Runtime::Node),
        };
        let takes_it = spec.cluster.preload && runs_node;
        self.preload.as_deref().filter(|_| takes_it)
    }

    fn command(
        &self,
        launch: &Launch,
        environment: &BTreeMap<String, String>,
        executable: &Path,
        theirs: Vec<(OwnedFd, i32)>,
        birthplace: Option<OwnedFd>,
    ) -> Result<Command, SpawnError> {
        let program = &launch.spec.program;
        let mut command = Command::new(text(&executable.to_string_lossy())?);
        command.argv = arguments(launch, self.preload_of(launch))
            .into_iter()
            .map(|argument| text(&argument))
            .collect::<Result<_, _>>()?;
        command.envp = environment
            .iter()
            .map(|(name, value)| text(&format!("{name}={value}")))
            .collect::<Result<_, _>>()?;
        command.cwd = text(launch.place.as_ref().map_or(&program.cwd, |place| &place.cwd))?;
        if !launch.spec.listen.is_empty() {
            command.pid_variable = Some(text(config::PID_VARIABLE)?);
        }
        command.descriptors = theirs;
        command.cgroup = birthplace;
        command.nofile = self.open_files;
        command.credentials = launch.spec.user.as_ref().map(credentials).transpose()?;
        Ok(command)
    }
}

/// Looks it up in the app's own `PATH`.
fn find(launch: &Launch, environment: &BTreeMap<String, String>) -> Result<PathBuf, SpawnError> {
    let path = environment.get("PATH").map(AsRef::as_ref);
    resolve::find(executable(launch).as_ref(), path, launch.spec.program.cwd.as_ref()).map_err(|error| SpawnError {
        message: error.to_string(),
        transient: false,
    })
}

/// What `execve` is given: the interpreter, or the program itself.
pub(crate) fn executable(launch: &Launch) -> &str {
    match &launch.spec.program.interpreter {
        Interpreter::None => launch
            .place
            .as_ref()
            .map_or(&launch.spec.program.path, |place| &place.path),
        Interpreter::Program(interpreter) => interpreter,
    }
}

/// What a worker knows itself by (`cluster.worker.id`): small numbers, none twice while both might be alive.
fn cluster_id(worker: WorkerId) -> u64 {
    let earlier = u64::from(worker.generation.0.saturating_sub(1));
    u64::from(worker.slot.0) + 1 + earlier * 10_000
}

fn arguments(launch: &Launch, preload: Option<&str>) -> Vec<String> {
    let program = &launch.spec.program;
    let script = launch.place.as_ref().map_or(&program.path, |place| &place.path);
    let mut arguments = vec![executable(launch).to_owned()];
    match &program.interpreter {
        Interpreter::None => {}
        Interpreter::Program(_) => {
            arguments.extend(program.interpreter_args.iter().cloned());
            let serves_beside_others = launch.spec.mode == Mode::Cluster
                && !matches!(program.interpreter.runtime(), Some(Runtime::Bun | Runtime::Deno));
            arguments.extend(
                config::inspect_port(&program.interpreter_args, launch.instance).filter(|_| serves_beside_others),
            );
            if let Some(preload) = preload {
                arguments.extend(["--require".to_owned(), preload.to_owned()]);
            }
            arguments.push(script.clone());
        }
    }
    arguments.extend(program.args.iter().cloned());
    let numbered = arguments.into_iter();
    numbered
        .map(|argument| config::filled_in(&argument, &launch.spec.listen))
        .collect()
}

/// Whom it runs as. May ask the system's name service.
pub(super) fn credentials(user: &ostler_core::RunAs) -> Result<Credentials, SpawnError> {
    users::identify(&user.user, user.group.as_deref())
        .map(|identity| identity.credentials)
        .map_err(|error| SpawnError {
            message: error.to_string(),
            transient: false,
        })
}

/// As system calls want it.
pub(super) fn text(value: &str) -> Result<CString, SpawnError> {
    CString::new(value).map_err(|_| SpawnError {
        message: format!("a NUL byte cannot be given to a program, but is in {value:?}"),
        transient: false,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn shortage(error: std::io::Error) -> SpawnError {
    SpawnError {
        message: format!("could not create the process's descriptors: {error}"),
        transient: true,
    }
}

/// Both ends of what connects an app to us.
struct Ends {
    /// In the order of [`Part`] without the pidfd; the last may be missing.
    ours: Vec<OwnedFd>,
    theirs: Vec<(OwnedFd, i32)>,
}

impl Ends {
    fn make(channel_number: i32) -> std::io::Result<Self> {
        let (stdin_read, stdin_write) = pipes::pipe()?;
        let (out_read, out_write) = pipes::pipe()?;
        let (error_read, error_write) = pipes::pipe()?;
        let (channel, their_channel) = channel::pair()?;
        Ok(Self {
            ours: vec![stdin_write, out_read, error_read, channel.into()],
            theirs: vec![
                (stdin_read, 0),
                (out_write, 1),
                (error_write, 2),
                (their_channel.into(), channel_number),
            ],
        })
    }
}
