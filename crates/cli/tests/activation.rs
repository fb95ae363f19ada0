//! Apps of any language behind one port: their sockets are bound by Ostler and inherited by every worker, which can therefore be
//! replaced without a lost request.

use ostler_testkit::runtimes::Kind;
use ostler_testkit::{
    Connections, Home, Load, Manager, Runtime, Topology, apps, free_port, http_get, process, repetitions, skip, tools,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

fn example() -> String {
    let file = tools::workspace().join("examples/python/server.py");
    file.to_string_lossy().into_owned()
}

/// An app that is up on a port of loopback, with so many workers.
fn serving(home: &Home, workers: u32, more: Value) -> u16 {
    let port = free_port();
    home.start(json!([app(port, workers, more)]));
    port
}

fn app(port: u16, workers: u32, more: Value) -> Value {
    let mut app = json!({
        "name": "web", "script": example(), "instances": workers, "listen": format!("tcp://127.0.0.1:{port}"),
        // Runtimes take their time to boot beside a load that fills the processor.
        "listen_timeout": "20s", "min_ready": "300ms",
    });
    if let Value::Object(more) = more {
        app.as_object_mut().expect("an object").extend(more);
    }
    app
}

fn who(answer: &str) -> i32 {
    let word = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    word.unwrap_or_else(|| panic!("no process id in {answer:?}"))
}

/// Three workers behind one port are replaced again and again under load.
fn a_reload_loses_nothing(more: Value) {
    let home = home();
    let port = serving(&home, 3, more);
    home.wait_until("an answer", || http_get(port).is_ok());
    let load = Load::begin(port, "/", 6, Connections::Fresh);
    home.wait_until("load", || load.answered() > 100);
    let mut seen = BTreeSet::new();
    for _ in 0..repetitions(3, 30) {
        let before = home.pids("web");
        seen.extend(before.iter().copied());
        let answered = load.answered();
        home.ok(&["reload", "web"]);
        let after = home.pids("web");
        assert_eq!(after.len(), 3, "{}", home.report());
        assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
        assert!(before.iter().all(|pid| !process::is_alive(*pid)));
        home.wait_until("answers of the new ones", || load.answered() > answered + 50);
    }
    seen.extend(home.pids("web"));
    assert!(home.rows("web").iter().all(|row| row.status() == "online"));
    let report = load.end_without_loss("a reload");
    let answered: BTreeSet<i32> = report.bodies.keys().map(|body| who(body)).collect();
    assert!(answered.is_subset(&seen), "{answered:?} {seen:?}");
    assert!(answered.len() > 3, "more than one generation served: {answered:?}");
}

#[test]
fn a_reload_of_the_example_loses_nothing() {
    a_reload_loses_nothing(json!({}));
}

#[test]
fn a_reload_of_the_example_that_says_ready_loses_nothing() {
    a_reload_loses_nothing(json!({ "wait_ready": true }));
}

#[test]
fn a_reload_of_a_native_program_loses_nothing() {
    let program = tools::cc(&apps::directory().join("activated/native.c")).expect("a program");
    a_reload_loses_nothing(json!({ "script": program }));
}

#[test]
fn a_program_that_is_ready_as_soon_as_it_runs_is_believed() {
    let source = tools::workspace().join("examples/native/server.c");
    let program = tools::cc(&source).expect("a program");
    // One by chance proves little: it says so about when execve tells.
    let home = home();
    serving(
        &home,
        12,
        json!({ "script": program, "wait_ready": true, "listen_timeout": "5s" }),
    );
    assert!(
        home.rows("web")
            .iter()
            .all(|row| row.status() == "online" && row.restarts() == 0)
    );
}

#[test]
fn a_reload_of_uvicorn_loses_nothing() {
    match tools::pip(&["uvicorn==0.38.0"], "python") {
        Ok(python) => a_reload_loses_nothing(json!({
            "script": apps::path("activated/asgi.py"), "interpreter": python, "args": "{{listen.0.fd}}",
        })),
        Err(reason) => skip("a_reload_of_uvicorn_loses_nothing", &reason),
    }
}

#[test]
fn a_reload_of_gunicorn_loses_nothing() {
    match tools::pip(&["gunicorn==23.0.0"], "gunicorn") {
        Ok(gunicorn) => a_reload_loses_nothing(json!({
            "script": gunicorn, "interpreter": "none", "cwd": apps::directory().join("activated"),
            "args": "wsgi:app --workers 2", "env": { "PYTHONDONTWRITEBYTECODE": "1" },
        })),
        Err(reason) => skip("a_reload_of_gunicorn_loses_nothing", &reason),
    }
}

#[test]
fn a_reload_of_deno_loses_nothing() {
    match Runtime::install(Kind::Deno) {
        Ok(deno) => a_reload_loses_nothing(json!({
            "script": apps::path("activated/deno.mjs"), "interpreter": deno.path, "node_args": deno.arguments(),
            "args": ["{{listen.0.fd}}"],
        })),
        Err(reason) => skip("a_reload_of_deno_loses_nothing", &reason),
    }
}

/// A directory `current` that leads to a release of the example, and what makes the next one.
struct Releases {
    root: PathBuf,
}

impl Releases {
    fn new(home: &Home) -> Self {
        let releases = Self {
            root: home.work().join("releases"),
        };
        releases.deploy("1", "");
        releases
    }

    /// The server, behind these lines.
    fn deploy(&self, name: &str, first: &str) {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let server = std::fs::read_to_string(example()).expect("the example");
        std::fs::write(folder.join("server.py"), format!("{first}\n{server}")).expect("a release");
        let (link, new) = (self.root.join("current"), self.root.join("new"));
        std::os::unix::fs::symlink(&folder, &new).expect("a link");
        std::fs::rename(new, link).expect("the link moved");
    }
}

fn a_broken_release_changes_nothing(broken: &str, more: Value, says: &str) {
    let home = home();
    let releases = Releases::new(&home);
    let mut settings =
        json!({ "script": releases.root.join("current/server.py"), "listen_timeout": "8s", "min_ready": "1s" });
    if let Value::Object(more) = more {
        settings.as_object_mut().expect("an object").extend(more);
    }
    let port = serving(&home, 3, settings);
    // One that boots yet would read the next release.
    let mut seen = BTreeSet::new();
    home.wait_until("an answer of each", || {
        seen.extend(http_get(port).ok().map(|answer| who(&answer)));
        seen.len() == 3
    });
    let before = home.pids("web");
    let load = Load::begin(port, "/", 4, Connections::Fresh);
    home.wait_until("load", || load.answered() > 20);
    releases.deploy("2", broken);
    let output = home.call(&["reload", "web"]).fails();
    assert!(output.stderr.contains(says), "{output}");
    assert_eq!(home.pids("web"), before);
    load.end_without_loss("a reload");
    releases.deploy("3", "");
    home.ok(&["reload", "web"]);
    assert!(home.pids("web").iter().all(|pid| !before.contains(pid)));
}

#[test]
fn a_release_that_throws_changes_nothing() {
    a_broken_release_changes_nothing("raise SystemExit('a broken release')", json!({}), "a broken release");
}

#[test]
fn a_release_that_never_says_that_it_is_ready_changes_nothing() {
    let mute = "import signal; signal.pause()";
    a_broken_release_changes_nothing(mute, json!({ "wait_ready": true }), "was not ready within");
}

#[test]
fn a_worker_is_told_of_its_sockets_and_inherits_nothing_else() {
    let home = home();
    let (port, facts) = (free_port(), home.work().join("facts.json"));
    home.start(json!([{
        "name": "facts", "script": apps::path("activated/facts.py"), "autorestart": false,
        "listen": [{ "address": format!("tcp://127.0.0.1:{port}"), "name": "http" }, "udp://127.0.0.1:0"],
        "args": ["--fd", "{{listen.http.fd}}", "--udp={{listen.1.fd}}"],
        "env": { "FACTS": facts, "NUMBER": "fd://{{listen.0.fd}}" },
    }]));
    let facts: Value = home.wait_for("facts", || serde_json::from_slice(&std::fs::read(&facts).ok()?).ok());
    let pid = home.pid("facts");
    assert_eq!(facts["LISTEN_FDS"], "2");
    assert_eq!(facts["LISTEN_FDNAMES"], "http:unknown");
    assert_eq!(facts["LISTEN_PID"], pid.to_string());
    assert_eq!(facts["pid"], pid);
    assert_eq!(facts["arguments"], json!(["--fd", "3", "--udp=4"]));
    assert_eq!(facts["NUMBER"], "fd://3");
    // Standard streams, two sockets and the channel.
    assert_eq!(facts["NODE_CHANNEL_FD"], "5");
    assert_eq!(facts["descriptors"], json!([0, 1, 2, 3, 4, 5]));
    assert_eq!(facts["bound"][0], format!("('127.0.0.1', {port})"));
}

#[test]
fn neither_a_new_daemon_nor_a_new_keeper_is_noticed_by_clients() {
    let home = home();
    let port = serving(&home, 3, json!({}));
    home.wait_until("an answer", || http_get(port).is_ok());
    let pids = home.pids("web");
    let load = Load::begin(port, "/", 8, Connections::Fresh);
    for _ in 0..repetitions(2, 20) {
        for of in [
            |topology: Topology| topology.daemon,
            |topology: Topology| topology.keeper,
        ] {
            let before = home.topology();
            let answered = load.answered();
            home.wait_until("load", || load.answered() > answered + 50);
            process::kill(of(before));
            home.wait_recovered(before);
        }
    }
    assert_eq!(home.pids("web"), pids);
    home.ok(&["reload", "web"]);
    assert!(home.pids("web").iter().all(|pid| !pids.contains(pid)));
    load.end_without_loss("a reload");
    home.ok(&["stop", "web"]);
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(),
        "stopped means stopped"
    );
}

