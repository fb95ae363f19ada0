//! Requests and their verdicts; apps, instance numbers, scaling, the list.

mod support;

use ostler_core::{
    Effect, ExitStatus, Failure, NoticeKind, OnReadyTimeout, Request, SavedInstance, Scope, SlotId, Spec, Status,
    Verdict,
};
use std::sync::Arc;
use support::clusters::up;
use support::programs::{Program, pm2_spec, spec};
use support::{World, ids, ms, secs};

fn instances(name: &str, count: u32) -> Spec {
    Spec {
        instances: count,
        ..spec(name)
    }
}

fn is_online(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Online { .. })
}

#[test]
fn a_start_is_online_at_once_but_its_verdict_waits_until_the_app_settles() {
    let mut world = World::new();
    let ticket = world.start(spec("app"));
    world.run(ms(10));
    assert_eq!(world.status(0), Status::Online);
    assert!(world.replies.is_empty());
    let pid = world.view(0).pid.expect("it runs");
    assert_eq!(world.verdict(ticket), Verdict::Online { pid });
    assert_eq!(world.now.instant.since(support::BEGIN.instant), ms(45));
}

#[test]
fn a_start_that_nothing_settles_is_up_after_min_uptime() {
    let mut world = World::new();
    world.script(
        "busy",
        vec![Program {
            settles: None,
            ..Program::server()
        }],
    );
    let ticket = world.start(spec("busy"));
    assert!(is_online(&world.verdict(ticket)));
    assert_eq!(world.now.instant.since(support::BEGIN.instant), ms(1005));
}

#[test]
fn an_app_that_waits_for_ready_is_launching_until_it_says_so() {
    let mut world = World::new();
    let mut waiting = spec("app");
    waiting.ready.wait_ready = true;
    world.script("app", vec![Program::ready_after(700)]);
    let ticket = world.start(waiting);
    world.run(ms(600));
    assert_eq!(world.status(0), Status::Launching);
    assert!(is_online(&world.verdict(ticket)));
    assert_eq!(world.status(0), Status::Online);
}

#[test]
fn an_app_that_is_never_ready_has_failed_and_is_retried_until_its_limit() {
    let mut world = World::new();
    let mut waiting = pm2_spec("app");
    waiting.ready.wait_ready = true;
    let ticket = world.start(waiting);
    let verdict = world.verdict(ticket);
    assert_eq!(
        verdict,
        Verdict::Failed(Failure::NotReady {
            waited_ms: 3000,
            retrying: true,
            probe: None,
        })
    );
    assert!(world.view(0).pid.is_none(), "the failed one has been stopped");
    world.run(secs(120));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Errored, 16));
    assert!(!world.something_runs());
}

#[test]
fn the_end_of_listen_timeout_counts_as_ready_where_the_user_says_so() {
    let mut world = World::new();
    let mut waiting = spec("app");
    waiting.ready.wait_ready = true;
    waiting.ready.on_timeout = OnReadyTimeout::Accept;
    let ticket = world.start(waiting);
    assert!(is_online(&world.verdict(ticket)));
    assert_eq!(world.status(0), Status::Online);
}

#[test]
fn an_app_that_ends_before_it_is_ready_has_failed() {
    let mut world = World::new();
    let mut waiting = spec("app");
    waiting.ready.wait_ready = true;
    world.script("app", vec![Program::ending(ms(100), ExitStatus::Code(1))]);
    let ticket = world.start(waiting);
    let status = ExitStatus::Code(1);
    assert_eq!(
        world.verdict(ticket),
        Verdict::Failed(Failure::Exited {
            status,
            after_ms: 100,
            retrying: true
        })
    );
}

#[test]
fn many_apps_are_launched_all_at_once() {
    let mut world = World::new();
    let specs = (0..50).map(|number| spec(&format!("app-{number}"))).collect();
    let ticket = world.request(Request::Start { specs });
    assert_eq!(
        world
            .log
            .iter()
            .filter(|(at, effect)| *at == 0 && matches!(effect, Effect::Spawn(_)))
            .count(),
        50
    );
    assert_eq!(world.reply(ticket).slots.len(), 50);
}

