//! Reloads: workers of a cluster are replaced without a gap, all of them or none.

mod support;

use ostler_core::{
    AppId, Effect, ExitStatus, Failure, Generation, OnReadyTimeout, Place, Spec, Status, Verdict, WorkerId,
};
use ostler_core::{SlotId, history};
use support::programs::{Leftovers, Program, Reaction, cluster};
use support::{SIGKILL, World, ids, ms, secs};

/// An app that is up, with so many workers.
fn up(instances: u32) -> World {
    let mut world = World::new();
    let start = world.start(cluster("app", instances));
    let _ = world.reply(start);
    assert_eq!(world.serving(&slots(instances)), instances as usize);
    world
}

fn slots(count: u32) -> Vec<u32> {
    (0..count).collect()
}

fn worker(slot: u32, generation: u32) -> WorkerId {
    WorkerId {
        slot: SlotId(slot),
        generation: Generation(generation),
    }
}

fn generations(world: &World, instances: u32) -> Vec<u32> {
    slots(instances)
        .iter()
        .map(|slot| world.view(*slot).generation.0)
        .collect()
}

/// Lets time pass, and sees to it that somebody serves at each moment.
fn run_served(world: &mut World, instances: u32, millis: u64) {
    for _ in 0..millis {
        world.run(ms(1));
        assert!(
            world.serving(&slots(instances)) >= instances as usize,
            "{:?}",
            world.now
        );
    }
}

fn failing(program: Program) -> Vec<Program> {
    vec![Program::server(), program]
}

/// What each later launch does, whatever slot it is in: the first generation is a server.
fn all_bad() -> Vec<(&'static str, Program)> {
    let server = Program::server;
    vec![
        (
            "throws at start",
            Program {
                listens: None,
                ..Program::ending(ms(20), ExitStatus::Code(1))
            },
        ),
        ("cannot be launched", Program::missing()),
        (
            "never listens",
            Program {
                listens: None,
                ..server()
            },
        ),
        (
            "listens and then dies",
            Program {
                listens: Some(ms(50)),
                ..Program::ending(ms(400), ExitStatus::Code(1))
            },
        ),
        (
            "listens elsewhere",
            Program {
                missing: vec!["tcp 3000".into()],
                ..server()
            },
        ),
    ]
}

#[test]
fn a_worker_is_replaced_by_one_that_is_ready_while_it_serves_on() {
    let mut world = up(1);
    let reload = world.reload(&[0]);
    run_served(&mut world, 1, 1040);
    assert_eq!(
        generations(&world, 1),
        [1],
        "the new one has not lived on for long enough"
    );
    run_served(&mut world, 1, 300);
    let pid = world.view(0).pid.expect("it runs");
    assert_eq!(world.verdict(reload), Verdict::Reloaded { pid });
    assert_eq!(generations(&world, 1), [2]);
    assert_eq!((world.view(0).restarts, world.status(0)), (1, Status::Online));
    assert!(!world.processes[&worker(0, 1)].main);
    assert_eq!(
        world.signals_to(worker(0, 1)),
        [support::SIGINT],
        "it is told to end once it has drained"
    );
}

