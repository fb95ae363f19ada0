//! How the port comes, stays and goes.

use crate::support::{Port, home, open};
use ostler_testkit::{Home, free_port, process, sleeper};
use serde_json::json;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

fn answers(port: &Port) -> bool {
    port.try_ask(
        "GET",
        "/v1/ping",
        &[("Host", "localhost"), ("Authorization", &port.bearer())],
        "",
    )
    .is_ok_and(|answer| answer.status == 200)
}

/// The sockets that a process has, as `/proc` names them.
fn sockets(pid: i32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
    let links = entries
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let links = links.map(|link| link.to_string_lossy().into_owned());
    links.filter(|link| link.starts_with("socket:")).collect()
}

/// The listening socket at a port of 127.0.0.1, as `/proc` names it.
fn listener_at(port: u16) -> String {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let wanted = format!("0100007F:{port:04X}");
    let line = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&wanted.as_str()) && fields.get(3) == Some(&"0A")).then(|| fields[9].to_owned())
    });
    format!("socket:[{}]", line.expect("a listening socket"))
}

#[test]
fn it_is_off_until_asked_for_and_off_again() {
    let home = home();
    home.ok(&["ping"]);
    let daemon = home.topology().daemon;
    assert!(!home.path().join("web.json").exists());
    let port = open(&home, &[]);
    let listener = listener_at(port.address.port());
    assert!(answers(&port) && sockets(daemon).contains(&listener));
    for name in ["web.json", "web.token"] {
        let mode = std::fs::metadata(home.path().join(name))
            .expect(name)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let printed = home.ok(&["web"]);
    assert_eq!(Port::of(&printed.stdout).token, port.token, "the link is printed again");
    home.ok(&["web", "--off"]);
    assert!(is_closed(port.address));
    home.wait_until("the socket to be closed", || !sockets(daemon).contains(&listener));
    assert!(!home.path().join("web.json").exists() && !home.path().join("web.token").exists());
    home.ok(&["web", "--off"]);
}

#[test]
fn it_stays_over_a_daemon_that_is_killed_and_so_does_who_is_signed_in() {
    let home = home();
    home.start(json!([sleeper("app")]));
    let port = open(&home, &[]);
    let cookie = port.sign_in(&json!({ "token": port.token })).cookie();
    let before = home.topology();
    process::kill(before.daemon);
    // Whoever connects while one daemon takes over from another waits: nobody is refused.
    assert!(answers(&port));
    home.wait_recovered(before);
    let page = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(port.ask("GET", "/v1/processes", &page, "").status, 200);
    let before = home.topology();
    // The daemon becomes keeper: what it was answering breaks, and the next one answers again.
    process::kill(before.keeper);
    home.wait_recovered(before);
    assert!(answers(&port));
    assert_eq!(port.ask("GET", "/v1/processes", &page, "").status, 200);
    home.ok(&["web", "--off"]);
    assert!(is_closed(port.address), "the keeper holds it no more either");
}

#[test]
fn it_comes_back_with_the_next_start_until_it_is_closed() {
    let home = home();
    home.start(json!([sleeper("app")]));
    home.ok(&["save"]);
    let port = open(&home, &["--read-only"]);
    home.ok(&["kill"]);
    assert!(is_closed(port.address));
    home.ok(&["resurrect"]);
    assert!(answers(&port), "at the same port, with the same token");
    assert_eq!(
        port.post("/v1/operations", &json!({})).status,
        403,
        "and for reading only"
    );
    home.ok(&["kill"]);
    home.ok(&["web", "--off"]);
    home.ok(&["resurrect"]);
    assert!(is_closed(port.address));
}

#[test]
fn no_app_inherits_it() {
    let home = home();
    let port = open(&home, &[]);
    home.start(json!([sleeper("app")]));
    let listener = listener_at(port.address.port());
    assert!(sockets(home.topology().daemon).contains(&listener));
    assert!(!sockets(home.pid("app")).contains(&listener));
}

#[test]
fn an_address_that_somebody_has_is_not_taken_and_who_has_it_is_named() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let number = taken.local_addr().expect("an address").port().to_string();
    let output = home.run(&["web", "--port", &number]);
    assert_eq!(output.code, Some(1), "{output}");
    let own = std::process::id();
    for words in [
        format!("cannot listen on 127.0.0.1:{number}"),
        format!("process {own} "),
        "--port".to_owned(),
    ] {
        assert!(output.stderr.contains(&words), "{words}: {output}");
    }
    // What is open stays open where it was.
    let port = open(&home, &[]);
    assert_eq!(home.run(&["web", "--port", &number]).code, Some(1));
    assert!(answers(&port));
    assert_eq!(Port::of(&home.ok(&["web"]).stdout).address, port.address);
}

