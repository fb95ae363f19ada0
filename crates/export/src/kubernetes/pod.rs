//! The pod: `ostler runtime` with one worker, as few rights as it needs, and time enough to end.

use super::{App, Kind, settings};
use crate::container::{ROOT, USER, ending};
use crate::port;
use crate::probe::{Check, Probe, Probes, probes};
use crate::remarks::Remarks;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a pod goes on as before once it is to end: until every node knows that it is no longer a Service's.
const LEAVING: Duration = Duration::from_secs(5);
/// What Ostler itself may need besides the app's own times.
const MARGIN: Duration = Duration::from_secs(5);
/// What Ostler itself needs of memory.
const OWN_MEMORY: u64 = 64 << 20;
/// What a worker is assumed to need where nothing is known.
const USUAL_MEMORY: u64 = 128 << 20;
/// Ports below need rights.
const FIRST_FREE_PORT: u16 = 1024;

/// A pod's template.
pub(super) fn template(app: &App<'_>) -> Value {
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": pod_security(app),
        "terminationGracePeriodSeconds": seconds(grace(app)),
    });
    if app.kind != Kind::Service {
        spec["restartPolicy"] = "Never".into();
    }
    spec["containers"] = json!([container(app)]);
    spec["volumes"] = json!([
        { "name": "settings", "configMap": { "name": settings::settings_name(app) } },
        { "name": "tmp", "emptyDir": {} },
    ]);
    json!({
        "metadata": { "labels": app.labels(), "annotations": { "checksum/config": settings::checksum(app) } },
        "spec": spec,
    })
}

fn pod_security(app: &App<'_>) -> Value {
    let mut security = json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    if app.ports.iter().any(|port| port.number < FIRST_FREE_PORT) {
        security["sysctls"] = json!([{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }]);
    }
    security
}

fn container(app: &App<'_>) -> Value {
    let mut container = json!({
        "name": app.name,
        "image": app.image(),
        "command": ["ostler", "runtime", format!("{}/{}", settings::DIRECTORY, settings::FILE), "--shutdown-timeout", format!("{}s", seconds(ending(app.spec)))],
        "workingDir": ROOT,
    });
    let sources = settings::sources(app);
    if !sources.is_empty() {
        container["envFrom"] = sources.into();
    }
    if !app.ports.is_empty() {
        let port =
            |port: &port::Port| json!({ "name": port.name, "containerPort": port.number, "protocol": protocol(port) });
        container["ports"] = app.ports.iter().map(port).collect();
    }
    if let Some(probes) = probes_of(app) {
        container["startupProbe"] = probe(&probes.startup);
        container["readinessProbe"] = probe(&probes.readiness);
        if let Some(liveness) = &probes.liveness {
            container["livenessProbe"] = probe(liveness);
        }
    }
    if is_served(app) {
        container["lifecycle"] = json!({ "preStop": { "sleep": { "seconds": seconds(LEAVING) } } });
    }
    container["resources"] = resources(app);
    container["securityContext"] = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    container["volumeMounts"] = json!([
        { "name": "settings", "mountPath": settings::DIRECTORY, "readOnly": true },
        { "name": "tmp", "mountPath": "/tmp" },
    ]);
    container
}

pub(super) fn protocol(port: &port::Port) -> &'static str {
    if port.udp { "UDP" } else { "TCP" }
}

/// Whether others come to it by a Service.
fn is_served(app: &App<'_>) -> bool {
    app.kind == Kind::Service && !app.ports.is_empty()
}

/// How the pod is looked at, if there is a way.
pub(super) fn probes_of(app: &App<'_>) -> Option<Probes> {
    let is_looked_at = app.kind == Kind::Service;
    is_looked_at.then(|| probes(app.spec, port::first_tcp(&app.ports), &app.options.probes))?
}

/// What a command that looks at a pod does without.
pub(super) fn say_of_commands(app: &App<'_>, remarks: &mut Remarks) {
    let runs = |probe: &Probe| matches!(probe.check, Check::Command(_));
    let by_command =
        probes_of(app).is_some_and(|probes| runs(&probes.readiness) || probes.liveness.as_ref().is_some_and(runs));
    if by_command {
        remarks.say("a probe's command is run by the kubelet: without OSTLER_PROBED_PID, pm_id and what else only a worker's own environment has");
    }
}

fn probe(probe: &Probe) -> Value {
    let mut object = Map::new();
    match &probe.check {
        Check::Http { path, port } => object.insert("httpGet".into(), json!({ "path": path, "port": port })),
        Check::Tcp { port } => object.insert("tcpSocket".into(), json!({ "port": port })),
        Check::Command(command) => object.insert("exec".into(), json!({ "command": command })),
    };
    object.insert("periodSeconds".into(), seconds(probe.period).into());
    object.insert("timeoutSeconds".into(), seconds(probe.timeout).into());
    object.insert("failureThreshold".into(), probe.failures.into());
    if probe.successes > 1 {
        object.insert("successThreshold".into(), probe.successes.into());
    }
    object.into()
}

/// How long a pod may take to end: it leaves its Service, its app ends, and Ostler with it.
fn grace(app: &App<'_>) -> Duration {
    let leaving = if is_served(app) { LEAVING } else { Duration::ZERO };
    leaving + ending(app.spec) + MARGIN
}

/// Whole seconds, rounded up.
fn seconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

/// What is reserved, and where the kernel ends a pod: above where Ostler replaces the worker, and, since it is replaced
/// without a gap, with room for its successor.
fn resources(app: &App<'_>) -> Value {
    let cpu = if app.is_shared() && app.spec.can_overlap() {
        "500m"
    } else {
        "100m"
    };
    let reserved = app.spec.memory_limit.unwrap_or(USUAL_MEMORY);
    let mut resources = json!({ "requests": { "cpu": cpu, "memory": quantity(reserved) } });
    if let Some(most) = memory_limit(app) {
        resources["limits"] = json!({ "memory": quantity(most) });
    }
    resources
}

fn memory_limit(app: &App<'_>) -> Option<u64> {
    let workers = if app.spec.can_overlap() { 2 } else { 1 };
    let limit = app.spec.memory_limit?;
    Some(limit.saturating_mul(workers).saturating_add(OWN_MEMORY))
}

/// Why a pod may use more than the config says.
pub(super) fn say_of_memory(app: &App<'_>, remarks: &mut Remarks) {
    let (Some(limit), Some(most)) = (app.spec.memory_limit, memory_limit(app)) else {
        return;
    };
    let successor = if app.spec.can_overlap() {
        ", whose successor starts beside it,"
    } else {
        ""
    };
    remarks.say(format!(
        "`max_memory_restart` {}: Ostler replaces the worker{successor} there; the kernel ends the pod at {}",
        quantity(limit),
        quantity(most)
    ));
}

/// Bytes as Kubernetes writes them.
fn quantity(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{}Mi", bytes >> 20)
    } else if bytes.is_multiple_of(1 << 10) {
        format!("{}Ki", bytes >> 10)
    } else {
        bytes.to_string()
    }
}
