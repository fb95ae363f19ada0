//! Reloads that fail or are overtaken: all workers are replaced, or none.

mod support;

use ostler_core::{AppId, Event, ExitStatus, Failure, Place, SlotId, Spec, Status, Verdict, WatchSpec, WorkerId};
use support::clusters::{run_served, up};
use support::programs::{Program, Reaction, cluster};
use support::{SIGKILL, World, ms, secs};

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

/// Reloads two workers to a release that never listens. What was launched of it still goes after that: it does not listen to its signal.
fn fail_and_linger(world: &mut World) {
    let mute = Program {
        listens: None,
        reaction: Reaction::Ignores,
        ..Program::server()
    };
    world.script_slot(0, vec![Program::server(), mute, Program::server()]);
    let failed = world.reload(&[0, 1]);
    let failed = world.reply(failed);
    assert!(matches!(failed.slots[0].verdict, Verdict::NotReplaced(_)), "{failed:?}");
}

#[test]
fn the_next_reload_waits_for_what_is_left_of_one_that_failed() {
    let mut world = up(2);
    fail_and_linger(&mut world);
    let next = world.reload(&[0, 1]);
    let next = world.reply(next);
    assert!(
        next.slots
            .iter()
            .all(|slot| matches!(slot.verdict, Verdict::Reloaded { .. })),
        "{next:?}"
    );
}

#[test]
fn a_file_that_is_mended_while_what_failed_still_goes_is_seen() {
    let mut world = World::new();
    let start = world.start(Spec {
        watch: Some(WatchSpec {
            paths: vec!["/srv".into()],
            ignore: vec![],
            delay: ms(0),
        }),
        ..cluster("app", 2)
    });
    let _ = world.reply(start);
    fail_and_linger(&mut world);
    world.feed(Event::FileChanged {
        slot: SlotId(0),
        path: "/srv/x".into(),
    });
    world.run(secs(10));
    let generations: Vec<u32> = world.machine.slots().map(|slot| slot.generation.0).collect();
    assert_eq!(generations, [3, 2]);
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
        let current = WorkerId::new(slot, world.view(slot).generation.0);
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