#[test]
fn slots_are_replaced_one_after_the_other() {
    let mut world = up(3);
    let reload = world.reload(&[0, 1, 2]);
    let mut seen = Vec::new();
    while !world.replies.contains_key(&reload) {
        run_served(&mut world, 3, 1);
        let now = generations(&world, 3);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    assert_eq!(seen, [[1, 1, 1], [2, 1, 1], [2, 2, 1], [2, 2, 2]]);
}

#[test]
fn several_at_once_if_that_is_wanted() {
    let mut world = up(4);
    world.reload_with(&[0, 1, 2, 3], &[], 2);
    world.run(ms(500));
    let coming = (0..4).filter(|slot| world.processes.contains_key(&worker(*slot, 2)));
    assert_eq!(coming.count(), 2);
}

#[test]
fn the_first_failure_stops_the_roll_and_rolls_back_what_was_replaced() {
    for (bad, program) in all_bad() {
        for position in 0..3 {
            let mut world = up(3);
            // Generation 2 of the slots before it is sound, of this one it is not; what is rolled back gets a third.
            world.script_slot(position, vec![Program::server(), program.clone()]);
            let old = world.machine.slots().map(|slot| slot.pid).collect::<Vec<_>>();
            world.release = 2;
            let reload = world.reload(&[0, 1, 2]);
            while !world.replies.contains_key(&reload) {
                run_served(&mut world, 3, 1);
            }
            let outcome = world.reply(reload);
            for slot in outcome.slots {
                let wanted = match slot.slot.0.cmp(&position) {
                    std::cmp::Ordering::Less => matches!(slot.verdict, Verdict::RolledBack { .. }),
                    std::cmp::Ordering::Equal => matches!(slot.verdict, Verdict::NotReplaced(_)),
                    std::cmp::Ordering::Greater => slot.verdict == Verdict::Kept,
                };
                assert!(wanted, "{bad} at {position}: {slot:?}");
            }
            let untouched = world.machine.slots().map(|slot| slot.pid).collect::<Vec<_>>();
            assert_eq!(
                untouched[position as usize..],
                old[position as usize..],
                "{bad} at {position}"
            );
            run_served(&mut world, 3, 6000);
            assert_eq!(
                world
                    .machine
                    .slots()
                    .filter(|slot| slot.status == Status::Online)
                    .count(),
                3
            );
        }
    }
}

#[test]
fn a_wrong_port_is_told_as_such() {
    let mut world = up(1);
    world.script(
        "app",
        failing(Program {
            missing: vec!["tcp 3000".into()],
            ..Program::server()
        }),
    );
    let reload = world.reload(&[0]);
    let verdict = world.verdict(reload);
    let Verdict::NotReplaced(Failure::NotListening {
        missing,
        waited_ms: 3000,
    }) = verdict
    else {
        panic!("{verdict:?}");
    };
    assert_eq!(missing, ["tcp 3000"]);
}

#[test]
fn after_a_reload_that_failed_a_crash_brings_back_what_ran_before() {
    let mut world = up(2);
    world.script_slot(
        1,
        vec![
            Program::server(),
            Program::ending(ms(20), ExitStatus::Code(1)),
            Program::server(),
        ],
    );
    world.release = 2;
    let reload = world.reload(&[0, 1]);
    let _ = world.reply(reload);
    world.run(secs(3));
    for slot in [0, 1] {
        let current = worker(slot, world.view(slot).generation.0);
        world.kill(
            current,
            ExitStatus::Signal {
                signal: SIGKILL,
                core_dumped: false,
            },
        );
        world.run(secs(1));
    }
    let launched: Vec<Option<Place>> = world
        .launched()
        .iter()
        .rev()
        .take(2)
        .map(|launch| launch.place.clone())
        .collect();
    let before = Place {
        path: "/srv/app.js@1".into(),
        cwd: "/srv".into(),
    };
    assert_eq!(launched, [Some(before.clone()), Some(before)]);
    let restart = world.restart(&[0, 1]);
    let _ = world.reply(restart);
    assert_eq!(
        world.launched().last().expect("a launch").place,
        None,
        "whoever restarts it means what is there now"
    );
}

#[test]
fn a_worker_that_does_not_drain_is_told_to_end_at_the_deadline() {
    let mut world = World::new();
    world.script(
        "app",
        vec![
            Program {
                drains: None,
                ..Program::server()
            },
            Program::server(),
        ],
    );
    let start = world.start(cluster("app", 1));
    let _ = world.reply(start);
    let reload = world.reload(&[0]);
    let _ = world.reply(reload);
    let ended = world.log.iter().find_map(|(at, effect)| match effect {
        Effect::Signal { worker, .. } if worker.generation == Generation(1) => Some(*at),
        _ => None,
    });
    // Up at 55, ready at 110, proven at 1110, and 30 s for its connections.
    assert_eq!(ended, Some(31_110));
}

#[test]
fn long_drains_overlap_and_starts_do_not() {
    let mut world = World::new();
    world.script(
        "app",
        vec![
            Program {
                drains: Some(secs(20)),
                ..Program::server()
            },
            Program::server(),
        ],
    );
    let start = world.start(cluster("app", 3));
    let _ = world.reply(start);
    let reload = world.reload(&[0, 1, 2]);
    let began = world.now.instant;
    let _ = world.reply(reload);
    let took = world.now.instant.since(began);
    assert!(took < secs(28) && took > secs(22), "{took:?}");
}

#[test]
fn a_stop_overtakes_a_reload_and_ends_both_workers() {
    for after in [3, 60, 600, 1075, 1090] {
        let mut world = up(2);
        let reload = world.reload(&[0, 1]);
        world.run(ms(after));
        let stop = world.stop(&[0, 1]);
        let outcome = world.reply(stop);
        assert!(
            outcome
                .slots
                .iter()
                .all(|slot| slot.verdict == Verdict::Stopped { killed: false }),
            "{outcome:?}"
        );
        assert!(world.replies.contains_key(&reload));
        assert!(
            world.processes.values().all(|process| !process.main),
            "after {after} ms"
        );
        assert_eq!(world.unlistened, [AppId(0)]);
        world.run(secs(60));
        assert_eq!((world.status(0), world.status(1)), (Status::Stopped, Status::Stopped));
    }
}

#[test]
fn a_delete_in_the_middle_leaves_nothing() {
    for after in [3, 60, 600, 1075, 1090] {
        let mut world = up(2);
        world.reload(&[0, 1]);
        world.run(ms(after));
        let delete = world.delete(&[0, 1]);
        let _ = world.reply(delete);
        assert_eq!(world.machine.slots().count(), 0);
        assert!(world.processes.values().all(|process| !process.main));
    }
}

#[test]
fn a_restart_in_the_middle_ends_the_reload() {
    let mut world = up(2);
    let reload = world.reload(&[0, 1]);
    world.run(ms(600));
    let restart = world.restart(&[0]);
    let pid = match &world.reply(restart).slots[0].verdict {
        Verdict::Online { pid } => *pid,
        other => panic!("{other:?}"),
    };
    assert_eq!(world.view(0).pid, Some(pid));
    let outcome = world.reply(reload);
    assert_eq!(outcome.slots[0].verdict, Verdict::Superseded);
    assert!(
        matches!(outcome.slots[1].verdict, Verdict::Reloaded { .. }),
        "{outcome:?}"
    );
}

#[test]
fn a_second_reload_joins_if_it_brings_nothing_new_and_is_refused_else() {
    let mut world = up(2);
    let first = world.reload(&[0, 1]);
    world.run(ms(300));
    let second = world.reload(&[0, 1]);
    let new = Spec {
        memory_limit: Some(1),
        ..cluster("app", 2)
    };
    let third = world.reload_with(&[0, 1], &[new.clone(), new], 1);
    let refused = world.reply(third);
    assert!(
        refused
            .slots
            .iter()
            .all(|slot| slot.verdict == Verdict::Failed(Failure::Busy))
    );
    assert_eq!(world.reply(first), world.reply(second));
    assert_eq!(generations(&world, 2), [2, 2]);
}

#[test]
fn a_worker_that_crashes_while_it_is_being_replaced_is_stood_in_for_at_once() {
    let mut world = up(1);
    let reload = world.reload(&[0]);
    world.run(ms(300));
    world.kill(worker(0, 1), ExitStatus::Code(1));
    assert_eq!(generations(&world, 1), [2]);
    assert_eq!(world.serving(&[0]), 1);
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
    world.run(secs(5));
    assert_eq!(generations(&world, 1), [2], "nothing else is launched");
}

#[test]
fn a_new_spec_takes_effect_and_the_old_one_comes_back_with_a_failure() {
    let mut world = up(2);
    let new = Spec {
        memory_limit: Some(77),
        ..cluster("app", 2)
    };
    let reload = world.reload_with(&[0, 1], &[new.clone(), new.clone()], 1);
    let _ = world.reply(reload);
    assert!(world.machine.slots().all(|slot| slot.spec.memory_limit == Some(77)));
    world.script_slot(
        1,
        vec![
            Program::server(),
            Program::server(),
            Program::ending(ms(5), ExitStatus::Code(1)),
        ],
    );
    let broken = Spec {
        memory_limit: Some(88),
        ..new
    };
    let reload = world.reload_with(&[0, 1], &[broken.clone(), broken], 1);
    let _ = world.reply(reload);
    world.run(secs(5));
    assert!(world.machine.slots().all(|slot| slot.spec.memory_limit == Some(77)));
}

#[test]
fn instances_follow_the_new_spec() {
    let mut world = up(2);
    let more = cluster("app", 4);
    let reload = world.reload_with(&[0, 1], &[more.clone(), more], 1);
    let outcome = world.reply(reload);
    assert_eq!(outcome.slots.len(), 4, "{outcome:?}");
    assert_eq!(world.machine.slots().count(), 4);
    let fewer = cluster("app", 1);
    let all = vec![fewer; 4];
    let reload = world.reload_with(&[0, 1, 2, 3], &all, 1);
    let _ = world.reply(reload);
    assert_eq!(world.machine.slots().count(), 1);
    assert_eq!(world.serving(&[0]), 1);
}

#[test]
fn ready_by_word_is_waited_for_too() {
    let mut spec = cluster("app", 1);
    spec.ready.wait_ready = true;
    let mut world = World::new();
    world.script(
        "app",
        vec![Program {
            ready: Some(ms(700)),
            ..Program::server()
        }],
    );
    let start = world.start(spec);
    let _ = world.reply(start);
    let began = world.now.instant;
    let reload = world.reload(&[0]);
    let _ = world.reply(reload);
    assert!(world.now.instant.since(began) > ms(1700));
}

#[test]
fn the_end_of_listen_timeout_is_ready_where_that_is_wanted() {
    let mut spec = cluster("app", 1);
    spec.ready.on_timeout = OnReadyTimeout::Accept;
    let mut world = World::new();
    world.script(
        "app",
        vec![
            Program::server(),
            Program {
                listens: None,
                ..Program::server()
            },
        ],
    );
    let start = world.start(spec);
    let _ = world.reply(start);
    let reload = world.reload(&[0]);
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
}

#[test]
fn workers_that_never_listened_are_replaced_once_they_live() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program {
            listens: None,
            ..Program::server()
        }],
    );
    let start = world.start(cluster("app", 1));
    let _ = world.reply(start);
    let reload = world.reload(&[0]);
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
}

