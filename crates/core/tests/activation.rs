//! Apps of any language whose workers inherit their sockets: what is kept open, and workers replaced without a gap.

mod support;

use ostler_core::{Address, AppId, Effect, ExitStatus, Failure, Generation, Request, Spec, Status, Verdict, WorkerId};
use std::collections::BTreeSet;
use support::clusters::{generations, run_served, slots};
use support::programs::{Leftovers, Program, Reaction, activated, listen, spec};
use support::{SIGINT, SIGKILL, World, ms, secs};

fn up(spec: Spec) -> World {
    let mut world = World::new();
    let instances = spec.instances;
    let start = world.start(spec);
    let _ = world.reply(start);
    world.run(ms(200));
    assert_eq!(world.serving(&slots(instances)), instances as usize);
    world
}

fn open(world: &World) -> Vec<String> {
    let open = world.open.get(&AppId(0)).cloned().unwrap_or_default();
    open.iter().map(|address: &Address| address.to_string()).collect()
}

const SOCKET: &str = "unix:///run/app.sock";

/// A server that takes so long to finish when it is told to end.
fn finishing(after: std::time::Duration) -> Program {
    Program {
        reaction: Reaction::Ends {
            after,
            status: ExitStatus::Code(0),
        },
        ..Program::server()
    }
}

#[test]
fn a_reload_replaces_each_worker_while_the_others_serve() {
    let mut world = up(activated("app", 3));
    let reload = world.reload(&[0, 1, 2]);
    // One of them listens and another is there beside it: never fewer than before.
    run_served(&mut world, 3, 4000);
    let outcome = world.reply(reload);
    assert!(
        outcome
            .slots
            .iter()
            .all(|slot| matches!(slot.verdict, Verdict::Reloaded { .. }))
    );
    assert_eq!(generations(&world, 3), [2, 2, 2]);
    assert_eq!(open(&world), [SOCKET]);
}

#[test]
fn a_replaced_worker_is_told_once_by_its_stop_signal_and_killed_at_the_drain_timeout() {
    let mut app = activated("app", 1);
    app.cluster.drain_timeout = secs(5);
    let mut world = World::new();
    let stubborn = Program {
        reaction: Reaction::Ignores,
        ..Program::server()
    };
    world.script("app", vec![stubborn, Program::server()]);
    let start = world.start(app);
    let _ = world.reply(start);
    world.run(ms(200));
    let reload = world.reload(&[0]);
    let _ = world.reply(reload);
    let told: Vec<(u64, i32)> = world
        .log
        .iter()
        .filter_map(|(at, effect)| match effect {
            Effect::Signal { worker, signal, .. } if worker.generation == Generation(1) => Some((*at, *signal)),
            _ => None,
        })
        .collect();
    let [(asked, SIGINT), (killed, SIGKILL)] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(killed - asked, 5000);
}

#[test]
fn a_stop_shortens_the_drain_of_a_replaced_worker() {
    let mut world = World::new();
    world.script("app", vec![finishing(secs(20)), Program::server()]);
    let start = world.start(activated("app", 1));
    let _ = world.reply(start);
    world.run(ms(200));
    let _ = world.reload(&[0]);
    world.run(secs(3));
    assert_eq!(generations(&world, 1), [2]);
    let stop = world.stop(&[0]);
    let began = world.now.instant;
    let _ = world.reply(stop);
    assert!(world.now.instant.since(began) < secs(2), "it has its kill_timeout");
}

/// What a release does that is broken, and what is said of it.
fn a_broken_release_changes_nothing(broken: Program, is_it: impl Fn(&Failure) -> bool) {
    let mut world = World::new();
    world.script("app", vec![Program::server(), broken]);
    let start = world.start(activated("app", 2));
    let _ = world.reply(start);
    world.run(ms(200));
    let reload = world.reload(&[0, 1]);
    run_served(&mut world, 2, 8000);
    let outcome = world.reply(reload);
    let Verdict::NotReplaced(failure) = &outcome.slots[0].verdict else {
        panic!("{outcome:?}")
    };
    assert!(is_it(failure), "{failure:?}");
    assert_eq!(outcome.slots[1].verdict, Verdict::Kept);
    assert_eq!(generations(&world, 2), [1, 1]);
}

