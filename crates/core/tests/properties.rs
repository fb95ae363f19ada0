//! Random histories: requests, crashes, file changes, clock steps and changes of daemon in any order. The world checks with
//! every effect what must never happen; here it is compared with what a person who knows only the requests expects.

mod support;

use ostler_core::{
    Effect, Event, ExitStatus, Generation, Mode, OnReadyTimeout, Pid, Request, SlotId, Spec, Status, Ticket, Verdict,
    WallTime, WatchSpec, WorkerId,
};
use proptest::prelude::*;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use support::programs::{Leftovers, Program, Reaction, listen, spec};
use support::twin::Twin;
use support::{World, ms, secs};

/// Something that happens to the machine.
#[derive(Clone, Debug)]
enum Op {
    Start {
        kind: usize,
        instances: u32,
    },
    Restart(Vec<u32>),
    RestartTogether {
        slots: Vec<u32>,
        times: usize,
    },
    Respecify {
        slots: Vec<u32>,
        kind: usize,
    },
    Reload {
        slots: Vec<u32>,
        parallel: u32,
    },
    ReloadWith {
        slots: Vec<u32>,
        kind: usize,
        only_changed: bool,
    },
    Stop(Vec<u32>),
    Delete(Vec<u32>),
    Reset(u32),
    Scale {
        slot: u32,
        instances: u32,
    },
    Signal(u32),
    Run(u64),
    Crash {
        slot: u32,
        status: ExitStatus,
    },
    CrashCompanion {
        slot: u32,
        status: ExitStatus,
    },
    Stale {
        slot: u32,
        generation: u32,
        kind: usize,
    },
    FileChanged(u32),
    ClockStepped(i64),
    Spurious,
    NewDaemon {
        compacted: bool,
    },
}

/// What the requests so far mean for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Up,
    Down,
    Gone,
}

/// The reference model: nothing but the last request about each slot.
#[derive(Default)]
struct Model {
    wanted: BTreeMap<SlotId, Wanted>,
    /// What each request wanted of each slot.
    wishes: Vec<(Ticket, SlotId, Wanted)>,
    /// Reloads: whoever asks for a restart overtakes them, too.
    reloads: BTreeSet<Ticket>,
    /// How much of the log has been checked.
    read: usize,
}

fn slots() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..6_u32, 1..4)
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        (0..4).prop_map(ExitStatus::Code),
        Just(ExitStatus::Signal {
            signal: 9,
            core_dumped: false
        }),
        Just(ExitStatus::Unknown),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..KINDS, 1..4_u32).prop_map(|(kind, instances)| Op::Start { kind, instances }),
        3 => slots().prop_map(Op::Restart),
        2 => (slots(), 2..6_usize).prop_map(|(slots, times)| Op::RestartTogether { slots, times }),
        1 => (slots(), 0..KINDS).prop_map(|(slots, kind)| Op::Respecify { slots, kind }),
        4 => (slots(), 1..3_u32).prop_map(|(slots, parallel)| Op::Reload { slots, parallel }),
        2 => (slots(), 0..KINDS, any::<bool>())
            .prop_map(|(slots, kind, only_changed)| Op::ReloadWith { slots, kind, only_changed }),
        3 => slots().prop_map(Op::Stop),
        2 => slots().prop_map(Op::Delete),
        1 => (0..6_u32).prop_map(Op::Reset),
        2 => (0..6_u32, 1..5_u32).prop_map(|(slot, instances)| Op::Scale { slot, instances }),
        1 => (0..6_u32).prop_map(Op::Signal),
        4 => (0..50_u64).prop_map(Op::Run),
        4 => (0..4000_u64).prop_map(Op::Run),
        1 => (0..60_000_u64).prop_map(Op::Run),
        5 => (0..6_u32, status()).prop_map(|(slot, status)| Op::Crash { slot, status }),
        3 => (0..6_u32, status()).prop_map(|(slot, status)| Op::CrashCompanion { slot, status }),
        1 => (0..6_u32, 0..9_u32, 0..6_usize).prop_map(|(slot, generation, kind)| Op::Stale { slot, generation, kind }),
        2 => (0..6_u32).prop_map(Op::FileChanged),
        1 => (-100_000..100_000_i64).prop_map(Op::ClockStepped),
        2 => Just(Op::Spurious),
        4 => any::<bool>().prop_map(|compacted| Op::NewDaemon { compacted }),
    ]
}

