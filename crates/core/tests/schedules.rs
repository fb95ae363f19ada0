//! What happens without being asked for: cron, file changes, the memory limit.

mod support;

use ostler_core::history::{Cause, What};
use ostler_core::{Effect, Event, ExitStatus, Failure, SlotId, Spec, Status, Verdict, WallTime, WatchSpec};
use support::programs::{Program, pm2_spec, spec};
use support::{World, ms, secs};

fn with_cron(pattern: &str) -> Spec {
    Spec {
        cron: Some(pattern.into()),
        ..spec("app")
    }
}

fn watched(delay: u64) -> Spec {
    Spec {
        watch: Some(WatchSpec {
            paths: vec!["/srv".into()],
            ignore: vec![],
            delay: ms(delay),
        }),
        ..spec("app")
    }
}

fn change(world: &mut World, slot: u32) {
    world.feed(Event::FileChanged {
        slot: SlotId(slot),
        path: "/srv/app.js".into(),
    });
}

fn causes(world: &World) -> Vec<Cause> {
    let started = |what| match what {
        What::Started { cause, .. } => Some(cause),
        _ => None,
    };
    world.history().into_iter().filter_map(started).collect()
}

fn watches(world: &World) -> Vec<(bool, SlotId)> {
    let watch = |(_, effect): &(u64, Effect)| match effect {
        Effect::Watch { slot, .. } => Some((true, *slot)),
        Effect::Unwatch { slot } => Some((false, *slot)),
        _ => None,
    };
    world.log.iter().filter_map(watch).collect()
}

#[test]
fn cron_restarts_a_running_app_at_each_occurrence() {
    let mut world = World::new();
    // The world begins 20 s before a full minute.
    world.start(with_cron("* * * * *"));
    world.run(secs(150));
    let restarts: Vec<u64> = world.launches(0)[1..].to_vec();
    assert_eq!(restarts, [20_010, 80_010, 140_010]);
    assert_eq!(world.view(0).restarts, 3);
    assert_eq!(
        causes(&world)[1],
        Cause::Cron {
            pattern: "* * * * *".into()
        }
    );
}

#[test]
fn cron_starts_a_stopped_app_and_forgets_a_deleted_one() {
    let mut world = World::new();
    world.start(with_cron("* * * * *"));
    let stop = world.stop(&[0]);
    assert_eq!(world.verdict(stop), Verdict::Stopped { killed: false });
    world.run(secs(45));
    assert_eq!((world.status(0), world.view(0).restarts), (Status::Online, 0));
    let delete = world.delete(&[0]);
    let _ = world.reply(delete);
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn cron_does_not_undo_a_stop_that_is_being_done() {
    let mut world = World::new();
    world.script("app", vec![Program::stubborn()]);
    world.start(with_cron("* * * * *"));
    world.run(secs(19));
    let stop = world.stop(&[0]);
    assert_eq!(world.verdict(stop), Verdict::Stopped { killed: true });
    assert_eq!(world.launches(0).len(), 1);
}

#[test]
fn a_pattern_of_0_turns_cron_off_at_the_next_restart() {
    let mut world = World::new();
    let start = world.start(with_cron("* * * * *"));
    let _ = world.reply(start);
    let off = std::sync::Arc::new(with_cron("0"));
    let ticket = world.request(ostler_core::Request::Restart {
        slots: support::ids(&[0]),
        specs: vec![off],
    });
    let _ = world.reply(ticket);
    world.run(secs(120));
    assert_eq!(world.launches(0).len(), 2);
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn a_clock_that_is_set_changes_the_time_until_cron_comes() {
    let mut world = World::new();
    world.start(with_cron("0 12 * * *"));
    world.run(secs(1));
    let far = world.machine.next_deadline().expect("cron");
    world.now.wall = WallTime(world.now.wall.0 + 3_600_000);
    world.feed(Event::ClockStepped);
    let near = world.machine.next_deadline().expect("cron");
    assert_eq!(far.since(near), secs(3600));
}

#[test]
fn a_file_change_restarts_the_app_after_its_quiet_time() {
    let mut world = World::new();
    let start = world.start(watched(200));
    let _ = world.reply(start);
    world.run(ms(55));
    change(&mut world, 0);
    world.run(ms(150));
    change(&mut world, 0);
    world.run(secs(5));
    assert_eq!(world.launches(0)[1..], [100 + 150 + 200 + 10]);
    assert_eq!(
        causes(&world)[1],
        Cause::FileChanged {
            path: "/srv/app.js".into()
        }
    );
}

#[test]
fn all_instances_are_restarted_by_one_watch() {
    let mut world = World::new();
    let start = world.start(Spec {
        instances: 3,
        ..watched(0)
    });
    let _ = world.reply(start);
    assert_eq!(watches(&world), [(true, SlotId(0))]);
    change(&mut world, 0);
    world.run(secs(5));
    assert!(world.machine.slots().all(|slot| slot.restarts == 1 && slot.watching));
}

#[test]
fn a_stop_by_hand_ends_the_watch_and_a_start_begins_it_again() {
    let mut world = World::new();
    let start = world.start(watched(100));
    let _ = world.reply(start);
    change(&mut world, 0);
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    assert!(!world.view(0).watching);
    world.run(secs(5));
    change(&mut world, 0);
    world.run(secs(5));
    assert_eq!(world.status(0), Status::Stopped);
    let restart = world.restart(&[0]);
    let _ = world.reply(restart);
    assert!(world.view(0).watching);
    assert_eq!(
        watches(&world),
        [(true, SlotId(0)), (false, SlotId(0)), (true, SlotId(0))]
    );
}

#[test]
fn another_instance_stands_for_the_watch_when_the_first_is_deleted() {
    let mut world = World::new();
    let start = world.start(Spec {
        instances: 2,
        ..watched(0)
    });
    let _ = world.reply(start);
    let delete = world.delete(&[0]);
    let _ = world.reply(delete);
    assert_eq!(
        watches(&world),
        [(true, SlotId(0)), (false, SlotId(0)), (true, SlotId(1))]
    );
    change(&mut world, 1);
    world.run(secs(1));
    assert_eq!(world.view(1).restarts, 1);
}

#[test]
fn a_saved_fix_starts_an_app_that_was_given_up() {
    let mut world = World::new();
    let mut launches = vec![Program::ending(ms(10), ExitStatus::Code(1)); 16];
    launches.push(Program::server());
    world.script("app", launches);
    let mut app = watched(0);
    app.restart = pm2_spec("app").restart;
    world.start(app);
    world.run(secs(5));
    assert_eq!(world.status(0), Status::Errored);
    change(&mut world, 0);
    world.run(secs(5));
    assert_eq!(world.status(0), Status::Online);
}

#[test]
fn a_change_while_the_old_process_starts_up_is_not_lost() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program {
            boot: ms(100),
            ..Program::server()
        }],
    );
    let start = world.start(watched(0));
    world.run(ms(50));
    change(&mut world, 0);
    assert!(matches!(world.verdict(start), Verdict::Online { .. }));
    assert_eq!(world.launches(0).len(), 2);
}

