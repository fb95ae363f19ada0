//! Probes that are declared for an app.

use crate::place::Place;
use ostler_core::{Check, Probe, Spec};
use std::time::Duration;

fn with(declared: &str) -> Spec {
    Place::new().spec("a.json", &format!("{{ script: 'app.js', {declared} }}"))
}

fn health(declared: &str) -> Probe {
    with(&format!("health: {declared}")).probes.health.expect("a probe")
}

fn refused(app: &str) -> String {
    let place = Place::new();
    let error = place.load("a.json", &format!("{{ script: 'app.js', {app} }}"));
    let problems = error.err().map(|error| error.problems).unwrap_or_default();
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_is_looked_at_has_a_short_and_a_long_spelling() {
    let path = |port| Check::Http {
        path: "/healthz?full=1".into(),
        port,
    };
    for (written, meant) in [
        ("'/healthz?full=1'", path(None)),
        ("{ http: '/healthz?full=1' }", path(None)),
        ("{ http: '/healthz?full=1', port: '3001' }", path(Some(3001))),
        ("'tcp'", Check::Tcp { port: None }),
        ("{ tcp: true }", Check::Tcp { port: None }),
        ("{ tcp: 3000 }", Check::Tcp { port: Some(3000) }),
        ("'heartbeat'", Check::Heartbeat),
        ("{ heartbeat: true }", Check::Heartbeat),
        (
            "'exec:redis-cli ping | grep PONG'",
            Check::shell("redis-cli ping | grep PONG"),
        ),
        (
            "{ command: 'redis-cli ping', interval: '5s' }",
            Check::shell("redis-cli ping"),
        ),
        (
            "{ command: ['./check', 'a b', ''] }",
            Check::Command {
                program: "./check".into(),
                arguments: vec!["a b".into(), String::new()],
            },
        ),
    ] {
        assert_eq!(health(written).check, meant, "{written}");
    }
    assert!(with("health: false").probes.is_empty());
    assert!(with("name: 'a'").probes.is_empty());
}

#[test]
fn times_and_thresholds_have_defaults_and_units() {
    let secs = Duration::from_secs;
    let probe = with("ready: '/readyz'").probes.ready.expect("a probe");
    assert_eq!(
        (probe.interval, probe.timeout, probe.start_period),
        (secs(5), secs(1), secs(0))
    );
    let probe = health("'/healthz'");
    assert_eq!(
        (probe.interval, probe.timeout, probe.start_period),
        (secs(10), secs(1), secs(10))
    );
    assert_eq!((probe.failure_threshold, probe.success_threshold), (3, 1));
    let probe = health(
        "{ http: '/', interval: '2s', timeout: 250, failureThreshold: 5, success_threshold: '2', startPeriod: '1m' }",
    );
    assert_eq!((probe.interval, probe.timeout), (secs(2), Duration::from_millis(250)));
    assert_eq!(
        (probe.failure_threshold, probe.success_threshold, probe.start_period),
        (5, 2, secs(60))
    );
}

#[test]
fn what_would_do_nothing_or_something_else_is_refused() {
    for (written, said) in [
        ("health: 'healthz'", "is no probe"),
        ("health: {}", "does not say what is looked at"),
        ("health: { http: '/a', tcp: true }", "more than one thing"),
        ("health: { http: '/a', intervall: 3 }", "`intervall`"),
        ("health: { http: 'a' }", "is no path"),
        ("health: { http: '/a b' }", "is no path"),
        ("health: { tcp: 0 }", "is no port"),
        ("health: { http: '/a', interval: 1 }", "`interval` cannot be"),
        (
            "health: { http: '/a', failure_threshold: 0 }",
            "`failure_threshold` cannot be",
        ),
        ("ready: { http: '/a', start_period: '1s' }", "has no use"),
        ("health: 'heartbeat', pmx: false", "event loop"),
        ("health: 'heartbeat', interpreter: 'bash'", "event loop"),
        ("health: '/a', listen: 'tcp://:3000'", "whichever worker"),
        ("health: { tcp: 3000 }, listen: 'tcp://:3000'", "whichever worker"),
        ("health: 'exec:'", "`command` is empty"),
        ("health: { command: ' ' }", "`command` is empty"),
        ("health: { command: [] }", "`command` is empty"),
        ("ready: { command: ['', 'a'] }", "`command` is empty"),
        ("health: { command: true }", "`command` cannot be true"),
        ("health: { command: ['a', 1] }", "`command` cannot be"),
        ("health: { command: 'a\\0b' }", "NUL"),
        ("health: { command: 'a', port: 3000 }", "`port` has no use"),
        ("health: { command: 'a', heartbeat: true }", "more than one thing"),
        ("max_memory_restart: '300M', max_memory_kill: '300M'", "not above"),
    ] {
        let message = refused(written);
        assert!(message.contains(said), "{written}: {message}");
    }
    let own = with("health: { tcp: 3001 }, ready: 'heartbeat', listen: 'tcp://:3000'").probes;
    assert!(own.health.is_some() && own.ready.is_some());
    let of_any_program = with("health: 'exec:true', interpreter: 'bash', listen: 'tcp://:3000', pmx: false").probes;
    assert!(of_any_program.health.is_some());
}

#[test]
fn a_hard_limit_of_memory_may_stand_beside_the_soft_one() {
    let spec = with("max_memory_restart: '300M', max_memory_kill: '400M'");
    assert_eq!(
        (spec.memory_limit, spec.memory_kill),
        (Some(300 << 20), Some(400 << 20))
    );
    assert_eq!(with("max_memory_kill: 0").memory_kill, None);
}
