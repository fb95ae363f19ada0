//! The Service: one name and address for all pods of an app that listens.

use super::{App, pod};
use crate::remarks::Remarks;
use ostler_core::{Balance, Mode};
use serde_json::{Value, json};

pub(super) fn service(app: &App<'_>, remarks: &mut Remarks) -> Option<Value> {
    if app.ports.is_empty() {
        let missing = match pod::probes_of(app) {
            Some(_) => "no Service",
            None => "no Service and no probes",
        };
        remarks.say(format!(
            "{missing}: no port is declared (`port`, PORT in `env`, or `listen`)"
        ));
        return None;
    }
    let port = |port: &crate::port::Port| json!({ "name": port.name, "port": port.number, "targetPort": port.name, "protocol": pod::protocol(port) });
    let mut spec = json!({
        "selector": app.selector(),
        "ports": app.ports.iter().map(port).collect::<Value>(),
    });
    if app.spec.mode == Mode::Cluster {
        balance(app.spec.cluster.balance, &mut spec, remarks);
    }
    if let Some(host) = app
        .variables
        .plain
        .get("HOST")
        .or_else(|| app.variables.plain.get("HOSTNAME"))
        && matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1")
    {
        remarks.say(format!(
            "its variables have it listen on {host}, which nothing outside the pod reaches: make it 0.0.0.0"
        ));
    }
    Some(json!({ "apiVersion": "v1", "kind": "Service", "metadata": app.metadata(&app.name), "spec": spec }))
}

fn balance(balance: Balance, spec: &mut Value, remarks: &mut Remarks) {
    match balance {
        Balance::RoundRobin => {}
        Balance::Sticky => {
            spec["sessionAffinity"] = "ClientIP".into();
            remarks.say("`balance: sticky` is the Service's `sessionAffinity`: behind an Ingress all clients have its address, let it set a cookie instead");
        }
        Balance::LeastConnections => {
            remarks.say("`balance: least-connections` does not hold between pods: a Service chooses by chance; an Ingress may do better");
        }
        Balance::Direct => {
            remarks.say("`balance: direct` holds within a pod; between pods a Service chooses by chance");
        }
    }
}
