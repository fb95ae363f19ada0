//! The deciding loop: facts in, orders out.
//!
//! ```text
//! loop { fact → machine.handle → journal → effects }
//! ```
//!
//! Nothing in it waits: whatever takes time (files, other processes, clients) is a task or a thread that sends a fact when it is
//! done. What must survive this process is in the journal before any effect of it is run.

mod adopt;
mod boot;
mod calls;
mod changes;
mod custom;
mod ending;
mod ends;
mod events;
mod inspect;
mod left;
mod log_files;
mod measure;
mod operate;
mod profile;
mod registered;
mod remains;

pub use adopt::Surroundings;
pub use boot::RESURRECT_VARIABLE;

use crate::alarm::Alarm;
use crate::api::Connections;
use crate::container::Container;
use crate::containment::Containment;
use crate::effects::command::Commands;
use crate::effects::observe::Starts;
use crate::effects::probe::Beats;
use crate::fact::Fact;
use crate::journal::Journal;
use crate::keeper_link::KeeperLink;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::primary::Primary;
use crate::real_paths::RealPaths;
use crate::scribe::Scribe;
use crate::service::{Service, due};
use crate::sockets::Sockets;
use crate::usage::Usages;
use crate::versions::Versions;
use crate::watches::Watches;
use crate::web::Web;
use crate::workers::Workers;
use ostler_core::history::Entry;
use ostler_core::inspection::Inspections;
use ostler_core::profiling::Profiles;
use ostler_core::{Effect, Event, Machine, Now, Origin, Request, SlotView, Ticket, WorkerId};
use ostler_sys::clock;
use ostler_sys::spawn::Outcome;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// After so long without anything to do we are at rest.
const REST: Duration = Duration::from_millis(300);

/// How many facts are taken in before the effects of what they decided are run.
const BATCH: usize = 256;

/// How many orders are carried out before it is looked what has come of launches: some milliseconds' worth of them.
const STRIDE: usize = 8;

/// The daemon's state. Every field is used by the reactor's thread alone.
pub struct Daemon {
    pub(crate) machine: Machine,
    pub(crate) journal: Journal,
    pub(crate) keeper: KeeperLink,
    pub(crate) workers: Workers,
    /// Workers that were let go and of which it is not known yet whether their program runs, in the order of their launches.
    pub(crate) launches: Vec<(WorkerId, Outcome)>,
    pub(crate) logs: Logs,
    pub(crate) operations: Operations,
    /// Actions of apps that have been called and not all answered.
    pub(crate) triggered: Vec<custom::Triggered>,
    /// Profiles of workers that are being taken, or wait to be taken away.
    pub(crate) profiles: Profiles,
    /// Workers whose inspector is open for somebody.
    pub(crate) inspections: Inspections,
    /// Who waits for one to open.
    pub(crate) inspecting: Vec<inspect::Waiting>,
    /// Who is not to be judged by what they do not do.
    pub(crate) spared: profile::Spared,
    pub(crate) scribe: Scribe,
    /// Pid files that are to be written when all is launched that is to be: a file may take longer than a program.
    pub(crate) pid_files: Vec<(PathBuf, i32)>,
    pub(crate) usages: Usages,
    pub(crate) metrics: Metrics,
    pub(crate) registered: registered::RegisteredMetrics,
    pub(crate) versions: Versions,
    pub(crate) real_paths: RealPaths,
    pub(crate) watches: Watches,
    pub(crate) starts: Starts,
    /// Rings when one of them is to be looked at.
    pub(crate) alarm: Alarm,
    pub(crate) containment: Containment,
    pub(crate) sampling: BTreeMap<WorkerId, Duration>,
    /// Who waits for which event loop to turn.
    pub(crate) beats: Beats,
    /// Commands that look at workers.
    pub(crate) commands: Commands,
    pub(crate) sweeping: BTreeSet<WorkerId>,
    pub(crate) sweep_due: bool,
    /// Workers whose main process has ended, as long as something of them may be left.
    pub(crate) remains: BTreeMap<WorkerId, remains::Remains>,
    /// Workers that were started before a keeper was killed: what they detach does not fall to us.
    pub(crate) fostered: BTreeSet<WorkerId>,
    /// Statuses that the keeper reported, as `wait(2)` gives them, newest last: for workers that are its children.
    pub(crate) reaped: Vec<(i32, i32)>,
    pub(crate) facts: UnboundedSender<Fact>,
    pub(crate) connections: Connections,
    pub(crate) home: PathBuf,
    pub(crate) home_text: String,
    pub(crate) own_pid: i32,
    pub(crate) keeper_pid: i32,
    pub(crate) generation: u32,
    pub(crate) next_ticket: u64,
    /// Limits of open files that apps are given: those we were started with.
    pub(crate) open_files: Option<(u64, u64)>,
    pub(crate) history: Vec<Entry>,
    /// Who is to be told when what came of their facts is in the journal.
    pub(crate) heard: Vec<crate::fact::Kept>,
    /// What was told to those who watch.
    pub(crate) told: events::Told,
    /// Sockets that are bound for apps and inherited by their workers.
    pub(crate) sockets: Sockets,
    /// The primary of cluster workers.
    pub(crate) primary: Primary,
    /// The script by which workers of Node drain, if it could be put into the home directory.
    pub(crate) preload: Option<String>,
    /// The web dashboard's port, if it is to be open.
    pub(crate) web: Option<Box<Web>>,
    /// The service manager, if one watches us.
    pub(crate) service: Service,
    /// The saved list has been restored, or begun to be, by this daemon or an earlier one of its line.
    pub(crate) restored: bool,
    /// Something was started or ended since it last came to rest.
    pub(crate) stirred: bool,
    /// What is known of the container we run in, if we do.
    pub(crate) container: Option<Container>,
    /// It ends, with this exit code.
    pub(crate) ending: Option<u8>,
    /// Cannot go on: end without farewell, so that the keeper starts a successor.
    pub(crate) failed: bool,
}