#[test]
fn an_app_without_autostart_is_only_registered() {
    let mut world = World::new();
    let ticket = world.start(Spec {
        autostart: false,
        ..spec("app")
    });
    assert_eq!(world.verdict(ticket), Verdict::Registered);
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Stopped, 0));
    let ticket = world.restart(&[0]);
    assert!(is_online(&world.verdict(ticket)));
    assert_eq!(world.view(0).restarts, 0);
}

#[test]
fn a_restart_counts_when_something_ran() {
    let mut world = World::new();
    let ticket = world.start(spec("app"));
    let _ = world.reply(ticket);
    let first = world.view(0).pid;
    let ticket = world.restart(&[0]);
    assert!(is_online(&world.verdict(ticket)));
    assert_eq!(world.view(0).restarts, 1);
    assert_ne!(world.view(0).pid, first);
    let kinds: Vec<NoticeKind> = world.notices().into_iter().map(|notice| notice.kind).collect();
    // As seen on PM2's bus.
    let (online, exit) = (NoticeKind::Online, NoticeKind::Exit);
    assert_eq!(
        kinds,
        [online, NoticeKind::Start, exit, exit, online, NoticeKind::Restart]
    );
}

#[test]
fn a_later_request_overtakes_an_earlier_one() {
    let mut world = World::new();
    let start = world.start(spec("app"));
    let restart = world.restart(&[0]);
    let delete = world.delete(&[0]);
    assert_eq!(world.verdict(start), Verdict::Superseded);
    assert_eq!(world.verdict(restart), Verdict::Superseded);
    assert_eq!(world.verdict(delete), Verdict::Deleted);
}

#[test]
fn a_request_about_a_slot_that_is_not_there_or_named_twice_gets_one_answer() {
    let mut world = World::new();
    let start = world.start(spec("app"));
    let _ = world.reply(start);
    let ticket = world.stop(&[0, 7, 0]);
    let outcome = world.reply(ticket);
    let verdicts: Vec<(SlotId, Verdict)> = outcome
        .slots
        .into_iter()
        .map(|slot| (slot.slot, slot.verdict))
        .collect();
    let stopped = (SlotId(0), Verdict::Stopped { killed: false });
    assert_eq!(verdicts, [stopped, (SlotId(7), Verdict::Failed(Failure::NotRunning))]);
    let empty = world.stop(&[]);
    assert!(world.reply(empty).slots.is_empty());
}

#[test]
fn instance_numbers_are_zero_to_n_minus_one_whatever_is_scaled() {
    let mut world = World::new();
    let start = world.start(instances("app", 4));
    let _ = world.reply(start);
    assert_eq!(world.instances(), [0, 1, 2, 3]);
    for (count, expected) in [(2, 2), (5, 5), (5, 5), (1, 1), (3, 3)] {
        let ticket = world.request(Request::Scale {
            slot: SlotId(0),
            instances: count,
        });
        let _ = world.reply(ticket);
        assert_eq!(world.instances(), (0..expected).collect::<Vec<u32>>());
    }
    assert!(world.machine.slots().all(|slot| slot.status == Status::Online));
}

