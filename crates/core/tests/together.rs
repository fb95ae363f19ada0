//! Requests that meet in one slot: who wants the same waits together, who wants something else overtakes.

mod support;

use ostler_core::{Event, ExitStatus, Failure, Generation, Request, Scope, Spec, Status, Ticket, Verdict, WorkerId};
use std::sync::Arc;
use support::programs::{Leftovers, Program, spec};
use support::{SIGINT, World, ids, ms, secs};

const STOPPED: Verdict = Verdict::Stopped { killed: false };

fn running(program: Program) -> World {
    let mut world = World::new();
    world.script("app", vec![program]);
    let ticket = world.start(spec("app"));
    assert!(matches!(world.verdict(ticket), Verdict::Online { .. }));
    world
}

/// The first start makes the apps, the others are restarts of them with the same specs, each a little later.
fn twenty_starts(world: &mut World, apart: u64) -> Vec<Ticket> {
    let specs: Vec<Spec> = ["app", "other"].map(spec).into();
    let again: Vec<Arc<Spec>> = specs.iter().cloned().map(Arc::new).collect();
    let mut tickets = vec![world.request(Request::Start { specs })];
    for _ in 1..20 {
        world.run(ms(apart));
        tickets.push(world.request(Request::Restart {
            slots: ids(&[0, 1]),
            specs: again.clone(),
        }));
    }
    tickets
}

/// What each of these requests was told about each slot.
fn verdicts(world: &mut World, tickets: &[Ticket]) -> Vec<Verdict> {
    let outcomes = tickets.iter().map(|ticket| world.reply(*ticket));
    outcomes
        .flat_map(|outcome| outcome.slots)
        .map(|slot| slot.verdict)
        .collect()
}

fn online(world: &World, slot: u32) -> Verdict {
    let pid = world.view(slot).pid.expect("it runs");
    Verdict::Online { pid }
}

#[test]
fn twenty_starts_of_one_app_all_end_well() {
    for apart in [0, 1, 3, 7, 20] {
        let mut world = World::new();
        let tickets = twenty_starts(&mut world, apart);
        let verdicts = verdicts(&mut world, &tickets);
        assert_eq!(world.machine.slots().count(), 2, "each app exists once");
        let both = [online(&world, 0), online(&world, 1)];
        assert_eq!(verdicts, vec![both; 20].concat(), "{apart} ms apart");
    }
}

#[test]
fn twenty_starts_at_the_same_moment_launch_once_and_once_more() {
    let mut world = World::new();
    let tickets = twenty_starts(&mut world, 0);
    let _ = verdicts(&mut world, &tickets);
    for slot in [0, 1] {
        assert_eq!((world.launches(slot), world.view(slot).restarts), (vec![0, 15], 1));
    }
}

#[test]
fn a_restart_is_counted_once_for_each_process_that_is_ended_and_replaced() {
    let mut world = World::new();
    let tickets = twenty_starts(&mut world, 3);
    let _ = verdicts(&mut world, &tickets);
    let replaced = u32::try_from(world.launches(0).len()).expect("few") - 1;
    assert_eq!(world.view(0).restarts, replaced);
    assert!(replaced < 19, "most of them join");
}

#[test]
fn a_second_restart_joins_one_that_has_not_launched_yet() {
    let mut world = running(Program::server());
    let first = world.restart(&[0]);
    world.run(ms(5));
    assert_eq!(world.status(0), Status::Stopping);
    let second = world.restart(&[0]);
    let verdicts = verdicts(&mut world, &[first, second]);
    assert_eq!(verdicts, [online(&world, 0), online(&world, 0)]);
    assert_eq!(world.signals(), [(45, SIGINT, Scope::Tree)]);
    assert_eq!((world.launches(0).len(), world.view(0).restarts), (2, 1));
}

#[test]
fn a_second_restart_joins_one_that_waits_for_leftovers() {
    let mut world = running(Program::server().with_leftovers(Leftovers::Stubborn));
    let first = world.restart(&[0]);
    world.run(ms(100));
    assert_eq!((world.status(0), world.view(0).pid), (Status::Stopping, None));
    let second = world.restart(&[0]);
    let verdicts = verdicts(&mut world, &[first, second]);
    assert_eq!(verdicts, [online(&world, 0), online(&world, 0)]);
    assert_eq!((world.launches(0).len(), world.view(0).restarts), (2, 1));
}

