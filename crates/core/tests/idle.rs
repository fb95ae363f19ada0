//! When everything is over in a container, with which code, and how an end that takes its time is hurried.

mod support;

use ostler_core::{Effect, Event, ExitStatus, Machine, Request, Settings, Spec, Verdict};
use support::programs::{Leftovers, Program, Reaction, cluster, pm2_spec, spec};
use support::{SIGINT, SIGKILL, World, ms, secs};

const FINE: ExitStatus = ExitStatus::Code(0);
const CRASH: ExitStatus = ExitStatus::Code(3);
const KILLED: ExitStatus = ExitStatus::Signal {
    signal: 9,
    core_dumped: false,
};

fn container() -> World {
    let mut world = World::new();
    let settings = || Settings {
        auto_exit: true,
        ..support::settings()
    };
    world.machine = Machine::new(settings());
    world.twin = None;
    world
}

fn job(name: &str) -> Spec {
    let mut job = spec(name);
    job.restart.auto = false;
    job
}

fn started(world: &mut World) {
    world.feed(Event::StarterEnded { status: FINE });
}

/// A server that neither drains nor ends when it is told to.
fn unmoved() -> Program {
    Program {
        drains: None,
        reaction: Reaction::Ignores,
        ..Program::server()
    }
}

/// What a container with these jobs ends with.
fn code_of(jobs: &[(&str, ExitStatus)]) -> Option<u8> {
    let mut world = container();
    for (name, status) in jobs {
        world.script(name, vec![Program::ending(ms(200), *status)]);
        world.start(job(name));
    }
    started(&mut world);
    assert_eq!(world.exited, None, "nothing has ended yet");
    world.run(secs(1));
    world.exited
}

#[test]
fn a_single_job_gives_its_own_exit_code() {
    assert_eq!(code_of(&[("job", FINE)]), Some(0));
    assert_eq!(code_of(&[("job", CRASH)]), Some(3));
    assert_eq!(code_of(&[("job", KILLED)]), Some(137));
}

#[test]
fn several_jobs_are_fine_together_or_are_not() {
    assert_eq!(code_of(&[("one", FINE), ("two", FINE)]), Some(0));
    assert_eq!(code_of(&[("one", FINE), ("two", CRASH)]), Some(2));
}

/// A container with this one, which crashes at once.
fn crashing(app: Spec) -> World {
    let mut world = container();
    world.script(&app.name, vec![Program::ending(ms(10), CRASH)]);
    world.start(app);
    world
}

#[test]
fn nothing_is_over_before_whoever_starts_the_apps_is_done() {
    let mut world = crashing(job("job"));
    world.run(secs(1));
    assert_eq!(world.exited, None);
    started(&mut world);
    assert_eq!(world.exited, Some(3));
}

#[test]
fn an_app_that_is_given_up_is_pm2s_code() {
    let mut world = crashing(pm2_spec("app"));
    started(&mut world);
    world.run(secs(60));
    assert_eq!(world.exited, Some(2));
}

#[test]
fn a_container_lives_as_long_as_one_app_does() {
    let mut world = container();
    world.script("job", vec![Program::ending(ms(10), FINE)]);
    world.start(job("job"));
    world.start(spec("server"));
    started(&mut world);
    world.run(secs(60));
    assert_eq!(world.exited, None);
    let delete = world.delete(&[1]);
    let _ = world.reply(delete);
    assert_eq!(world.exited, Some(0), "the job that is left was fine");
}

#[test]
fn what_a_person_has_stopped_may_be_gone_on_with() {
    let mut world = container();
    world.start(spec("server"));
    started(&mut world);
    world.run(secs(2));
    let stop = world.stop(&[0]);
    let _ = world.reply(stop);
    world.run(secs(60));
    assert_eq!(world.exited, None);
    let delete = world.delete(&[0]);
    let _ = world.reply(delete);
    assert_eq!(world.exited, Some(0));
}

#[test]
fn what_the_clock_will_start_again_is_not_over() {
    let mut world = container();
    world.script("job", vec![Program::ending(ms(10), FINE)]);
    let mut nightly = job("job");
    nightly.cron = Some("0 3 * * *".into());
    world.start(nightly);
    started(&mut world);
    world.run(secs(60));
    assert_eq!(world.exited, None);
}

#[test]
fn what_is_left_of_a_job_is_waited_for() {
    let mut world = container();
    world.script(
        "job",
        vec![Program::ending(ms(10), FINE).with_leftovers(Leftovers::Stubborn)],
    );
    world.start(job("job"));
    started(&mut world);
    world.run(ms(100));
    assert_eq!(world.exited, None);
    world.run(secs(10));
    assert_eq!(world.exited, Some(0));
    assert!(!world.something_runs());
}