#[test]
fn a_release_that_exits_changes_nothing() {
    a_broken_release_changes_nothing(Program::ending(ms(300), ExitStatus::Code(1)), |failure| {
        matches!(failure, Failure::Exited { .. })
    });
}

#[test]
fn a_release_that_takes_nothing_where_its_predecessor_did_changes_nothing() {
    let deaf = Program {
        listens: None,
        ..Program::server()
    };
    a_broken_release_changes_nothing(
        deaf,
        |failure| matches!(failure, Failure::NotListening { missing, .. } if missing == &[SOCKET.to_owned()]),
    );
}

#[test]
fn a_release_whose_sockets_cannot_be_bound_changes_nothing() {
    a_broken_release_changes_nothing(Program::missing(), |failure| matches!(failure, Failure::Spawn { .. }));
}

#[test]
fn of_what_cannot_be_seen_to_listen_rest_is_enough_and_then_life() {
    for (settles, least) in [(Some(ms(400)), 1400), (None, 4000)] {
        let quiet = Program {
            listens: None,
            settles,
            ..Program::server()
        };
        let mut world = World::new();
        world.script("app", vec![quiet]);
        let start = world.start(activated("app", 1));
        let _ = world.reply(start);
        let reload = world.reload(&[0]);
        let began = world.now.instant;
        assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
        let took = world.now.instant.since(began);
        assert!(took >= ms(least) && took < ms(least + 100), "{took:?}");
    }
}

#[test]
fn with_wait_ready_its_own_word_counts_and_nothing_else() {
    let mut app = activated("app", 1);
    app.ready.wait_ready = true;
    let ready = Program::ready_after;
    let mute = Program::server();
    let mut world = World::new();
    world.script("app", vec![ready(100), ready(2000), mute]);
    let start = world.start(app);
    assert!(matches!(world.verdict(start), Verdict::Online { .. }));
    let reload = world.reload(&[0]);
    let began = world.now.instant;
    assert!(matches!(world.verdict(reload), Verdict::Reloaded { .. }));
    assert!(world.now.instant.since(began) >= ms(3000));
    let reload = world.reload(&[0]);
    assert!(matches!(
        world.verdict(reload),
        Verdict::NotReplaced(Failure::NotReady { .. })
    ));
}

#[test]
fn sockets_stay_open_over_a_crash_and_a_restart_and_are_closed_with_the_last_worker() {
    let mut world = up(activated("app", 2));
    world.kill(WorkerId::new(0, 1), ExitStatus::Code(1));
    world.kill(WorkerId::new(1, 1), ExitStatus::Code(1));
    assert_eq!(open(&world), [SOCKET]);
    world.run(secs(1));
    let restart = world.restart(&[0, 1]);
    let _ = world.reply(restart);
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    assert_eq!(open(&world), [SOCKET]);
    let closings = |world: &World| {
        let closed =
            |effect: &Effect| matches!(effect, Effect::KeepListeners { addresses, .. } if addresses.is_empty());
        world.log.iter().filter(|(_, effect)| closed(effect)).count()
    };
    assert_eq!(closings(&world), 0, "never closed so far");
    let stop = world.stop(&[1]);
    let _ = world.reply(stop);
    world.run(ms(1));
    assert!(open(&world).is_empty());
    assert_eq!(closings(&world), 1);
}

#[test]
fn a_finished_worker_is_waited_for_before_its_socket_is_closed() {
    let mut world = World::new();
    world.script("app", vec![finishing(ms(900))]);
    let start = world.start(activated("app", 1));
    let _ = world.reply(start);
    let stop = world.stop(&[0]);
    world.run(ms(800));
    assert_eq!(open(&world), [SOCKET], "it may still take what had come in");
    let _ = world.reply(stop);
    assert!(open(&world).is_empty());
}

