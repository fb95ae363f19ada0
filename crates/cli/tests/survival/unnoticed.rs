//! A death changes nothing: apps live on, commands are carried out, and what was to happen happens.

use crate::{Victim, home, kill_in_turn};
use ostler_testkit::torture::Random;
use ostler_testkit::{apps, free_port, http_get, process, repetitions, sleeper};
use serde_json::json;
use std::time::Duration;

fn a_kill_goes_unnoticed(victim: Victim) {
    let home = home();
    let port = free_port();
    home.call(&["start", &apps::path("server.js"), "--name", "web"])
        .env("PORT", port.to_string())
        .ok();
    home.start(json!([sleeper("one")]));
    home.wait_until("an answer", || http_get(port).is_ok());
    let (web, one) = (home.pid("web"), home.pid("one"));
    let before = home.topology();
    victim.kill(before);
    assert!(http_get(port).is_ok(), "the app answers while nobody manages it");
    home.wait_recovered(before);
    assert_eq!((home.pid("web"), home.pid("one")), (web, one));
    assert!(
        home.jlist()
            .iter()
            .all(|row| row.restarts() == 0 && row.status() == "online"),
        "{}",
        home.report()
    );
    process::kill(one);
    home.wait_until("supervision to go on", || {
        home.pids("one").first().is_some_and(|pid| *pid != one)
    });
    assert_eq!(home.row("one").restarts(), 1);
    home.ok(&["stop", "web"]);
    assert!(!process::is_alive(web));
}

#[test]
fn the_daemons_death_goes_unnoticed() {
    a_kill_goes_unnoticed(Victim::Daemon);
}

#[test]
fn the_keepers_death_goes_unnoticed() {
    a_kill_goes_unnoticed(Victim::Keeper);
}

#[test]
fn after_the_keepers_death_the_daemon_is_keeper() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let before = home.topology();
    process::kill(before.keeper);
    let after = home.wait_recovered(before);
    assert_eq!(after.keeper, before.daemon);
}

#[test]
fn a_restart_delay_goes_on_over_the_daemons_death() {
    let home = home();
    let mut app = sleeper("one");
    app["restart_delay"] = json!(1500);
    home.start(json!([app]));
    process::kill(home.pid("one"));
    home.wait_status("one", "waiting restart");
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    let row = home.wait_status("one", "online");
    assert_eq!(row.restarts(), 1);
}

#[test]
fn what_was_stopped_stays_stopped_over_the_daemons_death() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    home.ok(&["stop", "one"]);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert_eq!(
        (home.status("one").as_str(), home.status("two").as_str()),
        ("stopped", "online")
    );
}

#[test]
fn a_command_under_way_when_the_daemon_dies_is_carried_out_once() {
    let home = home();
    home.start(json!([{ "name": "deaf", "script": apps::path("stubborn.sh"), "kill_timeout": 1200 }]));
    home.wait_until("it to be deaf", || home.out_log("deaf").contains("ready"));
    let restart = home.call(&["restart", "deaf"]).spawn();
    home.wait_status("deaf", "stopping");
    let before = home.topology();
    process::kill(before.daemon);
    let output = restart.wait(Duration::from_secs(20));
    assert_eq!(output.code, Some(0), "{output}");
    let row = home.row("deaf");
    assert_eq!((row.status(), row.restarts()), ("online", 1));
}

/// Two deaths at once are beyond the promise: the apps may be orphaned. But nothing may hang, and the next command comes up.
#[test]
fn keeper_and_daemon_killed_one_right_after_the_other_leave_a_home_that_comes_up() {
    let mut random = Random::new(u64::from(std::process::id()));
    for round in 0..repetitions(6, 60) {
        let home = home();
        home.start(json!([sleeper("one")]));
        let one = home.pid("one");
        let victims = home.topology();
        let order = [[Victim::Keeper, Victim::Daemon], [Victim::Daemon, Victim::Keeper]][round % 2];
        order[0].kill(victims);
        // A random moment is the point here; nothing is waited for.
        std::thread::sleep(Duration::from_millis(random.below(40) as u64));
        order[1].kill(victims);
        let began = std::time::Instant::now();
        home.start(json!([sleeper("two")]));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(home.status("two"), "online");
        home.wait_until("one keeper and one daemon", || home.own_processes().len() == 2);
        if home.rows("one").is_empty() {
            process::kill(one);
        } else {
            assert_eq!(
                (home.pid("one"), home.row("one").restarts()),
                (one, 0),
                "{}",
                home.report()
            );
        }
    }
}

#[test]
fn descriptors_do_not_pile_up_over_many_deaths() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    // Counted once the daemon has its four log files open, which it does when there is time for it.
    let open = || {
        let topology = home.topology();
        let of_daemon = process::descriptors(topology.daemon);
        let logs = of_daemon
            .iter()
            .filter(|(_, file)| file.extension().is_some_and(|end| end == "log"));
        (logs.filter(|(_, file)| !file.ends_with("ostler.log")).count() == 4)
            .then(|| [process::descriptors(topology.keeper).len(), of_daemon.len()])
    };
    // The first two deaths bring both into the shape they have from then on.
    kill_in_turn(&home, &[Victim::Daemon, Victim::Keeper]);
    let before = home.wait_for("open log files", open);
    for _ in 0..repetitions(4, 25) {
        kill_in_turn(&home, &[Victim::Daemon, Victim::Keeper]);
        home.ok(&["restart", "one"]);
    }
    home.wait_until("as many descriptors as before", || open() == Some(before));
}
