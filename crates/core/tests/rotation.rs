//! Readiness: who is given work, and when a start or a reload may go on.

mod support;

use ostler_core::{Failure, OnReadyTimeout, ProbeKind, Verdict};
use support::probes::{FOR_EVER, in_rotation, launches, with_ready, worker};
use support::programs::Program;
use support::{World, ms, secs};

use ProbeKind::Ready;

#[test]
fn a_worker_that_is_briefly_not_ready_leaves_rotation_and_comes_back() {
    let mut world = World::new();
    world.script_slot(1, vec![Program::server().sick(Ready, 5000..9000, false)]);
    let start = world.start(with_ready(2));
    world.reply(start);
    assert_eq!(in_rotation(&world).len(), 2);
    world.run(secs(7));
    assert_eq!(in_rotation(&world), [worker(0, 1)]);
    let health = world.view(1).health;
    assert_eq!(
        (health.ready, health.why.as_deref()),
        (Some(false), Some("ready fails"))
    );
    world.run(secs(4));
    assert_eq!(in_rotation(&world), [worker(0, 1), worker(1, 1)]);
    assert_eq!(world.view(1).health.why, None);
    assert_eq!(launches(&world).len(), 2, "nobody was replaced");
}

#[test]
fn a_start_waits_for_readiness_and_says_when_it_takes_too_long() {
    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Ready, 0..2000, false)]);
    let start = world.start(with_ready(1));
    world.run(ms(1900));
    assert!(world.replies.is_empty() && in_rotation(&world).is_empty());
    assert!(matches!(world.verdict(start), Verdict::Online { .. }));
    assert_eq!(in_rotation(&world).len(), 1);

    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Ready, 0..20_000, false)]);
    let start = world.start(with_ready(1));
    let verdict = world.verdict(start);
    let probe = Some("ready fails".to_owned());
    assert!(
        matches!(&verdict, Verdict::Failed(Failure::Unready { probe: said, .. }) if *said == probe),
        "{verdict:?}"
    );
    world.run(secs(30));
    assert_eq!(
        in_rotation(&world),
        [worker(0, 1)],
        "it was waited for, and not restarted"
    );
}

#[test]
fn ready_timeout_accept_takes_it_for_ready() {
    let mut world = World::new();
    world.script("app", vec![Program::server().sick(Ready, 0..FOR_EVER, false)]);
    let mut spec = with_ready(1);
    spec.ready.on_timeout = OnReadyTimeout::Accept;
    let start = world.start(spec);
    assert!(matches!(world.verdict(start), Verdict::Online { .. }));
    assert_eq!(in_rotation(&world).len(), 1);
    world.run(secs(5));
    assert_eq!(in_rotation(&world).len(), 0, "from then on it is believed");
}

#[test]
fn both_the_ready_message_and_the_probe_are_waited_for() {
    for (message, sick_until) in [(1000, 2000), (2000, 1000)] {
        let mut world = World::new();
        let program = Program::ready_after(message).sick(Ready, 0..sick_until, false);
        world.script("app", vec![program]);
        let mut spec = with_ready(1);
        spec.ready.wait_ready = true;
        let start = world.start(spec);
        world.run(ms(1900));
        assert!(in_rotation(&world).is_empty());
        assert!(matches!(world.verdict(start), Verdict::Online { .. }));
        assert_eq!(in_rotation(&world).len(), 1);
    }
}

#[test]
fn a_reload_whose_new_workers_are_not_ready_in_time_is_rolled_back() {
    for position in 0..3 {
        let mut world = World::new();
        let bad = Program::server().sick(Ready, 0..FOR_EVER, false);
        world.script_slot(position, vec![Program::server(), bad]);
        let start = world.start(with_ready(3));
        world.reply(start);
        let reload = world.reload(&[0, 1, 2]);
        for slot in world.reply(reload).slots {
            let fits = match slot.slot.0.cmp(&position) {
                std::cmp::Ordering::Less => matches!(slot.verdict, Verdict::RolledBack { .. }),
                std::cmp::Ordering::Equal => matches!(
                    &slot.verdict,
                    Verdict::NotReplaced(Failure::NotReady { probe: Some(_), .. })
                ),
                std::cmp::Ordering::Greater => slot.verdict == Verdict::Kept,
            };
            assert!(fits, "{slot:?}");
        }
        world.run(secs(5));
        assert_eq!(in_rotation(&world).len(), 3);
    }
}

#[test]
fn a_new_worker_that_loses_its_readiness_again_does_not_take_over() {
    let mut world = World::new();
    let mut spec = with_ready(1);
    spec.cluster.min_ready = secs(5);
    let wavers = Program::server().sick(Ready, 1000..FOR_EVER, false);
    world.script("app", vec![Program::server(), wavers]);
    let start = world.start(spec);
    world.reply(start);
    let reload = world.reload(&[0]);
    assert!(matches!(world.verdict(reload), Verdict::NotReplaced(_)));
    assert_eq!(in_rotation(&world), [worker(0, 1)]);
}
