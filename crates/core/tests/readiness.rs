//! When a worker is ready, and what becomes of those that wait for one that is not.

mod support;

use ostler_core::{ExitStatus, Failure, OnReadyTimeout, Spec, Status, Verdict, WorkerId};
use support::clusters::{generations, up};
use support::programs::{Program, cluster};
use support::{World, ms, secs};

#[test]
fn a_worker_that_crashes_while_it_is_being_replaced_is_stood_in_for_at_once() {
    let mut world = up(1);
    let reload = world.reload(&[0]);
    world.run(ms(300));
    world.kill(WorkerId::new(0, 1), ExitStatus::Code(1));
    assert_eq!(generations(&world, 1), [2]);
    assert_eq!(world.serving(&[0]), 1);
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
    world.run(secs(5));
    assert_eq!(generations(&world, 1), [2], "nothing else is launched");
}

/// A worker that lives but never says that it is up, and what comes after it.
fn never_up(next: Program) -> (World, Spec) {
    let mut world = World::new();
    let first = Program {
        settles: None,
        listens: None,
        ..Program::server()
    };
    world.script("app", vec![first, next]);
    (world, cluster("app", 1))
}

#[test]
fn whoever_waits_for_a_worker_that_ends_while_it_is_being_replaced_is_told_how_it_ended() {
    let (mut world, spec) = never_up(Program::server());
    let start = world.start(spec);
    world.run(ms(500));
    world.reload(&[0]);
    world.run(ms(20));
    world.kill(WorkerId::new(0, 1), ExitStatus::Code(7));
    let Verdict::Failed(Failure::Exited { status, retrying, .. }) = world.verdict(start) else {
        panic!("{:?}", world.replies)
    };
    assert_eq!((status, retrying), (ExitStatus::Code(7), true));
}

#[test]
fn whoever_waits_for_a_worker_that_is_replaced_gets_the_one_that_is_up() {
    let (mut world, mut spec) = never_up(Program::server());
    spec.ready.listen_timeout = secs(60);
    let start = world.start(spec);
    world.run(ms(500));
    world.reload(&[0]);
    world.run(secs(2));
    let pid = world.view(0).pid.expect("it runs");
    assert_eq!(generations(&world, 1), [2]);
    assert_eq!(world.verdict(start), Verdict::Online { pid });
}

#[test]
fn a_worker_that_is_not_ready_in_time_while_it_is_being_replaced_is_stood_in_for() {
    let (mut world, mut spec) = never_up(Program::ready_after(100));
    spec.ready.wait_ready = true;
    let start = world.start(spec);
    world.run(ms(2500));
    assert_eq!(world.status(0), Status::Launching);
    let reload = world.reload(&[0]);
    world.run(ms(600));
    assert_eq!(generations(&world, 1), [2], "its time is over");
    assert!(matches!(
        world.verdict(start),
        Verdict::Failed(Failure::NotReady { retrying: true, .. })
    ));
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
    world.run(secs(5));
    assert_eq!(world.signals_to(WorkerId::new(0, 1)), [support::SIGINT]);
    assert_eq!((world.status(0), generations(&world, 1)), (Status::Online, vec![2]));
}

#[test]
fn a_worker_that_is_not_ready_is_given_nothing_also_when_it_is_the_only_one() {
    let mut world = World::new();
    let mut spec = cluster("app", 1);
    spec.ready.wait_ready = true;
    let late = Program::ready_after(700);
    world.script("app", vec![late]);
    let start = world.start(spec);
    world.run(ms(600));
    assert_eq!((world.status(0), world.serving(&[0])), (Status::Launching, 0));
    assert!(matches!(world.verdict(start), Verdict::Online { .. }));
    assert_eq!(world.serving(&[0]), 1);
}

#[test]
fn ready_by_word_is_waited_for_too() {
    let mut spec = cluster("app", 1);
    spec.ready.wait_ready = true;
    let mut world = World::new();
    world.script("app", vec![Program::ready_after(700)]);
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
