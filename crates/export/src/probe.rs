//! How others find out whether a worker is up, ready and well.
//!
//! By the config's `health` and `ready`, or by paths given on the command line, which stand above them; a TCP connection has to do where there is neither.

use crate::port::Port;
use ostler_core::{ProbeKind, Spec};
use std::time::Duration;

/// Paths of HTTP that answer with a status from 200 to 399 while all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Whether the process is alive at all.
    pub health: Option<String>,
    /// Whether it is to be given work. `health` when absent.
    pub ready: Option<String>,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The answer to `GET`.
    Http { path: String, port: u16 },
    /// Whether a connection is accepted. Ostler accepts while a worker is replaced, and connections wait for it.
    Tcp { port: u16 },
    /// Whether a command ends with exit code 0: the program and its arguments.
    Command(Vec<String>),
}

/// A check, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) check: Check,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    /// How many failures in a row count.
    pub(crate) failures: u32,
    /// How many successes in a row do.
    pub(crate) successes: u32,
}

/// The three probes of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probes {
    /// Until it is up; the others wait for it.
    pub(crate) startup: Probe,
    /// Whether it gets work.
    pub(crate) readiness: Probe,
    /// Whether it lives on; nothing says so of an app without a port that declares `ready` only.
    pub(crate) liveness: Option<Probe>,
}

/// How long a worker may take to come up at least: elsewhere there may be a slower processor, and a cold disk.
const STARTING: u32 = 30;

/// The probes of an app that can be reached at a port, or that says itself how to look at it.
pub(crate) fn probes(spec: &Spec, port: Option<&Port>, paths: &Paths) -> Option<Probes> {
    let health = looked_at(spec, ProbeKind::Health, paths.health.as_ref(), port);
    let ready = looked_at(spec, ProbeKind::Ready, paths.ready.as_ref(), port).or_else(|| health.clone());
    let tcp = || port.map(|port| Check::Tcp { port: port.number });
    let (health, ready) = (health.or_else(tcp), ready.or_else(tcp)?);
    let seconds = u32::try_from(spec.ready.listen_timeout.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let probe = |check: Check, period: u64, timeout: u64, failures: u32| Probe {
        check,
        period: Duration::from_secs(period),
        timeout: Duration::from_secs(timeout),
        failures,
        successes: 1,
    };
    // A command may need all the time it is given.
    let patience = match &ready {
        Check::Command(_) => spec.probes.get(ProbeKind::Ready).or(spec.probes.health.as_ref()),
        Check::Http { .. } | Check::Tcp { .. } => None,
    };
    let patience = patience.map_or(1, |declared| declared.timeout.as_millis().div_ceil(1000).max(1));
    let patience = u64::try_from(patience).unwrap_or(u64::MAX);
    Some(Probes {
        startup: probe(ready.clone(), 1, patience, seconds.max(STARTING)),
        readiness: as_declared(spec, ProbeKind::Ready, probe(ready, 5, 2, 2)),
        // A liveness probe believes one success, whatever is declared.
        liveness: health.map(|health| Probe {
            successes: 1,
            ..as_declared(spec, ProbeKind::Health, probe(health, 10, 5, 3))
        }),
    })
}

/// What answers this question, if anything does that can be asked from outside.
fn looked_at(spec: &Spec, kind: ProbeKind, path: Option<&String>, port: Option<&Port>) -> Option<Check> {
    let number = port.map(|port| port.number);
    if let (Some(path), Some(port)) = (path, number) {
        let path = absolute(path);
        return Some(Check::Http { path, port });
    }
    match &spec.probes.get(kind)?.check {
        ostler_core::Check::Http { path, port } => Some(Check::Http {
            path: path.clone(),
            port: port.or(number)?,
        }),
        ostler_core::Check::Tcp { port } => Some(Check::Tcp { port: port.or(number)? }),
        ostler_core::Check::Command { program, arguments } => {
            Some(Check::Command([std::slice::from_ref(program), arguments].concat()))
        }
        // Between Ostler and the worker, in the pod too.
        ostler_core::Check::Heartbeat => None,
    }
}

/// As often, and as patiently, as the config says, if it says anything.
fn as_declared(spec: &Spec, kind: ProbeKind, probe: Probe) -> Probe {
    let declared = spec.probes.get(kind);
    let declared = declared.filter(|declared| declared.check != ostler_core::Check::Heartbeat);
    match declared {
        Some(declared) => Probe {
            check: probe.check,
            period: declared.interval,
            timeout: declared.timeout,
            failures: declared.failure_threshold,
            successes: declared.success_threshold,
        },
        None => probe,
    }
}

/// The path that says whether an app is alive.
pub(crate) fn health_path(spec: &Spec, paths: &Paths) -> Option<String> {
    let declared = spec.probes.health.as_ref().map(|probe| &probe.check);
    let declared = match declared {
        Some(ostler_core::Check::Http { path, .. }) => Some(path.clone()),
        Some(ostler_core::Check::Tcp { .. } | ostler_core::Check::Heartbeat | ostler_core::Check::Command { .. })
        | None => None,
    };
    paths.health.clone().or(declared)
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}
