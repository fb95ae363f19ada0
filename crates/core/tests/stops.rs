//! How processes are ended, and that a stop wins from every state.

mod support;

use ostler_core::history::{Cause, EndCause, Next, What};
use ostler_core::{Effect, Event, ExitStatus, Failure, Request, Scope, SlotId, Status, Verdict};
use support::programs::{Leftovers, Program, Reaction, pm2_spec, spec};
use support::{SIGINT, SIGKILL, World, ms, secs, tester};

const CRASH: ExitStatus = ExitStatus::Code(1);
const STOPPED: Verdict = Verdict::Stopped { killed: false };
const KILLED: Verdict = Verdict::Stopped { killed: true };

fn running(program: Program) -> World {
    let mut world = World::new();
    world.script("app", vec![program]);
    let ticket = world.start(spec("app"));
    assert!(matches!(world.verdict(ticket), Verdict::Online { .. }));
    world
}

#[test]
fn a_stop_signals_the_tree_and_ends_when_nothing_is_left() {
    let mut world = running(Program::server().with_leftovers(Leftovers::Obedient));
    let ticket = world.stop(&[0]);
    assert_eq!(world.status(0), Status::Stopping);
    assert_eq!(world.verdict(ticket), STOPPED);
    assert!(!world.something_runs());
    assert_eq!((world.status(0), world.view(0).pid), (Status::Stopped, None));
    assert_eq!(world.signals(), [(45, SIGINT, Scope::Tree)]);
}

#[test]
fn an_app_that_ignores_its_signal_is_killed_after_kill_timeout() {
    let mut world = running(Program::stubborn());
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), KILLED);
    assert_eq!(
        world.signals(),
        [(45, SIGINT, Scope::Tree), (1645, SIGKILL, Scope::Tree)]
    );
    let ended = world.history().pop().expect("an end");
    let cause = EndCause::Told {
        cause: Cause::Asked(tester()),
        killed: true,
    };
    let status = ExitStatus::Signal {
        signal: SIGKILL,
        core_dumped: false,
    };
    assert_eq!(
        ended,
        What::Ended {
            status,
            uptime: ms(1641),
            cause,
            next: Next::Stopped
        }
    );
}

#[test]
fn leftovers_that_ignore_the_signal_are_killed_too() {
    let mut world = running(Program::server().with_leftovers(Leftovers::Stubborn));
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), KILLED);
    assert!(!world.something_runs());
}

#[test]
fn a_process_that_outlives_sigkill_is_reported_and_errored() {
    let mut world = running(Program {
        reaction: Reaction::Unkillable,
        ..Program::server()
    });
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), Verdict::Failed(Failure::Unkillable));
    assert_eq!(world.status(0), Status::Errored);
    let kills: Vec<u64> = world
        .signals()
        .iter()
        .filter(|sent| sent.1 == SIGKILL)
        .map(|sent| sent.0)
        .collect();
    assert_eq!(kills, [1645, 2645, 3645, 4645, 5645]);
    let again = world.delete(&[0]);
    assert_eq!(world.verdict(again), Verdict::Failed(Failure::Unkillable));
    let worker = world.worker(0);
    world.kill(worker, CRASH);
    world.run(ms(1));
    assert_eq!(
        world.machine.slots().count(),
        0,
        "what was asked for is done late rather than never"
    );
}

#[test]
fn treekill_false_signals_and_awaits_the_main_process_only() {
    let mut world = World::new();
    let mut main_only = spec("app");
    main_only.stop.tree = false;
    world.script("app", vec![Program::stubborn().with_leftovers(Leftovers::Stubborn)]);
    let started = world.start(main_only);
    let _ = world.reply(started);
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), KILLED);
    assert!(world.signals().iter().all(|sent| sent.2 == Scope::Main));
    assert!(
        !world
            .log
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::Sweep { .. }))
    );
}

#[test]
fn shutdown_with_message_sends_no_signal_unless_something_stays() {
    for (leftovers, signals) in [(Leftovers::None, vec![]), (Leftovers::Obedient, vec![SIGINT])] {
        let mut world = World::new();
        let mut by_message = spec("app");
        by_message.stop.message = true;
        world.script("app", vec![Program::server().with_leftovers(leftovers)]);
        let started = world.start(by_message);
        let _ = world.reply(started);
        let ticket = world.stop(&[0]);
        assert_eq!(world.verdict(ticket), STOPPED);
        let sent: Vec<i32> = world.signals().iter().map(|sent| sent.1).collect();
        assert_eq!(sent, signals);
    }
}

