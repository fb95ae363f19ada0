//! Under a service manager: who is its main process, when it is told that we are ready, and that it hears of us.

use ostler_testkit::{Home, Manager, Running, ServiceManager, Signal, Topology, process, sleeper};
use serde_json::json;
use std::time::Duration;

const WATCHDOG: Duration = Duration::from_millis(600);

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// A home whose saved list has two apps, and a service that has restored it.
fn started() -> (Home, ServiceManager, Running) {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    home.ok(&["save"]);
    home.ok(&["kill"]);
    let manager = ServiceManager::of(&home);
    let service = manager.start(home.call(&["daemon", "--resurrect"]), WATCHDOG);
    home.wait_until("READY=1", || manager.count("READY=1") > 0);
    (home, manager, service)
}

/// The daemon after this one, and its keeper.
fn next(home: &Home, before: Topology) -> Topology {
    home.wait_for("the next daemon", || {
        Some(home.topology()).filter(|now| now.daemon != before.daemon)
    })
}

#[test]
fn it_is_ready_when_the_saved_list_is_up_and_the_daemon_is_the_main_process() {
    let (home, manager, service) = started();
    let rows = home.jlist();
    assert_eq!(rows.len(), 2, "{}", home.report());
    assert!(rows.iter().all(|row| row.status() == "online"), "{}", home.report());
    let told = home.topology();
    assert_eq!(told.keeper, service.pid());
    assert_eq!(manager.main_process(), Some(told.daemon));
    home.wait_until("the status", || manager.count("STATUS=2 of 2 processes online") > 0);
}

#[test]
fn whoever_is_killed_the_main_process_is_the_daemon_that_lives() {
    let (home, manager, _service) = started();
    let pids = (home.pid("one"), home.pid("two"));
    for _ in 0..2 {
        for keeper in [false, true] {
            let before = home.topology();
            process::kill(if keeper { before.keeper } else { before.daemon });
            let after = next(&home, before);
            home.wait_until("the new main process", || manager.main_process() == Some(after.daemon));
        }
    }
    assert_eq!((home.pid("one"), home.pid("two")), pids);
    let restored = home.ok(&["why", "one"]).stdout;
    assert_eq!(home.row("one").restarts(), 0, "{restored}");
}

#[test]
fn what_was_deleted_is_not_restored_by_the_next_daemon() {
    let (home, _manager, _service) = started();
    home.ok(&["delete", "two"]);
    let before = home.topology();
    process::kill(before.daemon);
    next(&home, before);
    assert_eq!(home.jlist().len(), 1, "{}", home.report());
}

#[test]
fn a_daemon_that_hangs_falls_silent() {
    let (home, manager, _service) = started();
    let heard = manager.count("WATCHDOG=1");
    home.wait_until("the watchdog to be fed", || manager.count("WATCHDOG=1") > heard + 2);
    let daemon = home.topology().daemon;
    let fed: Vec<_> = manager
        .said()
        .into_iter()
        .filter(|said| said.value("WATCHDOG").is_some())
        .collect();
    assert!(fed.iter().all(|said| said.by == daemon), "{fed:?}");
    process::signal(daemon, Signal::STOP);
    home.wait_until("silence", || {
        manager
            .said()
            .last()
            .is_some_and(|said| said.at.elapsed() > 2 * WATCHDOG)
    });
    // What systemd does then.
    process::kill(daemon);
    let next = home.topology().daemon;
    home.wait_until("the next one to be heard", || {
        let said = manager.said();
        said.iter()
            .any(|said| said.by == next && said.value("WATCHDOG").is_some())
    });
}

#[test]
fn a_service_that_is_started_again_attaches_to_the_daemon_that_runs() {
    let (home, manager, _service) = started();
    let (before, one) = (home.topology(), home.pid("one"));
    let ready = manager.count("READY=1");
    let again = manager.start(home.call(&["daemon", "--resurrect"]), WATCHDOG);
    let number = again.pid();
    let output = again.wait(Duration::from_secs(20));
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!((home.topology(), home.pid("one")), (before, one));
    let said = manager.said();
    let last = said
        .iter()
        .rfind(|said| said.by == number && said.value("READY").is_some());
    let daemon = before.daemon.to_string();
    assert_eq!(
        last.and_then(|said| said.value("MAINPID")),
        Some(daemon.as_str()),
        "{said:?}"
    );
    assert_eq!(manager.count("READY=1"), ready + 1);
}

#[test]
fn an_end_on_purpose_is_told_and_the_keeper_is_waited_for() {
    let (home, manager, service) = started();
    let told = home.topology();
    home.ok(&["kill"]);
    let output = service.wait(Duration::from_secs(20));
    assert_eq!(output.code, Some(0), "{output}");
    home.wait_until("the end to be told", || manager.count("STOPPING=1") == 1);
    assert_eq!(manager.main_process(), Some(told.keeper));
}

#[test]
fn apps_and_daemons_of_others_do_not_speak_to_the_service_manager() {
    let (home, _manager, _service) = started();
    for name in [&b"NOTIFY_SOCKET"[..], b"WATCHDOG_USEC"] {
        assert!(process::environment_contains(home.topology().daemon, name));
        assert!(!process::environment_contains(home.pid("one"), name));
    }
    let other = self::home();
    let manager = ServiceManager::of(&other);
    let start = other.call(&[
        "start",
        "/bin/sleep",
        "--interpreter",
        "none",
        "--name",
        "x",
        "--",
        "1000",
    ]);
    let output = manager.start(start, WATCHDOG).wait(Duration::from_secs(20));
    assert_eq!(output.code, Some(0), "{output}");
    for pid in [other.topology().daemon, other.topology().keeper, other.pid("x")] {
        assert!(!process::environment_contains(pid, b"NOTIFY_SOCKET"));
        assert!(!process::environment_contains(pid, b"WATCHDOG_USEC"));
    }
    assert_eq!(manager.said(), []);
}

#[test]
fn what_is_left_when_both_were_killed_is_ended_before_its_app_is_started_again() {
    let (home, manager, service) = started();
    let before = home.topology();
    let pids = [home.pid("one"), home.pid("two")];
    process::signal(before.daemon, Signal::STOP);
    process::kill(before.keeper);
    process::kill(before.daemon);
    drop(service);
    for pid in pids {
        assert!(process::is_alive(pid), "apps outlive both");
    }
    let _service = manager.start(home.call(&["daemon", "--resurrect"]), WATCHDOG);
    home.wait_until("a new service", || {
        manager.main_process().is_some_and(|pid| pid != before.daemon)
    });
    assert!(pids.iter().all(|pid| !process::is_alive(*pid)), "{}", home.report());
    assert_eq!(home.jlist().len(), 2);
}

#[test]
fn what_an_app_says_of_itself_is_shown_also_by_the_next_daemon() {
    let home = home();
    let script = home.write(
        "says.py",
        "import os, socket, time\n\
         manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         manager.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])\n\
         manager.send(b'STATUS=warming up')\n\
         manager.send(b'READY=1\\nSTATUS=serving 3 rooms')\n\
         time.sleep(1000)\n",
    );
    home.start(json!([{ "name": "says", "script": script, "interpreter": "python3", "wait_ready": true }]));
    let shown = || home.ok(&["describe", "says"]).stdout;
    home.wait_until("the status", || shown().contains("serving 3 rooms"));
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert!(shown().contains("serving 3 rooms"), "{}", shown());
    process::kill(home.pid("says"));
    home.ok(&["stop", "says"]);
    assert!(!shown().contains("serving 3 rooms"), "{}", shown());
}
