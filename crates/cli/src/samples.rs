//! For tests: processes as the daemon tells of them.

use ostler_core::{
    AppId, Environment, ExitStatus, Generation, Instant, Interpreter, LogFile, LogFormat, LogSpec, Mode,
    OnReadyTimeout, Pid, Program, ReadyPolicy, RestartLimit, RestartPolicy, SlotId, SlotView, Spec, Status, StopPolicy,
    WallTime,
};
use ostler_wire::control::{Process, Usage};
use ostler_wire::metrics::Footprint;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T08:02:48.129Z.
pub const AT: WallTime = WallTime(1_795_248_168_129);

/// An app that runs `/srv/<name>.js`.
pub fn spec(name: &str) -> Spec {
    let log = |kind: &str| format!("/home/u/.ostler/logs/{name}-{kind}.log");
    Spec {
        name: name.into(),
        namespace: "default".into(),
        program: Program {
            path: format!("/srv/{name}.js"),
            interpreter: Interpreter::Program("node".into()),
            interpreter_args: Vec::new(),
            args: vec!["--port".into(), "3000".into()],
            cwd: "/srv".into(),
        },
        mode: Mode::Fork,
        cluster: ostler_core::ClusterPolicy::default(),
        listen: Vec::new(),
        instances: 1,
        environment: Environment {
            inherited: Arc::new(
                [("PATH", "/usr/bin"), ("LANG", "C")]
                    .map(|(name, value)| (name.into(), value.into()))
                    .into(),
            ),
            declared: [("NODE_ENV".into(), "production".into())].into(),
            instance_var: "NODE_APP_INSTANCE".into(),
            ..Environment::default()
        },
        user: None,
        logs: LogSpec {
            out: LogFile::Path(log("out")),
            error: LogFile::Path(log("error")),
            combined: None,
            merged: true,
            format: LogFormat::Raw,
            date_format: None,
            disabled: false,
            rotation: None,
        },
        restart: RestartPolicy {
            auto: true,
            stop_exit_codes: Vec::new(),
            limit: RestartLimit::Rolling,
            delay: None,
            backoff: None,
            min_uptime: Duration::from_secs(1),
        },
        stop: StopPolicy {
            signal: 2,
            kill_timeout: Duration::from_millis(1600),
            tree: true,
            message: false,
        },
        ready: ReadyPolicy {
            wait_ready: false,
            listen_timeout: Duration::from_secs(3),
            on_timeout: OnReadyTimeout::Fail,
        },
        probes: ostler_core::Probes::default(),
        cron: Some("0 4 * * *".into()),
        watch: None,
        memory_limit: Some(150 << 20),
        memory_kill: None,
        prom_client: false,
        autostart: true,
        pid_file: "/home/u/.ostler/pids/{id}.pid".into(),
        username: "u".into(),
        attributes: serde_json::Map::new(),
    }
}

/// A process of that app, online.
pub fn process(id: u32, name: &str) -> Process {
    let log = |kind: &str| format!("/home/u/.ostler/logs/{name}-{kind}.log");
    Process {
        view: SlotView {
            id: SlotId(id),
            app: AppId(id),
            instance: 0,
            generation: Generation(2),
            status: Status::Online,
            pid: Some(Pid(4711)),
            launched_at: Some(AT),
            launched: Some(Instant(1000)),
            created_at: Some(AT),
            restarts: 1,
            unstable_restarts: 0,
            last_exit: Some(ExitStatus::Signal {
                signal: 11,
                core_dumped: true,
            }),
            restart_delay_ms: 0,
            health: ostler_core::Health::default(),
            watching: false,
            spec: Arc::new(spec(name)),
        },
        usage: Some(Usage {
            memory: 51_941_376,
            cpu: 0.5,
        }),
        connections: None,
        node: None,
        footprint: Some(Footprint {
            processes: 2,
            threads: 12,
            descriptors: Some(31),
            proportional_memory: None,
        }),
        version: Some("1.0.0".into()),
        node_version: Some("22.1.0".into()),
        out_log: log("out"),
        error_log: log("error"),
        combined_log: None,
        pid_file: format!("/home/u/.ostler/pids/{name}-{id}.pid"),
        dropped_log_bytes: 0,
        said: None,
        custom: Default::default(),
        actions: Vec::new(),
    }
}