#[test]
fn a_stop_wins_while_a_restart_delay_runs() {
    let mut world = World::new();
    let mut delayed = pm2_spec("app");
    delayed.restart.delay = Some(secs(5));
    world.script("app", vec![Program::ending(ms(10), CRASH)]);
    world.start(delayed);
    world.run(secs(1));
    assert_eq!(world.status(0), Status::WaitingRestart);
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), STOPPED);
    assert_eq!(world.history().pop(), Some(What::Stopped { by: tester() }));
    world.run(secs(60));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Stopped, 1));
    assert!(world.signals().is_empty(), "a dead process is not signalled");
}

#[test]
fn a_stop_wins_while_the_launch_is_not_answered_yet() {
    let mut world = World::new();
    let start = world.start(spec("app"));
    let stop = world.stop(&[0]);
    assert_eq!(world.verdict(start), Verdict::Superseded);
    assert_eq!(world.verdict(stop), STOPPED);
    assert!(!world.something_runs());
    world.run(secs(60));
    assert_eq!(world.launches(0).len(), 1);
}

#[test]
fn a_stop_wins_while_leftovers_of_a_crash_are_removed() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::ending(secs(2), CRASH).with_leftovers(Leftovers::Stubborn)],
    );
    world.start(spec("app"));
    world.run(ms(2020));
    assert_eq!(world.status(0), Status::Stopping);
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), KILLED);
    assert!(!world.something_runs());
    world.run(secs(60));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Stopped, 1));
}

#[test]
fn a_stop_wins_over_a_restart_that_is_being_done() {
    let mut world = running(Program::server());
    let restart = world.restart(&[0]);
    let stop = world.stop(&[0]);
    assert_eq!(world.verdict(restart), Verdict::Superseded);
    assert_eq!(world.verdict(stop), STOPPED);
    world.run(secs(60));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Stopped, 1));
}

#[test]
fn a_restart_after_a_stop_that_is_being_done_starts_it_again() {
    let mut world = running(Program::server());
    let stop = world.stop(&[0]);
    let restart = world.restart(&[0]);
    assert_eq!(world.verdict(stop), Verdict::Superseded);
    assert!(matches!(world.verdict(restart), Verdict::Online { .. }));
    assert_eq!(world.signals().len(), 1, "one signal is enough");
}

#[test]
fn a_stop_of_what_is_down_says_so_and_clears_errored() {
    let mut world = World::new();
    world.script("app", vec![Program::ending(ms(10), CRASH)]);
    world.start(pm2_spec("app"));
    world.run(secs(10));
    assert_eq!(world.status(0), Status::Errored);
    let ticket = world.stop(&[0]);
    assert_eq!(world.verdict(ticket), Verdict::WasStopped);
    assert_eq!(world.status(0), Status::Stopped);
}

#[test]
fn leftovers_of_a_crash_do_not_survive_and_the_restart_waits_for_their_end() {
    let mut world = World::new();
    let crash = Program::ending(secs(2), CRASH).with_leftovers(Leftovers::Stubborn);
    world.script("app", vec![crash, Program::server()]);
    world.start(spec("app"));
    world.run(secs(10));
    // Exit at 2005, a look of 50 ms, the signal, 1600 ms later SIGKILL, gone 1 ms later.
    assert_eq!(
        world.signals(),
        [(2055, SIGINT, Scope::Tree), (3655, SIGKILL, Scope::Tree)]
    );
    assert_eq!(world.launches(0), [0, 3656]);
}

#[test]
fn leftovers_are_removed_as_a_tree_even_if_the_app_is_meanwhile_declared_without_treekill() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::ending(secs(2), CRASH).with_leftovers(Leftovers::Stubborn)],
    );
    world.start(spec("app"));
    world.run(ms(2020));
    assert_eq!(world.status(0), Status::Stopping);
    let mut main_only = spec("app");
    main_only.stop.tree = false;
    world.request(Request::Restart {
        slots: vec![SlotId(0)],
        specs: vec![main_only.into()],
    });
    world.run(ms(1700));
    assert!(world.signals().iter().all(|sent| sent.2 == Scope::Tree));
    assert_eq!(world.launches(0).len(), 2);
}

