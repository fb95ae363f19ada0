//! When a process that ends is started again: PM2's rules and the rolling budget.

mod support;

use ostler_core::history::{Next, What};
use ostler_core::{ExitStatus, Failure, NoticeKind, RestartLimit, Status, Verdict};
use support::programs::{Program, pm2_spec, spec};
use support::{World, ms, secs};

const CRASH: ExitStatus = ExitStatus::Code(1);
const SIGKILLED: ExitStatus = ExitStatus::Signal {
    signal: 9,
    core_dumped: false,
};

#[test]
fn a_script_that_fails_at_once_is_launched_16_times_and_restarted_15_times() {
    let mut world = World::new();
    world.script("bad", vec![Program::ending(ms(50), CRASH)]);
    let ticket = world.start(pm2_spec("bad"));
    let verdict = world.verdict(ticket);
    assert_eq!(
        verdict,
        Verdict::Failed(Failure::Exited {
            status: CRASH,
            after_ms: 50,
            retrying: true
        })
    );
    world.run(secs(60));
    let view = world.view(0);
    assert_eq!(world.launches(0).len(), 16);
    assert_eq!(
        (view.status, view.restarts, view.unstable_restarts),
        (Status::Errored, 15, 0)
    );
    assert_eq!((view.pid, view.created_at, view.last_exit), (None, None, Some(CRASH)));
    let overlimit = world
        .notices()
        .iter()
        .filter(|notice| notice.kind == NoticeKind::RestartOverlimit)
        .count();
    assert_eq!(overlimit, 1);
}

#[test]
fn an_app_that_lives_min_uptime_is_never_errored_by_pm2s_rules() {
    let mut world = World::new();
    world.script("flaky", vec![Program::ending(secs(1), CRASH)]);
    world.start(pm2_spec("flaky"));
    world.run(secs(120));
    assert_eq!(world.view(0).unstable_restarts, 0);
    assert!(world.view(0).restarts > 100);
}

#[test]
fn a_program_that_cannot_be_launched_any_more_is_given_up_also_outside_the_window() {
    let mut world = World::new();
    let gone = Program {
        fails_to_spawn: Some(false),
        ..Program::server()
    };
    world.script("removed", vec![Program::ending(secs(20), CRASH), gone]);
    world.start(pm2_spec("removed"));
    world.run(secs(60));
    assert_eq!((world.view(0).status, world.launches(0).len()), (Status::Errored, 17));
}

#[test]
fn crashes_outside_the_window_of_16_s_count_no_longer() {
    let mut world = World::new();
    let mut spec = pm2_spec("slow");
    spec.restart.delay = Some(secs(2));
    world.script("slow", vec![Program::ending(ms(10), CRASH)]);
    world.start(spec);
    world.run(secs(300));
    assert_eq!(world.status(0), Status::WaitingRestart);
    assert_eq!(world.view(0).unstable_restarts, 8);
}

#[test]
fn the_exponential_back_off_grows_by_half_up_to_its_cap() {
    let mut world = World::new();
    let mut spec = pm2_spec("bad");
    spec.restart.backoff = Some(ms(100));
    world.script("bad", vec![Program::ending(ms(0), CRASH)]);
    world.start(spec);
    world.run(secs(120));
    let delays: Vec<u64> = world.launches(0).windows(2).map(|pair| pair[1] - pair[0] - 5).collect();
    assert_eq!(delays[..9], [100, 150, 225, 337, 505, 757, 1135, 1702, 2553]);
    assert_eq!(delays[13..15], [15_000, 15_000]);
    assert_eq!(world.view(0).restart_delay_ms, 15_000);
}

#[test]
fn the_back_off_starts_anew_after_30_s_of_uptime() {
    let mut world = World::new();
    let mut spec = pm2_spec("app");
    spec.restart.backoff = Some(ms(100));
    let crash = Program::ending(ms(10), CRASH);
    world.script("app", vec![crash.clone(), crash, Program::server()]);
    world.start(spec);
    world.run(secs(25));
    assert_eq!(world.view(0).restart_delay_ms, 150);
    world.run(secs(10));
    assert_eq!(world.view(0).restart_delay_ms, 0);
    let worker = world.worker(0);
    world.kill(worker, CRASH);
    world.run(ms(1));
    assert_eq!(world.view(0).restart_delay_ms, 100);
}

