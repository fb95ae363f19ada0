//! What is measured of each worker.

use super::instrument::{Instrument, Span, Value, amount, by, count, counter, double, gauge, yes_or_no};
use super::{Place, custom};
use crate::otlp::memory::{Amounts, Counter, Memory};
use crate::otlp::request::{Attribute, ResourceMetrics};
use ostler_core::{SlotId, Status};
use ostler_wire::control::Handled;
use ostler_wire::metrics::{LoopDelay, NodeMetrics, WorkerMetrics};

/// All that a worker may be. One of them is 1 and the others are 0, so that what it was does not linger where it is looked at.
const STATES: [Status; 6] = [
    Status::Launching,
    Status::Online,
    Status::Stopping,
    Status::Stopped,
    Status::Errored,
    Status::WaitingRestart,
];

/// Processors that are kept busy, of those to be had.
struct Share {
    busy: Option<f64>,
    of: f64,
}

/// A worker as a resource.
pub(super) fn resource(worker: &WorkerMetrics, place: &Place, memory: &mut Memory) -> ResourceMetrics {
    let row = &worker.row;
    let run = memory.run(row.id, row.pid, row.uptime_ms, worker.node.is_some());
    let mut counted = |of: fn(String, String, SlotId) -> Counter, counts| {
        let counter = of(row.namespace.clone(), row.name.clone(), row.id);
        let amounts = Amounts {
            counts,
            ..Amounts::default()
        };
        memory.count(counter, amounts).0
    };
    let restarting_since = counted(Counter::Restarts, vec![u64::from(row.restarts)]);
    let handled = handled(worker);
    let handed_since = handled.map(|handled| counted(Counter::Connections, vec![handled.accepted, handled.refused]));
    let mut attributes = place.attributes(&row.name, &row.namespace, Some(row.id.0));
    attributes.extend(
        row.version
            .clone()
            .map(|version| Attribute::text("service.version", version)),
    );
    attributes.extend(row.pid.map(|pid| Attribute::whole("process.pid", i64::from(pid.0))));
    if run.is_node && row.pid.is_some() {
        attributes.push(Attribute::text("process.runtime.name", "nodejs"));
    }
    let span = |since| Span {
        since,
        now: memory.now(),
    };
    let share = Share {
        busy: cpu(worker),
        of: place.processors,
    };
    let measured = METRICS
        .iter()
        .filter_map(|metric| metric.measure(worker, span(run.began)));
    let mut metrics: Vec<_> = measured.collect();
    metrics.extend(UTILISATION.measure(&share, span(run.began)));
    metrics.extend(RESTARTS.measure(worker, span(restarting_since)));
    if let Some(since) = handed_since {
        metrics.extend(HANDED.iter().filter_map(|metric| metric.measure(worker, span(since))));
    }
    metrics.extend(custom::metrics(&worker.custom, memory.now()));
    ResourceMetrics::new(place.with_others(attributes), metrics)
}

const RESTARTS: Instrument<WorkerMetrics> = counter(
    "ostler.worker.restarts",
    "{restart}",
    "How often it was started again.",
    |worker| count(Some(u64::from(worker.row.restarts))),
);

const HANDED: [Instrument<WorkerMetrics>; 2] = [
    counter(
        "ostler.worker.connections.accepted",
        "{connection}",
        "Connections that it, and those before it at its instance, were handed and have taken.",
        |worker| count(handled(worker).map(|handled| handled.accepted)),
    ),
    counter(
        "ostler.worker.connections.refused",
        "{connection}",
        "Connections that it, and those before it at its instance, were handed and have given back.",
        |worker| count(handled(worker).map(|handled| handled.refused)),
    ),
];

const UTILISATION: Instrument<Share> = gauge(
    "process.cpu.utilization",
    "1",
    "Share of the processors to be had that its process tree keeps busy.",
    |share| double(share.busy.map(|busy| busy / share.of)),
);

