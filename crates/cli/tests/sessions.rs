//! Whose session and process group processes are in, and what becomes of stopped ones when those die that are in it too.

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
