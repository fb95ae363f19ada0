//! Probes by command: whom they are about, what comes of them, and that nothing of them is left.

use crate::support::{all_say, home, probe, rows, says, serving, set, wait_replaced};
use ostler_testkit::{Connections, Home, Load, Row, http_get, is_root, process, skip};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Says what is wrong with the worker it is told of, if there is a file that says so.
const ASKS: &str =
    "echo looking; [ -e $FLAGS/sick-$OSTLER_PROBED_PID ] && { echo database is locked >&2; exit 3; }; exit 0";

/// Never ends by itself, nor does what it starts: one child of its own session, one of another that has lost its parent. It writes
/// down who they are, and whether the one before it was still there.
const HANGS: &str = "#!/bin/sh
[ -e last ] && kill -0 $(cat last) 2>/dev/null && echo overlap >> overlap
echo $$ > last
sleep 100000 &
child=$!
(setsid sh -c 'echo $$ >> pids; exec sleep 100000' &)
echo $$ $child >> pids
echo waiting for the database
wait
";

fn why(row: &Row) -> String {
    row.get("health")["why"].as_str().unwrap_or_default().to_owned()
}

/// A program that does nothing, looked at.
fn sleeping(home: &Home, more: &Value) {
    let mut app = json!({ "name": "web", "script": "/bin/sleep", "args": "100000", "cwd": home.work() });
    for (key, value) in more.as_object().into_iter().flatten() {
        app[key] = value.clone();
    }
    home.start(json!([app]));
}

/// Processes that hanging commands have written down.
fn written(home: &Home) -> BTreeSet<i32> {
    let text = fs::read_to_string(home.work().join("pids")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn wait_hanging(home: &Home) -> BTreeSet<i32> {
    home.wait_for("a command to hang", || {
        Some(written(home)).filter(|pids| pids.len() >= 3 && pids.iter().all(|pid| process::is_alive(*pid)))
    })
}

fn are_gone(pids: &BTreeSet<i32>) -> bool {
    pids.iter().all(|pid| process::read(*pid).is_none())
}

#[test]
fn one_whose_command_fails_is_replaced_without_a_lost_request_and_its_last_line_says_why() {
    let home = home();
    let port = serving(&home, 2, &json!({ "health": probe(&json!({ "command": ASKS })) }));
    home.wait_until("both to be well", || all_say(&home, "healthy"));
    let before = rows(&home);
    let load = Load::begin(port, "/", 4, Connections::KeptAlive);
    home.wait_until("answers", || load.answered() > 20);
    set(&home, &format!("sick-{}", before[1].pid()), true);
    wait_replaced(&home, &before[1]);
    load.end_without_loss("a worker whose command fails is replaced");
    assert_eq!(rows(&home)[0].pid(), before[0].pid());
    let history = home.ok(&["why", "web"]).stdout;
    assert!(history.contains("database is locked (exit code 3)"), "{history}");
}

#[test]
fn one_that_is_not_ready_by_its_command_is_given_nothing_until_it_is() {
    let home = home();
    let ready = probe(&json!({ "command": "test ! -e $FLAGS/sick-$OSTLER_PROBED_PID" }));
    let port = serving(&home, 2, &json!({ "ready": ready }));
    home.wait_until("both to be ready", || all_say(&home, "ready"));
    let before = rows(&home);
    let flag = format!("sick-{}", before[0].pid());
    set(&home, &flag, true);
    home.wait_until("it to be not ready", || says(&rows(&home)[0], "ready") == Some(false));
    assert!(
        why(&rows(&home)[0]).ends_with(": exit code 1"),
        "{}",
        why(&rows(&home)[0])
    );
    for _ in 0..8 {
        let answer = http_get(port).expect("the other serves");
        assert!(answer.contains(&before[1].pid().to_string()), "{answer}");
    }
    set(&home, &flag, false);
    home.wait_until("it to be ready again", || all_say(&home, "ready"));
    assert_eq!((rows(&home)[0].pid(), rows(&home)[0].restarts()), (before[0].pid(), 0));
}

#[test]
fn one_that_hangs_is_killed_with_all_it_has_started_and_counts_as_failed() {
    let home = home();
    home.script("hang.sh", HANGS);
    let health = json!({ "command": ["./hang.sh"], "interval": 100, "timeout": 400, "failure_threshold": 1000 });
    sleeping(&home, &json!({ "health": health }));
    let pid = rows(&home)[0].pid();
    home.wait_until("it to be told", || {
        why(&rows(&home)[0]) == "`./hang.sh`: took longer than 400ms, after: waiting for the database"
    });
    home.wait_until("several looks", || written(&home).len() >= 9);
    let earlier = written(&home);
    home.wait_until("those to be gone", || are_gone(&earlier));
    assert!(
        !home.work().join("overlap").exists(),
        "one began before the one before it was gone"
    );
    let row = rows(&home).remove(0);
    assert_eq!((row.pid(), row.restarts()), (pid, 0));
    // What looks at it is no part of it.
    assert!(process::descendants(pid).is_empty());
    // The shell keeps its script open; what it starts has what we gave, and no more.
    home.wait_until("descriptors 0, 1 and 2", || {
        let pids = written(&home).into_iter();
        let sleep = |pid: &i32| process::read(*pid).is_some_and(|process| process.command.starts_with("sleep"));
        let numbers = |pid: i32| process::descriptors(pid).into_iter().map(|(number, _)| number);
        pids.filter(sleep).any(|pid| numbers(pid).eq([0, 1, 2]))
    });
    let hanging = wait_hanging_now(&home, &written(&home));
    let begun = Instant::now();
    home.ok(&["stop", "web"]);
    home.wait_until("what looked at it to be gone", || are_gone(&hanging));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(
        process::descendants(home.topology().daemon).is_empty(),
        "{}",
        home.report()
    );
}

/// Processes of a command that runs now, unlike those before.
fn wait_hanging_now(home: &Home, before: &BTreeSet<i32>) -> BTreeSet<i32> {
    home.wait_for("another to hang", || {
        let now: BTreeSet<i32> = written(home).difference(before).copied().collect();
        let alive: BTreeSet<i32> = now.into_iter().filter(|pid| process::is_alive(*pid)).collect();
        (alive.len() >= 3).then_some(alive)
    })
}

#[test]
fn a_command_that_leaves_something_behind_passes_and_that_is_ended() {
    let home = home();
    let command = "sleep 100000 & echo $! >> pids; exit 0";
    sleeping(&home, &json!({ "health": probe(&json!({ "command": command })) }));
    home.wait_until("it to be well", || all_say(&home, "healthy"));
    let left = written(&home);
    home.wait_until("what it has left to be gone", || !left.is_empty() && are_gone(&left));
    let daemon = home.topology().daemon;
    home.wait_until("several looks", || written(&home).len() >= 4);
    home.wait_until("nobody to be left unreaped", || {
        process::descendants(daemon).iter().all(|process| process.state != 'Z')
    });
}

#[test]
fn a_command_runs_as_the_apps_user_where_it_runs_with_its_environment_and_nothing_of_ours() {
    let home = home();
    let work = home.work();
    for directory in [work.parent().expect("it lies below another"), &work] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("ours");
    }
    let script = r#"#!/bin/sh
[ -e said ] && exit 0
{
    id -un
    pwd
    echo $OSTLER_PROBED_PID $pm_id $NODE_APP_INSTANCE $COLOUR "$1"
    readlink /proc/$$/fd/0
    tr '\0' '\n' < /proc/$$/environ | grep -c -e ^OSTLER_WORKER= -e ^NODE_CHANNEL_FD=
} > saying
mv saying said
"#;
    home.script("tell.sh", script);
    let health = probe(&json!({ "command": ["./tell.sh", "a  b"] }));
    let mut app = json!({ "health": health, "env": { "COLOUR": "blue" } });
    let user = match is_root() {
        true => {
            app["user"] = "nobody".into();
            "nobody".to_owned()
        }
        false => {
            skip("a command as another user", "that takes root");
            let name = home.program("id").args(&["-un"]).ok();
            name.stdout.trim().to_owned()
        }
    };
    sleeping(&home, &app);
    home.wait_until("it to be well", || all_say(&home, "healthy"));
    let said = fs::read_to_string(work.join("said")).expect("it was told");
    let row = rows(&home).remove(0);
    let place = fs::canonicalize(&work).expect("it is there");
    let expected = [
        user,
        place.display().to_string(),
        format!("{} {} 0 blue a  b", row.pid(), row.id()),
        "/dev/null".to_owned(),
    ];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..4], expected, "{said}");
    assert_eq!(lines[4], "0", "{said}");
}

