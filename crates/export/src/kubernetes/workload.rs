//! What keeps pods going: a Deployment, or for what ends by itself a CronJob or a Job.

use super::{App, Kind, disruption, pod};
use crate::cron::Schedule;
use crate::remarks::Remarks;
use serde_json::{Value, json};

/// How many ended pods are kept, for their logs.
const KEPT: u32 = 3;

pub(super) fn workload(app: &App<'_>, remarks: &mut Remarks) -> Value {
    match &app.kind {
        Kind::Service => deployment(app, remarks),
        Kind::Cron(pattern) => cron_job(app, pattern, remarks),
        Kind::Job => job(app, remarks),
    }
}

fn deployment(app: &App<'_>, remarks: &mut Remarks) -> Value {
    let spec = app.spec;
    if !spec.restart.stop_exit_codes.is_empty() {
        remarks.say("`stop_exit_codes`: a Deployment starts again what ended, whatever its exit code; use a Job for what has an end");
    }
    let mut body = json!({});
    if !spec.autostart {
        remarks.say("`autostart: false`: it has 0 replicas until you scale it");
        body["replicas"] = 0.into();
    } else if !disruption::scales(app) {
        // Whoever scales would be overruled by each `kubectl apply`.
        body["replicas"] = spec.instances.into();
    }
    body["strategy"] = strategy(app);
    body["selector"] = json!({ "matchLabels": app.selector() });
    body["template"] = pod::template(app);
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": app.metadata(&app.name), "spec": body })
}

/// As here: side by side only what can be, one process that is alone never twice.
fn strategy(app: &App<'_>) -> Value {
    if app.spec.can_overlap() {
        return json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    }
    if app.is_shared() {
        return json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
    }
    json!({ "type": "Recreate" })
}

fn cron_job(app: &App<'_>, pattern: &str, remarks: &mut Remarks) -> Value {
    remarks.say("`cron_restart` without `autorestart`: a CronJob, which runs by the clock only and not at once when it is applied");
    let schedule = Schedule::parse(pattern).and_then(|schedule| schedule.kubernetes());
    let mut body = json!({});
    match schedule {
        Ok(schedule) => body["schedule"] = schedule.into(),
        Err(unsayable) => {
            remarks.say(format!(
                "`cron_restart` {pattern}: a CronJob cannot say {unsayable}. It is suspended: write its `schedule`, then take `suspend` out"
            ));
            body["schedule"] = "0 0 1 1 *".into();
            body["suspend"] = true.into();
        }
    }
    match &app.project.time_zone {
        Some(zone) => body["timeZone"] = zone.clone().into(),
        None => remarks.say("`cron_restart` is in this machine's time, whose zone has no name: set `timeZone`"),
    }
    if !app.spec.autostart {
        body["suspend"] = true.into();
    }
    // A run that is not through is ended when the next is due, as here.
    body["concurrencyPolicy"] = "Replace".into();
    body["successfulJobsHistoryLimit"] = KEPT.into();
    body["failedJobsHistoryLimit"] = KEPT.into();
    body["jobTemplate"] = json!({ "metadata": { "labels": app.labels() }, "spec": job_spec(app) });
    json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": app.metadata(&app.name), "spec": body })
}

fn job(app: &App<'_>, remarks: &mut Remarks) -> Value {
    remarks.say("`autorestart: false`: a Job, which runs once; delete it before it is applied again");
    let mut spec = job_spec(app);
    if !app.spec.autostart {
        spec["suspend"] = true.into();
    }
    json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": app.metadata(&app.name), "spec": spec })
}

fn job_spec(app: &App<'_>) -> Value {
    let mut spec = json!({ "backoffLimit": 0 });
    if app.is_shared() {
        spec["parallelism"] = app.spec.instances.into();
        spec["completions"] = app.spec.instances.into();
    }
    spec["template"] = pod::template(app);
    spec
}