#[test]
fn a_restart_is_not_content_with_a_process_that_was_launched_before_it() {
    // The launch is ordered at 55 ms, runs at 60, and settles at 100.
    for (after, status) in [(12, Status::Launching), (20, Status::Online)] {
        let mut world = running(Program::server());
        let first = world.restart(&[0]);
        world.run(ms(after));
        assert_eq!(world.status(0), status);
        let second = world.restart(&[0]);
        let verdicts = verdicts(&mut world, &[first, second]);
        assert_eq!(verdicts, [online(&world, 0), online(&world, 0)]);
        assert_eq!((world.launches(0).len(), world.view(0).restarts), (3, 2));
        assert_eq!(world.view(0).generation, Generation(3));
    }
}

#[test]
fn a_restart_joins_one_that_is_not_ready_yet() {
    let mut world = World::new();
    let mut waiting = spec("app");
    waiting.ready.wait_ready = true;
    let ready = Program::ready_after(500);
    world.script("app", vec![ready]);
    let first = world.start(waiting);
    world.run(ms(400));
    let second = world.restart(&[0]);
    let verdicts = verdicts(&mut world, &[first, second]);
    assert_eq!(verdicts, [online(&world, 0), online(&world, 0)]);
    assert_eq!(world.launches(0).len(), 2);
}

#[test]
fn new_specs_that_come_before_the_launch_take_effect_with_it() {
    let mut world = running(Program::server());
    let first = world.restart(&[0]);
    let mut changed = spec("app");
    changed.program.args = vec!["--port".into(), "80".into()];
    let changed = Arc::new(changed);
    let second = world.request(Request::Restart {
        slots: ids(&[0]),
        specs: vec![changed.clone()],
    });
    let verdicts = verdicts(&mut world, &[first, second]);
    assert_eq!(verdicts, [online(&world, 0), online(&world, 0)]);
    assert_eq!((world.launches(0).len(), world.view(0).spec), (2, changed));
}

#[test]
fn all_who_wait_are_told_of_the_same_failure() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::server(), Program::ending(ms(20), ExitStatus::Code(1))],
    );
    let tickets = [world.start(spec("app")), world.restart(&[0]), world.restart(&[0])];
    let failed = Verdict::Failed(Failure::Exited {
        status: ExitStatus::Code(1),
        after_ms: 20,
        retrying: true,
    });
    assert_eq!(verdicts(&mut world, &tickets), vec![failed; 3]);
}

#[test]
fn starts_of_what_cannot_be_launched_fail_together_and_count_no_restart_of_nothing() {
    let mut world = World::new();
    world.script("app", vec![Program::missing()]);
    let mut once = spec("app");
    once.restart.auto = false;
    let tickets = [world.start(once), world.restart(&[0]), world.restart(&[0])];
    let failed = Verdict::Failed(Failure::Spawn {
        message: "execve: no".into(),
        retrying: false,
    });
    assert_eq!(verdicts(&mut world, &tickets), vec![failed; 3]);
    assert_eq!((world.launches(0).len(), world.view(0).restarts), (2, 0));
}

#[test]
fn two_stops_at_once_are_one_stop() {
    let mut world = running(Program::server());
    let tickets = [world.stop(&[0]), world.stop(&[0])];
    assert_eq!(verdicts(&mut world, &tickets), [STOPPED, STOPPED]);
    assert_eq!(world.signals().len(), 1, "one signal is enough");
}

#[test]
fn two_deletes_at_once_are_one_delete() {
    let mut world = running(Program::server());
    let tickets = [world.delete(&[0]), world.delete(&[0])];
    assert_eq!(verdicts(&mut world, &tickets), [Verdict::Deleted, Verdict::Deleted]);
    assert_eq!(world.machine.slots().count(), 0);
}

