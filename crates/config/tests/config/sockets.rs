//! Sockets that are declared for an app, and what its processes are told of them.

use crate::place::Place;
use ostler_config::child_environment;
use ostler_core::{Address, AppId, Launch, Mode, Spec, WorkerId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn with(listen: &str) -> Spec {
    Place::new().spec("a.json", &format!("{{ script: 'app.js', listen: {listen} }}"))
}

fn addresses(listen: &str) -> Vec<String> {
    with(listen)
        .listen
        .iter()
        .map(|listen| listen.address.to_string())
        .collect()
}

#[test]
fn an_address_has_many_spellings() {
    for (written, meant) in [
        ("tcp://0.0.0.0:3000", "tcp://0.0.0.0:3000"),
        ("tcp://localhost:3000/", "tcp://127.0.0.1:3000"),
        ("tcp://[::]:3000", "tcp://[::]:3000"),
        ("tcp://*:3000", "tcp://[::]:3000"),
        ("tcp://:3000", "tcp://[::]:3000"),
        ("tcp://[::1]:0", "tcp://[::1]:0"),
        ("udp://127.0.0.1:53", "udp://127.0.0.1:53"),
        ("unix:///run/app.sock", "unix:///run/app.sock"),
    ] {
        assert_eq!(addresses(&format!("'{written}'")), [meant]);
    }
    assert_eq!(
        addresses("['tcp://:1', { address: 'unix:///a' }]"),
        ["tcp://[::]:1", "unix:///a"]
    );
    assert_eq!(addresses("[]"), [""; 0]);
}

#[test]
fn an_entry_may_have_a_name_a_backlog_and_a_mode() {
    let spec = with("[{ address: 'unix:///a', name: 'http', backlog: '64', mode: '0660' }, 'unix:///b']");
    let [first, second] = &spec.listen[..] else {
        panic!("{spec:?}")
    };
    assert_eq!(
        (first.name.as_deref(), first.backlog, first.mode),
        (Some("http"), 64, 0o660)
    );
    assert_eq!(
        (second.name.as_deref(), second.backlog, second.mode),
        (None, 511, 0o666)
    );
    assert_eq!(first.address, Address::Unix("/a".into()));
}

#[test]
fn who_inherits_sockets_runs_in_fork_mode_and_ends_by_sigterm() {
    let place = Place::new();
    let spec = place.spec("a.json", "{ script: 'app.js', instances: 3, listen: 'tcp://:1' }");
    assert_eq!((spec.mode, spec.instances, spec.stop.signal), (Mode::Fork, 3, 15));
    assert!(spec.can_overlap());
    let spec = place.spec(
        "a.json",
        "{ script: 'app.js', listen: 'tcp://:1', kill_signal: 'SIGINT' }",
    );
    assert_eq!(spec.stop.signal, 2);
    let spec = place.spec("a.json", "{ script: 'app.js', instances: 3 }");
    assert_eq!((spec.mode, spec.stop.signal), (Mode::Cluster, 2));
    let spec = place.spec("a.json", "{ script: 'app.js' }");
    assert!(!spec.can_overlap());
}

#[test]
fn a_replaced_worker_has_its_kill_timeout_where_that_is_declared() {
    let place = Place::new();
    let drain = |more: &str| {
        let text = format!("{{ script: 'app.js', listen: 'tcp://:1' {more} }}");
        place.spec("a.json", &text).cluster.drain_timeout
    };
    assert_eq!(drain(""), Duration::from_secs(30));
    assert_eq!(drain(", kill_timeout: '5s'"), Duration::from_secs(5));
    assert_eq!(
        drain(", kill_timeout: '5s', drain_timeout: '9s'"),
        Duration::from_secs(9)
    );
    let spec = place.spec("a.json", "{ script: 'app.js', kill_timeout: '5s' }");
    assert_eq!(spec.cluster.drain_timeout, Duration::from_secs(30));
}

#[test]
fn a_process_is_told_of_its_sockets_and_never_of_its_callers() {
    let mut place = Place::new();
    for name in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET"] {
        place.context.environment.insert(name.into(), "7".into());
    }
    let environment = |text: &str| {
        let launch = Launch {
            worker: WorkerId::new(0, 1),
            app: AppId(0),
            place: None,
            instance: 0,
            spec: Arc::new(place.spec("a.json", text)),
        };
        child_environment(&launch, &[], Path::new("/home"))
    };
    let plain = environment("{ script: 'app.js', env: { LISTEN_FDNAMES: 'mine' } }");
    assert_eq!(plain.get("LISTEN_FDNAMES").map(String::as_str), Some("mine"));
    for name in ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"] {
        assert_eq!(plain.get(name), None, "{name}");
    }
    let told = environment(
        "{ script: 'app.js', listen: ['tcp://:1', { address: 'tcp://:2', name: 'admin' }],
           env: { LISTEN_FDS: '9', LISTEN_PID: '1', A: 'fd://{{listen.admin.fd}}', B: '{{listen.0.fd}}+{{listen.1.fd}}', C: '{{else}}' } }",
    );
    let told = |name: &str| told.get(name).map(String::as_str);
    assert_eq!(
        (told("LISTEN_FDS"), told("LISTEN_FDNAMES")),
        (Some("2"), Some("unknown:admin"))
    );
    assert_eq!(
        (told("A"), told("B"), told("C")),
        (Some("fd://4"), Some("3+4"), Some("{{else}}"))
    );
    assert_eq!(told("LISTEN_PID"), None, "only the process itself knows");
}
