//! Any one process of ours may be SIGKILLed at any moment, and no app notices.

use ostler_testkit::torture::Random;
use ostler_testkit::{Home, Manager, Topology, apps, free_port, http_get, process, repetitions, sleeper, tools};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Daemon,
    Keeper,
}

impl Victim {
    fn kill(self, of: Topology) {
        match self {
            Self::Daemon => process::kill(of.daemon),
            Self::Keeper => process::kill(of.keeper),
        };
    }
}

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

/// Kills one after the other, each time once the last one has been replaced.
fn kill_in_turn(home: &Home, victims: &[Victim]) {
    for victim in victims {
        let before = home.topology();
        victim.kill(before);
        home.wait_recovered(before);
    }
}

/// After these a worker of the first daemon is nobody's child that we know: it fell to the first keeper and then to init.
const ORPHANING: [Victim; 3] = [Victim::Daemon, Victim::Keeper, Victim::Daemon];

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
