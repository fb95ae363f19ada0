//! The inspector speaks as long as somebody wants it to, and no longer.

use crate::support::{home, open_shop, wait_another};
use ostler_testkit::{DEADLINE, Home, Running, Signal, Visitor, WebSocket, free_port, http_get, process};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// The port of an inspector, once its address is told.
fn told(home: &Home, inspecting: &Running) -> u16 {
    let port = home.wait_for("its address", || {
        let (told, beside) = (inspecting.stdout(), inspecting.stderr());
        assert!(!beside.contains("error:"), "{beside}");
        let (first, second) = told.split_once('\n')?;
        second.contains("devtools://").then_some(())?;
        assert!(
            second.ends_with(&format!("{}\n", first.strip_prefix("ws://")?)),
            "{told}"
        );
        first.strip_prefix("ws://127.0.0.1:")?.split_once('/')?.0.parse().ok()
    });
    home.wait_until("its warning", || inspecting.stderr().contains("any code"));
    port
}

fn speaks(port: u16) -> bool {
    let list = Visitor::at(port).and_then(|mut visitor| visitor.get("/json/list")).ok();
    let list: Option<Value> = list.and_then(|text| serde_json::from_str(&text).ok());
    list.is_some_and(|list| {
        list[0]["webSocketDebuggerUrl"]
            .as_str()
            .is_some_and(|url| url.starts_with("ws://"))
    })
}

