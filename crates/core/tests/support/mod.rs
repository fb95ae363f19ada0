//! A small virtual operating system that drives a machine through virtual time.
//!
//! It runs scripted programs, carries out the machine's effects, and checks with every effect what must never happen. Beside
//! the machine under test it keeps a twin that is thrown away and restored from its journal after every call (or at the
//! points a test chooses): both must always want the same. So each scenario is also a test of the journal.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod clusters;
mod daemons;
mod kernel;
pub mod probes;
pub mod programs;
mod questions;
pub mod twin;

use ostler_core::{
    Address, AppId, Effect, Event, ExitStatus, Generation, Instant, Machine, Now, Origin, Outcome, Pid, ProbeKind,
    Request, Settings, SlotId, Spec, Status, Ticket, Verdict, WallTime, WorkerId,
};
use programs::Program;
use std::collections::{BTreeMap, BTreeSet};
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
                | Event::StoppingMessage { worker }
                | Event::Settled { worker }
                | Event::Listening { worker, .. }
                | Event::ListenFailed { worker, .. }
                | Event::Drained { worker }
                | Event::Probed { worker, .. }
                | Event::MemorySample { worker, .. } => Some(worker.slot),
                Event::FileChanged { slot, .. } => Some(*slot),
                Event::Request { .. } | Event::ClockStepped | Event::StarterEnded { .. } | Event::Hurry => None,
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
    app: AppId,
    cluster: bool,
    /// What it has inherited.
    inherits: BTreeSet<Address>,
    /// Another worker of its slot can serve beside it.
    overlaps: bool,
    /// When it was launched.
    born: Instant,
    /// Which of its probes are under way.
    probed: BTreeSet<ProbeKind>,
    listens: bool,
    /// It may be given connections, or takes them itself.
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
    steps_at_once: u32,
    programs: BTreeMap<String, Vec<Program>>,
    programs_of_slots: BTreeMap<SlotId, Vec<Program>>,
    pub processes: BTreeMap<WorkerId, Process>,
    next_ticket: u64,
    pub asked: Vec<Ticket>,
    pub replies: BTreeMap<Ticket, Outcome>,
    /// Every effect, with its time in ms since the world began.
    pub log: Vec<(u64, Effect)>,
    pub exited: Option<u8>,
    /// Apps whose listeners were closed.
    pub unlistened: Vec<AppId>,
    /// The sockets that are open for each app as its specs declare them.
    pub open: BTreeMap<AppId, BTreeSet<Address>>,
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
            steps_at_once: 0,
            programs: BTreeMap::new(),
            programs_of_slots: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_ticket: 1,
            asked: Vec::new(),
            replies: BTreeMap::new(),
            log: Vec::new(),
            exited: None,
            unlistened: Vec::new(),
            open: BTreeMap::new(),
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
            only_changed: false,
        })
    }

    /// A reload that leaves alone what has not changed.
    pub fn reload_changed(&mut self, slots: &[u32], specs: &[Spec]) -> Ticket {
        self.request(Request::Reload {
            slots: ids(slots),
            specs: specs.iter().cloned().map(Arc::new).collect(),
            parallel: 1,
            only_changed: true,
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

    /// Whether a worker may be given connections.
    pub fn is_in_rotation(&self, worker: WorkerId) -> bool {
        self.processes
            .get(&worker)
            .is_some_and(|process| process.main && process.admitted)
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

    /// Time passes up to a moment. A machine that always finds something to do before time passes would never come to it.
    fn advance(&mut self, to: Instant) {
        self.steps_at_once = if to == self.now.instant {
            self.steps_at_once + 1
        } else {
            0
        };
        if self.steps_at_once >= 10_000 {
            let last = &self.log[self.log.len().saturating_sub(20)..];
            panic!("no rest at {to:?}, with these effects at last: {last:#?}");
        }
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
                if let Event::Probed { worker, kind, .. } = &event {
                    match self.processes.get_mut(worker).filter(|process| process.main) {
                        Some(process) => assert!(process.probed.remove(kind), "a probe that nobody ordered"),
                        None => return,
                    }
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

    /// What was under way when a daemon died nobody hears of.
    fn forget_probes(&mut self) {
        let probed = |happening: &Happening| matches!(happening, Happening::Fact(Event::Probed { .. }));
        self.calendar.retain(|_, happening| !probed(happening));
        self.processes.values_mut().for_each(|process| process.probed.clear());
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
