//! When an app that ended is started again, and when it is given up: PM2's rules, and the rolling budget without them.

use ostler_testkit::{Home, Manager, apps, process, sleeper};
use serde_json::{Value, json};
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

/// Starts `crash.js` with further keys. The start itself may well be told to have failed.
fn crash(home: &Home, keys: Value) {
    let mut app = json!({ "name": "crash", "script": apps::path("crash.js") });
    let Value::Object(keys) = keys else {
        unreachable!("keys are an object")
    };
    app.as_object_mut().expect("an object").extend(keys);
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(file).run();
}

fn launches(home: &Home) -> usize {
    home.out_log("crash").matches("about to end").count()
}

#[test]
fn a_killed_app_comes_back() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let before = home.pid("one");
    process::kill(before);
    home.wait_until("a successor", || {
        home.pids("one").first().is_some_and(|pid| *pid != before)
    });
    let row = home.wait_status("one", "online");
    assert_eq!(
        (row.restarts(), row.number("exit_code")),
        (1, 0),
        "a death by signal counts as exit code 0"
    );
}

#[test]
fn an_app_that_ends_at_once_is_given_up_after_sixteen_launches() {
    let home = home();
    crash(&home, json!({ "max_restarts": 16 }));
    let row = home.wait_status("crash", "errored");
    assert_eq!((row.restarts(), row.pid()), (15, 0));
    assert_eq!(row.number("exit_code"), 1);
    assert!(row.get("created_at").is_null());
    home.wait_until("the last output", || launches(&home) == 16);
}

#[test]
fn fewer_restarts_can_be_asked_for() {
    let home = home();
    crash(&home, json!({ "max_restarts": 3 }));
    let row = home.wait_status("crash", "errored");
    assert_eq!(row.restarts(), 2);
    home.wait_until("the last output", || launches(&home) == 3);
}

#[test]
fn an_app_given_up_can_be_started_again_and_has_all_its_launches_anew() {
    let home = home();
    crash(&home, json!({ "max_restarts": 3 }));
    home.wait_status("crash", "errored");
    home.run(&["restart", "crash"]);
    home.wait_until("three more launches", || launches(&home) == 6);
    home.wait_status("crash", "errored");
}

#[test]
fn stop_turns_errored_into_stopped() {
    let home = home();
    crash(&home, json!({ "max_restarts": 2 }));
    home.wait_status("crash", "errored");
    home.ok(&["stop", "crash"]);
    assert_eq!(home.status("crash"), "stopped");
}

#[test]
fn an_exit_after_min_uptime_is_no_unstable_one() {
    let home = home();
    crash(
        &home,
        json!({ "max_restarts": 2, "min_uptime": 100, "env": { "AFTER_MS": "250" } }),
    );
    home.wait_until("more launches than unstable ones are allowed", || launches(&home) >= 4);
    let row = home.row("crash");
    assert_eq!(row.number("unstable_restarts"), 0);
    assert_ne!(row.status(), "errored");
}

#[test]
fn without_autorestart_an_exit_is_the_end() {
    let home = home();
    crash(&home, json!({ "autorestart": false, "env": { "EXIT_CODE": "4" } }));
    let row = home.wait_status("crash", "stopped");
    assert_eq!((row.restarts(), row.number("exit_code"), row.pid()), (0, 4, 0));
    assert_eq!(launches(&home), 1);
}

#[test]
fn a_stop_exit_code_is_the_end_and_another_is_not() {
    let home = home();
    crash(&home, json!({ "stop_exit_codes": [4, 5], "env": { "EXIT_CODE": "5" } }));
    let row = home.wait_status("crash", "stopped");
    assert_eq!((row.restarts(), row.number("exit_code")), (0, 5));
    home.ok(&["delete", "all"]);
    crash(
        &home,
        json!({ "stop_exit_codes": [4, 5], "max_restarts": 3, "env": { "EXIT_CODE": "6" } }),
    );
    assert_eq!(home.wait_status("crash", "errored").number("exit_code"), 6);
}

#[test]
fn a_restart_waits_for_its_delay() {
    let home = home();
    crash(&home, json!({ "restart_delay": 100_000 }));
    let row = home.wait_status("crash", "waiting restart");
    assert_eq!(row.restarts(), 0);
    assert_eq!(launches(&home), 1);
}

#[test]
fn a_stop_wins_while_a_restart_delay_runs() {
    let home = home();
    crash(&home, json!({ "restart_delay": 600 }));
    home.wait_status("crash", "waiting restart");
    home.ok(&["stop", "crash"]);
    assert_eq!(home.status("crash"), "stopped");
    // Longer than the delay: an app that follows it comes and goes, the stopped one has to stay as it is.
    home.start(json!([{ "name": "clock", "script": "/bin/sleep", "args": "0.9", "interpreter": "none", "autorestart": false }]));
    home.wait_status("clock", "stopped");
    assert_eq!((home.status("crash").as_str(), launches(&home)), ("stopped", 1));
}

#[test]
fn a_restart_by_hand_does_not_wait_for_the_delay() {
    let home = home();
    crash(&home, json!({ "restart_delay": 100_000 }));
    home.wait_status("crash", "waiting restart");
    home.run(&["restart", "crash"]);
    home.wait_until("a second launch", || launches(&home) == 2);
}