#[test]
fn of_a_killed_daemons_commands_nothing_is_left_and_its_successor_goes_on_looking() {
    let home = home();
    home.script("hang.sh", HANGS);
    let health = json!({ "command": "./hang.sh; true", "interval": 100, "timeout": "60s" });
    sleeping(&home, &json!({ "health": health }));
    let pid = rows(&home)[0].pid();
    let hanging = wait_hanging(&home);
    let topology = home.topology();
    process::kill(topology.daemon);
    home.wait_until("what it had begun to be gone", || are_gone(&hanging));
    let now = wait_hanging_now(&home, &hanging);
    assert!(!home.work().join("overlap").exists(), "the successor began too early");
    assert_eq!(rows(&home)[0].pid(), pid);
    // The same for a keeper: its daemon takes its place, and starts another.
    let topology = home.topology();
    process::kill(topology.keeper);
    home.wait_until("what was begun to be gone", || are_gone(&now));
    let earlier = hanging.union(&now).copied().collect();
    let last = wait_hanging_now(&home, &earlier);
    assert_eq!(rows(&home)[0].pid(), pid);
    home.ok(&["kill"]);
    home.wait_until("nothing to be left", || are_gone(&last) && home.processes().is_empty());
}

#[test]
fn a_flood_of_output_is_bounded_and_a_program_that_is_not_there_is_named() {
    let home = home();
    let health = json!({ "command": "yes flood", "interval": 100, "timeout": 500, "failure_threshold": 1000 });
    let ready = json!({ "command": ["no-such-program"], "interval": 100, "failure_threshold": 2 });
    let app = json!({
        "name": "web", "script": "/bin/sleep", "args": "100000", "cwd": home.work(), "health": health, "ready": ready, "listen_timeout": 500,
    });
    let file = home.ecosystem(json!([app]));
    let start = home.run(&["start", &file.to_string_lossy()]);
    assert_ne!(start.code, Some(0), "{}", start.stdout);
    assert!(start.stderr.contains("no-such-program"), "{}", start.stderr);
    let flooded = "`yes flood`: took longer than 500ms, after: flood";
    home.wait_until("it to be told", || why(&rows(&home)[0]) == flooded);
    let daemon = home.topology().daemon;
    let (spent, begun, mut seen) = (process::cpu_time(daemon), Instant::now(), BTreeSet::new());
    home.wait_until("more of it", || {
        let below = process::descendants(daemon).into_iter();
        seen.extend(
            below
                .filter(|process| process.command == "yes flood")
                .map(|process| process.pid),
        );
        seen.len() >= 4
    });
    let (spent, took) = (process::cpu_time(daemon) - spent, begun.elapsed());
    assert!(spent < took.mul_f64(0.3), "reading takes {spent:?} of {took:?}");
}
