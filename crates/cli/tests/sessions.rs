//! Whose session and process group processes are in, what those sessions weigh, and what becomes of stopped ones when those die that are in it too.

use ostler_testkit::{Home, Manager, Signal, apps, free_port, process, sleeper};
use serde_json::{Value, json};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// Two workers of a cluster.
fn web() -> Value {
    json!({
        "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster", "env": { "PORT": free_port() },
    })
}

/// Process group and session (proc_pid_stat(5), fields 5 and 6).
fn led(pid: i32) -> (i32, i32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |at: usize| fields[at].parse().expect("a number");
    (number(2), number(3))
}

#[test]
fn each_process_leads_a_session_and_a_group_of_its_own() {
    let home = home();
    home.start(json!([web(), sleeper("alone")]));
    for pid in home.pids("web").into_iter().chain([home.pid("alone")]) {
        assert_eq!(led(pid), (pid, pid));
    }
}

/// What a process's session gives way, as sched(7) has it: `/autogroup-25 nice 3`. `None` where the kernel gives sessions no shares.
fn niceness(pid: i32) -> Option<i32> {
    let said = std::fs::read_to_string(format!("/proc/{pid}/autogroup")).ok()?;
    // The kernel's own session has no share, and nothing is said of it.
    let (_, niceness) = said.trim_end().rsplit_once(' ')?;
    Some(niceness.parse().expect("a number"))
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that has nothing to see says so")]
fn the_workers_of_a_cluster_together_weigh_one_session() {
    if niceness(std::process::id().cast_signed()).is_none() {
        return eprintln!("this kernel gives sessions no shares (CONFIG_SCHED_AUTOGROUP): there is nothing to see");
    }
    let home = home();
    let all_weigh = |workers: usize, expected: i32| {
        home.wait_until(&format!("{workers} workers give way by {expected}"), || {
            let pids = home.pids("web");
            pids.len() == workers && pids.iter().all(|pid| niceness(*pid) == Some(expected))
        });
    };
    home.start(json!([web(), sleeper("alone"), sleeper("other")]));
    all_weigh(2, 3);
    home.ok(&["reload", "web"]);
    all_weigh(2, 3);
    home.ok(&["scale", "web", "4"]);
    all_weigh(4, 6);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    all_weigh(4, 6);
    home.ok(&["scale", "web", "1"]);
    all_weigh(1, 0);
    for name in ["alone", "other"] {
        assert_eq!(niceness(home.pid(name)), Some(0), "{name} shares no port");
    }
}

/// Stopped members of a process group get SIGHUP from the kernel when the last parent of theirs outside of it and in their session ends
/// (setpgid(2), *orphaned process group*): nobody of ours may be in their session.
#[test]
fn a_worker_that_is_stopped_survives_the_daemon_and_the_keeper() {
    let home = home();
    home.start(json!([web()]));
    let pids = home.pids("web");
    process::signal(pids[0], Signal::STOP);
    for which in ["daemon", "keeper", "daemon", "keeper"] {
        let before = home.topology();
        process::kill(if which == "daemon" {
            before.daemon
        } else {
            before.keeper
        });
        home.wait_recovered(before);
        assert_eq!(home.pids("web"), pids, "the {which} was killed");
        assert_eq!(
            process::read(pids[0]).map(|stopped| stopped.state),
            Some('T'),
            "the {which} was killed"
        );
    }
    process::signal(pids[0], Signal::CONT);
}