#[test]
fn a_reload_that_changes_addresses_binds_first_and_closes_last() {
    let old = Spec {
        listen: vec![listen("/run/app.sock"), listen("/run/old.sock")],
        ..activated("app", 2)
    };
    let new = Spec {
        listen: vec![listen("/run/new.sock"), listen("/run/app.sock")],
        ..activated("app", 2)
    };
    let mut world = up(old);
    let reload = world.reload_with(&[0, 1], &[new.clone(), new], 1);
    world.run(ms(500));
    assert_eq!(open(&world).len(), 3, "{:?}", open(&world));
    let _ = world.reply(reload);
    world.run(ms(1));
    assert_eq!(open(&world), ["unix:///run/app.sock", "unix:///run/new.sock"]);
}

#[test]
fn a_reload_that_fails_leaves_no_socket_of_the_new_spec() {
    let new = Spec {
        listen: vec![listen("/run/app.sock"), listen("/run/new.sock")],
        ..activated("app", 1)
    };
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::server(), Program::ending(ms(100), ExitStatus::Code(1))],
    );
    let start = world.start(activated("app", 1));
    let _ = world.reply(start);
    world.run(ms(200));
    let reload = world.reload_with(&[0], &[new], 1);
    assert!(matches!(world.verdict(reload), Verdict::NotReplaced(_)));
    world.run(ms(100));
    assert_eq!(open(&world), [SOCKET]);
}

#[test]
fn who_begins_or_ceases_to_inherit_is_restarted() {
    for (before, after) in [(spec("app"), activated("app", 1)), (activated("app", 1), spec("app"))] {
        let mut world = World::new();
        let start = world.start(before);
        let _ = world.reply(start);
        let reload = world.reload_with(&[0], &[after], 1);
        assert!(matches!(world.verdict(reload), Verdict::Online { .. }));
        let beside: BTreeSet<u32> = world
            .processes
            .iter()
            .filter(|(_, process)| process.main)
            .map(|(worker, _)| worker.generation.0)
            .collect();
        assert_eq!(beside, BTreeSet::from([2]));
    }
}

#[test]
fn a_stop_of_what_waits_to_be_launched_again_waits_for_what_is_left_of_its_predecessor() {
    let mut world = World::new();
    let mut app = spec("app");
    app.listen = vec![listen("/run/app.sock")];
    app.memory_limit = Some(100);
    app.ready.on_timeout = ostler_core::OnReadyTimeout::Accept;
    let bare = Program {
        boot: ms(0),
        settles: None,
        listens: None,
        drains: None,
        ..Program::server()
    };
    // Its replacement cannot be launched, just when it ends by itself and leaves a child behind.
    let ends = Program {
        ends: Some((ms(2001), ExitStatus::Code(0))),
        leftovers: Leftovers::Unkillable,
        memory: vec![101],
        ..bare.clone()
    };
    let cannot_run = Program {
        boot: ms(1),
        fails_to_spawn: Some(true),
        ..bare.clone()
    };
    world.script("app", vec![bare, ends, cannot_run]);
    world.start(app);
    world.restart(&[0]);
    world.run(ms(2011));
    assert_eq!(world.status(0), Status::WaitingRestart);
    let stop = world.stop(&[0]);
    assert!(matches!(world.verdict(stop), Verdict::Failed(Failure::Unkillable)));
    assert_eq!(world.status(0), Status::Errored, "a process of it has the socket still");
    assert_eq!(open(&world), ["unix:///run/app.sock"]);
}

#[test]
fn what_has_ended_is_no_success_while_something_of_its_predecessor_cannot_be_killed() {
    let mut app = activated("app", 1);
    app.listen = vec![listen("/run/app.sock")];
    let stubborn = Program {
        leftovers: Leftovers::Unkillable,
        ..Program::server()
    };
    let job = Program::ending(ms(10), ExitStatus::Code(0));
    let mut world = World::new();
    world.script("app", vec![Program::server(), stubborn, job]);
    let start = world.start(app.clone());
    let _ = world.reply(start);
    // The replacement comes up when a restart overtakes it that makes a job of the app.
    world.reload(&[0]);
    world.run(ms(60));
    app.listen.clear();
    app.restart.auto = false;
    world.request(Request::Restart {
        slots: support::ids(&[0]),
        specs: vec![app.into()],
    });
    world.run(secs(60));
    assert_eq!(world.launches(0).len(), 3);
    assert_eq!(world.status(0), Status::Errored, "a process of it has the socket still");
    assert_eq!(open(&world), [SOCKET]);
}