#[test]
fn the_back_off_grows_by_half() {
    let home = home();
    crash(&home, json!({ "exp_backoff_restart_delay": 100 }));
    for expected in [100, 150, 225, 337, 505] {
        home.wait_until(&format!("a delay of {expected} ms"), || {
            home.row("crash").get("prev_restart_delay") == expected
        });
    }
    assert_ne!(home.status("crash"), "errored");
}

#[test]
fn without_any_of_pm2s_keys_an_app_is_never_given_up_but_restarted_ever_more_slowly() {
    let home = home();
    crash(&home, json!({}));
    home.wait_until("more launches than PM2 would make, or a back-off", || {
        launches(&home) > 16 || home.status("crash") == "waiting restart"
    });
    home.wait_status("crash", "waiting restart");
    let seen = launches(&home);
    home.wait_until("yet another launch", || launches(&home) > seen);
    assert_ne!(home.status("crash"), "errored");
}

#[test]
fn reset_sets_the_counters_back() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["restart", "one"]);
    assert_eq!(home.row("one").restarts(), 1);
    home.ok(&["reset", "one"]);
    let row = home.row("one");
    assert_eq!((row.restarts(), row.number("unstable_restarts")), (0, 0));
}

#[test]
fn an_app_over_its_memory_limit_is_restarted() {
    let home = home();
    let fixture = ostler_testkit::tools::fixture();
    home.start(json!([{
        "name": "big", "script": fixture, "interpreter": "none", "args": ["memory", "60"], "max_memory_restart": "30M",
    }]));
    home.wait_until("a restart", || home.row("big").restarts() >= 1);
    let why = home.ok(&["why", "big"]).stdout;
    assert!(why.to_lowercase().contains("memory"), "{why}");
}

#[test]
fn an_app_over_its_hard_memory_limit_is_killed_without_being_asked() {
    let home = home();
    let script = home.script(
        "deaf.sh",
        "#!/bin/sh\nmkdir once || exec sleep 1000\ntrap '' INT TERM\nexec \"$FIXTURE\" memory 60\n",
    );
    // Whoever asked and waited would wait for longer than this test does.
    home.start(json!([{
        "name": "big", "script": script, "cwd": home.work(), "env": { "FIXTURE": ostler_testkit::tools::fixture() },
        "max_memory_kill": "30M", "kill_timeout": "1h",
    }]));
    home.wait_until("a restart", || home.row("big").restarts() >= 1);
    let why = home.ok(&["why", "big"]).stdout;
    assert!(why.to_lowercase().contains("memory"), "{why}");
}

#[test]
fn cron_restarts_an_app_by_the_clock() {
    let home = home();
    let mut app = sleeper("hourly");
    app["cron_restart"] = json!("* * * * * *");
    home.start(json!([app]));
    // The first restart may come at this very moment.
    let before = home.wait_for("a process", || {
        home.pids("hourly").first().copied().filter(|pid| *pid != 0)
    });
    home.wait_until("the next second's restart", || {
        home.pids("hourly").first().is_some_and(|pid| *pid != before)
    });
    assert!(home.row("hourly").restarts() >= 1);
}

#[test]
fn a_changed_file_restarts_an_app_and_its_own_log_does_not() {
    let home = home();
    let folder = home.work().join("watched");
    home.write("watched/app.sh", "while :; do echo noise; sleep 0.02; done\n");
    home.start(json!([{
        "name": "seer", "script": "app.sh", "cwd": folder, "watch": true, "out_file": "out.log", "error_file": "error.log",
    }]));
    let before = home.pid("seer");
    home.wait_until("the log to grow", || {
        std::fs::metadata(folder.join("out.log")).is_ok_and(|file| file.len() > 60)
    });
    assert_eq!(
        (home.pid("seer"), home.row("seer").restarts()),
        (before, 0),
        "its own log restarts nothing"
    );
    home.write("watched/new/deep.txt", "one");
    home.wait_until("a restart", || home.row("seer").restarts() >= 1);
    home.wait_status("seer", "online");
    let seen = home.row("seer").restarts();
    // As editors do it: a new file renamed over the old one.
    let draft = home.write("draft", "while :; do echo other; sleep 0.02; done\n");
    std::fs::rename(draft, folder.join("app.sh")).expect("a file replaced");
    home.wait_until("another restart", || home.row("seer").restarts() > seen);
}

#[test]
fn a_restart_is_prompt() {
    let home = home();
    let stamps = home.work().join("stamps");
    let fixture = ostler_testkit::tools::fixture();
    home.start(json!([{ "name": "stamp", "script": fixture, "interpreter": "none", "args": ["stamp", stamps] }]));
    let count = || std::fs::read_to_string(&stamps).unwrap_or_default().lines().count();
    home.wait_until("the first start", || count() == 1);
    let begin = std::time::Instant::now();
    process::kill(home.pid("stamp"));
    home.wait_until("the second start", || count() == 2);
    assert!(begin.elapsed() < Duration::from_secs(2), "took {:?}", begin.elapsed());
}
