//! Taking over from a predecessor: from what the keeper hands over to a daemon that goes on.
//!
//! With empty hands this is a first start. Either way the same steps lead to the same state, so that the path that counts
//! (after a SIGKILL) is the one that runs at every start.

use super::Daemon;
use super::changes::{self, JOURNAL_KEY};
use super::events::Told;
use super::registered::RegisteredMetrics;
use crate::alarm::Alarm;
use crate::api::Connections;
use crate::container::{self, Container};
use crate::containment::Containment;
use crate::effects::command::Commands;
use crate::effects::observe::Starts;
use crate::effects::spawn;
use crate::fact::Fact;
use crate::hand_over::HandOver;
use crate::journal::Journal;
use crate::keeper_link::{Deposit, KeeperLink};
use crate::logs::{Console, Logs, Note, Vault};
use crate::metrics::{self, Metrics};
use crate::operations::Operations;
use crate::primary::{self, HANDLED, Primary};
use crate::real_paths::RealPaths;
use crate::scribe::Scribe;
use crate::service::Service;
use crate::sockets::Sockets;
use crate::take_over::FOSTERED_KEY;
use crate::usage::Usages;
use crate::versions::Versions;
use crate::watches::Watches;
use crate::workers::{self, Mark, Part, Worker};
use ostler_core::inspection::Inspections;
use ostler_core::profiling::Profiles;
use ostler_core::{Machine, Pid, Settings, WorkerId};
use ostler_sys::{pidfd, socket};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// The deposit of the control socket.
const API_KEY: &str = "api";
/// The deposit of the log thread's vault.
const LOGS_KEY: &str = "logs";
/// The deposit of what leads to our own output in a container.
const CONSOLES_KEY: &str = "consoles";

/// What a start needs to know beside the hand-over.
#[derive(Debug)]
pub struct Surroundings {
    /// Ostler's home directory.
    pub home: PathBuf,
    /// The keeper's process id.
    pub keeper_pid: i32,
    /// The limits of open files for apps.
    pub open_files: Option<(u64, u64)>,
    /// The container it runs in, if it does.
    pub container: Option<Container>,
}

impl Daemon {
    /// Builds the daemon and its control socket.
    ///
    /// # Errors
    /// If the control socket, the journal or a thread cannot be made.
    pub fn adopt(
        hand_over: HandOver,
        around: Surroundings,
        facts: UnboundedSender<Fact>,
        connections: Connections,
    ) -> io::Result<(Self, UnixListener)> {
        let mut notes = Vec::new();
        let mut keeper = KeeperLink::new(hand_over.socket, hand_over.deposits);
        let journal = journal(&keeper, &mut notes)?;
        let restored = changes::restore(&journal, settings(around.container.as_ref()), &mut notes)?;
        let listener = control_socket(&mut keeper, &around.home)?;
        let logs = logs(&mut keeper, &facts, around.container.is_some())?;
        let generation = hand_over.generation;
        let home_text = around.home.to_string_lossy().into_owned();
        let known: BTreeSet<WorkerId> = restored.machine.workers().collect();
        let containment = Containment::new(&home_text, &known);
        let primary = Primary::new(facts.clone(), generation, handled(&keeper, &known, &restored.machine)?);
        let metrics = metrics(&keeper, &known)?;
        let preload = preload(&around.home, &mut notes);
        let mut daemon = Self {
            machine: restored.machine,
            journal,
            keeper,
            workers: BTreeMap::new(),
            launches: Vec::new(),
            logs,
            triggered: Vec::new(),
            operations: Operations::restore(restored.operations.into_iter()),
            profiles: Profiles::restore(restored.profiles),
            inspections: Inspections::restore(restored.inspections),
            inspecting: Vec::new(),
            spared: super::profile::Spared::default(),
            scribe: Scribe::start()?,
            pid_files: Vec::new(),
            usages: Usages::default(),
            metrics,
            registered: RegisteredMetrics::restore(restored.registered_ended, restored.registered),
            versions: Versions::default(),
            real_paths: RealPaths::default(),
            watches: Watches::default(),
            starts: Starts::default(),
            alarm: Alarm::new()?,
            containment,
            sampling: BTreeMap::new(),
            beats: BTreeMap::new(),
            commands: Commands::default(),
            sweeping: BTreeSet::new(),
            sweep_due: false,
            remains: BTreeMap::new(),
            fostered: BTreeSet::new(),
            reaped: hand_over.reaped,
            facts,
            connections,
            home_text,
            home: around.home,
            own_pid: rustix::process::getpid().as_raw_nonzero().get(),
            keeper_pid: around.keeper_pid,
            generation,
            // Numbers of other daemons are below or above by more than any daemon can use up.
            next_ticket: u64::from(generation) << 32,
            open_files: around.open_files,
            history: Vec::new(),
            heard: Vec::new(),
            told: Told::new(generation),
            sockets: Sockets::default(),
            primary,
            preload,
            web: None,
            service: Service::from_environment(&mut notes),
            restored: restored.restored,
            stirred: true,
            container: around.container,
            ending: None,
            failed: false,
        };
        daemon.deposit_journal();
        daemon.adopt_listeners();
        daemon.adopt_sockets();
        daemon.adopt_workers();
        daemon.adopt_said(restored.said);
        daemon.adopt_actions(restored.actions);
        daemon.adopt_registered();
        daemon.adopt_profiles();
        daemon.adopt_inspections();
        daemon.logs.adopted();
        daemon.look_for_starter();
        daemon.adopt_web();
        for note in notes {
            daemon.note(&note);
        }
        Ok((daemon, listener))
    }

