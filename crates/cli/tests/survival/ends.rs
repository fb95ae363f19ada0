//! Who ends while nobody looks, or has lost all parents: his end is known, and all of him is ended.

use crate::{ORPHANING, Victim, home, kill_in_turn};
use ostler_testkit::{Home, process};
use serde_json::{Value, json};

/// An app that ends with code 9 as soon as a file appears, and not again.
fn waits_for(home: &Home, file: &std::path::Path) -> Value {
    let script = home.script(
        "wait.sh",
        "#!/bin/sh\nuntil [ -e \"$GO\" ]; do sleep 0.01; done\necho going\nexit 9\n",
    );
    json!({ "name": "wait", "script": script, "autorestart": false, "env": { "GO": file } })
}

fn an_exit_in_the_gap_is_known(victim: Victim) {
    let home = home();
    let go = home.work().join("go");
    home.start(json!([waits_for(&home, &go)]));
    let before = home.topology();
    victim.kill(before);
    std::fs::write(&go, "").expect("a file");
    let row = home.wait_status("wait", "stopped");
    assert_eq!((row.number("exit_code"), row.restarts(), row.pid()), (9, 0, 0));
    assert_eq!(home.out_log("wait"), "going\n");
    let why = home.ok(&["why", "wait"]).stdout;
    assert!(why.contains('9'), "{why}");
}

#[test]
fn the_exit_code_of_an_app_that_ends_while_no_daemon_lives_is_known() {
    an_exit_in_the_gap_is_known(Victim::Daemon);
}

#[test]
fn the_exit_code_of_an_app_that_ends_while_no_keeper_lives_is_known() {
    an_exit_in_the_gap_is_known(Victim::Keeper);
}

#[test]
fn the_exit_code_of_an_app_that_has_lost_all_its_parents_is_known() {
    let home = home();
    let go = home.work().join("go");
    home.start(json!([waits_for(&home, &go)]));
    kill_in_turn(&home, &ORPHANING);
    std::fs::write(&go, "").expect("a file");
    let row = home.wait_status("wait", "stopped");
    assert_eq!((row.number("exit_code"), row.restarts(), row.pid()), (9, 0, 0));
}

#[test]
fn what_an_app_has_detached_is_ended_with_it_also_when_both_have_lost_all_their_parents() {
    let home = home();
    let script = home.script(
        "detach.sh",
        "#!/bin/sh\n(trap '' INT; setsid sleep 100001 &)\n(trap '' INT; sleep 100002) &\nsleep 100000\n",
    );
    home.start(json!([{ "name": "detach", "script": script }]));
    let left = || {
        let sleeping = |process: &process::Process| process.command.contains("sleep 10000");
        home.processes().into_iter().filter(sleeping).count()
    };
    home.wait_until("all three to sleep", || left() == 3);
    kill_in_turn(&home, &ORPHANING);
    assert_eq!(left(), 3);
    home.ok(&["stop", "detach"]);
    assert_eq!(left(), 0, "{}", home.report());
}