#[test]
fn the_workers_of_a_cluster_are_weighed_anew_when_they_are_others() {
    let weighed = |world: &World| {
        let weigh = |effect: &Effect| matches!(effect, Effect::Weigh { .. });
        world.log.iter().filter(|(_, effect)| weigh(effect)).count()
    };
    let mut world = up(2);
    let app = world.view(0).app;
    let begun = weighed(&world);
    let reload = world.reload(&[0, 1]);
    let _ = world.reply(reload);
    assert_eq!(weighed(&world), begun, "new ones are weighed when they are there");
    for (count, others) in [(4, true), (4, false), (1, true)] {
        let before = weighed(&world);
        let scale = world.request(Request::Scale {
            slot: SlotId(0),
            instances: count,
        });
        let _ = world.reply(scale);
        assert_eq!(world.machine.instances(app), count);
        assert_eq!(weighed(&world) > before, others, "to {count}");
    }
    let mut world = World::new();
    let start = world.start(instances("app", 2));
    let _ = world.reply(start);
    let delete = world.delete(&[1]);
    let _ = world.reply(delete);
    assert_eq!(weighed(&world), 0, "in fork mode each is for itself");
}

#[test]
fn a_deleted_instances_number_is_given_out_again() {
    let mut world = World::new();
    let start = world.start(instances("app", 3));
    let _ = world.reply(start);
    let delete = world.delete(&[1]);
    let _ = world.reply(delete);
    let ticket = world.request(Request::Scale {
        slot: SlotId(0),
        instances: 3,
    });
    let outcome = world.reply(ticket);
    assert_eq!(outcome.slots[0].slot, SlotId(3), "ids are not used again");
    assert_eq!(world.view(3).instance, 1);
}

#[test]
fn apps_that_share_a_name_share_its_numbers() {
    let mut world = World::new();
    world.start(spec("app"));
    world.start(spec("app"));
    world.start(spec("other"));
    assert_eq!([0, 1, 2].map(|slot| world.view(slot).instance), [0, 1, 0]);
    let ticket = world.request(Request::Scale {
        slot: SlotId(0),
        instances: 2,
    });
    let _ = world.reply(ticket);
    assert_eq!(world.view(3).instance, 2);
    assert_ne!(world.view(0).app, world.view(1).app);
}

#[test]
fn ids_begin_at_zero_again_once_the_list_is_empty() {
    let mut world = World::new();
    world.start(instances("app", 2));
    let delete = world.delete(&[0]);
    let _ = world.reply(delete);
    world.start(spec("other"));
    assert_eq!(world.view(2).status, Status::Launching);
    let delete = world.delete(&[1, 2]);
    let _ = world.reply(delete);
    world.start(spec("again"));
    assert_eq!(world.view(0).instance, 0);
}

#[test]
fn new_specs_take_effect_with_the_restart_and_the_old_ones_are_dropped() {
    let mut world = World::new();
    let start = world.start(instances("app", 2));
    let _ = world.reply(start);
    let mut changed = instances("app", 2);
    changed.program.args = vec!["--port".into(), "80".into()];
    let changed = Arc::new(changed);
    let ticket = world.request(Request::Restart {
        slots: ids(&[0, 1]),
        specs: vec![changed.clone(), changed.clone()],
    });
    assert!(world.reply(ticket).slots.iter().all(|slot| is_online(&slot.verdict)));
    assert!(world.machine.slots().all(|slot| slot.spec == changed));
}

#[test]
fn a_changed_number_of_instances_takes_effect_with_the_restart() {
    let mut world = World::new();
    let start = world.start(instances("app", 3));
    let _ = world.reply(start);
    let fewer = Arc::new(instances("app", 1));
    let ticket = world.request(Request::Restart {
        slots: ids(&[0, 1, 2]),
        specs: vec![fewer; 3],
    });
    let outcome = world.reply(ticket);
    let deleted = outcome
        .slots
        .iter()
        .filter(|slot| slot.verdict == Verdict::Deleted)
        .count();
    assert_eq!((outcome.slots.len(), deleted, world.instances()), (3, 2, vec![0]));
    let more = Arc::new(instances("app", 4));
    let ticket = world.request(Request::Restart {
        slots: ids(&[0]),
        specs: vec![more],
    });
    assert_eq!(world.reply(ticket).slots.len(), 4);
    assert_eq!(world.instances(), [0, 1, 2, 3]);
}

