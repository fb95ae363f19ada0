//! How the virtual operating system carries out orders, and what it checks with each.

use super::programs::{Leftovers, Program, Reaction};
use super::{Happening, Process, SIGINT, SIGKILL, World, generations_of};
use ostler_core::{
    Address, AppId, Effect, Event, ExitStatus, Launch, Mode, Pid, Place, ProbeKind, ProbeResult, Scope, SlotId,
    SpawnError, WorkerId,
};
use std::collections::BTreeSet;
use std::time::Duration;

impl World {
    pub(super) fn carry_out(&mut self, effect: Effect) {
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
                assert!(
                    !process.cluster,
                    "workers of a cluster say for themselves that they listen"
                );
                let listens = process.program.listens.filter(|_| !process.inherits.is_empty());
                if let Some(after) = process.program.settles {
                    self.later(after, Event::Settled { worker });
                }
                if let Some(after) = listens {
                    let missing = Vec::new();
                    self.later(after, Event::Listening { worker, missing });
                }
            }
            Effect::SampleMemory { worker, every } => self.sample(worker, every),
            Effect::Probe {
                worker,
                kind,
                timeout,
                after,
                check: _,
            } => self.probe(worker, kind, timeout, after),
            Effect::Admit { worker } => self.processes.get_mut(&worker).expect("launched").admitted = true,
            Effect::Withdraw { worker } => self.processes.get_mut(&worker).expect("launched").admitted = false,
            Effect::Drain { worker } => self.drain(worker),
            Effect::Unlisten { app } => self.unlistened.push(app),
            Effect::KeepListeners { app, addresses } => self.keep_listeners(app, &addresses),
            Effect::Exit { code } => self.exited = Some(code),
            Effect::Watch { .. }
            | Effect::Unwatch { .. }
            | Effect::Weigh { .. }
            | Effect::Record(_)
            | Effect::Publish(_) => {}
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

    /// No socket is taken from a process that serves.
    fn keep_listeners(&mut self, app: AppId, addresses: &BTreeSet<Address>) {
        for (worker, process) in self.processes.iter().filter(|(_, process)| process.app == app) {
            let serves = process.main && process.program.reaction != Reaction::Unkillable;
            assert!(
                !serves || process.inherits.is_subset(addresses),
                "{worker} runs and loses a socket: {addresses:?}"
            );
        }
        self.open
            .entry(app)
            .or_default()
            .retain(|address| addresses.contains(address));
    }

    fn drain(&mut self, worker: WorkerId) {
        let process = self.processes.get_mut(&worker).expect("launched");
        assert!(process.main && process.reported, "only a running process can drain");
        assert!(process.cluster, "{worker} has nobody to hear it");
        process.admitted = false;
        if let Some(after) = process.program.drains {
            self.later(after, Event::Drained { worker });
        }
    }

    /// Whoever asks for a probe waits for the answer before it asks again.
    fn probe(&mut self, worker: WorkerId, kind: ProbeKind, timeout: Duration, after: Duration) {
        let process = self.processes.get_mut(&worker).expect("launched");
        assert!(
            process.main && process.reported,
            "{worker} is probed though it does not run"
        );
        assert!(process.probed.insert(kind), "{worker} is probed twice at once");
        let age = self.now.instant.since(process.born) + after;
        let mut sick = process.program.sick.iter();
        let sick = sick.rfind(|sick| sick.probe == kind && sick.span.contains(&age));
        let (result, took) = match sick.map(|sick| sick.hung) {
            None => (ProbeResult::Passed, Duration::ZERO),
            Some(hung) => {
                let took = if hung { timeout } else { Duration::ZERO };
                let why = format!("{} fails", kind.as_str());
                (ProbeResult::Failed { why, hung }, took)
            }
        };
        self.later(
            after + took,
            Event::Probed {
                worker,
                kind,
                result,
                took,
            },
        );
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
        let beside = alive.iter().any(|other| self.processes[*other].overlaps);
        let room = usize::from(spec.can_overlap() || beside);
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
        if let Some(after) = program.leaves {
            self.later(boot + after, Event::StoppingMessage { worker });
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
            app: launch.app,
            cluster: spec.mode == Mode::Cluster,
            inherits: spec.listen.iter().map(|listen| listen.address.clone()).collect(),
            overlaps: spec.can_overlap(),
            listens: false,
            admitted: spec.mode == Mode::Fork,
            born: self.now.instant,
            probed: BTreeSet::new(),
        };
        self.open
            .entry(launch.app)
            .or_default()
            .extend(process.inherits.iter().cloned());
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
            self.processes.get_mut(&worker).expect("launched").admitted = false;
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
