//! Specs and scripted programs for tests.

use super::{ms, secs};
use ostler_core::{
    Address, Check, Environment, ExitStatus, Interpreter, Listen, LogFile, LogFormat, LogSpec, Mode, OnReadyTimeout,
    Probe, ProbeKind, Probes, Program as Run, ReadyPolicy, RestartLimit, RestartPolicy, Spec, StopPolicy,
};
use std::ops::Range;
use std::time::Duration;

/// How a program behaves in one launch.
#[derive(Clone, Debug)]
pub struct Program {
    /// From the order to launch it until it runs (or fails to).
    pub boot: Duration,
    /// It cannot be launched, for a passing reason or for good.
    pub fails_to_spawn: Option<bool>,
    /// It ends by itself.
    pub ends: Option<(Duration, ExitStatus)>,
    /// It says `ready`.
    pub ready: Option<Duration>,
    /// It says that it is ending by itself.
    pub leaves: Option<Duration>,
    /// It comes to rest, if somebody looks.
    pub settles: Option<Duration>,
    /// A worker of a cluster listens.
    pub listens: Option<Duration>,
    /// Where others of its app listen and it does not.
    pub missing: Vec<String>,
    /// It finishes with its connections, when told to drain.
    pub drains: Option<Duration>,
    /// What it does when told to end.
    pub reaction: Reaction,
    /// Other processes of its tree, which live on when it ends.
    pub leftovers: Leftovers,
    /// What each sample of its memory says.
    pub memory: Vec<u64>,
    /// When which of its probes fail.
    pub sick: Vec<Sick>,
}

/// A time in which a probe fails.
#[derive(Clone, Debug)]
pub struct Sick {
    pub probe: ProbeKind,
    /// Since its launch was ordered.
    pub span: Range<Duration>,
    /// Its event loop does not turn.
    pub hung: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reaction {
    Ends { after: Duration, status: ExitStatus },
    Ignores,
    Unkillable,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leftovers {
    None,
    Obedient,
    Stubborn,
    Unkillable,
}

impl Program {
    /// A [`server`](Self::server) that says `ready` after so many milliseconds.
    pub fn ready_after(after: u64) -> Self {
        Self {
            ready: Some(ms(after)),
            ..Self::server()
        }
    }

    /// Runs until told otherwise, settles after 40 ms.
    pub fn server() -> Self {
        Self {
            boot: ms(5),
            fails_to_spawn: None,
            ends: None,
            ready: None,
            leaves: None,
            settles: Some(ms(40)),
            listens: Some(ms(50)),
            missing: Vec::new(),
            drains: Some(ms(30)),
            reaction: Reaction::Ends {
                after: ms(10),
                status: ExitStatus::Code(0),
            },
            leftovers: Leftovers::None,
            memory: Vec::new(),
            sick: Vec::new(),
        }
    }

    /// Ends by itself after so long.
    pub fn ending(after: Duration, status: ExitStatus) -> Self {
        Self {
            ends: Some((after, status)),
            settles: None,
            ..Self::server()
        }
    }

    /// One of its probes fails in this time, in ms since its launch was ordered.
    pub fn sick(mut self, probe: ProbeKind, span: Range<u64>, hung: bool) -> Self {
        let span = ms(span.start)..ms(span.end);
        self.sick.push(Sick { probe, span, hung });
        self
    }

    pub fn missing() -> Self {
        Self {
            fails_to_spawn: Some(false),
            ..Self::server()
        }
    }

    pub fn starved() -> Self {
        Self {
            fails_to_spawn: Some(true),
            ..Self::server()
        }
    }

    pub fn stubborn() -> Self {
        Self {
            reaction: Reaction::Ignores,
            ..Self::server()
        }
    }

    pub fn with_leftovers(self, leftovers: Leftovers) -> Self {
        Self { leftovers, ..self }
    }
}

/// Looks each second, for 500 ms; two failures are believed.
pub fn probe() -> Probe {
    Probe {
        check: Check::Http {
            path: "/healthz".into(),
            port: None,
        },
        interval: secs(1),
        timeout: ms(500),
        failure_threshold: 2,
        success_threshold: 1,
        start_period: secs(0),
    }
}

/// A cluster app with the defaults.
pub fn cluster(name: &str, instances: u32) -> Spec {
    Spec {
        mode: Mode::Cluster,
        instances,
        ..spec(name)
    }
}

/// A fork app whose workers inherit a socket.
pub fn activated(name: &str, instances: u32) -> Spec {
    Spec {
        listen: vec![listen("/run/app.sock")],
        instances,
        ..spec(name)
    }
}

pub fn listen(path: &str) -> Listen {
    Listen {
        address: Address::Unix(path.into()),
        name: None,
        backlog: 511,
        mode: 0o666,
    }
}

/// A fork app with the defaults, restarted by the rolling budget.
pub fn spec(name: &str) -> Spec {
    Spec {
        name: name.into(),
        namespace: "default".into(),
        program: Run {
            path: format!("/srv/{name}.js"),
            interpreter: Interpreter::Program("node".into()),
            interpreter_args: Vec::new(),
            args: Vec::new(),
            cwd: "/srv".into(),
        },
        mode: Mode::Fork,
        cluster: ostler_core::ClusterPolicy::default(),
        listen: Vec::new(),
        instances: 1,
        environment: Environment {
            instance_var: "NODE_APP_INSTANCE".into(),
            ..Environment::default()
        },
        user: None,
        logs: logs(),
        restart: RestartPolicy {
            auto: true,
            stop_exit_codes: Vec::new(),
            limit: RestartLimit::Rolling,
            delay: None,
            backoff: None,
            min_uptime: secs(1),
        },
        stop: StopPolicy {
            signal: 2,
            kill_timeout: ms(1600),
            tree: true,
            message: false,
        },
        ready: ReadyPolicy {
            wait_ready: false,
            listen_timeout: secs(3),
            on_timeout: OnReadyTimeout::Fail,
        },
        probes: Probes::default(),
        cron: None,
        watch: None,
        memory_limit: None,
        memory_kill: None,
        prom_client: false,
        autostart: true,
        pid_file: "/run/{id}.pid".into(),
        username: "tester".into(),
        attributes: serde_json::Map::new(),
    }
}

/// As `spec`, restarted by PM2's rules with its defaults.
pub fn pm2_spec(name: &str) -> Spec {
    let mut spec = spec(name);
    spec.restart.limit = RestartLimit::Unstable { max_restarts: 16 };
    spec
}

fn logs() -> LogSpec {
    LogSpec {
        out: LogFile::Discard,
        error: LogFile::Discard,
        combined: None,
        merged: false,
        format: LogFormat::Raw,
        date_format: None,
        disabled: false,
        rotation: None,
    }
}
