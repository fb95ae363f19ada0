//! Kills at random moments while everything happens at once.

use crate::{Victim, home};
use ostler_testkit::torture::Random;
use ostler_testkit::{Home, process, repetitions, sleeper, tools};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The apps that live through the storm.
struct Storm {
    launches: std::path::PathBuf,
    enough: std::path::PathBuf,
}

/// How many counting apps there are, and how many lines each writes.
const COUNTERS: usize = 3;

impl Storm {
    fn begin(home: &Home, lines: usize) -> Self {
        let storm = Self {
            launches: home.work().join("launches"),
            enough: home.work().join("enough"),
        };
        let text =
            "#!/bin/sh\necho x >> \"$LAUNCHES\"\necho launch\n[ -e \"$ENOUGH\" ] && exit 0\nsleep 0.05\nexit 5\n";
        let script = home.script("crasher.sh", text);
        let mut list = vec![sleeper("steady"), sleeper("second")];
        list.push(json!({
            "name": "crasher", "script": script, "max_restarts": 1_000_000, "stop_exit_codes": [0],
            "env": { "LAUNCHES": storm.launches, "ENOUGH": storm.enough },
        }));
        for number in 0..COUNTERS {
            list.push(json!({
                "name": format!("counter-{number}"), "script": tools::fixture(), "interpreter": "none",
                "args": ["count", lines.to_string(), "500", "3"], "autorestart": false, "log_rotate": false,
            }));
        }
        // The crasher's first verdict is a failure, as it should be.
        let file = home.ecosystem(json!(list));
        home.call(&["start"]).arg(file).run();
        storm
    }

    /// Lets the crasher end well, and checks that what it did is what is told of it.
    fn check_crasher(&self, home: &Home) {
        std::fs::write(&self.enough, "").expect("a file");
        let row = home.wait_status("crasher", "stopped");
        let launches = std::fs::read_to_string(&self.launches)
            .expect("the crasher's own account")
            .lines()
            .count();
        assert_eq!(
            row.restarts() + 1,
            launches as u64,
            "every restart counted\n{}",
            home.report()
        );
        assert_eq!(
            home.out_log("crasher"),
            "launch\n".repeat(launches),
            "every line logged"
        );
        assert_eq!(row.number("exit_code"), 0);
    }
}

fn check_counters(home: &Home, lines: usize) {
    let expected: String = (0..lines).map(|number| format!("{number}\n")).collect();
    for number in 0..COUNTERS {
        let name = format!("counter-{number}");
        let stopped = || {
            let row = home.row(&name);
            (row.status() == "stopped").then_some(row)
        };
        let row = home.wait_long(Duration::from_secs(200), &format!("{name} to end"), stopped);
        assert_eq!(
            (row.number("exit_code"), row.restarts()),
            (3, 0),
            "{name}\n{}",
            home.report()
        );
        assert!(
            home.out_log(&name) == expected,
            "{name}: no line lost or doubled\n{}",
            home.report()
        );
    }
}

/// Starts, restarts, stops and deletes an app of its own, again and again; each command must be carried out.
fn command(home: &Home, done: &AtomicBool) {
    for round in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("scratch-{round}");
        home.ok(&[
            "start",
            "/bin/sleep",
            "--name",
            &name,
            "--interpreter",
            "none",
            "--",
            "100000",
        ]);
        let first = home.pid(&name);
        home.ok(&["restart", &name]);
        let second = home.row(&name);
        assert!(
            second.pid() != first && second.restarts() == 1,
            "{name}\n{}",
            home.report()
        );
        home.ok(&["stop", &name]);
        assert_eq!(home.status(&name), "stopped");
        home.ok(&["delete", &name]);
        assert!(home.rows(&name).is_empty());
        assert!(!process::is_alive(first) && !process::is_alive(second.pid()));
        come_and_go_with_a_tree(home, round);
    }
}

/// An app that detaches one process and has another that does not hear: both end with it.
fn come_and_go_with_a_tree(home: &Home, round: usize) {
    let (name, mark) = (format!("tree-{round}"), format!("sleep 7{round:05}"));
    let text =
        format!("#!/bin/sh\n(trap '' INT; setsid {mark} &)\n(trap '' INT; exec {mark}) &\necho up\nexec {mark}\n");
    let script = home.script(&format!("{name}.sh"), &text).display().to_string();
    home.ok(&["start", &script, "--name", &name, "--kill-timeout", "100"]);
    let left = || {
        let marked = |process: &process::Process| process.command.contains(&mark);
        home.processes().into_iter().filter(marked).count()
    };
    home.wait_until("the whole tree to be there", || left() == 3);
    home.ok(&["delete", &name]);
    assert_eq!(left(), 0, "{}", process::describe(&home.processes()));
}

fn kill_again_and_again(home: &Home, kills: usize) {
    let mut random = Random::new(u64::from(std::process::id()));
    let mut topology = home.topology();
    let mut daemons = kills / 2;
    for number in 0..kills {
        // A random moment is the point here; nothing is waited for.
        std::thread::sleep(Duration::from_millis(random.below(80) as u64));
        // Half of them each, in any order.
        let victim = if random.below(kills - number) < daemons {
            daemons -= 1;
            Victim::Daemon
        } else {
            Victim::Keeper
        };
        victim.kill(topology);
        let before = topology;
        topology = home.wait_for("a new daemon", || {
            Some(home.topology()).filter(|now| now.daemon != before.daemon)
        });
    }
}

/// The full run (`cargo xtask endurance`) kills daemon and keeper 50 times each.
#[test]
fn a_storm_of_kills_loses_nothing_while_apps_start_crash_log_and_are_commanded() {
    let home = home();
    let kills = repetitions(8, 100);
    let lines = repetitions(8_000, 60_000);
    let storm = Storm::begin(&home, lines);
    let (steady, second) = (home.pid("steady"), home.pid("second"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let commander = scope.spawn(|| command(&home, &done));
        kill_again_and_again(&home, kills);
        done.store(true, Ordering::Relaxed);
        commander.join().expect("every command was carried out");
    });
    assert_eq!(
        (home.pid("steady"), home.pid("second")),
        (steady, second),
        "no app restarted that did not crash"
    );
    assert_eq!(home.row("steady").restarts() + home.row("second").restarts(), 0);
    storm.check_crasher(&home);
    check_counters(&home, lines);
    let mut names: Vec<String> = home.jlist().iter().map(|row| row.name().to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["counter-0", "counter-1", "counter-2", "crasher", "second", "steady"],
        "the list is right"
    );
    home.wait_until("one keeper and one daemon", || home.own_processes().len() == 2);
}
