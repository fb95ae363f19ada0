//! How others find out whether a worker is up, ready and well.
//!
//! A config tells of no path yet, so that the ones given on the command line, or a TCP connection, have to do. Keys of a config
//! (`health`, `ready`) are one more way to make the same [`Probes`]: they belong into [`probes`] and nowhere else.

use crate::port::Port;
use ostler_core::Spec;
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
}

/// A check, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) check: Check,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    /// How many failures in a row count.
    pub(crate) failures: u32,
}

/// The three probes of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probes {
    /// Until it is up; the others wait for it.
    pub(crate) startup: Probe,
    /// Whether it gets work.
    pub(crate) readiness: Probe,
    /// Whether it lives on.
    pub(crate) liveness: Probe,
}

/// How long a worker may take to come up at least: elsewhere there may be a slower processor, and a cold disk.
const STARTING: u32 = 30;

/// The probes of an app that can be reached at a port.
pub(crate) fn probes(spec: &Spec, port: &Port, paths: &Paths) -> Probes {
    let check = |path: Option<&String>| match path {
        Some(path) => Check::Http {
            path: absolute(path),
            port: port.number,
        },
        None => Check::Tcp { port: port.number },
    };
    let ready = check(paths.ready.as_ref().or(paths.health.as_ref()));
    let seconds = u32::try_from(spec.ready.listen_timeout.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let probe = |check: &Check, period: u64, timeout: u64, failures: u32| Probe {
        check: check.clone(),
        period: Duration::from_secs(period),
        timeout: Duration::from_secs(timeout),
        failures,
    };
    Probes {
        startup: probe(&ready, 1, 1, seconds.max(STARTING)),
        readiness: probe(&ready, 5, 2, 2),
        liveness: probe(&check(paths.health.as_ref()), 10, 5, 3),
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}