const METRICS: [Instrument<WorkerMetrics>; 21] = [
    gauge(
        "ostler.worker.cpu.usage",
        "{cpu}",
        "Processors that its process tree keeps busy.",
        |worker| double(cpu(worker)),
    ),
    amount(
        "process.memory.usage",
        "By",
        "Resident memory of its process tree.",
        |worker| count(worker.row.usage.map(|usage| usage.memory)),
    ),
    amount(
        "ostler.worker.memory.proportional",
        "By",
        "Memory of its process tree, what others have too counting by its share.",
        |worker| count(worker.footprint.and_then(|footprint| footprint.proportional_memory)),
    ),
    amount(
        "ostler.worker.processes",
        "{process}",
        "Processes of its tree.",
        |worker| count(worker.footprint.map(|footprint| footprint.processes)),
    ),
    amount(
        "process.thread.count",
        "{thread}",
        "Threads of its process tree.",
        |worker| count(worker.footprint.map(|footprint| footprint.threads)),
    ),
    amount(
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
        "Descriptors that its process tree has open.",
        |worker| count(worker.footprint.and_then(|footprint| footprint.descriptors)),
    ),
    gauge("process.uptime", "s", "For how long it has been up.", |worker| {
        let row = &worker.row;
        let is_up = row.pid.is_some() && row.uptime_ms > 0;
        double(is_up.then_some(row.uptime_ms as f64 / 1000.0))
    }),
    amount(
        "ostler.worker.status",
        "1",
        "1 for what it is: launching, online, stopping, stopped, errored or waiting restart.",
        |worker| {
            let is_so = |state: Status| (state.as_str(), u64::from(state == worker.row.status));
            by("ostler.worker.state", STATES.map(is_so))
        },
    ),
    gauge(
        "ostler.worker.healthy",
        "1",
        "Whether its `health` probe passes.",
        |worker| yes_or_no(worker.row.health.healthy),
    ),
    gauge(
        "ostler.worker.ready",
        "1",
        "Whether its `ready` probe passes.",
        |worker| yes_or_no(worker.row.health.ready),
    ),
    amount(
        "ostler.worker.connections",
        "{connection}",
        "Connections that it has open.",
        |worker| count(worker.row.connections.and_then(|connections| connections.active)),
    ),
    gauge(
        "nodejs.eventloop.delay.mean",
        "s",
        "How late the event loop was in the mean.",
        |worker| of_delay(worker, |delay| delay.mean),
    ),
    gauge(
        "nodejs.eventloop.delay.p50",
        "s",
        "How late the event loop was at most in half of the cases.",
        |worker| of_delay(worker, |delay| delay.p50),
    ),
    gauge(
        "nodejs.eventloop.delay.p99",
        "s",
        "How late the event loop was at most in 99 of 100 cases.",
        |worker| of_delay(worker, |delay| delay.p99),
    ),
    gauge(
        "nodejs.eventloop.delay.max",
        "s",
        "How late the event loop was at most.",
        |worker| of_delay(worker, |delay| delay.max),
    ),
    gauge(
        "nodejs.eventloop.utilization",
        "1",
        "Share of the time in which the event loop had something to do.",
        |worker| {
            double(
                worker
                    .node
                    .and_then(|node| node.loop_utilisation)
                    .map(|percent| percent / 100.0),
            )
        },
    ),
    amount(
        "v8js.memory.heap.used",
        "By",
        "Heap of V8 in use, in all spaces.",
        |worker| of_node(worker, |node| node.heap),
    ),
    amount(
        "v8js.memory.heap.limit",
        "By",
        "What the heap of V8 may grow to.",
        |worker| of_node(worker, |node| node.heap_limit),
    ),
    amount(
        "http.server.active_requests",
        "{request}",
        "HTTP requests under way.",
        |worker| of_node(worker, |node| node.in_flight),
    ),
    gauge(
        "ostler.worker.report.age",
        "s",
        "How long ago it last said how it is doing, as a program of Node does.",
        |worker| double(worker.node.map(|node| node.age_ms as f64 / 1000.0)),
    ),
    amount(
        "ostler.worker.handles",
        "{handle}",
        "Active handles of libuv.",
        |worker| of_node(worker, |node| node.active_handles),
    ),
];

/// What came of the connections that the workers of its instance were handed.
fn handled(worker: &WorkerMetrics) -> Option<Handled> {
    worker.row.connections?.handled
}

/// Processors that it keeps busy.
fn cpu(worker: &WorkerMetrics) -> Option<f64> {
    worker.row.usage.map(|usage| usage.cpu / 100.0)
}

fn of_node(worker: &WorkerMetrics, of: impl Fn(&NodeMetrics) -> u64) -> Vec<Value> {
    count(worker.node.as_ref().map(of))
}

/// In seconds.
fn of_delay(worker: &WorkerMetrics, of: impl Fn(&LoopDelay) -> f64) -> Vec<Value> {
    let delay = worker.node.and_then(|node| node.loop_delay);
    double(delay.map(|delay| of(&delay) / 1000.0))
}

/// What they are called.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [UTILISATION.name()]
        .into_iter()
        .chain(METRICS.iter().chain([&RESTARTS]).chain(&HANDED).map(Instrument::name))
}
