//! A small virtual operating system that drives a machine through virtual time.
//!
//! It runs scripted programs, carries out the machine's effects, and checks with every effect what must never happen. Beside
//! the machine under test it keeps a twin that is thrown away and restored from its journal after every call (or at the
//! points a test chooses): both must always want the same. So each scenario is also a test of the journal.
#![allow(dead_code, reason = "each test file uses its own part of this")]

mod daemons;
pub mod programs;
mod questions;
pub mod twin;

use ostler_core::{
    AppId, Effect, Event, ExitStatus, Generation, Instant, Launch, Machine, Mode, Now, Origin, Outcome, Pid, Place,
    Request, Scope, Settings, SlotId, SpawnError, Spec, Status, Ticket, Verdict, WallTime, WorkerId,
};
use programs::{Leftovers, Program, Reaction};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use twin::Twin;

pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;

/// What the world has planned.
#[derive(Clone, Debug)]
enum Happening {
    Fact(Event),
    MainEnds { worker: WorkerId, status: ExitStatus },
    LeftoversEnd { worker: WorkerId },
}

impl Happening {
    fn slot(&self) -> Option<SlotId> {
        match self {
            Self::MainEnds { worker, .. } | Self::LeftoversEnd { worker } => Some(worker.slot),
            Self::Fact(event) => match event {
                Event::Spawned { worker, .. }
                | Event::SpawnFailed { worker, .. }
                | Event::Exited { worker, .. }
                | Event::TreeGone { worker }
                | Event::ReadyMessage { worker }
                | Event::Settled { worker }
                | Event::Listening { worker, .. }
                | Event::Drained { worker }
                | Event::MemorySample { worker, .. } => Some(worker.slot),
                Event::FileChanged { slot, .. } => Some(*slot),
                Event::Request { .. } | Event::ClockStepped => None,
            },
        }
    }
}

/// A launched process and its tree.
#[derive(Clone, Debug)]
pub struct Process {
    program: Program,
    pid: Pid,
    /// The machine knows that it runs.
    pub reported: bool,
    pub main: bool,
    pub leftovers: bool,
    swept: bool,
    gone_reported: bool,
    tree: bool,
    cluster: bool,
    listens: bool,
    /// It may be given connections.
    admitted: bool,
}

impl Process {
    /// Whether anything of it that the machine answers for is still there.
    fn counts_as_alive(&self) -> bool {
        self.main || (self.tree && !self.gone_reported)
    }
}

pub struct World {
    pub machine: Machine,
    pub twin: Option<Twin>,
    pub now: Now,
    calendar: BTreeMap<(Instant, u64), Happening>,
    sequence: u64,
    programs: BTreeMap<String, Vec<Program>>,
    programs_of_slots: BTreeMap<SlotId, Vec<Program>>,
    pub processes: BTreeMap<WorkerId, Process>,
    next_ticket: u64,
    pub asked: Vec<Ticket>,
    pub replies: BTreeMap<Ticket, Outcome>,
    /// Every effect, with its time in ms since the world began.
    pub log: Vec<(u64, Effect)>,
    pub exited: bool,
    /// Apps whose listeners were closed.
    pub unlistened: Vec<AppId>,
    /// What the paths of specs lead to.
    pub release: u32,
}

pub const BEGIN: Now = Now {
    instant: Instant(1_000_000),
    wall: WallTime(1_750_000_000_000),
};

pub fn settings() -> Settings {
    Settings::new(jiff::tz::TimeZone::UTC)
}

pub fn tester() -> Origin {
    Origin::Client {
        user: "tester".into(),
        pid: Pid(1),
        verb: "test".into(),
    }
}

impl World {
    pub fn new() -> Self {
        Self::with_twin(Some(Twin::restored_at_each_step()))
    }

    pub fn with_twin(twin: Option<Twin>) -> Self {
        Self {
            machine: Machine::new(settings()),
            twin,
            now: BEGIN,
            calendar: BTreeMap::new(),
            sequence: 0,
            programs: BTreeMap::new(),
            programs_of_slots: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_ticket: 1,
            asked: Vec::new(),
            replies: BTreeMap::new(),
            log: Vec::new(),
            exited: false,
            unlistened: Vec::new(),
            release: 1,
        }
    }

    /// Says what the app's launches do: the n-th launch follows the n-th program, later ones the last.
    pub fn script(&mut self, name: &str, programs: Vec<Program>) {
        self.programs.insert(name.into(), programs);
    }

    /// As `script`, for what is launched in one slot.
    pub fn script_slot(&mut self, slot: u32, programs: Vec<Program>) {
        self.programs_of_slots.insert(SlotId(slot), programs);
    }