#[test]
fn a_restart_with_the_same_declaration_leaves_a_scaled_app_scaled() {
    let mut world = World::new();
    let start = world.start(instances("app", 1));
    let _ = world.reply(start);
    let scale = world.request(Request::Scale {
        slot: SlotId(0),
        instances: 3,
    });
    let _ = world.reply(scale);
    let same = Arc::new(instances("app", 1));
    let ticket = world.request(Request::Restart {
        slots: ids(&[0, 1, 2]),
        specs: vec![same; 3],
    });
    let _ = world.reply(ticket);
    assert_eq!(world.instances(), [0, 1, 2]);
}

#[test]
fn a_saved_list_comes_back_with_its_numbers_and_its_stopped_apps_stopped() {
    let mut world = World::new();
    let app = Arc::new(instances("app", 3));
    let saved = |instance, running| SavedInstance {
        spec: app.clone(),
        instance,
        running,
    };
    let other = SavedInstance {
        spec: Arc::new(spec("other")),
        instance: 0,
        running: true,
    };
    let restore = Request::Restore {
        instances: vec![saved(2, true), saved(0, false), other, saved(1, true)],
    };
    let ticket = world.request(restore);
    let outcome = world.reply(ticket);
    assert_eq!(outcome.slots[1].verdict, Verdict::Registered);
    assert_eq!([0, 1, 2, 3].map(|slot| world.view(slot).instance), [2, 0, 0, 1]);
    assert_eq!(
        world.view(0).app,
        world.view(3).app,
        "instances of one start are one app again"
    );
    world.run(secs(60));
    assert_eq!(world.status(1), Status::Stopped);
}

#[test]
fn a_signal_goes_to_the_main_process_and_changes_nothing() {
    let mut world = World::new();
    let start = world.start(instances("app", 2));
    let _ = world.reply(start);
    let stop = world.stop(&[1]);
    let _ = world.reply(stop);
    let before: Vec<_> = world.machine.slots().collect();
    world.script("app", vec![Program::stubborn()]);
    let sent = world.signals().len();
    let ticket = world.request(Request::Signal {
        slots: ids(&[0, 1]),
        signal: 12,
    });
    let verdicts: Vec<Verdict> = world.reply(ticket).slots.into_iter().map(|slot| slot.verdict).collect();
    assert_eq!(verdicts, [Verdict::Signalled, Verdict::Failed(Failure::NotRunning)]);
    assert_eq!(
        world.signals()[sent..],
        [(world.log.last().expect("a reply").0, 12, Scope::Main)]
    );
    assert_eq!(world.machine.slots().collect::<Vec<_>>(), before);
}

#[test]
fn a_reset_sets_the_counters_back_and_answers_no_other_request() {
    let mut world = World::new();
    let crash = Program::ending(ms(10), ExitStatus::Code(1));
    world.script("app", vec![crash.clone(), crash, Program::server()]);
    world.start(pm2_spec("app"));
    world.run(ms(100));
    assert_eq!((world.view(0).restarts, world.view(0).unstable_restarts), (2, 2));
    let ticket = world.request(Request::Reset { slots: ids(&[0]) });
    assert_eq!(world.verdict(ticket), Verdict::Reset);
    let view = world.view(0);
    assert_eq!(
        (view.restarts, view.unstable_restarts, view.created_at),
        (0, 0, Some(world.now.wall))
    );
}

#[test]
fn apps_started_together_keep_the_shells_variables_once() {
    let mut world = World::new();
    let shell = |path: &str| Arc::new([("PATH".to_owned(), path.to_owned())].into());
    let of = |name, path| {
        let mut spec = spec(name);
        spec.environment.inherited = shell(path);
        spec
    };
    world.request(Request::Start {
        specs: vec![of("one", "/bin"), of("two", "/bin"), of("three", "/opt")],
    });
    let [one, two, three] = [0, 1, 2].map(|slot| world.view(slot).spec.environment.inherited.clone());
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(three["PATH"], "/opt");
}
