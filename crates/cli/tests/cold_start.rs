//! However many commands start a daemon at once, there is one keeper, one daemon, and every app once.

use ostler_testkit::{DEADLINE, Home, Manager, Running, process, sleeper};
use serde_json::json;

/// How many commands at once.
const CROWD: usize = 20;

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

fn all_end_well(crowd: Vec<Running>) {
    for command in crowd {
        let output = command.wait(DEADLINE * 2);
        assert_eq!(output.code, Some(0), "{output}");
    }
}

fn one_keeper_and_one_daemon(home: &Home) {
    let topology = home.topology();
    let mut own: Vec<i32> = home.own_processes().iter().map(|process| process.pid).collect();
    own.sort_unstable();
    let mut expected = [topology.keeper, topology.daemon];
    expected.sort_unstable();
    assert_eq!(own, expected, "{}", process::describe(&home.own_processes()));
}

#[test]
fn twenty_starts_of_twenty_apps_give_each_once() {
    let home = home();
    let start = |number: usize| {
        let name = format!("app-{number}");
        home.call(&[
            "start",
            "/bin/sleep",
            "--name",
            &name,
            "--interpreter",
            "none",
            "--",
            "100000",
        ])
        .spawn()
    };
    all_end_well((0..CROWD).map(start).collect());
    one_keeper_and_one_daemon(&home);
    let rows = home.jlist();
    assert_eq!(rows.len(), CROWD, "{}", home.report());
    assert!(
        rows.iter().all(|row| row.status() == "online" && row.restarts() == 0),
        "{}",
        home.report()
    );
    let mut names: Vec<&str> = rows.iter().map(ostler_testkit::Row::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CROWD);
}

#[test]
fn twenty_starts_of_one_file_give_each_of_its_apps_once() {
    let home = home();
    let file = home.ecosystem(json!([sleeper("one"), sleeper("two"), sleeper("three")]));
    all_end_well((0..CROWD).map(|_| home.call(&["start"]).arg(&file).spawn()).collect());
    one_keeper_and_one_daemon(&home);
    let rows = home.jlist();
    assert_eq!(rows.len(), 3, "{}", home.report());
    assert!(rows.iter().all(|row| row.status() == "online"), "{}", home.report());
    let sleeping = home
        .processes()
        .iter()
        .filter(|process| process.command.contains("sleep 100000"))
        .count();
    assert_eq!(sleeping, 3, "no process beside the listed ones\n{}", home.report());
}

#[test]
fn a_stale_socket_is_replaced() {
    let home = home();
    std::fs::create_dir_all(home.path()).expect("a home");
    drop(std::os::unix::net::UnixListener::bind(home.path().join("ostler.sock")).expect("a socket nobody serves"));
    assert_eq!(home.ok(&["jlist"]).stdout.trim_end(), "[]");
    home.start(json!([sleeper("one")]));
    assert_eq!(home.status("one"), "online");
}

#[test]
fn a_daemon_starts_again_after_keeper_and_daemon_were_both_killed() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let pid = home.pid("one");
    let topology = home.topology();
    process::kill(topology.keeper);
    process::kill(topology.daemon);
    home.wait_until("nothing of the manager to be left", || {
        !process::is_alive(topology.keeper) && !process::is_alive(topology.daemon)
    });
    // Both at once is beyond the promise; the next command has to come up all the same, and to say what it found.
    let started = home.start(json!([sleeper("two")]));
    assert!(started.stderr.contains(&format!("`kill {pid}`")), "{started}");
    assert_eq!(home.status("two"), "online");
    process::kill(pid);
}

#[test]
fn the_command_that_started_the_daemon_leaves_it_nothing_of_its_terminal() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let topology = home.topology();
    for pid in [topology.keeper, topology.daemon] {
        let process = process::read(pid).expect("it lives");
        assert_ne!(
            process.parent,
            i32::try_from(std::process::id()).expect("a process id fits")
        );
        for (number, target) in process::descriptors(pid) {
            let tied = number <= 2 && target.to_string_lossy().starts_with("pipe:");
            assert!(
                !tied,
                "descriptor {number} of {} leads to {}",
                process.command,
                target.display()
            );
        }
    }
}

#[test]
fn a_daemon_that_an_app_has_started_is_no_part_of_that_app() {
    let (outer, inner) = (home(), home());
    let script = outer.script(
        "starter.sh",
        "#!/bin/sh\nexec 9>\"$PWD/held\"\nOSTLER_HOME=\"$INNER\" \"$OSTLER\" start /bin/sleep --name deep --interpreter none -- 100000\n\
         echo started\nexec sleep 100000\n",
    );
    let ostler = env!("CARGO_BIN_EXE_ostler");
    outer.start(json!([{ "name": "starter", "script": script, "env": { "INNER": inner.path(), "OSTLER": ostler } }]));
    outer.wait_until("the inner app to be started", || {
        outer.out_log("starter").contains("started")
    });
    let (deep, before) = (inner.pid("deep"), inner.topology());
    outer.ok(&["delete", "starter"]);
    assert_eq!((inner.pid("deep"), inner.topology()), (deep, before), "it lives on");
    for pid in [before.keeper, before.daemon, deep] {
        let held = process::descriptors(pid)
            .into_iter()
            .find(|(_, target)| target.ends_with("held"));
        assert_eq!(held, None, "what the caller left open is not inherited");
    }
}

#[test]
fn a_start_right_after_a_kill_comes_up() {
    let home = home();
    for _ in 0..10 {
        home.start(json!([sleeper("one")]));
        let kill = home.call(&["kill"]).spawn();
        let start = home
            .call(&["start"])
            .arg(home.ecosystem(json!([sleeper("one")])))
            .spawn();
        assert_eq!(kill.wait(DEADLINE).code, Some(0));
        // It may have been in time for the old daemon, which then refused or ended it; what counts is that it does not hang,
        // and that the next one comes up.
        drop(start.wait(DEADLINE * 2));
        home.start(json!([sleeper("one")]));
        assert_eq!(home.status("one"), "online");
    }
}