/// A debugger that stops the program and says no more, whatever it is told.
fn attach(inspecting: &Running, port: u16) -> WebSocket {
    let told = inspecting.stdout();
    let path = told
        .lines()
        .next()
        .and_then(|url| url.rsplit_once('/'))
        .expect("an address")
        .1;
    let mut debugger = WebSocket::open_at(Ipv4Addr::LOCALHOST, port, &format!("/{path}")).expect("it may");
    debugger.say(r#"{"id":1,"method":"Debugger.enable"}"#).expect("said");
    debugger.say(r#"{"id":2,"method":"Debugger.pause"}"#).expect("said");
    debugger
}

/// Whether a worker does not answer, since it is stopped.
fn stands(port: u16) -> bool {
    let mut visitor = Visitor::at(port).expect("connected");
    visitor.ask("/").expect("asked");
    visitor.answer_within(Duration::from_millis(300)).is_none()
}

fn is_closed(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

/// Until nobody speaks at the port any more, since nobody has said that he wants it for a while.
fn wait_lease(home: &Home, port: u16) {
    home.wait_long(Duration::from_secs(40), "the lease to run out", || {
        is_closed(port).then_some(())
    });
}

fn assert_next_may(home: &Home) {
    let next = home.call(&["inspect", "shop"]).spawn();
    assert!(speaks(told(home, &next)), "the next one may");
}

#[test]
fn it_speaks_on_the_loopback_until_ctrl_c() {
    for mode in ["fork", "cluster"] {
        let home = home();
        let serves = open_shop(
            &home,
            &json!({ "exec_mode": mode, "instances": 2, "increment_var": "PORT" }),
        );
        let wanted = free_port();
        let inspecting = home.call(&["inspect", "0", "--port", &wanted.to_string()]).spawn();
        let port = told(&home, &inspecting);
        assert_eq!(port, wanted, "{mode}");
        assert!(speaks(port), "{mode}");
        let output = home.call(&["inspect", "0"]).fails();
        assert!(
            output.stderr.contains("is being inspected already at ws://"),
            "{mode}: {output}"
        );
        // Another one can be inspected, and one that is can be profiled.
        let other = home.call(&["inspect", "1"]).spawn();
        assert!(speaks(told(&home, &other)), "{mode}");
        home.ok(&["profile", "0", "--cpu", "1s"]);
        process::signal(inspecting.pid(), Signal::INT);
        let output = inspecting.wait(DEADLINE);
        assert_eq!(output.code, Some(0), "{mode}: {output}");
        home.wait_until("it to be closed", || is_closed(port));
        assert!(http_get(serves).is_ok(), "{mode}: it serves on");
        process::signal(other.pid(), Signal::TERM);
        assert_eq!(other.wait(DEADLINE).code, Some(0), "{mode}");
        assert!(home.rows("shop").iter().all(|row| row.restarts() == 0), "{mode}");
    }
}

#[test]
fn a_debugger_that_does_not_say_goodbye_is_cut_off_and_no_probe_has_its_worker_replaced() {
    for (mode, paused) in [("fork", false), ("cluster", true)] {
        let home = home();
        let health = json!({ "heartbeat": true, "interval": 200, "timeout": 300, "failure_threshold": 2 });
        let serves = open_shop(&home, &json!({ "exec_mode": mode, "health": health }));
        home.wait_until("it to be well", || home.row("shop").get("health")["healthy"] == true);
        let pid = home.pid("shop");
        let inspecting = home.call(&["inspect", "shop"]).spawn();
        let port = told(&home, &inspecting);
        let mut debugger = attach(&inspecting, port);
        let since = Instant::now();
        // Longer than its probe would have needed to have it replaced.
        home.wait_until("it to stand for a while", || {
            stands(serves) && since.elapsed() > Duration::from_secs(4)
        });
        if !paused {
            debugger.say(r#"{"id":3,"method":"Debugger.resume"}"#).expect("said");
            home.wait_until("it to go on", || !stands(serves));
        }
        process::signal(inspecting.pid(), Signal::INT);
        let output = inspecting.wait(DEADLINE);
        assert_eq!(output.code, Some(0), "{mode}: {output}");
        home.wait_until("it to serve", || !stands(serves));
        home.wait_until("it to be closed", || is_closed(port));
        assert_eq!((home.pid("shop"), home.row("shop").restarts()), (pid, 0), "{mode}");
        home.wait_until("it to be well", || home.row("shop").get("health")["healthy"] == true);
        drop(debugger);
    }
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let home = home();
    open_shop(&home, &json!({}));
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("its address").port();
    let output = home.call(&["inspect", "shop", "--port", &port.to_string()]).fails();
    assert!(output.stderr.contains(&format!("127.0.0.1:{port}")), "{output}");
    // Nothing of that is in the way of another port.
    let inspecting = home.call(&["inspect", "shop"]).spawn();
    assert!(speaks(told(&home, &inspecting)));
}

#[test]
fn it_is_closed_when_whoever_wanted_it_is_killed_and_no_daemon_is_asked() {
    let home = home();
    let serves = open_shop(&home, &json!({ "exec_mode": "cluster" }));
    let inspecting = home.call(&["inspect", "shop"]).spawn();
    let port = told(&home, &inspecting);
    let debugger = attach(&inspecting, port);
    home.wait_until("it to be stopped", || stands(serves));
    // A new daemon knows of it.
    let before = home.topology();
    process::kill(before.daemon);
    wait_another(&home, before);
    let output = home.call(&["inspect", "shop"]).fails();
    assert!(output.stderr.contains("is being inspected already"), "{output}");
    process::kill(inspecting.pid());
    wait_lease(&home, port);
    assert_next_may(&home);
    drop(debugger);
}

#[test]
fn it_is_closed_when_whoever_wanted_it_is_killed_before_he_could_say_so_again() {
    let home = home();
    let serves = open_shop(&home, &json!({}));
    let inspecting = home.call(&["inspect", "shop"]).spawn();
    let port = told(&home, &inspecting);
    process::kill(inspecting.pid());
    let debugger = attach(&inspecting, port);
    home.wait_until("it to be stopped", || stands(serves));
    wait_lease(&home, port);
    home.wait_until("it to serve", || !stands(serves));
    assert_next_may(&home);
    drop(debugger);
}

#[test]
fn its_worker_closes_it_by_itself_when_there_is_no_daemon_to_say_so() {
    let home = home();
    open_shop(&home, &json!({}));
    let inspecting = home.call(&["inspect", "shop"]).spawn();
    let port = told(&home, &inspecting);
    let daemon = home.topology().daemon;
    process::signal(daemon, Signal::STOP);
    wait_lease(&home, port);
    process::signal(daemon, Signal::CONT);
    process::signal(inspecting.pid(), Signal::INT);
    assert!(inspecting.wait(DEADLINE).code.is_some());
}