#[test]
fn the_back_off_goes_over_a_fixed_delay() {
    let mut world = World::new();
    let mut spec = pm2_spec("app");
    spec.restart.backoff = Some(ms(100));
    spec.restart.delay = Some(secs(50));
    world.script("app", vec![Program::ending(ms(0), CRASH)]);
    world.start(spec);
    world.run(ms(200));
    assert_eq!(world.launches(0), [0, 105]);
}

#[test]
fn a_declared_exit_code_means_done_and_a_death_by_signal_counts_as_code_0() {
    for (status, codes, done) in [
        (ExitStatus::Code(7), vec![7], true),
        (ExitStatus::Code(1), vec![7], false),
        (SIGKILLED, vec![0], true),
        (SIGKILLED, vec![9, 137], false),
        (ExitStatus::Unknown, vec![0], false),
    ] {
        let mut world = World::new();
        let mut spec = pm2_spec("job");
        spec.restart.stop_exit_codes = codes;
        world.script("job", vec![Program::ending(ms(2000), status), Program::server()]);
        world.start(spec);
        world.run(secs(10));
        let expected = if done { Status::Stopped } else { Status::Online };
        assert_eq!(world.status(0), expected, "{status:?}");
    }
}

#[test]
fn a_job_that_ends_well_is_finished_and_one_that_dies_by_signal_has_failed() {
    let failed = |status| {
        Verdict::Failed(Failure::Exited {
            status,
            after_ms: 20,
            retrying: false,
        })
    };
    for (status, codes, expected) in [
        (
            ExitStatus::Code(0),
            vec![],
            Verdict::Finished {
                status: ExitStatus::Code(0),
            },
        ),
        (
            ExitStatus::Code(3),
            vec![3],
            Verdict::Finished {
                status: ExitStatus::Code(3),
            },
        ),
        (ExitStatus::Code(3), vec![], failed(ExitStatus::Code(3))),
        (SIGKILLED, vec![0], failed(SIGKILLED)),
    ] {
        let mut world = World::new();
        let mut spec = spec("job");
        spec.restart.auto = false;
        spec.restart.stop_exit_codes = codes;
        world.script("job", vec![Program::ending(ms(20), status)]);
        let ticket = world.start(spec);
        assert_eq!(world.verdict(ticket), expected);
        world.run(secs(60));
        assert_eq!((world.status(0), world.launches(0).len()), (Status::Stopped, 1));
    }
}

#[test]
fn a_job_with_a_restart_delay_shows_that_it_is_done() {
    let mut world = World::new();
    let mut spec = pm2_spec("job");
    spec.restart.auto = false;
    spec.restart.delay = Some(secs(1));
    world.script("job", vec![Program::ending(ms(20), ExitStatus::Code(0))]);
    world.start(spec);
    world.run(secs(5));
    assert_eq!((world.status(0), world.view(0).pid), (Status::Stopped, None));
}

#[test]
fn an_app_killed_nine_times_in_a_row_is_back_at_once_each_time() {
    let mut world = World::new();
    world.start(spec("app"));
    world.run(secs(1));
    for _ in 0..9 {
        world.run(ms(1300));
        let (worker, before) = (world.worker(0), world.launches(0).len());
        world.kill(worker, SIGKILLED);
        world.run(ms(0));
        assert_eq!(world.launches(0).len(), before + 1);
        assert_eq!(world.view(0).restart_delay_ms, 0);
    }
    assert_eq!(world.view(0).restarts, 9);
}

#[test]
fn the_rolling_budget_replaces_five_at_once_then_spaces_restarts_and_never_gives_up() {
    let mut world = World::new();
    world.script("bad", vec![Program::ending(ms(0), CRASH)]);
    world.start(spec("bad"));
    world.run(secs(200));
    let delays: Vec<u64> = world.launches(0).windows(2).map(|pair| pair[1] - pair[0] - 5).collect();
    assert_eq!(
        delays[..14],
        [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000]
    );
    assert!(delays[14..].iter().all(|delay| *delay == 15_000));
    assert_eq!(world.status(0), Status::WaitingRestart);
}