const KINDS: usize = 15;

/// Apps that differ in every rule that matters here.
fn app(kind: usize) -> Spec {
    let mut app = spec(&format!("app-{kind}"));
    match kind {
        0 => {}
        1 => app.restart = support::programs::pm2_spec("x").restart,
        2 => {
            app.restart = support::programs::pm2_spec("x").restart;
            app.restart.delay = Some(ms(700));
        }
        3 => app.restart.auto = false,
        4 => app.ready.wait_ready = true,
        5 => app.stop.tree = false,
        6 => {
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(100),
            });
            app.memory_limit = Some(100);
            app.stop.message = true;
        }
        7 => {
            app.cron = Some("*/20 * * * * *".into());
            app.restart.stop_exit_codes = vec![0, 3];
        }
        8 => app.mode = Mode::Cluster,
        9 => {
            app.mode = Mode::Cluster;
            app.ready.wait_ready = true;
        }
        10 => {
            app.mode = Mode::Cluster;
            app.memory_limit = Some(100);
            app.stop.tree = false;
        }
        11 => app.listen = vec![listen("/run/one.sock")],
        12 => {
            app.listen = vec![listen("/run/two.sock")];
            app.ready.wait_ready = true;
            app.stop.tree = false;
            app.cluster.drain_timeout = secs(2);
        }
        13 => {
            app.listen = vec![listen("/run/one.sock"), listen("/run/two.sock")];
            app.memory_limit = Some(100);
            app.ready.on_timeout = OnReadyTimeout::Accept;
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(0),
            });
        }
        _ => {
            app.mode = Mode::Cluster;
            app.cluster.drain_timeout = secs(3);
            app.ready.on_timeout = OnReadyTimeout::Accept;
            app.watch = Some(WatchSpec {
                paths: vec!["/srv".into()],
                ignore: vec![],
                delay: ms(0),
            });
        }
    }
    app
}

