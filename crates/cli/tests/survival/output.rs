//! What apps write, and who follows it.

use crate::{ORPHANING, home, kill_in_turn};
use ostler_testkit::{process, tools};
use serde_json::json;

#[test]
fn a_follower_of_logs_goes_on_over_the_daemons_death() {
    let home = home();
    let fixture = tools::fixture();
    home.start(json!([{
        "name": "count", "script": fixture, "interpreter": "none", "args": ["count", "3000", "1000"], "autorestart": false,
    }]));
    let follower = home.call(&["logs", "count", "--raw", "--lines", "100000"]).spawn();
    home.wait_until("the first lines", || follower.stdout().lines().count() > 100);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_until("the last line", || follower.stdout().lines().any(|line| line == "2999"));
    let numbers: Vec<usize> = follower.stdout().lines().filter_map(|line| line.parse().ok()).collect();
    assert!(
        numbers.iter().copied().eq(0..3000),
        "each line once, in order: {} lines",
        numbers.len()
    );
}

#[test]
fn who_follows_a_log_sees_each_line_once_while_daemons_die_and_files_are_rotated() {
    let home = home();
    let script = home.script("long.sh", "#!/bin/sh\nexec \"$FIXTURE\" count 20000 100\n");
    home.start(json!([{
        "name": "count", "script": script, "env": { "FIXTURE": tools::fixture() }, "autorestart": false,
        "log_rotate": { "max_size": "4K", "keep": 1000 },
    }]));
    let follower = home.call(&["logs", "count", "--raw", "--lines", "0"]).spawn();
    home.wait_until("the first lines", || follower.stdout().lines().count() > 10);
    let mut kills = 0;
    while home.row("count").status() == "online" {
        let before = home.topology();
        process::kill(before.daemon);
        kills += 1;
        home.wait_recovered(before);
        let lines = follower.stdout().lines().count();
        home.wait_until("more lines, or the end", || {
            follower.stdout().lines().count() > lines || home.row("count").status() != "online"
        });
    }
    home.wait_until("the run's end", || {
        follower.stdout().lines().any(|line| line == "19999")
    });
    let text = follower.stdout();
    let seen: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let first = seen[0];
    assert!(
        seen.iter().copied().eq(first..20_000),
        "each line once and in order, from {first} on: {} of {}, {kills} kills, {}",
        seen.len(),
        20_000 - first,
        follower.stderr()
    );
    assert!(kills > 1, "there was time for some");
}

#[test]
fn what_a_grandchild_writes_after_its_app_has_ended_is_logged_over_every_death() {
    let home = home();
    let go = home.work().join("go");
    let text = "#!/bin/sh\n(until [ -e \"$GO\" ]; do sleep 0.02; done; echo late; echo later) &\necho early\n";
    let script = home.script("leave.sh", text);
    home.start(json!([{
        "name": "leave", "script": script, "autorestart": false, "treekill": false, "env": { "GO": go },
    }]));
    home.wait_status("leave", "stopped");
    kill_in_turn(&home, &ORPHANING);
    std::fs::write(&go, "").expect("a file");
    home.wait_until("its last words", || home.out_log("leave").contains("later"));
    assert_eq!(home.out_log("leave"), "early\nlate\nlater\n");
}
