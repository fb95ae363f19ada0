//! Health: who is replaced, and when.

mod support;

use ostler_core::history::{Cause, EndCause, What};
use ostler_core::{Effect, Event, ExitStatus, Failure, Probe, ProbeKind, Status, Verdict};
use support::probes::{FOR_EVER, at_of, in_rotation, launches, with_health, with_ready, withdrawn, worker};
use support::programs::{self, Program, cluster, probe};
use support::{World, ms, secs};

use ProbeKind::{Health, Ready};

#[test]
fn one_of_four_that_hangs_is_taken_out_of_rotation_and_replaced_by_one_that_is_up_before_it_goes() {
    let mut world = World::new();
    world.script_slot(
        2,
        vec![
            Program::stubborn().sick(Health, 5000..FOR_EVER, true),
            Program::server(),
        ],
    );
    let start = world.start(with_health(4));
    world.reply(start);
    world.run(secs(20));
    let (old, new) = (worker(2, 1), worker(2, 2));
    let out = withdrawn(&world, old).expect("it leaves rotation");
    // Two looks, a second apart, and what the last may take.
    assert!((5000..=5000 + 2 * 1000 + 500).contains(&out), "{out}");
    let takes_over = at_of(&world, |effect| *effect == Effect::Admit { worker: new }).expect("its successor serves");
    let told = at_of(
        &world,
        |effect| matches!(effect, Effect::Signal { worker, .. } if *worker == old),
    );
    let told = told.expect("it is ended");
    assert!(out < takes_over && takes_over <= told, "{out} {takes_over} {told}");
    // A loop that does not turn finishes nothing: it is not given the time for that.
    assert!(told - takes_over < 100, "{takes_over} {told}");
    assert_eq!(
        in_rotation(&world),
        [worker(0, 1), worker(1, 1), new, worker(3, 1)],
        "the others have stayed, and nobody else was replaced"
    );
    let cause = world.log.iter().find_map(|(_, effect)| match effect {
        Effect::Record(entry) if entry.generation == old.generation && entry.slot == old.slot => match &entry.what {
            What::Ended {
                cause: EndCause::Told { cause, .. },
                ..
            } => Some(cause.clone()),
            _ => None,
        },
        _ => None,
    });
    let hung = true;
    let why = "health fails".into();
    assert_eq!(cause, Some(Cause::Unhealthy { why, hung }));
}

#[test]
fn when_all_are_unwell_at_once_they_are_replaced_one_at_a_time() {
    let mut world = World::new();
    let sick = Program::server().sick(Health, 5000..FOR_EVER, false);
    world.script("app", vec![sick, Program::server()]);
    let start = world.start(with_health(4));
    world.reply(start);
    let mut most = 0;
    for _ in 0..600 {
        world.run(ms(100));
        let alive = world.processes.values().filter(|process| process.main).count();
        most = most.max(alive);
    }
    assert_eq!(most, 5, "four workers and one that comes");
    assert_eq!(launches(&world).len(), 8, "each was replaced once");
    assert_eq!(in_rotation(&world).len(), 4);
}

#[test]
fn fork_instances_that_are_unwell_are_restarted_one_at_a_time_too() {
    let mut world = World::new();
    let sick = Program::server().sick(Health, 5000..FOR_EVER, false);
    world.script("app", vec![sick, Program::server()]);
    let mut spec = programs::spec("app");
    spec.instances = 3;
    spec.probes.health = Some(probe());
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(30));
    let times: Vec<u64> = launches(&world).iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 6);
    // Each waits until the one before is known to be well, which is looked at after a second.
    assert!(times[3..].windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{times:?}");
}

#[test]
fn successors_that_are_no_better_are_spaced_further_and_further() {
    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Health, 0..FOR_EVER, false)]);
    let mut spec = programs::spec("app");
    spec.probes.health = Some(Probe {
        interval: ms(100),
        timeout: ms(50),
        failure_threshold: 1,
        ..probe()
    });
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(600));
    let times: Vec<u64> = launches(&world).iter().map(|(at, _)| *at).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[..4].iter().all(|gap| *gap < 300),
        "the first are replaced at once: {gaps:?}"
    );
    let last = gaps.last().expect("several");
    assert!((15_000..16_000).contains(last), "{gaps:?}");
    assert!(times.len() < 60, "no storm: {}", times.len());
}

#[test]
fn one_that_was_well_for_long_is_replaced_at_once_whatever_was_before() {
    let mut world = World::new();
    let soon = Program::server().sick(Health, 0..FOR_EVER, false);
    let late = Program::server().sick(Health, 60_000..FOR_EVER, false);
    let mut programs = vec![soon; 9];
    programs.extend([late, Program::server()]);
    world.script("app", programs);
    let mut spec = programs::spec("app");
    spec.probes.health = Some(probe());
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(300));
    let times: Vec<u64> = launches(&world).iter().map(|(at, _)| *at).collect();
    let last = times[10] - times[9];
    assert!((60_000..63_000).contains(&last), "{times:?}");
}