#[test]
fn being_up_fills_the_rolling_budget_again() {
    let mut world = World::new();
    let crash = Program::ending(ms(0), CRASH);
    let mut launches = vec![crash.clone(); 8];
    launches.push(Program::ending(secs(31), CRASH));
    launches.extend(vec![crash; 6]);
    world.script("app", launches);
    world.start(spec("app"));
    world.run(secs(35));
    let delays: Vec<u64> = world.launches(0).windows(2).map(|pair| pair[1] - pair[0] - 5).collect();
    assert_eq!(delays[..8], [0, 0, 0, 0, 0, 100, 200, 400]);
    assert_eq!(delays[8], 31_000);
    assert_eq!(delays[9..14], [0, 0, 0, 0, 0]);
}

#[test]
fn a_passing_launch_failure_is_retried_with_growing_delays_and_costs_no_restart() {
    let mut world = World::new();
    world.script(
        "app",
        vec![
            Program::starved(),
            Program::starved(),
            Program::starved(),
            Program::server(),
        ],
    );
    let ticket = world.start(pm2_spec("app"));
    let message = "execve: no".to_owned();
    assert_eq!(
        world.verdict(ticket),
        Verdict::Failed(Failure::Spawn {
            message,
            retrying: true
        })
    );
    assert_eq!(world.status(0), Status::WaitingRestart);
    world.run(secs(2));
    assert_eq!(world.launches(0), [0, 105, 310, 715]);
    assert_eq!((world.status(0), world.view(0).restarts), (Status::Online, 0));
}

#[test]
fn a_program_that_is_not_there_is_given_up_like_one_that_ends_at_once() {
    let mut world = World::new();
    world.script("gone", vec![Program::missing()]);
    world.start(pm2_spec("gone"));
    world.run(secs(10));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Errored, 16));
}

#[test]
fn a_failed_launch_of_a_job_is_an_error_not_a_success() {
    let mut world = World::new();
    let mut job = spec("gone");
    job.restart.auto = false;
    world.script("gone", vec![Program::missing()]);
    let ticket = world.start(job);
    let message = "execve: no".to_owned();
    assert_eq!(
        world.verdict(ticket),
        Verdict::Failed(Failure::Spawn {
            message,
            retrying: false
        })
    );
    assert_eq!(world.status(0), Status::Errored);
}

#[test]
fn a_restart_by_hand_forgives_what_went_before() {
    let mut world = World::new();
    let mut launches = vec![Program::ending(ms(10), CRASH); 16];
    launches.push(Program::server());
    world.script("app", launches);
    world.start(pm2_spec("app"));
    world.run(secs(5));
    assert_eq!(world.status(0), Status::Errored);
    let ticket = world.restart(&[0]);
    let _ = world.reply(ticket);
    let view = world.view(0);
    assert_eq!(
        (view.status, view.restarts),
        (Status::Online, 15),
        "a start of what does not run is no restart"
    );
    assert!(view.created_at.is_some());
}

#[test]
fn max_restarts_zero_gives_up_at_the_first_exit() {
    let mut world = World::new();
    let mut spec = pm2_spec("app");
    spec.restart.limit = RestartLimit::Unstable { max_restarts: 0 };
    world.script("app", vec![Program::ending(secs(100), CRASH)]);
    world.start(spec);
    world.run(secs(200));
    assert_eq!((world.status(0), world.launches(0).len()), (Status::Errored, 1));
}

#[test]
fn the_history_tells_what_follows_each_end() {
    let mut world = World::new();
    let mut spec = pm2_spec("app");
    spec.restart.limit = RestartLimit::Unstable { max_restarts: 2 };
    spec.restart.delay = Some(ms(300));
    world.script("app", vec![Program::ending(ms(10), CRASH)]);
    world.start(spec);
    world.run(secs(5));
    let nexts: Vec<Next> = world
        .history()
        .into_iter()
        .filter_map(|what| match what {
            What::Ended { next, .. } => Some(next),
            _ => None,
        })
        .collect();
    assert_eq!(nexts, [Next::RestartIn { delay: ms(300) }, Next::Errored]);
}