#[test]
fn a_daemon_that_dies_during_a_reload_is_followed_by_one_that_completes_it() {
    let home = home();
    let port = serving(&home, 2, json!({ "wait_ready": true, "min_ready": "2s" }));
    let before = home.pids("web");
    let load = Load::begin(port, "/", 4, Connections::Fresh);
    let reload = home.call(&["reload", "web"]).spawn();
    let topology = home.topology();
    home.wait_until("a replacement beside the others", || {
        let of_app = |process: &process::Process| process.command.contains("server.py");
        home.processes().iter().filter(|process| of_app(process)).count() == 3
    });
    process::kill(topology.daemon);
    home.wait_recovered(topology);
    assert_eq!(reload.wait(ostler_testkit::DEADLINE).code, Some(0), "{}", home.report());
    assert!(home.pids("web").iter().all(|pid| !before.contains(pid)));
    load.end_without_loss("kills and a reload");
}

#[test]
fn while_all_workers_are_down_connections_wait() {
    let home = home();
    let port = serving(&home, 1, json!({ "restart_delay": 700 }));
    home.wait_until("an answer", || http_get(port).is_ok());
    process::kill(home.pid("web"));
    home.wait_status("web", "waiting restart");
    assert!(http_get(port).is_ok(), "refused, or not answered by the next worker");
    home.ok(&["restart", "web"]);
    assert!(http_get(port).is_ok());
    home.ok(&["delete", "web"]);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn a_reload_with_other_addresses_keeps_what_is_the_same() {
    let home = home();
    let (kept, old, path) = (free_port(), free_port(), home.work().join("web.sock"));
    // All of them take what comes in on the first.
    let server = std::fs::read_to_string(example()).expect("the example");
    let script = home.write(
        "server.py",
        server.replace("[server.socket] =", "[server.socket, *_] ="),
    );
    let at = |more: String| json!({ "script": script, "listen": [format!("tcp://127.0.0.1:{kept}"), more] });
    home.start(json!([app(kept, 2, at(format!("tcp://127.0.0.1:{old}")))]));
    home.wait_until("an answer", || http_get(kept).is_ok());
    let before = home.pids("web");
    let load = Load::begin(kept, "/", 4, Connections::Fresh);
    home.wait_until("load", || load.answered() > 20);
    let file = home.ecosystem(json!([app(kept, 2, at(format!("unix://{}", path.display())))]));
    home.call(&["reload"]).arg(file).ok();
    assert!(home.pids("web").iter().all(|pid| !before.contains(pid)));
    assert!(
        TcpStream::connect((Ipv4Addr::LOCALHOST, old)).is_err(),
        "it is declared no more"
    );
    assert!(UnixStream::connect(&path).is_ok());
    load.end_without_loss("a reload");
    home.ok(&["stop", "web"]);
    assert!(!path.exists(), "nothing is left behind");
}

#[test]
fn an_address_in_use_is_a_failure_that_names_who_has_it() {
    let home = home();
    // Not one that the system gives to clients: it is to be free again afterwards.
    let port = free_port();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
    let start = |app: Value| home.call(&["start"]).arg(home.ecosystem(json!([app]))).fails();
    let output = start(app(port, 1, json!({})));
    let us = std::process::id().to_string();
    assert!(output.stderr.contains(&format!("tcp://127.0.0.1:{port}")), "{output}");
    assert!(
        output.stderr.contains("bind") && output.stderr.contains(&us),
        "{output}"
    );
    drop(taken);
    home.ok(&["restart", "web"]);
    home.wait_until("an answer", || http_get(port).is_ok());
    let second = app(port, 1, json!({ "name": "second", "autorestart": false }));
    let output = start(second);
    assert!(output.stderr.contains("`web` has it"), "{output}");
}

#[test]
fn a_crashed_managers_path_is_taken_over_and_a_living_one_is_not() {
    let home = home();
    let path = home.work().join("app.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that nobody listens on any more"));
    let listen = json!({ "listen": format!("unix://{}", path.display()), "autorestart": false });
    home.start(json!([app(0, 1, listen.clone())]));
    home.wait_until("a connection", || UnixStream::connect(&path).is_ok());
    home.ok(&["delete", "web"]);
    let _living = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let output = home
        .call(&["start"])
        .arg(home.ecosystem(json!([app(0, 1, listen)])))
        .fails();
    assert!(output.stderr.contains(&std::process::id().to_string()), "{output}");
    assert!(UnixStream::connect(&path).is_ok(), "it is left alone");
}