fn program() -> impl Strategy<Value = Program> {
    let leftovers = prop_oneof![
        4 => Just(Leftovers::None),
        1 => Just(Leftovers::Obedient),
        1 => Just(Leftovers::Stubborn),
        1 => Just(Leftovers::Unkillable),
    ];
    let reaction = prop_oneof![
        6 => (0..3000_u64).prop_map(|after| Reaction::Ends { after: ms(after), status: ExitStatus::Code(0) }),
        2 => Just(Reaction::Ignores),
        1 => Just(Reaction::Unkillable),
    ];
    let fails = prop_oneof![8 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    let boot = prop_oneof![9 => 0..50_u64, 1 => 0..30_000_u64];
    let ends = prop::option::of((0..5000_u64, status()));
    let waits = (prop::option::of(0..4000_u64), prop::option::of(0..2000_u64));
    (
        leftovers,
        reaction,
        fails,
        boot,
        ends,
        waits,
        prop::collection::vec(0..120_u64, 0..4),
    )
        .prop_map(
            |(leftovers, reaction, fails_to_spawn, boot, ends, (ready, settles), memory)| Program {
                boot: ms(boot),
                fails_to_spawn,
                ends: ends.map(|(after, status)| (ms(after), status)),
                ready: ready.map(ms),
                settles: settles.map(ms),
                listens: settles.map(ms),
                missing: Vec::new(),
                drains: ready.map(ms),
                reaction,
                leftovers,
                memory,
            },
        )
}

impl Model {
    /// The next request wants this.
    fn set(&mut self, world: &World, slots: impl IntoIterator<Item = SlotId>, wanted: Wanted) {
        let ticket = Ticket(world.asked.len() as u64 + 1);
        for slot in slots {
            if let Some(entry) = self.wanted.get_mut(&slot) {
                *entry = wanted;
                self.wishes.push((ticket, slot, wanted));
            }
        }
    }

    /// Nobody is overtaken but by a later request for something else.
    fn check_overtaken(&self, world: &World) {
        for (ticket, outcome) in &world.replies {
            let overtaken = outcome.slots.iter().filter(|told| told.verdict == Verdict::Superseded);
            for told in overtaken.filter(|_| !self.reloads.contains(ticket)) {
                let about = |wish: &&(Ticket, SlotId, Wanted)| wish.1 == told.slot;
                let own = self.wishes.iter().filter(about).find(|wish| wish.0 == *ticket);
                let mut later = self.wishes.iter().filter(about).filter(|wish| wish.0 > *ticket);
                let own = own.expect("only what was wanted can be overtaken").2;
                assert!(
                    later.any(|wish| wish.2 != own),
                    "{ticket:?} wanted slot {} {own:?} and was overtaken by nobody",
                    told.slot
                );
            }
        }
    }

    /// Slots that came with the last request are wanted up, those that are gone are not wanted.
    fn adopt(&mut self, world: &World) {
        let present: BTreeSet<SlotId> = world.machine.slots().map(|slot| slot.id).collect();
        self.wanted.retain(|slot, _| present.contains(slot));
        for slot in present {
            if let Entry::Vacant(new) = self.wanted.entry(slot) {
                new.insert(Wanted::Up);
                self.wishes.push((Ticket(world.asked.len() as u64), slot, Wanted::Up));
            }
        }
    }

    /// Nothing is launched in a slot that is to be down, unless cron does it.
    fn check_launches(&mut self, world: &World) {
        for (at, effect) in &world.log[self.read..] {
            if let Effect::Spawn(launch) = effect {
                let wanted = self.wanted.get(&launch.worker.slot).copied().unwrap_or(Wanted::Up);
                let allowed = wanted == Wanted::Up || (wanted == Wanted::Down && launch.spec.cron.is_some());
                assert!(
                    allowed,
                    "{} is launched at {at} though it is to be {wanted:?}",
                    launch.worker
                );
            }
        }
        self.read = world.log.len();
    }
}

fn known(world: &World, slots: &[u32]) -> Vec<SlotId> {
    slots
        .iter()
        .map(|slot| SlotId(*slot))
        .filter(|slot| world.machine.slot(*slot).is_some())
        .collect()
}

fn apply(op: &Op, world: &mut World, model: &mut Model) {
    match op {
        Op::Start { kind, instances } => {
            world.start(Spec {
                instances: *instances,
                ..app(*kind)
            });
        }
        Op::Restart(slots) => {
            model.set(world, known(world, slots), Wanted::Up);
            world.restart(slots);
        }
        Op::RestartTogether { slots, times } => {
            for _ in 0..*times {
                model.set(world, known(world, slots), Wanted::Up);
                world.restart(slots);
            }
        }
        Op::Respecify { slots, kind } => respecify(world, model, slots, *kind),
        Op::Reload { slots, parallel } => {
            model.set(world, known(world, slots), Wanted::Up);
            let ticket = world.reload_with(slots, &[], *parallel);
            model.reloads.insert(ticket);
        }
        Op::ReloadWith {
            slots,
            kind,
            only_changed,
        } => {
            let slots = known(world, slots);
            model.set(world, slots.clone(), Wanted::Up);
            let specs: Vec<Spec> = slots.iter().map(|slot| renamed(world, *slot, *kind)).collect();
            let slots: Vec<u32> = slots.iter().map(|slot| slot.0).collect();
            let ticket = match only_changed {
                true => world.reload_changed(&slots, &specs),
                false => world.reload_with(&slots, &specs, 1),
            };
            model.reloads.insert(ticket);
        }
        Op::Stop(slots) => {
            model.set(world, known(world, slots), Wanted::Down);
            world.stop(slots);
        }
        Op::Delete(slots) => {
            model.set(world, known(world, slots), Wanted::Gone);
            world.delete(slots);
        }
        Op::Reset(slot) => drop(world.request(Request::Reset {
            slots: support::ids(&[*slot]),
        })),
        Op::Scale { slot, instances } => scale(world, model, SlotId(*slot), *instances),
        Op::Signal(slot) => drop(world.request(Request::Signal {
            slots: support::ids(&[*slot]),
            signal: 12,
        })),
        Op::Run(millis) => world.run(ms(*millis)),
        Op::Crash { slot, status } => crash(world, *slot, *status),
        Op::CrashCompanion { slot, status } => crash_companion(world, *slot, *status),
        Op::Stale { slot, generation, kind } => stale(world, *slot, *generation, *kind),
        Op::FileChanged(slot) => world.feed(Event::FileChanged {
            slot: SlotId(*slot),
            path: "/srv/x".into(),
        }),
        Op::ClockStepped(by) => {
            world.now.wall = WallTime(world.now.wall.0 + by);
            world.feed(Event::ClockStepped);
        }
        Op::Spurious => spurious(world),
        Op::NewDaemon { compacted } => world.twin.as_mut().expect("a twin").replace(*compacted),
    }
    model.check_launches(world);
    model.adopt(world);
}

fn respecify(world: &mut World, model: &mut Model, slots: &[u32], kind: usize) {
    let slots = known(world, slots);
    model.set(world, slots.clone(), Wanted::Up);
    let specs = slots.iter().map(|slot| renamed(world, *slot, kind).into());
    let specs = specs.collect();
    world.request(Request::Restart { slots, specs });
}

/// The name stays, or numbers could collide; the number of instances stays, scaling has an operation of its own.
fn renamed(world: &World, slot: SlotId, kind: usize) -> Spec {
    let old = world.machine.slot(slot).expect("known").spec;
    Spec {
        name: old.name.clone(),
        instances: old.instances,
        ..app(kind)
    }
}

fn scale(world: &mut World, model: &mut Model, slot: SlotId, instances: u32) {
    if let Some(view) = world.machine.slot(slot) {
        let mut app: Vec<_> = world.machine.slots().filter(|other| other.app == view.app).collect();
        app.sort_by_key(|slot| (slot.instance, slot.id));
        model.set(
            world,
            app.iter().skip(instances as usize).map(|slot| slot.id),
            Wanted::Gone,
        );
    }
    world.request(Request::Scale { slot, instances });
}

fn crash(world: &mut World, slot: u32, status: ExitStatus) {
    let running = world.machine.slot(SlotId(slot)).is_some_and(|view| view.pid.is_some());
    if running {
        let worker = world.worker(slot);
        world.kill(worker, status);
    }
}

/// A worker beside the current one ends.
fn crash_companion(world: &mut World, slot: u32, status: ExitStatus) {
    let current = world.machine.slot(SlotId(slot)).map(|view| view.generation);
    let other = world
        .processes
        .iter()
        .find(|(worker, process)| {
            worker.slot == SlotId(slot) && Some(worker.generation) != current && process.main && process.reported
        })
        .map(|(worker, _)| *worker);
    if let Some(worker) = other.filter(|_| current.is_some()) {
        world.kill(worker, status);
    }
}

/// News of another generation than the current one changes nothing.
fn stale(world: &mut World, slot: u32, generation: u32, kind: usize) {
    let worker = WorkerId {
        slot: SlotId(slot),
        generation: Generation(generation),
    };
    // What is true of a worker of now is no old news.
    let is_current = world.machine.workers().any(|known| known == worker);
    if is_current || world.processes.contains_key(&worker) {
        return;
    }
    let before: Vec<_> = world.machine.slots().collect();
    world.feed(match kind {
        0 => Event::Spawned {
            worker,
            pid: Pid(9),
            place: None,
        },
        1 => Event::Exited {
            worker,
            status: ExitStatus::Code(0),
            oom_killed: false,
        },
        2 => Event::TreeGone { worker },
        3 => Event::ReadyMessage { worker },
        4 => Event::Settled { worker },
        _ => Event::MemorySample {
            worker,
            bytes: u64::MAX,
        },
    });
    assert_eq!(before, world.machine.slots().collect::<Vec<_>>());
}

/// A timeout that is called before its time changes nothing.
fn spurious(world: &mut World) {
    let early = world.machine.next_deadline().is_none_or(|at| at > world.now.instant);
    let (effects, next) = (world.log.len(), world.machine.next_deadline());
    world.tick();
    if early {
        assert_eq!((effects, next), (world.log.len(), world.machine.next_deadline()));
    }
}

/// After all has come to rest, each slot is where the last request wanted it, or says why not.
fn check_rest(world: &World, model: &Model) {
    assert_eq!(world.asked.len(), world.replies.len(), "every ticket gets its reply");
    for view in world.machine.slots() {
        let done = !view.spec.restart.auto || !view.spec.restart.stop_exit_codes.is_empty();
        let fine = match (model.wanted[&view.id], view.status) {
            (Wanted::Up, Status::Stopped) => done,
            (Wanted::Up, Status::Online | Status::Launching | Status::WaitingRestart | Status::Errored) => true,
            // A crash loop, just at the leftovers of its last crash.
            (Wanted::Up, Status::Stopping) => true,
            (Wanted::Down, Status::Stopped) => true,
            (Wanted::Down, _) if view.spec.cron.is_some() => true,
            (Wanted::Down | Wanted::Gone, Status::Errored) => true,
            (Wanted::Down | Wanted::Gone, _) => false,
        };
        assert!(
            fine,
            "slot {} is to be {:?} but is {:?}",
            view.id, model.wanted[&view.id], view.status
        );
    }
}

/// Errored after a stop or delete is right only for what could not be killed, and then the request was told so.
fn check_unkillable(world: &World, model: &Model) {
    let told = world.replies.values().flat_map(|outcome| &outcome.slots);
    let told: BTreeSet<SlotId> = told
        .filter(|slot| matches!(slot.verdict, Verdict::Failed(_)))
        .map(|slot| slot.slot)
        .collect();
    // What cron started after the stop may well have failed since.
    let errored = world
        .machine
        .slots()
        .filter(|view| view.status == Status::Errored && view.spec.cron.is_none());
    for view in errored {
        if model.wanted[&view.id] != Wanted::Up {
            assert!(
                told.contains(&view.id),
                "slot {} is errored and nobody was told",
                view.id
            );
        }
    }
}

/// An app has the sockets that its workers were given as long as one of them is meant to be up, and none after that.
fn check_sockets(world: &World) {
    let views: Vec<_> = world.machine.slots().collect();
    for (app, open) in &world.open {
        let slots = || views.iter().filter(|view| view.app == *app);
        for view in slots().filter(|view| view.status == Status::Online) {
            assert!(view.spec.listen.iter().all(|listen| open.contains(&listen.address)));
        }
        let stuck = slots().any(|view| view.status == Status::Errored);
        if slots().all(|view| view.status == Status::Stopped) && !stuck {
            assert!(open.is_empty(), "nothing of {app:?} is up, but {open:?} are open");
        }
    }
}

fn check_numbers(world: &World) {
    let mut seen = BTreeSet::new();
    for view in world.machine.slots() {
        assert!(
            seen.insert((view.spec.name.clone(), view.instance)),
            "an instance number is given out twice"
        );
    }
}

proptest! {
    // A failure is to be told before the test is ended as hung.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_machine_keeps_its_promises(
        programs in prop::collection::vec(prop::collection::vec(program(), 1..4), KINDS),
        ops in prop::collection::vec(op(), 1..60),
        shutdown in any::<bool>(),
    ) {
        let mut world = World::with_twin(Some(Twin::restored_on_demand()));
        for (kind, programs) in programs.into_iter().enumerate() {
            world.script(&format!("app-{kind}"), programs);
        }
        let mut model = Model::default();
        for op in &ops {
            apply(op, &mut world, &mut model);
            check_numbers(&world);
        }
        if shutdown {
            let staying = model.wanted.iter().filter(|(_, wanted)| **wanted != Wanted::Gone);
            let staying: Vec<SlotId> = staying.map(|(slot, _)| *slot).collect();
            model.set(&world, staying, Wanted::Down);
            world.request(Request::Shutdown);
        }
        world.run(secs(100));
        model.check_launches(&world);
        model.adopt(&world);
        check_rest(&world, &model);
        check_sockets(&world);
        check_unkillable(&world, &model);
        model.check_overtaken(&world);
        prop_assert_eq!(world.exited.is_some(), shutdown);
    }
}