    pub fn request(&mut self, request: Request) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.asked.push(ticket);
        self.feed(Event::Request {
            ticket,
            request,
            by: tester(),
        });
        ticket
    }

    pub fn start(&mut self, spec: Spec) -> Ticket {
        self.request(Request::Start { specs: vec![spec] })
    }

    pub fn stop(&mut self, slots: &[u32]) -> Ticket {
        self.request(Request::Stop { slots: ids(slots) })
    }

    pub fn restart(&mut self, slots: &[u32]) -> Ticket {
        self.request(Request::Restart {
            slots: ids(slots),
            specs: Vec::new(),
        })
    }

    pub fn reload(&mut self, slots: &[u32]) -> Ticket {
        self.reload_with(slots, &[], 1)
    }

    pub fn reload_with(&mut self, slots: &[u32], specs: &[Spec], parallel: u32) -> Ticket {
        self.request(Request::Reload {
            slots: ids(slots),
            specs: specs.iter().cloned().map(Arc::new).collect(),
            parallel,
        })
    }

    pub fn delete(&mut self, slots: &[u32]) -> Ticket {
        self.request(Request::Delete { slots: ids(slots) })
    }

    /// Gives an event to the machine now and carries out what it orders.
    pub fn feed(&mut self, event: Event) {
        self.machine.handle(event.clone(), self.now);
        if let Some(twin) = &mut self.twin {
            twin.machine.handle(event, self.now);
        }
        self.obey();
    }

    /// Lets the machine do what is due (or nothing).
    pub fn tick(&mut self) {
        self.machine.handle_timeout(self.now);
        if let Some(twin) = &mut self.twin {
            twin.machine.handle_timeout(self.now);
        }
        self.obey();
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now.instant + span;
        while let Some(at) = self.next_moment().filter(|at| *at <= end) {
            self.advance(at);
            self.step();
        }
        self.advance(end);
    }

    /// Lets time pass until a request is answered.
    pub fn reply(&mut self, ticket: Ticket) -> Outcome {
        let mut steps = 0;
        while !self.replies.contains_key(&ticket) {
            let at = self.next_moment().expect("something must happen before the answer");
            self.advance(at);
            self.step();
            steps += 1;
            assert!(steps < 100_000, "no answer comes");
        }
        self.replies[&ticket].clone()
    }

    /// The verdict of a request about one slot.
    pub fn verdict(&mut self, ticket: Ticket) -> Verdict {
        let outcome = self.reply(ticket);
        assert_eq!(outcome.slots.len(), 1, "{outcome:?}");
        outcome.slots[0].verdict.clone()
    }

    fn next_moment(&self) -> Option<Instant> {
        let planned = self.calendar.keys().next().map(|(at, _)| *at);
        let deadline = self.machine.next_deadline().map(|at| at.max(self.now.instant));
        planned.into_iter().chain(deadline).min()
    }

    fn advance(&mut self, to: Instant) {
        let span = to.since(self.now.instant);
        self.now.wall = WallTime(self.now.wall.0 + i64::try_from(span.as_millis()).expect("short"));
        self.now.instant = to;
    }

    /// One thing happens: news before deadlines.
    fn step(&mut self) {
        let first = self
            .calendar
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now.instant);
        match first {
            Some(entry) => {
                let happening = entry.remove();
                self.happen(happening);
            }
            None => self.tick(),
        }
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.sequence += 1;
        self.calendar
            .insert((self.now.instant + after, self.sequence), happening);
    }

    /// An event that reaches the machine later.
    pub fn later(&mut self, after: Duration, event: Event) {
        self.plan(after, Happening::Fact(event));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Fact(event) => {
                if let Event::Spawned { worker, .. } = &event {
                    self.processes.get_mut(worker).expect("launched").reported = true;
                }
                if let Event::Listening { worker, .. } = &event {
                    match self.processes.get_mut(worker).filter(|process| process.main) {
                        Some(process) => process.listens = true,
                        None => return,
                    }
                }
                if let Event::TreeGone { worker } = &event {
                    self.processes.get_mut(worker).expect("launched").gone_reported = true;
                }
                self.feed(event);
            }
            Happening::MainEnds { worker, status } => self.end_main(worker, status),
            Happening::LeftoversEnd { worker } => {
                self.processes.get_mut(&worker).expect("launched").leftovers = false;
                self.report_gone(worker);
            }
        }
    }

    fn end_main(&mut self, worker: WorkerId, status: ExitStatus) {
        // A new spec takes effect at once, also for the way the running process is ended.
        let current = self.machine.slot(worker.slot);
        let current = current.filter(|slot| slot.generation == worker.generation);
        let process = self.processes.get_mut(&worker).expect("launched");
        if std::mem::take(&mut process.main) {
            process.tree = current.map_or(process.tree, |slot| slot.spec.stop.tree);
            self.feed(Event::Exited {
                worker,
                status,
                oom_killed: false,
            });
        }
    }

    /// Ends a running main process from outside.
    pub fn kill(&mut self, worker: WorkerId, status: ExitStatus) {
        self.end_main(worker, status);
    }

    fn report_gone(&mut self, worker: WorkerId) {
        let process = &self.processes[&worker];
        if process.swept && !process.main && !process.leftovers && !process.gone_reported {
            self.plan(Duration::ZERO, Happening::Fact(Event::TreeGone { worker }));
        }
    }

    fn obey(&mut self) {
        let effects = self.ordered();
        self.check_states();
        self.carry_out_all(effects);
    }

    /// What the machine has ordered, once its changes are in the journal.
    fn ordered(&mut self) -> Vec<Effect> {
        let effects: Vec<Effect> = std::iter::from_fn(|| self.machine.poll_effect()).collect();
        if let Some(twin) = &mut self.twin {
            twin.compare(&mut self.machine, &effects);
        } else {
            let _ = self.machine.drain_changes();
        }
        effects
    }

    fn carry_out_all(&mut self, effects: Vec<Effect>) {
        let at = u64::try_from(self.now.instant.since(BEGIN.instant).as_millis()).expect("short");
        self.log.extend(effects.iter().map(|effect| (at, effect.clone())));
        for effect in effects {
            self.carry_out(effect);
        }
    }

    /// Whatever is transient has a deadline, and so has an online app that somebody waits for.
    fn check_states(&self) {
        let transient = self.machine.slots().any(|slot| match slot.status {
            Status::Launching | Status::Stopping | Status::WaitingRestart => true,
            Status::Online | Status::Stopped | Status::Errored => false,
        });
        assert!(
            !transient || self.machine.next_deadline().is_some(),
            "a transient state without a deadline"
        );
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(launch) => self.spawn(&launch),
            Effect::Signal { worker, signal, scope } => self.signal(worker, signal, scope),
            Effect::SendShutdown { worker } => {
                assert!(self.processes[&worker].main && self.processes[&worker].reported);
                self.react_main(worker, SIGINT);
            }
            Effect::Sweep { worker } => {
                let process = self.processes.get_mut(&worker).expect("launched");
                assert!(!process.main, "a tree is swept after its main process has ended");
                process.swept = true;
                self.report_gone(worker);
            }
            Effect::Reply { ticket, outcome } => {
                assert!(self.asked.contains(&ticket), "an answer that nobody asked for");
                assert!(
                    self.replies.insert(ticket, outcome).is_none(),
                    "a second answer to {ticket:?}"
                );
            }
            Effect::ObserveStart { worker } => {
                let process = &self.processes[&worker];
                assert!(process.main, "only a running process can be observed");
                if let Some(after) = process.program.settles {
                    self.later(after, Event::Settled { worker });
                }
            }
            Effect::SampleMemory { worker, every } => self.sample(worker, every),
            Effect::Admit { worker } => self.processes.get_mut(&worker).expect("launched").admitted = true,
            Effect::Withdraw { worker } => self.processes.get_mut(&worker).expect("launched").admitted = false,
            Effect::Drain { worker } => self.drain(worker),
            Effect::Unlisten { app } => self.unlistened.push(app),
            Effect::Exit => self.exited = true,
            Effect::Watch { .. } | Effect::Unwatch { .. } | Effect::Record(_) | Effect::Publish(_) => {}
            Effect::Forget { slot } => self.forget(slot),
        }
    }

    /// Nothing is heard of a forgotten slot any more, since its id may be used again.
    fn forget(&mut self, slot: SlotId) {
        for (_, process) in self.processes.range(generations_of(slot)) {
            assert!(!process.counts_as_alive(), "slot {slot} is forgotten while it is alive");
        }
        self.calendar.retain(|_, happening| happening.slot() != Some(slot));
        self.processes
            .retain(|worker, process| worker.slot != slot || process.main || process.leftovers);
    }

    fn drain(&mut self, worker: WorkerId) {
        let process = self.processes.get_mut(&worker).expect("launched");
        assert!(process.main && process.reported, "only a running process can drain");
        process.admitted = false;
        if let Some(after) = process.program.drains {
            self.later(after, Event::Drained { worker });
        }
    }

    /// How many workers of these slots could answer a request now.
    pub fn serving(&self, slots: &[u32]) -> usize {
        let serves = |(worker, process): (&WorkerId, &Process)| {
            slots.contains(&worker.slot.0) && process.main && process.listens && process.admitted
        };
        self.processes.iter().filter(|process| serves(*process)).count()
    }

    fn sample(&mut self, worker: WorkerId, every: Duration) {
        for (turn, bytes) in (1..).zip(self.processes[&worker].program.memory.clone()) {
            self.later(every * turn, Event::MemorySample { worker, bytes });
        }
    }

    fn spawn(&mut self, launch: &Launch) {
        let (worker, spec) = (launch.worker, &launch.spec);
        let alive = self.processes.range(generations_of(worker.slot));
        let alive: Vec<&WorkerId> = alive
            .filter(|(_, process)| process.counts_as_alive())
            .map(|(other, _)| other)
            .collect();
        let beside = alive.iter().any(|other| self.processes[*other].cluster);
        let room = usize::from(spec.mode == Mode::Cluster || beside);
        assert!(alive.len() <= room, "{worker} is launched while {alive:?} are alive");
        let launches = worker.generation.0 as usize - 1;
        let programs = self
            .programs_of_slots
            .get(&worker.slot)
            .or_else(|| self.programs.get(&spec.name))
            .cloned()
            .unwrap_or_else(|| vec![Program::server()]);
        let program = programs[launches.min(programs.len() - 1)].clone();
        let pid = Pid(i32::try_from(self.processes.len()).expect("few") + 1000);
        let boot = program.boot;
        let leftovers = program.leftovers != Leftovers::None;
        if let Some(transient) = program.fails_to_spawn {
            let error = SpawnError {
                message: "execve: no".into(),
                transient,
            };
            return self.later(boot, Event::SpawnFailed { worker, error });
        }
        let place = launch.place.clone().or(Some(Place {
            path: format!("{}@{}", spec.program.path, self.release),
            cwd: spec.program.cwd.clone(),
        }));
        self.later(boot, Event::Spawned { worker, pid, place });
        if let (Some(after), true) = (program.listens, spec.mode == Mode::Cluster) {
            let missing = program.missing.clone();
            self.later(boot + after, Event::Listening { worker, missing });
        }
        if let Some((after, status)) = program.ends {
            self.plan(boot + after, Happening::MainEnds { worker, status });
        }
        if let Some(after) = program.ready {
            self.later(boot + after, Event::ReadyMessage { worker });
        }
        let process = Process {
            program,
            pid,
            reported: false,
            main: true,
            leftovers,
            swept: false,
            gone_reported: false,
            tree: spec.stop.tree,
            cluster: spec.mode == Mode::Cluster,
            listens: false,
            admitted: false,
        };
        self.processes.insert(worker, process);
    }

    fn signal(&mut self, worker: WorkerId, signal: i32, scope: Scope) {
        let process = &self.processes[&worker];
        assert!(process.reported, "{worker} is signalled before it is known to run");
        match scope {
            Scope::Main => assert!(process.main, "{worker} is signalled though its main process is gone"),
            Scope::Tree => assert!(!process.gone_reported, "{worker} is signalled though its tree is gone"),
        }
        if process.main {
            self.react_main(worker, signal);
        }
        if scope == Scope::Tree {
            self.react_leftovers(worker, signal);
        }
    }

    fn react_main(&mut self, worker: WorkerId, signal: i32) {
        let program = &self.processes[&worker].program;
        let killed = ExitStatus::Signal {
            signal,
            core_dumped: false,
        };
        match program.reaction {
            Reaction::Unkillable => {}
            Reaction::Ends { .. } | Reaction::Ignores if signal == SIGKILL => {
                self.plan(Duration::from_millis(1), Happening::MainEnds { worker, status: killed });
            }
            Reaction::Ends { after, status } => self.plan(after, Happening::MainEnds { worker, status }),
            Reaction::Ignores => {}
        }
    }

    fn react_leftovers(&mut self, worker: WorkerId, signal: i32) {
        let process = &self.processes[&worker];
        let ends = match process.program.leftovers {
            Leftovers::None | Leftovers::Unkillable => false,
            Leftovers::Obedient => true,
            Leftovers::Stubborn => signal == SIGKILL,
        };
        if ends && process.leftovers {
            self.plan(Duration::from_millis(1), Happening::LeftoversEnd { worker });
        }
    }
}

fn generations_of(slot: SlotId) -> std::ops::RangeInclusive<WorkerId> {
    WorkerId {
        slot,
        generation: Generation(0),
    }..=WorkerId {
        slot,
        generation: Generation(u32::MAX),
    }
}

pub fn ids(slots: &[u32]) -> Vec<SlotId> {
    slots.iter().copied().map(SlotId).collect()
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