#[test]
fn leftovers_that_cannot_be_killed_make_the_slot_errored_instead_of_a_second_copy() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program::ending(secs(2), CRASH).with_leftovers(Leftovers::Unkillable)],
    );
    world.start(spec("app"));
    world.run(secs(60));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Errored, 1));
    let restart = world.restart(&[0]);
    assert_eq!(world.verdict(restart), Verdict::Failed(Failure::Unkillable));
}

#[test]
fn a_launch_that_is_never_answered_does_not_hold_up_whoever_waits() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program {
            boot: secs(25),
            ..Program::server()
        }],
    );
    let start = world.start(spec("app"));
    assert!(matches!(
        world.verdict(start),
        Verdict::Failed(Failure::Spawn { retrying: true, .. })
    ));
    let stop = world.stop(&[0]);
    assert_eq!(world.verdict(stop), Verdict::Failed(Failure::Unkillable));
    world.run(secs(30));
    assert_eq!(
        (world.status(0), world.something_runs()),
        (Status::Stopped, false),
        "it is stopped all the same"
    );
}

#[test]
fn an_exit_that_was_seen_without_its_launch_is_an_exit() {
    let mut world = World::new();
    world.script(
        "app",
        vec![Program {
            boot: secs(9),
            ..Program::server()
        }],
    );
    world.start(spec("app"));
    let worker = world.worker(0);
    world.kill(worker, CRASH);
    assert_eq!(
        (world.status(0), world.view(0).last_exit),
        (Status::Stopping, Some(CRASH))
    );
}

#[test]
fn a_delete_stops_and_forgets() {
    let mut world = running(Program::server());
    let ticket = world.delete(&[0]);
    assert_eq!(world.verdict(ticket), Verdict::Deleted);
    assert_eq!(world.machine.slots().count(), 0);
    assert!(!world.something_runs());
    assert_eq!(world.history().pop(), Some(What::Deleted { by: tester() }));
    assert!(
        world
            .log
            .iter()
            .any(|(_, effect)| *effect == Effect::Forget { slot: SlotId(0) })
    );
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn a_shutdown_stops_everything_answers_and_then_ends_the_daemon() {
    let mut world = World::new();
    world.script("stubborn", vec![Program::stubborn()]);
    world.script("crashing", vec![Program::ending(ms(10), CRASH)]);
    let mut delayed = pm2_spec("crashing");
    delayed.restart.delay = Some(secs(1));
    for spec in [spec("app"), spec("stubborn"), delayed] {
        world.start(spec);
    }
    world.run(ms(500));
    let ticket = world.request(Request::Shutdown);
    assert!(world.machine.is_shutting_down());
    let refused = world.start(spec("late"));
    assert_eq!(world.verdict(refused), Verdict::Superseded);
    let outcome = world.reply(ticket);
    let verdicts: Vec<Verdict> = outcome.slots.into_iter().map(|slot| slot.verdict).collect();
    assert_eq!(verdicts, [STOPPED, KILLED, STOPPED]);
    assert_eq!(world.exited, Some(0));
    assert!(!world.something_runs());
    world.run(secs(60));
    assert_eq!(world.processes.len(), 3, "nothing is started after a shutdown");
}

#[test]
fn a_shutdown_without_any_app_is_over_at_once() {
    let mut world = World::new();
    let ticket = world.request(Request::Shutdown);
    assert!(world.reply(ticket).slots.is_empty());
    assert_eq!(world.exited, Some(0));
}

#[test]
fn a_shutdown_does_not_wait_for_what_cannot_be_killed() {
    let mut world = running(Program {
        reaction: Reaction::Unkillable,
        ..Program::server()
    });
    let ticket = world.request(Request::Shutdown);
    assert_eq!(world.verdict(ticket), Verdict::Failed(Failure::Unkillable));
    assert_eq!(world.exited, Some(0));
}

#[test]
fn news_of_an_old_process_is_not_taken_for_news_of_its_successor() {
    let mut world = running(Program::server());
    let old = world.worker(0);
    let restart = world.restart(&[0]);
    let _ = world.reply(restart);
    let before = world.view(0);
    for event in [
        Event::Exited {
            worker: old,
            status: CRASH,
            oom_killed: false,
        },
        Event::TreeGone { worker: old },
        Event::MemorySample {
            worker: old,
            bytes: u64::MAX,
        },
    ] {
        world.feed(event);
    }
    assert_eq!(world.view(0), before);
}
