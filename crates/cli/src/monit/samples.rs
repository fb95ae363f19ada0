//! For tests: processes as the daemon tells how they are doing.

use ostler_core::metrics::HttpRates;
use ostler_core::{Mode, Pid, SlotId, Status};
use ostler_wire::control::{Connections, ProcessRow, Usage};
use ostler_wire::metrics::{CustomMetric, LoopDelay, Metrics, NodeMetrics, WorkerMetrics};
use std::collections::BTreeMap;

/// A process that is online and of which nothing is known but what it uses.
pub fn worker(id: u32, name: &str) -> WorkerMetrics {
    WorkerMetrics {
        row: ProcessRow {
            id: SlotId(id),
            name: name.into(),
            namespace: "default".into(),
            version: None,
            mode: Mode::Fork,
            instance: 0,
            pid: Some(Pid(4700 + id as i32)),
            uptime_ms: 125_000,
            restarts: 0,
            status: Status::Online,
            health: ostler_core::Health::default(),
            usage: Some(Usage {
                memory: 60 << 20,
                cpu: 20.0,
            }),
            connections: None,
            user: "ann".into(),
            watching: false,
        },
        node: None,
        footprint: None,
        custom: BTreeMap::new(),
    }
}

/// A worker of a cluster that serves HTTP.
pub fn serving(id: u32, name: &str, requests: f64) -> WorkerMetrics {
    let mut worker = worker(id, name);
    worker.row.mode = Mode::Cluster;
    worker.row.instance = id;
    worker.row.connections = Some(Connections {
        accepted: Some(1200),
        refused: Some(0),
        active: Some(16),
        handled: None,
    });
    worker.node = Some(NodeMetrics {
        age_ms: 400,
        loop_delay: Some(LoopDelay {
            mean: 1.0,
            p50: 0.5,
            p99: 12.5,
            max: 20.0,
        }),
        loop_utilisation: Some(40.0),
        gc: Some(0.5),
        heap: 20 << 20,
        heap_limit: 2 << 30,
        active_handles: 20,
        active_requests: 0,
        in_flight: 3,
        http: Some(HttpRates {
            requests,
            errors: 0.0,
            aborted: 0.0,
            p50_ms: Some(2.0),
            p95_ms: Some(8.0),
            p99_ms: Some(15.0),
        }),
    });
    worker
}

/// `api`, a cluster of four of which one is starting; `mailer`, which is busy; `report`, which is stopped.
pub fn metrics() -> Metrics {
    let mut workers: Vec<WorkerMetrics> = (0..4).map(|id| serving(id, "api", 250.5)).collect();
    workers[3].row.status = Status::Launching;
    workers[3].row.restarts = 2;
    workers[3].row.uptime_ms = 0;
    workers[3].row.usage = Some(Usage {
        memory: 3 << 20,
        cpu: 3.0,
    });
    workers[3].row.connections = None;
    workers[3].node = None;
    let mut mailer = worker(4, "mailer");
    mailer.row.usage = Some(Usage {
        memory: 120 << 20,
        cpu: 101.5,
    });
    let queue = CustomMetric {
        value: "12".into(),
        unit: Some("jobs".into()),
        kind: None,
        historic: true,
    };
    mailer.custom.insert("queue".into(), queue);
    let mut report = worker(5, "report");
    report.row.status = Status::Stopped;
    report.row.pid = None;
    report.row.usage = None;
    workers.extend([mailer, report]);
    Metrics {
        workers,
        apps: Vec::new(),
    }
}