#[test]
fn a_start_that_fails_before_there_is_any_app_is_code_1() {
    let mut world = container();
    world.feed(Event::StarterEnded {
        status: ExitStatus::Code(1),
    });
    assert_eq!(world.exited, Some(1));
}

#[test]
fn a_successor_of_a_daemon_that_was_about_to_exit_does() {
    let settings = Settings {
        auto_exit: true,
        ..support::settings()
    };
    let mut machine = Machine::new(settings.clone());
    machine.handle(Event::StarterEnded { status: KILLED }, support::BEGIN);
    let mut heir = Machine::restore(settings, machine.drain_changes());
    assert_eq!(heir.poll_effect(), Some(Effect::Exit { code: 1 }));
}

#[test]
fn without_auto_exit_a_container_stays() {
    let mut world = container();
    world.machine = Machine::new(support::settings());
    world.script("job", vec![Program::ending(ms(10), FINE)]);
    world.start(job("job"));
    started(&mut world);
    world.run(secs(60));
    assert_eq!(world.exited, None);
}

#[test]
fn a_wind_down_lets_workers_finish_with_their_connections() {
    let mut world = World::new();
    let start = world.start(cluster("app", 2));
    let _ = world.reply(start);
    let ticket = world.request(Request::WindDown { within: None });
    let refused = world.start(spec("late"));
    assert_eq!(world.verdict(refused), Verdict::Superseded);
    let order: Vec<&Effect> = world.log.iter().map(|(_, effect)| effect).collect();
    let position = |wanted: fn(&&&Effect) -> bool| order.iter().position(|effect| wanted(&effect));
    let closed = position(|effect| matches!(effect, Effect::Unlisten { .. })).expect("listeners are closed");
    let drained = position(|effect| matches!(effect, Effect::Drain { .. })).expect("workers drain");
    assert!(
        closed < drained,
        "what has come in goes to the workers before they finish"
    );
    assert!(world.signals().is_empty(), "nobody is told to end while it drains");
    let _ = world.reply(ticket);
    assert_eq!(world.exited, Some(0));
    assert!(world.signals().iter().all(|(_, signal, _)| *signal == SIGINT));
}

#[test]
fn a_wind_down_is_over_in_time_whatever_does_not_end() {
    let mut world = World::new();
    world.script("app", vec![unmoved()]);
    world.start(cluster("app", 2));
    let mut slow = spec("slow");
    slow.stop.kill_timeout = secs(600);
    world.script("slow", vec![Program::stubborn()]);
    world.start(slow);
    world.run(secs(5));
    let began = world.now.instant;
    let ticket = world.request(Request::WindDown { within: Some(secs(2)) });
    let _ = world.reply(ticket);
    let took = world.now.instant.since(began);
    assert!(took >= secs(2) && took < secs(3), "{took:?}");
    assert!(!world.something_runs());
}

#[test]
fn a_shutdown_does_not_wait_for_what_a_wind_down_waits_for() {
    let mut world = World::new();
    world.script("app", vec![unmoved()]);
    let start = world.start(cluster("app", 2));
    let _ = world.reply(start);
    let gently = world.request(Request::WindDown { within: None });
    world.run(ms(100));
    assert!(world.signals().is_empty());
    let hard = world.request(Request::Shutdown);
    world.run(ms(10));
    assert_eq!(world.signals().len(), 2, "nobody drains any more");
    let refused = world.request(Request::WindDown { within: None });
    let told = [
        (refused, Verdict::Superseded),
        (gently, Verdict::Deleted),
        (hard, Verdict::Deleted),
    ];
    for (ticket, verdict) in told {
        let outcome = world.reply(ticket);
        assert!(outcome.slots.iter().all(|slot| slot.verdict == verdict), "{outcome:?}");
    }
    assert_eq!(world.exited, Some(0));
}

#[test]
fn who_hurries_gets_a_signal_instead_of_draining_and_then_a_kill() {
    let mut world = World::new();
    world.script("app", vec![unmoved()]);
    let start = world.start(cluster("app", 1));
    let _ = world.reply(start);
    let worker = world.worker(0);
    let ticket = world.request(Request::WindDown { within: None });
    world.run(ms(100));
    assert!(world.signals_to(worker).is_empty());
    world.feed(Event::Hurry);
    world.run(ms(10));
    assert_eq!(world.signals_to(worker), [SIGINT]);
    world.feed(Event::Hurry);
    world.run(ms(10));
    assert_eq!(world.signals_to(worker), [SIGINT, SIGKILL]);
    let _ = world.reply(ticket);
    assert_eq!(world.exited, Some(0));
}