    /// Listeners of apps that were stopped or deleted just when the predecessor died are closed.
    fn adopt_listeners(&mut self) {
        let deposits = self.keeper.with_prefix(primary::LISTENERS);
        let deposits: Vec<(String, Deposit)> = deposits
            .map(|(key, deposit)| (key.to_owned(), deposit.clone()))
            .collect();
        let mut shelves: BTreeSet<String> = self
            .keeper
            .with_prefix(primary::SHELVES)
            .map(|(key, _)| key.to_owned())
            .collect();
        for (key, deposit) in deposits {
            if primary::app_of(&key).is_some_and(|app| self.machine.listens(app)) {
                let shelf = shelves.take(&primary::shelf_of(&key));
                let shelf = shelf.and_then(|key| self.keeper.get(&key).cloned());
                let listener = Box::new(deposit);
                self.primary.send(primary::Command::Adopt { listener, shelf });
            } else {
                primary::shut(&deposit);
                self.keeper.release(&key);
            }
        }
        // What waits where nobody listens any more waits for nobody.
        shelves.iter().for_each(|key| self.keeper.release(key));
    }

    fn adopt_workers(&mut self) {
        for worker in self.deposited(workers::WORKERS) {
            if let Err(error) = self.adopt_worker(worker) {
                self.note(&format!("worker {worker} could not be taken over: {error}"));
            }
        }
        let running = self.workers.values().filter(|record| !record.launching);
        let running: Vec<WorkerId> = running.map(Worker::id).collect();
        for worker in running {
            self.hear(worker);
            self.weigh(worker);
        }
        self.drop_servers();
        let slots = self.slots();
        for slot in slots.iter().filter(|slot| slot.pid.is_some()) {
            self.versions.note(&slot.spec.program.path);
        }
        let running: Vec<WorkerId> = self.machine.running().collect();
        running.into_iter().for_each(|worker| self.must_be_known(worker));
    }

    fn deposited(&self, prefix: &str) -> Vec<WorkerId> {
        let keys = self.keeper.with_prefix(prefix);
        keys.filter_map(|(key, _)| workers::of_key(key)).collect()
    }

