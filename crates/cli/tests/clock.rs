//! What happens when the wall clock is set: what is to happen at a time of day moves, what is to happen after some time
//! does not.

use ostler_testkit::{Home, Manager, ShiftedClock, process, skip, sleeper, tools};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

/// A home whose daemon has a clock of its own and runs these apps, or a visible remark that this test could not run.
fn started(test: &str, apps: Value) -> Option<(Home, ShiftedClock)> {
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let clock = ShiftedClock::new(&home).map_err(|reason| skip(test, &reason)).ok()?;
    clock.around(home.call(&["start"])).arg(home.ecosystem(apps)).ok();
    Some((home, clock))
}

/// Whether the daemon's own log has told of it.
fn is_told(home: &Home, by: &str) -> bool {
    home.read("ostler.log").contains(&format!("the clock was set by {by}"))
}

/// How many seconds it is until the next noon (UTC) but one, so that it does not come by itself during the test.
fn until_noon_after_next() -> i64 {
    (DAY / 2 - ShiftedClock::machine()).rem_euclid(DAY) + DAY
}

#[test]
fn a_clock_set_forward_brings_the_time_of_cron() {
    let mut app = sleeper("nightly");
    app["cron_restart"] = json!("0 12 * * *");
    let Some((home, clock)) = started(
        "a_clock_set_forward_brings_the_time_of_cron",
        json!([app, sleeper("other")]),
    ) else {
        return;
    };
    let before = (home.pid("nightly"), home.pid("other"));
    clock.shift(until_noon_after_next() - 2);
    home.wait_until("cron's restart", || home.row("nightly").restarts() == 1);
    home.wait_status("nightly", "online");
    let why = home.ok(&["why", "nightly"]).stdout;
    assert!(why.contains("cron"), "{why}");
    assert_ne!(home.pid("nightly"), before.0);
    assert_eq!((home.pid("other"), home.row("other").restarts()), (before.1, 0));
    assert!(is_told(&home, "+"), "{}", home.read("ostler.log"));
}

#[test]
fn a_clock_set_back_delays_nothing_that_was_due_after_some_time() {
    let mut crashing = sleeper("crashing");
    crashing["restart_delay"] = json!(300);
    let counting = json!({
        "name": "counting", "script": tools::fixture(), "interpreter": "none", "args": ["count", "100000000", "200"],
        "log_date_format": "YYYY-MM-DD HH:mm:ss",
    });
    let Some((home, clock)) = started(
        "a_clock_set_back_delays_nothing_that_was_due_after_some_time",
        json!([crashing, counting]),
    ) else {
        return;
    };
    let before = (home.pid("crashing"), home.pid("counting"));
    clock.shift(-30 * DAY);
    home.wait_until("a word about it", || is_told(&home, "-"));
    process::kill(before.0);
    home.wait_until("a successor", || {
        home.pids("crashing").first().is_some_and(|pid| *pid != before.0)
    });
    let lines = home.out_log("counting").lines().count();
    home.wait_until("the log to go on", || {
        home.out_log("counting").lines().count() > lines + 10
    });
    let numbers: Vec<String> = home
        .out_log("counting")
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned())
        .collect();
    let wanted: Vec<String> = (0..numbers.len()).map(|number| number.to_string()).collect();
    // The last line may be half written.
    assert_eq!(numbers[..numbers.len() - 1], wanted[..wanted.len() - 1]);
    assert_eq!((home.pid("counting"), home.row("counting").restarts()), (before.1, 0));
    assert!(!home.ok(&["list"]).stdout.contains('-'), "no time counts backwards");
}