#[test]
fn what_does_not_run_is_started_by_a_reload() {
    let mut world = up(2);
    let stop = world.stop(&[1]);
    let _ = world.reply(stop);
    let reload = world.reload(&[0, 1]);
    let outcome = world.reply(reload);
    let verdict = |slot: u32| {
        outcome
            .slots
            .iter()
            .find(|row| row.slot == SlotId(slot))
            .map(|row| &row.verdict)
    };
    assert!(matches!(verdict(0), Some(Verdict::Reloaded { .. })), "{outcome:?}");
    assert!(matches!(verdict(1), Some(Verdict::Online { .. })), "{outcome:?}");
}

#[test]
fn too_much_memory_replaces_the_worker() {
    let mut spec = cluster("app", 1);
    spec.memory_limit = Some(100);
    let mut world = World::new();
    world.script(
        "app",
        vec![
            Program {
                memory: vec![50, 101],
                ..Program::server()
            },
            Program::server(),
        ],
    );
    let start = world.start(spec);
    let _ = world.reply(start);
    run_served(&mut world, 1, 8000);
    assert_eq!(generations(&world, 1), [2]);
    let told = world.log.iter().any(|(_, effect)| {
        matches!(effect, Effect::Record(entry) if matches!(&entry.what, history::What::Ended {
            cause: history::EndCause::Told { cause: history::Cause::MemoryLimit { .. }, .. }, ..
        }))
    });
    assert!(told);
}