#[test]
fn a_successor_that_is_unwell_before_it_takes_over_does_not() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::server(), Program::server().sick(Health, 0..FOR_EVER, false)],
    );
    let mut spec = with_health(1);
    spec.cluster.min_ready = secs(10);
    let start = world.start(spec);
    world.reply(start);
    let reload = world.reload(&[0]);
    let verdict = world.verdict(reload);
    let why = "health fails".into();
    assert_eq!(verdict, Verdict::NotReplaced(Failure::Unhealthy { why }));
    assert_eq!(in_rotation(&world), [worker(0, 1)]);
}

#[test]
fn a_single_failure_is_not_believed() {
    let mut world = World::new();
    let blips = Program::server().sick(Ready, 5000..5900, false);
    world.script("app", vec![blips.sick(Health, 8000..8900, false)]);
    let mut spec = with_ready(1);
    spec.probes.health = Some(probe());
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(30));
    assert_eq!(withdrawn(&world, worker(0, 1)), None);
    assert_eq!(launches(&world).len(), 1);
}

#[test]
fn failures_do_not_count_in_the_start_period_until_it_has_passed_once() {
    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Health, 0..8000, false)]);
    let mut spec = programs::spec("app");
    spec.probes.health = Some(Probe {
        start_period: secs(10),
        ..probe()
    });
    let start = world.start(spec.clone());
    world.reply(start);
    world.run(secs(60));
    assert_eq!(launches(&world).len(), 1);

    let mut world = World::new();
    let passes_once = Program::server().sick(Health, 3000..FOR_EVER, false);
    world.script("app", vec![passes_once, Program::server()]);
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(9));
    assert_eq!(launches(&world).len(), 2);
}

#[test]
fn autorestart_false_leaves_an_unwell_worker_to_people() {
    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Health, 2000..FOR_EVER, false)]);
    let mut spec = with_health(1);
    spec.restart.auto = false;
    let start = world.start(spec);
    world.reply(start);
    world.run(secs(60));
    assert_eq!(launches(&world).len(), 1);
    assert!(in_rotation(&world).is_empty());
}

#[test]
fn another_daemon_goes_on_with_what_is_known() {
    let mut world = World::new();
    world.script_slot(0, vec![Program::server().sick(Ready, 5000..30_000, false)]);
    let mut spec = with_ready(2);
    spec.probes.health = Some(probe());
    let start = world.start(spec);
    world.reply(start);
    for _ in 0..50 {
        world.run(ms(730));
        let before = in_rotation(&world);
        world.change_daemon(None);
        assert_eq!(
            in_rotation(&world),
            before,
            "a change of daemon changes nobody's rotation"
        );
    }
    assert_eq!(in_rotation(&world).len(), 2, "and probes go on");
    assert_eq!(launches(&world).len(), 2, "nobody was called unwell for it");
}

#[test]
fn over_the_hard_limit_of_memory_it_is_killed_at_once_and_started_again() {
    for mut spec in [cluster("app", 1), programs::spec("app")] {
        let mut world = World::new();
        let memory = vec![100, 151, 90];
        let greedy = Program {
            memory,
            ..Program::stubborn()
        };
        world.script("app", vec![greedy, Program::server()]);
        spec.memory_kill = Some(150);
        let start = world.start(spec);
        world.reply(start);
        world.run(secs(10));
        let killed = at_of(
            &world,
            |effect| matches!(effect, Effect::Signal { signal, .. } if *signal == support::SIGKILL),
        );
        assert_eq!(killed, Some(4005), "at the second look");
        let asked = at_of(
            &world,
            |effect| matches!(effect, Effect::Signal { signal, .. } if *signal == support::SIGINT),
        );
        assert_eq!(asked, None);
        assert_eq!(launches(&world).len(), 2);
        let (bytes, limit) = (151, 150);
        let cause = EndCause::OverMemory { bytes, limit };
        let told = world.log.iter().any(|(_, effect)| {
            matches!(effect, Effect::Record(entry) if matches!(&entry.what, What::Ended { cause: why, .. } if *why == cause))
        });
        assert!(told);
    }
}

#[test]
fn one_that_is_stopped_or_crashes_is_not_looked_at_any_more() {
    let mut world = World::new();
    let start = world.start(with_health(1));
    world.reply(start);
    world.run(secs(3));
    world.kill(worker(0, 1), ExitStatus::Code(1));
    world.run(secs(3));
    let stop = world.stop(&[0]);
    world.reply(stop);
    let begun = world.log.len();
    world.run(secs(10));
    let later = world.log[begun..].iter();
    assert_eq!(
        later
            .filter(|(_, effect)| matches!(effect, Effect::Probe { .. }))
            .count(),
        0
    );
    assert_eq!(world.view(0).status, Status::Stopped);
    // Late news changes nothing.
    let result = ostler_core::ProbeResult::Failed {
        why: "late".into(),
        hung: true,
    };
    let took = secs(1);
    for _ in 0..5 {
        let result = result.clone();
        let worker = worker(0, 2);
        let kind = Health;
        world.machine.handle(
            Event::Probed {
                worker,
                kind,
                result,
                took,
            },
            world.now,
        );
    }
    assert!(world.machine.poll_effect().is_none());
}
