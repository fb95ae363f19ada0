//! Programs that say that they are ending by themselves (`STOPPING=1`).

mod support;

use ostler_core::history::{EndCause, Next, What};
use ostler_core::{Effect, ExitStatus, Failure, Generation, SlotId, Spec, Status, Verdict, WorkerId};
use support::clusters::generations;
use support::programs::{Program, Reaction, activated, cluster, spec};
use support::{SIGINT, SIGKILL, World, ms, secs};

const DONE: ExitStatus = ExitStatus::Code(0);

/// Says after a second that it is ending, and does so half a second later, so.
fn leaving(status: ExitStatus) -> Program {
    Program {
        leaves: Some(ms(1000)),
        ..Program::ending(ms(1500), status)
    }
}

fn up(app: Spec, programs: Vec<Program>) -> World {
    let mut world = World::new();
    world.script("app", programs);
    let start = world.start(app);
    let _ = world.reply(start);
    world.run(ms(1200));
    world
}

fn status(world: &World) -> Status {
    world.machine.slot(SlotId(0)).expect("a slot").status
}

/// How its first worker ended.
fn end(world: &World) -> (ExitStatus, EndCause, Next) {
    let ended = world.log.iter().find_map(|(_, effect)| match effect {
        Effect::Record(entry) if entry.generation == Generation(1) => match &entry.what {
            What::Ended {
                status, cause, next, ..
            } => Some((*status, cause.clone(), next.clone())),
            _ => None,
        },
        _ => None,
    });
    ended.expect("it has ended")
}

fn signals(world: &World) -> Vec<i32> {
    let sent = world.log.iter().filter_map(|(_, effect)| match effect {
        Effect::Signal { worker, signal, .. } if worker.generation == Generation(1) => Some(*signal),
        _ => None,
    });
    sent.collect()
}

#[test]
fn it_shows_as_stopping_until_it_has_ended_and_is_told_nothing() {
    let mut world = up(activated("app", 1), vec![leaving(DONE), Program::server()]);
    assert_eq!(status(&world), Status::Stopping);
    world.run(secs(2));
    assert_eq!(status(&world), Status::Online, "by its restart rules");
    assert_eq!(
        end(&world),
        (DONE, EndCause::Announced { pressed: false }, Next::Restart)
    );
    assert!(signals(&world).is_empty());
}

#[test]
fn what_its_end_means_is_said_by_the_restart_rules_alone() {
    for (auto, code, expected, next) in [
        (false, 0, Status::Stopped, Next::Done),
        (true, 7, Status::Stopped, Next::Done),
        (true, 1, Status::Online, Next::Restart),
    ] {
        let mut app = activated("app", 1);
        app.restart.auto = auto;
        app.restart.stop_exit_codes = vec![7];
        let mut world = up(app, vec![leaving(ExitStatus::Code(code)), Program::server()]);
        world.run(secs(2));
        assert_eq!((status(&world), end(&world).2), (expected, next), "{auto} {code}");
    }
}

#[test]
fn one_that_does_not_end_is_told_to_at_the_drain_timeout_and_killed_after_that() {
    let mut app = activated("app", 1);
    app.cluster.drain_timeout = secs(5);
    let stays = Program {
        leaves: Some(ms(1000)),
        reaction: Reaction::Ignores,
        ..Program::server()
    };
    let mut world = up(app, vec![stays, Program::server()]);
    world.run(secs(4));
    assert!(signals(&world).is_empty());
    world.run(secs(5));
    assert_eq!(signals(&world), [SIGINT, SIGKILL]);
    assert_eq!(end(&world).1, EndCause::Announced { pressed: true });
    assert_eq!((status(&world), generations(&world, 1)), (Status::Online, vec![2]));
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let finishing = Program {
        leaves: Some(ms(1000)),
        ..Program::server()
    };
    let mut world = up(activated("app", 1), vec![finishing]);
    assert_eq!(status(&world), Status::Stopping);
    let began = world.now.instant;
    let stop = world.stop(&[0]);
    let outcome = world.reply(stop);
    assert_eq!(outcome.slots[0].verdict, Verdict::Stopped { killed: false });
    assert!(world.now.instant.since(began) < secs(1));
    assert_eq!(status(&world), Status::Stopped);
}

#[test]
fn whoever_waits_for_it_to_be_ready_hears_how_it_ended() {
    let mut app = spec("app");
    app.ready.wait_ready = true;
    let mut world = World::new();
    world.script("app", vec![leaving(ExitStatus::Code(3)), Program::ready_after(10)]);
    let start = world.start(app);
    let outcome = world.reply(start);
    let Verdict::Failed(Failure::Exited { status, .. }) = outcome.slots[0].verdict else {
        panic!("{outcome:?}")
    };
    assert_eq!(status, ExitStatus::Code(3));
}

#[test]
fn a_release_that_says_that_it_is_ending_does_not_take_over() {
    let mut app = activated("app", 1);
    app.cluster.min_ready = secs(3);
    let mut world = World::new();
    world.script("app", vec![Program::server(), leaving(DONE)]);
    let start = world.start(app);
    let _ = world.reply(start);
    let reload = world.reload(&[0]);
    let outcome = world.reply(reload);
    assert_eq!(outcome.slots[0].verdict, Verdict::NotReplaced(Failure::Leaving));
    world.run(secs(5));
    assert_eq!((generations(&world, 1), status(&world)), (vec![1], Status::Online));
}

#[test]
fn a_worker_that_leaves_while_it_is_being_replaced_is_replaced_at_once_when_it_ends() {
    let mut app = activated("app", 1);
    app.cluster.min_ready = secs(5);
    let mut world = up(app, vec![leaving(DONE), Program::server()]);
    let reload = world.reload(&[0]);
    world.run(secs(1));
    let _ = world.reply(reload);
    assert_eq!((generations(&world, 1), status(&world)), (vec![2], Status::Online));
}

#[test]
fn a_worker_of_a_cluster_gets_nothing_more_from_then_on() {
    let mut world = up(
        cluster("app", 1),
        vec![
            Program {
                leaves: Some(ms(1000)),
                ..Program::server()
            },
            Program::server(),
        ],
    );
    let told: Vec<&Effect> = world.log.iter().map(|(_, effect)| effect).collect();
    let first = WorkerId::new(0, 1);
    assert!(told.contains(&&Effect::Withdraw { worker: first }) && told.contains(&&Effect::Drain { worker: first }));
    world.run(secs(2));
    assert_eq!(generations(&world, 1), [2], "it was told to end once it had finished");
}

#[test]
fn whoever_waits_for_one_that_leaves_each_time_before_cron_restarts_it_is_told() {
    let mut world = World::new();
    let leaves = Program {
        leaves: Some(ms(0)),
        ..Program::server()
    };
    world.script("app", vec![leaves]);
    let mut app = spec("app");
    app.cron = Some("*/20 * * * * *".into());
    let start = world.start(app);
    world.run(secs(100));
    let outcome = world.reply(start);
    assert!(
        matches!(
            outcome.slots[0].verdict,
            Verdict::Failed(Failure::Restarted { times: 3, .. })
        ),
        "{outcome:?}"
    );
}