#[test]
fn a_fork_app_is_restarted_by_a_reload() {
    let mut world = World::new();
    let start = world.start(support::programs::spec("plain"));
    let _ = world.reply(start);
    let reload = world.reload(&[0]);
    assert!(matches!(world.verdict(reload), Verdict::Online { .. }));
    assert_eq!(generations(&world, 1), [2]);
}

#[test]
fn what_outlives_sigkill_holds_nobody_up_for_ever() {
    let mut world = World::new();
    let stuck = Program {
        reaction: Reaction::Unkillable,
        ..Program::server()
    };
    world.script("app", vec![stuck.with_leftovers(Leftovers::None), Program::server()]);
    let start = world.start(cluster("app", 2));
    let _ = world.reply(start);
    let reload = world.reload(&[0, 1]);
    let _ = world.reply(reload);
    assert_eq!(generations(&world, 2), [2, 2]);
    let again = world.reload(&[0, 1]);
    let outcome = world.reply(again);
    assert!(
        outcome
            .slots
            .iter()
            .all(|slot| slot.verdict == Verdict::Failed(Failure::Busy)),
        "{outcome:?}"
    );
    let _ = ids(&[0]);
}

#[test]
fn listeners_stay_open_over_crashes_and_restarts() {
    let mut world = up(1);
    world.kill(worker(0, 1), ExitStatus::Code(1));
    world.run(secs(2));
    let restart = world.restart(&[0]);
    let _ = world.reply(restart);
    assert!(world.unlistened.is_empty());
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    assert_eq!(world.unlistened, [AppId(0)]);
}
