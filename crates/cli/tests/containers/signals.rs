//! What signals to a container do.

use crate::{begin, home, job, up};
use ostler_testkit::{Connections, DEADLINE, Home, Load, Running, Signal, free_port, http_get, process, sleeper};
use serde_json::json;

/// Two workers of a server that does this for each request, when it is first answered; and their port.
fn serving(home: &Home, answering: &str) -> (Running, u16) {
    let port = free_port();
    let script = format!("require('http').createServer((_, answer) => {{ {answering} }}).listen(process.env.PORT)");
    let server = home.write("server.js", script);
    let call = home.call(&["runtime"]).arg(server).args(&["-i", "2"]);
    let running = call.env("PORT", port.to_string()).spawn();
    home.wait_until("an answer", || http_get(port).is_ok());
    (running, port)
}

#[test]
fn commands_beside_it_work_and_a_hangup_reloads() {
    let home = home();
    let ticking = "trap 'echo told' USR1; while :; do echo tick; sleep 0.1; done";
    let mut app = job("one", ticking);
    app["autorestart"] = true.into();
    let running = begin(&home, json!([app]), &[]);
    let pid = up(&home, "one");
    let logs = home.call(&["logs", "one", "--raw"]).spawn();
    home.wait_until("its lines beside it", || {
        logs.stdout().contains("tick") && running.stdout().contains("tick")
    });
    assert!(home.ok(&["list"]).stdout.contains("one"));
    process::signal(running.pid(), Signal::USR1);
    home.wait_until("the app to be told", || running.stdout().contains("told"));
    process::signal(running.pid(), Signal::HUP);
    let next = home.wait_for("another process", || {
        Some(home.row("one").pid()).filter(|now| *now != pid && *now != 0)
    });
    home.wait_status("one", "online");
    home.ok(&["reload", "one"]);
    assert_ne!(home.row("one").pid(), next);
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
}

#[test]
fn requests_under_way_are_answered_before_it_ends() {
    let home = home();
    let (running, port) = serving(&home, "console.log('asked'); setTimeout(() => answer.end('done'), 700)");
    let asked = || running.stdout().matches("asked").count();
    let before = asked();
    let clients: Vec<_> = (0..20).map(|_| std::thread::spawn(move || http_get(port))).collect();
    home.wait_until("all requests to be under way", || asked() == before + 20);
    process::signal(running.pid(), Signal::TERM);
    for client in clients {
        let answer = client.join().expect("the client does not panic");
        assert_eq!(answer.expect("an answer"), "done");
    }
    assert_eq!(running.wait(DEADLINE).code, Some(0));
    assert!(http_get(port).is_err());
}

#[test]
fn a_second_signal_does_not_wait_and_a_deadline_neither() {
    let stubborn = || {
        let mut app = job("stubborn", "trap '' INT TERM; while :; do sleep 1; done");
        app["kill_timeout"] = 600_000.into();
        json!([app])
    };
    let home = home();
    let running = begin(&home, stubborn(), &["--shutdown-timeout", "10m"]);
    up(&home, "stubborn");
    process::signal(running.pid(), Signal::TERM);
    home.wait_status("stubborn", "stopping");
    process::signal(running.pid(), Signal::TERM);
    let output = running.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("SIGTERM again"), "{output}");
    let running = begin(&home, stubborn(), &["--shutdown-timeout", "300"]);
    up(&home, "stubborn");
    process::signal(running.pid(), Signal::INT);
    let output = running.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn apps_do_not_notice_that_the_daemon_was_killed() {
    let home = home();
    let running = begin(&home, json!([sleeper("one")]), &[]);
    let pid = up(&home, "one");
    let before = home.topology();
    assert_eq!(before.keeper, running.pid(), "the foreground process is the keeper");
    process::signal(before.daemon, Signal::KILL);
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
    assert_eq!(home.row("one").pid(), pid);
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
}

#[test]
fn under_load_nothing_that_was_accepted_is_lost() {
    let home = home();
    let (running, port) = serving(&home, "setTimeout(() => answer.end('done'), Math.random() * 20)");
    let loads = [Connections::KeptAlive, Connections::Fresh].map(|kind| Load::begin(port, "/", 4, kind));
    home.wait_until("load", || loads.iter().all(|load| load.answered() > 100));
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
    for report in loads.map(Load::end) {
        // Whoever comes later is refused, and goes elsewhere.
        let lost: Vec<&String> = report.lost.iter().filter(|why| !why.contains("refused")).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", report.answered);
    }
}
