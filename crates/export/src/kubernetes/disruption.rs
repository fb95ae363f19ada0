//! How many pods there are, and how few there may be while nodes are emptied.

use super::{App, Kind};
use crate::remarks::Remarks;
use serde_json::{Value, json};

/// Of what is reserved: above it, another pod is started.
const BUSY_PERCENT: u32 = 80;

/// Whether the number of pods follows the load: for what shares its work and can be replaced side by side. Others may mean their
/// number to the letter.
pub(super) fn scales(app: &App<'_>) -> bool {
    app.kind == Kind::Service && app.is_shared() && app.spec.can_overlap() && app.spec.autostart
}

pub(super) fn scaling(app: &App<'_>, remarks: &mut Remarks) -> Option<Value> {
    if !scales(app) {
        return None;
    }
    let (least, most) = range(app, remarks);
    Some(json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": app.metadata(&app.name),
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": app.name },
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{
                "type": "Resource",
                "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": BUSY_PERCENT } },
            }],
        },
    }))
}

/// A number is the least there shall be. `max` was about a machine's processors.
fn range(app: &App<'_>, remarks: &mut Remarks) -> (u32, u32) {
    let instances = app.spec.instances;
    let declared = app
        .spec
        .attributes
        .get("instances")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let (least, most) = if declared > 0 {
        (instances, instances.saturating_mul(2))
    } else {
        (2, instances.max(4))
    };
    let said = if declared > 0 {
        "`instances`".to_owned()
    } else {
        format!("`instances: max`, {instances} here,")
    };
    remarks.say(format!(
        "{said} became {least} to {most} pods: choose what suits the load"
    ));
    (least, most)
}

pub(super) fn budget(app: &App<'_>) -> Option<Value> {
    (app.is_shared() && app.spec.autostart).then(|| {
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": app.metadata(&app.name),
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": app.selector() }, "unhealthyPodEvictionPolicy": "AlwaysAllow" },
        })
    })
}