impl Daemon {
    /// Says that clients are being answered now.
    pub fn ready(&mut self) {
        self.keeper.ready();
        self.boot();
    }

    /// Runs until the machine orders the end.
    pub async fn run(&mut self, mut facts: UnboundedReceiver<Fact>) {
        self.carry_out();
        while self.ending.is_none() && !self.failed {
            self.alarm.set(self.starts.next());
            tokio::select! {
                fact = facts.recv() => {
                    let Some(fact) = fact else { return };
                    self.take(fact);
                    for _ in 1..BATCH {
                        let Ok(fact) = facts.try_recv() else { break };
                        self.take(fact);
                    }
                }
                () = until(self.machine.next_deadline()) => self.machine.handle_timeout(now()),
                () = until(Some(self.metrics.next_sample())) => self.sample(),
                () = until(self.profiles.next_deadline()) => self.profiles_due(),
                () = until(self.inspections.next_deadline()) => self.inspections_due(),
                () = self.alarm.rings() => self.look_at_starts(),
                () = due(self.service.next()) => self.turn(),
                () = tokio::time::sleep(REST), if self.stirred => self.rest(),
            }
            self.carry_out();
        }
        if let Some(code) = self.ending.filter(|_| !self.failed) {
            self.end(facts, code).await;
        }
    }

    /// Nothing has happened for a while. What only starts and ends of apps need is not needed now.
    fn rest(&mut self) {
        self.stirred = false;
        self.show_service();
        // Only a matter of how much memory seems to be used.
        let _ = ostler_sys::residency::let_go_of_code();
        ostler_sys::spawn::let_go_of_stacks();
    }

    /// The loop turns: that is what the watchdog watches.
    fn turn(&mut self) {
        self.service.turn();
        self.show_service();
    }

    /// Makes the machine's decisions durable and carries them out.
    fn carry_out(&mut self) {
        let mut orders = VecDeque::new();
        loop {
            let effects: Vec<Effect> = std::iter::from_fn(|| self.machine.poll_effect()).collect();
            self.keep_changes(&effects);
            // Looking at workers is no more than a beat of the heart.
            self.stirred |= effects.iter().any(|effect| !matches!(effect, Effect::Probe { .. }));
            orders.extend(effects);
            if orders.is_empty() {
                break;
            }
            for effect in orders.drain(..orders.len().min(STRIDE)) {
                self.run_effect(effect);
            }
            // Who is launched first need not wait for the last.
            self.hear_launches();
            if self.starts.are_due() {
                self.look_at_starts();
            }
        }
        self.await_launches();
        self.write_pid_files();
        self.versions.begin_anew();
        self.real_paths.forget();
        for kept in self.heard.drain(..) {
            kept();
        }
        self.tell_watchers();
        self.sweep_now();
        self.write_history();
        self.sample_while_waiting();
        if self.machine.is_shutting_down() {
            self.service.end(self.keeper_pid);
        }
    }