    /// A worker that the machine believes running but of which nobody holds a descriptor cannot be supervised any more.
    fn must_be_known(&mut self, worker: WorkerId) {
        if !self.workers.contains_key(&worker) {
            self.note(&format!("worker {worker} was lost; it is given up"));
            let status = ostler_core::ExitStatus::Unknown;
            self.tell(ostler_core::Event::Exited {
                worker,
                status,
                oom_killed: false,
            });
        }
    }

    fn adopt_worker(&mut self, worker: WorkerId) -> io::Result<()> {
        let key = workers::key(worker);
        let Some(deposit) = self.keeper.get(&key).cloned() else {
            return Ok(());
        };
        let (Some(mark), Some(slot)) = (Mark::decode(&deposit.data), self.machine.slot(worker.slot)) else {
            return self.dismiss(&key, &deposit);
        };
        if self.keeper.get(FOSTERED_KEY).is_some() {
            self.fostered.insert(worker);
        }
        let Some(launch) = self.machine.launch_of(worker) else {
            // Its end is history. Somebody it has started may still write into its pipes.
            self.attach_logs(worker, &slot.spec, &deposit);
            self.leave_remains(worker, Pid(mark.pid));
            return Ok(());
        };
        self.attach_logs(worker, &launch.spec, &deposit);
        // If it has ended, its pidfd says so at once. A machine that knew it already passes over the news.
        let mut record = Worker::new(mark, launch, &deposit, &self.facts)?;
        record.executable = PathBuf::from(spawn::executable(&record.launch));
        record.place.clone_from(&record.launch.place);
        record.go_on(&self.facts)?;
        self.workers.insert(worker, record);
        Ok(())
    }

    /// A process of a slot that is gone. It has been told to end long ago.
    fn dismiss(&mut self, key: &str, deposit: &Deposit) -> io::Result<()> {
        if let Some(pidfd) = deposit.descriptors.get(Part::Pidfd as usize) {
            pidfd::signal(pidfd, rustix::process::Signal::KILL.as_raw())?;
        }
        self.keeper.release(key);
        Ok(())
    }
}

/// The scripts that programs of Node are given; the first is what they load.
const PRELOAD: [(&str, &str); 6] = [
    ("preload.cjs", include_str!("../../../../node/preload.cjs")),
    ("measure.cjs", include_str!("../../../../node/measure.cjs")),
    ("requests.cjs", include_str!("../../../../node/requests.cjs")),
    ("garbage.cjs", include_str!("../../../../node/garbage.cjs")),
    ("registered.cjs", include_str!("../../../../node/registered.cjs")),
    ("profile.cjs", include_str!("../../../../node/profile.cjs")),
];

/// Puts the preload where workers find it. Without it they drain less well, and do not say how they are doing.
fn preload(home: &std::path::Path, notes: &mut Vec<String>) -> Option<String> {
    let folder = home.join("node");
    for (name, text) in PRELOAD {
        let path = folder.join(name);
        let there = std::fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes());
        let written = match there {
            true => Ok(()),
            false => std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text)),
        };
        if let Err(error) = written {
            notes.push(format!(
                "{}: {error}; replaced workers of a cluster may lose requests on connections that are kept alive, and nothing is \
                 measured in programs of Node",
                path.display()
            ));
            return None;
        }
    }
    folder.join(PRELOAD[0].0).to_str().map(str::to_owned)
}

fn settings(container: Option<&Container>) -> Settings {
    Settings {
        auto_exit: container.is_some_and(|container| container.auto_exit),
        longest_end: container.map_or(Duration::MAX, |_| container::LONGEST_END),
        ..Settings::new(jiff::tz::TimeZone::system())
    }
}

fn journal(keeper: &KeeperLink, notes: &mut Vec<String>) -> io::Result<Journal> {
    let Some(memfd) = first_of(keeper, JOURNAL_KEY)? else {
        return Journal::create();
    };
    Journal::open(memfd).or_else(|error| {
        notes.push(format!(
            "the predecessor's journal cannot be read ({error}); beginning with an empty list"
        ));
        Journal::create()
    })
}