#[test]
fn it_moves_to_another_port_and_to_another_address_of_the_same_port() {
    let home = home();
    let first = open(&home, &[]);
    let number = free_port().to_string();
    let second = Port::of(&home.ok(&["web", "--port", &number]).stdout);
    assert!(answers(&second) && is_closed(first.address));
    let output = home.ok(&["web", "--host", "0.0.0.0"]);
    assert!(
        output.stderr.contains("other machines can reach 0.0.0.0") && output.stderr.contains("TLS"),
        "{output}"
    );
    let third = Port::of(&output.stdout);
    assert_eq!(third.address, second.address, "the link is for this machine");
    assert!(answers(&third));
    let elsewhere = Port {
        address: SocketAddr::new("127.0.0.2".parse().expect("an address"), third.address.port()),
        token: third.token.clone(),
    };
    assert!(answers(&elsewhere));
    home.ok(&["web", "--host", "127.0.0.1"]);
    assert!(answers(&third) && is_closed(elsewhere.address));
    let before = Port::of(&home.ok(&["web"]).stdout);
    let output = home.run(&["web", "--host", "203.0.113.1"]);
    assert!(
        output.code == Some(1) && output.stderr.contains("no interface of this machine"),
        "{output}"
    );
    assert!(answers(&before));
}

#[test]
fn what_cannot_be_had_beside_the_old_one_is_tried_without_and_put_back() {
    let home = home();
    let port = open(&home, &[]);
    // Whoever has the same port at another address is in the way of all addresses, but not of ours.
    let other = SocketAddr::new("127.0.0.2".parse().expect("an address"), port.address.port());
    let _taken = TcpListener::bind(other).expect("a listener");
    let output = home.run(&["web", "--host", "0.0.0.0"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(answers(&port), "it is open where it was");
    assert_survives(&home, &port);
}

fn assert_survives(home: &Home, port: &Port) {
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert!(answers(port));
}

#[test]
fn a_new_token_ends_the_old_one_and_whoever_is_signed_in() {
    let home = home();
    let port = open(&home, &[]);
    let cookie = port.sign_in(&json!({ "token": port.token })).cookie();
    let page = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(port.ask("GET", "/v1/ping", &page, "").status, 200);
    let renewed = Port::of(&home.ok(&["web", "--new-token"]).stdout);
    assert_ne!(renewed.token, port.token);
    assert!(answers(&renewed) && !answers(&port));
    assert_eq!(renewed.ask("GET", "/v1/ping", &page, "").status, 401);
    assert_eq!(home.read("web.token").trim(), renewed.token);
}

#[test]
fn a_password_comes_from_a_file_or_from_standard_input() {
    let home = home();
    let file = home.write("password", "from the file\nnot this\n");
    let port = open(&home, &["--user", "ann", "--password-file", &file.to_string_lossy()]);
    let signs_in = |password: &str| port.sign_in(&json!({ "user": "ann", "password": password })).status;
    assert_eq!(signs_in("from the file"), 200);
    home.call(&["web", "--user", "ann", "--password-file", "-"])
        .input("from the input\n")
        .ok();
    assert_eq!((signs_in("from the file"), signs_in("from the input")), (401, 200));
    home.ok(&["web", "--no-user"]);
    assert_eq!(signs_in("from the input"), 401);
    let output = home.run(&["web", "--user", "ann", "--password", "short"]);
    assert!(output.code == Some(1) && output.stderr.contains("8 to 512"), "{output}");
}