#[test]
fn an_app_over_its_memory_limit_is_restarted() {
    let mut world = World::new();
    let limit = 100;
    let grows = Program {
        memory: vec![50, 100, 101, 150],
        ..Program::server()
    };
    world.script(
        "app",
        vec![
            grows,
            Program {
                memory: vec![50],
                ..Program::server()
            },
        ],
    );
    world.start(Spec {
        memory_limit: Some(limit),
        ..spec("app")
    });
    world.run(secs(20));
    assert_eq!(world.view(0).restarts, 1);
    assert_eq!(causes(&world)[1], Cause::MemoryLimit { bytes: 101, limit });
    assert_eq!(world.launches(0)[1], 6015);
}

/// A program that writes where it is watched, one with too little memory to become ready, one that cron never leaves the time.
#[test]
fn whoever_waits_for_one_that_is_restarted_before_it_is_up_is_told_after_a_while() {
    let slow = |app: Spec| {
        let mut app = app;
        app.ready.wait_ready = true;
        app.ready.listen_timeout = secs(30);
        app
    };
    let limit = 100;
    let limited = Spec {
        memory_limit: Some(limit),
        ..spec("app")
    };
    let fat = Program {
        memory: vec![101; 10],
        ..Program::ready_after(20_000)
    };
    let told = [
        (with_cron("*/10 * * * * *"), Program::ready_after(20_000)),
        (limited, fat),
    ];
    for (app, program) in told {
        let mut world = World::new();
        world.script("app", vec![program]);
        let start = world.start(slow(app));
        let outcome = world.reply(start);
        let Verdict::Failed(Failure::Restarted { times: 3, cause }) = &outcome.slots[0].verdict else {
            panic!("{outcome:?}")
        };
        assert!(matches!(
            cause,
            Cause::Cron { .. } | Cause::MemoryLimit { bytes: 101, .. }
        ));
    }
}

#[test]
fn a_file_saved_while_a_program_starts_does_not_fail_its_start() {
    let mut world = World::new();
    world.script("app", vec![Program::ready_after(2_000)]);
    let mut app = watched(0);
    app.ready.wait_ready = true;
    let start = world.start(app);
    for _ in 0..2 {
        world.run(secs(1));
        change(&mut world, 0);
    }
    let outcome = world.reply(start);
    assert!(
        matches!(outcome.slots[0].verdict, Verdict::Online { .. }),
        "{outcome:?}"
    );
}