fn control_socket(keeper: &mut KeeperLink, home: &std::path::Path) -> io::Result<UnixListener> {
    let listener = match first_of(keeper, API_KEY)? {
        Some(inherited) => UnixListener::from(inherited),
        None => {
            let fresh = match home == std::path::Path::new(crate::NOWHERE) {
                true => socket::listen_without_file()?,
                false => socket::listen_at(&home.join(ostler_wire::control::SOCKET)).map_err(io::Error::other)?,
            };
            keeper.deposit(API_KEY, Vec::new(), vec![fresh.as_fd().try_clone_to_owned()?]);
            fresh
        }
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What came of the connections that workers were handed, by a predecessor's counts.
fn handled(
    keeper: &KeeperLink,
    known: &BTreeSet<WorkerId>,
    machine: &Machine,
) -> io::Result<Option<primary::Accounts>> {
    let Some(inherited) = first_of(keeper, HANDLED)? else {
        return Ok(None);
    };
    let mut accounts = primary::Accounts::open(inherited.into())?;
    let slots = machine.slots().map(|slot| slot.id).collect();
    accounts.end_others(known, &slots)?;
    Ok(Some(accounts))
}

/// What workers have counted, by a predecessor's word.
fn metrics(keeper: &KeeperLink, known: &BTreeSet<WorkerId>) -> io::Result<Metrics> {
    let inherited = first_of(keeper, metrics::COUNTED)?;
    let kept = inherited.map(|file| metrics::Kept::open(file.into())).transpose()?;
    let mut metrics = Metrics::new(kept, super::now().instant);
    metrics.end_others(known)?;
    Ok(metrics)
}

fn logs(keeper: &mut KeeperLink, facts: &UnboundedSender<Fact>, in_container: bool) -> io::Result<Logs> {
    let vault = match <[OwnedFd; 5]>::try_from(copies_of(keeper, LOGS_KEY)?) {
        Ok(descriptors) => Vault::from_descriptors(descriptors),
        Err(_) => {
            let vault = Vault::create()?;
            let copies = vault.descriptors().map(|fd| fd.try_clone_to_owned());
            keeper.deposit(LOGS_KEY, Vec::new(), copies.into_iter().collect::<io::Result<_>>()?);
            vault
        }
    };
    let consoles = if in_container { consoles(keeper)? } else { Vec::new() };
    let facts = facts.clone();
    Logs::start_with(vault, consoles, move |note| {
        let text = note.to_string();
        let _ = facts.send(match note {
            Note::Ended(_) => Fact::Fatal(text),
            Note::Dropping(_)
            | Note::Resumed { .. }
            | Note::Upkeep(_)
            | Note::Unguarded(_)
            | Note::Abandoned { .. }
            | Note::Console { .. } => Fact::Note(text),
        });
    })
}

/// The ways to our own output.
fn consoles(keeper: &mut KeeperLink) -> io::Result<Vec<Console>> {
    let (consoles, fresh) = container::consoles(copies_of(keeper, CONSOLES_KEY)?)?;
    if let Some(copies) = fresh {
        keeper.deposit(CONSOLES_KEY, Vec::new(), copies);
    }
    Ok(consoles)
}

/// Copies of all descriptors under a key.
pub(super) fn copies_of(keeper: &KeeperLink, key: &str) -> io::Result<Vec<OwnedFd>> {
    let kept = keeper.get(key).into_iter().flat_map(|deposit| &deposit.descriptors);
    kept.map(|fd| fd.as_fd().try_clone_to_owned()).collect()
}

fn first_of(keeper: &KeeperLink, key: &str) -> io::Result<Option<OwnedFd>> {
    let first = keeper.get(key).and_then(|deposit| deposit.descriptors.first());
    first.map(|fd| fd.as_fd().try_clone_to_owned()).transpose()
}
