//! Reloads: workers of a cluster are replaced without a gap.

mod support;

use ostler_core::{
    AppId, Awaited, Effect, Event, ExitStatus, Failure, Generation, OnReadyTimeout, Request, SlotId, Spec, Status,
    Step, Verdict, WatchSpec, WorkerId, history,
};
use std::sync::Arc;
use support::clusters::{generations, run_served, up};
use support::programs::{Leftovers, Program, Reaction, cluster, spec};
use support::{World, ms, secs};

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
    assert!(!world.processes[&WorkerId::new(0, 1)].main);
    assert_eq!(
        world.signals_to(WorkerId::new(0, 1)),
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

/// It runs the old version, whose launch had been ordered: were it given the new one to run at its next launch only, it would stay
/// behind.
#[test]
fn a_worker_that_is_just_being_launched_again_is_replaced_once_it_runs() {
    let mut world = World::new();
    let slow = Program {
        boot: secs(3),
        ..Program::server()
    };
    world.script_slot(1, vec![Program::server(), slow, Program::server()]);
    let start = world.start(cluster("app", 3));
    let _ = world.reply(start);
    let mut new = cluster("app", 3);
    new.program.args = vec!["new".into()];
    let reload = world.reload_with(&[0, 1, 2], &vec![new; 3], 1);
    world.run(ms(500));
    world.kill(WorkerId::new(1, 1), ExitStatus::Code(1));
    world.run(ms(2600));
    assert_eq!(generations(&world, 3), [2, 2, 2], "the third did not wait for it");
    let outcome = world.reply(reload);
    for slot in outcome.slots {
        assert!(matches!(slot.verdict, Verdict::Reloaded { .. }), "{slot:?}");
    }
    assert_eq!(generations(&world, 3), [2, 3, 2]);
    for slot in 0..3 {
        let current = world.worker(slot);
        let launched = world.launched().into_iter().find(|launch| launch.worker == current);
        assert_eq!(launched.expect("it runs").spec.program.args, ["new"]);
    }
}

#[test]
fn several_at_once_if_that_is_wanted() {
    let mut world = up(4);
    world.reload_with(&[0, 1, 2, 3], &[], 2);
    world.run(ms(500));
    let coming = (0..4).filter(|slot| world.processes.contains_key(&WorkerId::new(*slot, 2)));
    assert_eq!(coming.count(), 2);
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
fn a_worker_that_is_scaled_away_finishes_with_its_connections_first() {
    let mut world = up(2);
    let one_is_enough = || Request::Scale {
        slot: SlotId(0),
        instances: 1,
    };
    let scale = world.request(one_is_enough());
    world.run(ms(1));
    assert_eq!(
        (world.serving(&[0, 1]), world.signals_to(WorkerId::new(1, 1))),
        (1, vec![])
    );
    assert_eq!(world.verdict(scale), Verdict::Deleted);
    assert_eq!(
        world.signals_to(WorkerId::new(1, 1)),
        [support::SIGINT],
        "when it had drained"
    );
    // Whoever wants it gone at once does not wait for its connections.
    let mut world = up(2);
    world.request(one_is_enough());
    world.run(ms(1));
    assert!(world.signals_to(WorkerId::new(1, 1)).is_empty());
    world.delete(&[1]);
    world.run(ms(1));
    assert_eq!(world.signals_to(WorkerId::new(1, 1)), [support::SIGINT]);
}

#[test]
fn a_slot_whose_old_worker_cannot_be_killed_is_not_put_back_and_the_reload_ends() {
    let mut world = World::new();
    let mut app = cluster("app", 2);
    app.cluster.drain_timeout = secs(3);
    app.ready.on_timeout = OnReadyTimeout::Accept;
    let unkillable = Program {
        boot: ms(0),
        drains: None,
        leftovers: Leftovers::Unkillable,
        ..Program::server()
    };
    world.script("app", vec![unkillable]);
    let start = world.start(app);
    world.reply(start);
    let reload = world.reload(&[0, 1]);
    // The first slot has its new worker, the second one's is on its way.
    world.run(ms(2500));
    world.kill(WorkerId::new(1, 2), ExitStatus::Code(7));
    let outcome = world.reply(reload);
    let verdicts: Vec<&Verdict> = outcome.slots.iter().map(|slot| &slot.verdict).collect();
    assert!(
        matches!(
            verdicts[..],
            [Verdict::Failed(Failure::Unkillable), Verdict::NotReplaced(_)]
        ),
        "{outcome:?}"
    );
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
fn what_has_not_changed_is_left_alone_where_that_is_wanted() {
    let mut world = up(2);
    let same = |instances| {
        let mut spec = cluster("app", instances);
        spec.environment.unique_id = "another".into();
        Arc::make_mut(&mut spec.environment.inherited).insert("SSH_CLIENT".into(), "10.0.0.1".into());
        spec
    };
    let reload = world.reload_changed(&[0, 1], &[same(2), same(2)]);
    let outcome = world.reply(reload);
    assert!(
        outcome.slots.iter().all(|slot| slot.verdict == Verdict::Unchanged),
        "{outcome:?}"
    );

    let reload = world.reload_changed(&[0, 1], &[same(3), same(3)]);
    let _ = world.reply(reload);
    assert_eq!(generations(&world, 3), [1, 1, 1], "one more, and nothing replaced");

    let changed = Spec {
        program: ostler_core::Program {
            args: vec!["--new".into()],
            ..same(3).program
        },
        ..same(3)
    };
    let reload = world.reload_changed(&[0, 1, 2], &vec![changed; 3]);
    let _ = world.reply(reload);
    assert_eq!(generations(&world, 3), [2, 2, 2]);
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
fn a_changed_file_restarts_what_is_no_cluster_beside_what_is() {
    let watched = |spec: Spec| Spec {
        watch: Some(WatchSpec {
            paths: vec!["/srv".into()],
            ignore: vec![],
            delay: ms(0),
        }),
        ..spec
    };
    let mut world = World::new();
    let start = world.start(watched(Spec {
        instances: 2,
        ..spec("app")
    }));
    let _ = world.reply(start);
    let reload = world.reload_with(&[0], &[watched(cluster("app", 2))], 1);
    let _ = world.reply(reload);
    world.feed(Event::FileChanged {
        slot: SlotId(0),
        path: "/srv/x".into(),
    });
    world.run(secs(5));
    assert_eq!(generations(&world, 2), [3, 2]);
    assert_eq!((world.status(0), world.status(1)), (Status::Online, Status::Online));
}

#[test]
fn a_fork_app_is_restarted_by_a_reload() {
    let mut world = World::new();
    let start = world.start(spec("plain"));
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
}

#[test]
fn listeners_stay_open_over_crashes_and_restarts() {
    let mut world = up(1);
    world.kill(WorkerId::new(0, 1), ExitStatus::Code(1));
    world.run(secs(2));
    let restart = world.restart(&[0]);
    let _ = world.reply(restart);
    assert!(world.unlistened.is_empty());
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    assert_eq!(world.unlistened, [AppId(0)]);
}

/// What is shown of the only roll, slot by slot.
fn steps(world: &World) -> Vec<Step> {
    let rolls = world.machine.rolls(world.now.instant);
    rolls
        .iter()
        .flat_map(|roll| &roll.turns)
        .map(|turn| turn.step)
        .collect()
}

#[test]
fn a_roll_shows_what_each_slot_is_at_and_waits_for() {
    let slow = Program {
        ready: Some(ms(300)),
        drains: Some(secs(5)),
        ..Program::server()
    };
    let mut world = World::new();
    world.script("app", vec![slow]);
    let mut spec = cluster("app", 2);
    spec.ready.wait_ready = true;
    let start = world.start(spec);
    let _ = world.reply(start);
    assert_eq!(steps(&world), []);

    let old = world.view(0).pid;
    world.reload(&[0, 1]);
    assert_eq!(steps(&world), [Step::Launching, Step::Waiting]);
    world.run(ms(20));
    let rolls = world.machine.rolls(world.now.instant);
    let turn = rolls[0].turns[0].clone();
    assert_eq!((turn.step, turn.old_pid), (Step::Starting, old));
    assert_eq!(turn.awaits, [Awaited::Ready, Awaited::Listening]);
    assert_eq!(turn.left_ms, Some(2985));
    world.run(ms(400));
    assert_eq!(steps(&world), [Step::Proving, Step::Waiting]);
    world.run(secs(1));
    let rolls = world.machine.rolls(world.now.instant);
    let turn = rolls[0].turns[0].clone();
    assert_eq!(
        (turn.step, turn.old_pid, turn.new_pid),
        (Step::Draining, old, world.view(0).pid)
    );
    // The second does not wait for such a long drain.
    world.run(ms(5500));
    assert_eq!(steps(&world), [Step::Done, Step::Draining]);
    world.run(secs(10));
    assert_eq!(steps(&world), []);
}