#[test]
fn a_stop_overtakes_all_who_wait_for_a_start() {
    let mut world = World::new();
    let starts = [world.start(spec("app")), world.restart(&[0]), world.restart(&[0])];
    let stops = [world.stop(&[0]), world.stop(&[0])];
    assert_eq!(verdicts(&mut world, &starts), vec![Verdict::Superseded; 3]);
    assert_eq!(verdicts(&mut world, &stops), [STOPPED, STOPPED]);
    world.run(secs(60));
    assert_eq!(world.launches(0).len(), 1);
}

#[test]
fn a_restart_overtakes_all_who_wait_for_a_stop_and_a_delete_overtakes_a_stop() {
    let mut world = running(Program::server());
    let stops = [world.stop(&[0]), world.stop(&[0])];
    let restart = world.restart(&[0]);
    let stop = world.stop(&[0]);
    let delete = world.delete(&[0]);
    assert_eq!(verdicts(&mut world, &stops), vec![Verdict::Superseded; 2]);
    assert_eq!(verdicts(&mut world, &[restart, stop]), vec![Verdict::Superseded; 2]);
    assert_eq!(world.verdict(delete), Verdict::Deleted);
}

#[test]
fn a_shutdown_joins_the_stops_and_deletes_under_way_and_ends_the_daemon_after_their_answers() {
    let mut world = World::new();
    for name in ["stopping", "leaving", "starting"] {
        world.start(spec(name));
    }
    world.run(secs(2));
    let (stop, delete, restart) = (world.stop(&[0]), world.delete(&[1]), world.restart(&[2]));
    let shutdown = world.request(Request::Shutdown);
    let verdicts = verdicts(&mut world, &[stop, delete, restart, shutdown]);
    let (deleted, superseded) = (Verdict::Deleted, Verdict::Superseded);
    assert_eq!(
        verdicts,
        [STOPPED, deleted.clone(), superseded, STOPPED, deleted, STOPPED]
    );
    assert_eq!(world.exited, Some(0));
}

#[test]
fn all_who_wait_are_answered_by_a_new_daemon() {
    let mut world = running(Program::server());
    let tickets = [world.restart(&[0]), world.restart(&[0])];
    world.change_daemon(None);
    let third = world.restart(&[0]);
    let verdicts = verdicts(&mut world, &[tickets[0], tickets[1], third]);
    assert_eq!(verdicts, vec![online(&world, 0); 3]);
}

#[test]
fn a_new_daemon_looks_after_the_tree_of_a_process_whose_end_it_was_told() {
    let mut world = running(Program::stubborn());
    let stop = world.stop(&[0]);
    let worker = world.worker(0);
    world.change_daemon(None);
    let ended = world.end_unseen(worker);
    world.feed(ended);
    assert_eq!(world.verdict(stop), STOPPED);
    assert_eq!(world.now.instant.since(support::BEGIN.instant), ms(45));
}

#[test]
fn a_new_daemon_looks_after_the_tree_when_the_old_one_got_no_further_than_its_journal() {
    let mut world = running(Program::stubborn());
    let stop = world.stop(&[0]);
    let worker = world.worker(0);
    let ended = world.end_unseen(worker);
    world.change_daemon(Some(ended));
    assert_eq!(world.verdict(stop), STOPPED);
    assert_eq!(world.now.instant.since(support::BEGIN.instant), ms(45));
    // Its end told once more changes nothing.
    let before = world.view(0);
    world.feed(Event::Exited {
        worker,
        status: ExitStatus::Unknown,
        oom_killed: false,
    });
    assert_eq!(world.view(0), before);
}

#[test]
fn a_launch_may_run_until_its_end_is_told_whatever_its_slot_shows() {
    let mut world = World::new();
    world.start(spec("app"));
    let first = world.worker(0);
    assert!(world.machine.may_run(first));
    world.restart(&[0]);
    assert_eq!((world.status(0), world.view(0).pid), (Status::Stopping, None));
    assert!(world.machine.may_run(first));
    world.run(secs(1));
    let second = world.worker(0);
    assert_eq!(
        [first, second].map(|worker| world.machine.may_run(worker)),
        [false, true]
    );
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    assert!(!world.machine.may_run(second));
    let unknown = WorkerId::new(9, 1);
    assert!(!world.machine.may_run(unknown));
}