    /// Has the pid files written that are to be.
    pub(crate) fn write_pid_files(&mut self) {
        self.scribe.write_pids(std::mem::take(&mut self.pid_files));
    }

    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Machine(event) => self.tell(event),
            Fact::Call(call) => self.call(call),
            Fact::Keeper(message) => self.hear_keeper(message.as_ref()),
            Fact::Ended(worker) => self.ended(worker),
            Fact::Drained(worker) => self.drained(worker),
            Fact::StatusOverdue(worker) => self.status_overdue(worker),
            Fact::Launched(worker, outcome) => self.launched(worker, &outcome),
            Fact::Said(worker, text) => self.said(worker, text),
            Fact::RegisteredOverdue(round) => self.registered_overdue(round),
            Fact::RepliesOverdue(operation) => self.replies_overdue(&operation),
            Fact::ProfilePlaced(operation, placed) => self.profile_placed(&operation, placed),
            Fact::Sever(worker, port) => self.sever_inspector(worker, port),
            Fact::Message(worker, message) => self.message(worker, message),
            Fact::Draining(worker, connections) => {
                if let Some(record) = self.workers.get_mut(&worker) {
                    record.connections = Some(connections);
                }
            }
            Fact::AddressInUse {
                worker,
                address,
                owner,
                explained,
            } => self.address_in_use(worker, &address, owner, explained),
            Fact::WritersGone(worker) => self.writers_gone(worker),
            Fact::PipesRead(worker) => self.pipes_read(worker),
            Fact::Heard(kept) => self.heard.push(kept),
            Fact::Deposit { key, data, descriptors } => self.keeper.deposit(&key, data, descriptors),
            Fact::Release(key) => self.keeper.release(&key),
            Fact::ChildEnded => self.reap_orphans(),
            Fact::LeftoverEnded => self.leftover_ended(),
            Fact::Open(connections) => self.open_now(connections),
            Fact::Look(look) => self.look(look),
            Fact::Command(news) => self.hear_of_command(news),
            Fact::Looked(looked) => self.looked(looked),
            Fact::SampleMemory(worker) => self.sample_memory(worker),
            Fact::Weigh(worker) => self.weigh(worker),
            Fact::ClockSet { by_millis } => self.clock_set(by_millis),
            Fact::Booted(lines) => {
                lines.iter().for_each(|line| self.note(line));
                self.booted();
            }
            Fact::Told(told) => self.told(told),
            Fact::Note(text) => self.note(&text),
            Fact::Fatal(text) => {
                self.note(&text);
                self.failed = true;
            }
        }
    }

    /// Tells the machine something that has happened.
    pub(crate) fn tell(&mut self, event: Event) {
        self.machine.handle(event, now());
    }

    /// Asks the machine for something; its reply comes as an effect.
    pub(crate) fn ask(&mut self, request: Request, by: Origin) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tell(Event::Request { ticket, request, by });
        ticket
    }

    /// Sends a fact to ourselves, to be taken in after what is being carried out.
    pub(crate) fn send(&self, fact: Fact) {
        // The receiver lives as long as the loop that calls this.
        let _ = self.facts.send(fact);
    }

    /// All slots, for the selectors.
    pub(crate) fn slots(&self) -> Vec<SlotView> {
        self.machine.slots().collect()
    }

    fn clock_set(&mut self, by_millis: i64) {
        // Time services set it by a little now and then; whoever compares logs wants to know of more.
        if by_millis.unsigned_abs() >= 1000 {
            self.note(&format!("the clock was set by {:+.3} s", by_millis as f64 / 1e3));
        }
        self.tell(Event::ClockStepped);
    }

    fn message(&mut self, worker: WorkerId, message: ostler_wire::node_ipc::Message) {
        use ostler_wire::node_ipc::Message;
        match message {
            Message::Ready => self.tell(Event::ReadyMessage { worker }),
            Message::Beat => self.beat(worker),
            Message::Report(report) => self.reported(worker, *report),
            Message::Inspected(said) => self.hear_inspector(worker, *said),
            Message::Garbage(length) => {
                self.note(&format!(
                    "worker {worker} sent {length} bytes over its IPC channel that are not JSON"
                ));
            }
            Message::User(value) => {
                // Whatever else apps say is between them and whoever follows events.
                if let Some(said) = ostler_wire::node_ipc::custom(&value) {
                    self.hear_custom(worker, said);
                } else if let Some(registry) = ostler_wire::node_ipc::registered(&value) {
                    self.hear_registered(worker, registry);
                }
            }
            Message::Internal => {}
        }
    }
}

/// What time it is.
pub fn now() -> Now {
    let clock = clock::now();
    Now {
        instant: ostler_core::Instant(clock.monotonic_millis),
        wall: ostler_core::WallTime(clock.wall_millis),
    }
}

async fn until(deadline: Option<ostler_core::Instant>) {
    match deadline {
        // One millisecond more: the machine's clock counts whole ones, so that it is surely due then.
        Some(deadline) => tokio::time::sleep(deadline.since(now().instant) + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}
