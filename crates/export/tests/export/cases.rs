//! Particular cases.

use crate::support::{Loaded, ROOT, Stage, shown};
use ostler_export::kubernetes::{Options, kubernetes};
use ostler_export::systemd::systemd;
use serde_json::{Value, json};

fn loaded(app: Value) -> Loaded {
    let mut app = app;
    app["name"] = "app".into();
    app["script"] = "app.js".into();
    let config = json!({ "apps": [app] }).to_string();
    Stage::new(&[("app.js", ""), ("app.json", &config)]).load("app.json", None)
}

fn units(app: Value) -> String {
    let Loaded { specs, project } = loaded(app);
    shown(&systemd(&specs, &project).expect("units can say it"))
}

fn objects(app: Value) -> String {
    let Loaded { specs, project } = loaded(app);
    shown(&kubernetes(&specs, &project, &Options::default()))
}

#[test]
fn of_a_cluster_whose_port_nobody_knows_one_instance_is_started() {
    let text = units(json!({ "instances": 3 }));
    assert!(
        text.contains("Wants=app@0.service\n") && text.contains("only one of its 3 instances"),
        "{text}"
    );
}

#[test]
fn an_app_that_counts_descriptors_gets_one_unit_with_all_sockets() {
    let listen =
        json!([{ "address": "tcp://127.0.0.1:1", "name": "a" }, { "address": "tcp://127.0.0.1:2", "name": "b" }]);
    let text = units(json!({ "listen": listen, "args": "--fd={{listen.b.fd}}" }));
    assert!(
        text.contains("ListenStream=127.0.0.1:1\nListenStream=127.0.0.1:2\n") && text.contains("--fd=4\n"),
        "{text}"
    );
}

#[test]
fn several_instances_by_the_clock_have_a_timer_each() {
    let text = units(json!({ "instances": 2, "exec_mode": "fork", "cron_restart": "@hourly", "autorestart": false }));
    assert!(
        text.contains("==> app@.timer <==") && text.contains("Wants=app@0.timer app@1.timer\n"),
        "{text}"
    );
    assert!(text.contains("Unit=app@%i.service\n"), "{text}");
}

#[test]
fn what_counts_up_is_not_in_a_file_that_would_win_over_it() {
    let stage = Stage::new(&[
        ("app.js", ""),
        (".env", ""),
        (
            "app.json",
            r#"{ "apps": [{ "name": "app", "script": "app.js", "instances": 2, "exec_mode": "fork", "env": { "N": 5, "A": "b" }, "increment_var": "N", "env_file": ".env" }] }"#,
        ),
    ]);
    let Loaded { specs, project } = stage.load("app.json", None);
    let text = shown(&systemd(&specs, &project).expect("units can say it"));
    assert!(
        text.contains("Environment=N=6\n") && text.contains("A=\"b\"\n") && !text.contains("N=\"5\""),
        "{text}"
    );
}

#[test]
fn a_directory_that_no_unit_can_name_is_refused() {
    let Loaded { mut specs, project } = loaded(json!({}));
    specs[0].program.cwd = format!("{ROOT}/a\nb");
    let error = systemd(&specs, &project).expect_err("a line break");
    assert!(error.to_string().starts_with("app: `WorkingDirectory=`"), "{error}");
}

#[test]
fn a_cron_job_whose_pattern_kubernetes_lacks_is_suspended() {
    let text = objects(json!({ "cron_restart": "0 0 13 * FRI", "autorestart": false }));
    assert!(
        text.contains("suspend: true\n") && text.contains("cannot say a day of month and a day of week at once"),
        "{text}"
    );
    let text = units(json!({ "cron_restart": "0 0 L * *", "autorestart": false }));
    assert!(
        !text.contains("OnCalendar=\n") && text.contains("`cron_restart` 0 0 L * * is left out"),
        "{text}"
    );
}

#[test]
fn a_pod_has_time_to_leave_to_drain_and_to_stop() {
    let drained = objects(json!({ "instances": 2, "port": 3000, "drain_timeout": "20s", "kill_timeout": "2500ms" }));
    assert!(
        drained.contains("terminationGracePeriodSeconds: 33\n"),
        "5 s to leave, 20 to drain, 2.5 to stop, 5 in hand: {drained}"
    );
    let alone = objects(json!({}));
    assert!(
        alone.contains("terminationGracePeriodSeconds: 7\n") && alone.contains("type: Recreate\n"),
        "{alone}"
    );
}

#[test]
fn what_is_alone_stays_alone_and_what_is_shared_grows() {
    let alone = objects(json!({ "port": 3000 }));
    assert!(
        alone.contains("replicas: 1\n")
            && !alone.contains("HorizontalPodAutoscaler")
            && !alone.contains("PodDisruptionBudget"),
        "{alone}"
    );
    let workers = objects(json!({ "instances": 3, "exec_mode": "fork" }));
    assert!(
        workers.contains("replicas: 3\n")
            && workers.contains("maxSurge: 0\n")
            && !workers.contains("HorizontalPodAutoscaler"),
        "{workers}"
    );
    let cluster = objects(json!({ "instances": 3, "port": 80 }));
    assert!(
        cluster.contains("minReplicas: 3\n") && !cluster.contains("  replicas:"),
        "{cluster}"
    );
    assert!(
        cluster.contains("net.ipv4.ip_unprivileged_port_start"),
        "port 80 without rights: {cluster}"
    );
}

#[test]
fn a_variable_whose_name_cannot_be_said_is_told() {
    let env = json!({ "GOOD": "1", "a b": "2", "c.d": "3" });
    let text = objects(json!({ "env": env }));
    assert!(
        text.contains("GOOD: \"1\"\n")
            && text.contains("the variable \"a b\" is left out")
            && text.contains("c.d: \"3\"\n"),
        "{text}"
    );
    let text = units(json!({ "env": env }));
    assert!(
        text.contains("Environment=GOOD=1\n") && text.contains("the variable c.d is left out"),
        "{text}"
    );
}

#[test]
fn declared_probes_are_the_pods() {
    let text = objects(json!({
        "instances": 2, "exec_mode": "cluster", "port": 3000,
        "health": { "http": "/healthz", "interval": "20s", "timeout": "2s", "failure_threshold": 4, "success_threshold": 2 },
        "ready": { "http": "/readyz", "success_threshold": 2 },
    }));
    let after = |probe: &str| {
        text.split_once(probe)
            .map(|(_, rest)| rest.lines().take(9).collect::<String>())
    };
    let squeezed = |probe: &str| {
        after(probe)
            .expect("a probe")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let (live, ready) = (squeezed("livenessProbe:"), squeezed("readinessProbe:"));
    for part in [
        "path: /healthz",
        "port: 3000",
        "periodSeconds: 20",
        "timeoutSeconds: 2",
        "failureThreshold: 4",
    ] {
        assert!(live.contains(part), "{part} in {live}");
    }
    // Kubernetes takes no other number there.
    assert!(!live.contains("successThreshold"), "{live}");
    assert!(
        ready.contains("path: /readyz") && ready.contains("successThreshold: 2"),
        "{ready}"
    );
    assert!(squeezed("startupProbe:").contains("path: /readyz"), "{text}");
    let text = objects(json!({ "port": 3000, "health": "heartbeat" }));
    assert!(
        text.contains("tcpSocket"),
        "what only Ostler can ask is not asked from outside: {text}"
    );
}

#[test]
fn a_command_looks_at_the_pod_whether_it_has_a_port_or_not() {
    let health = json!({ "command": "redis-cli ping | grep -q PONG", "timeout": "3s" });
    let text = objects(json!({ "port": 3000, "health": health, "ready": { "command": ["./ready", "now"] } }));
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "livenessProbe: exec: command: - /bin/sh - \"-c\" - \"redis-cli ping | grep -q PONG\"",
        "readinessProbe: exec: command: - \"./ready\" - now",
        "startupProbe: exec: command: - \"./ready\" - now",
        "without OSTLER_PROBED_PID",
    ] {
        assert!(squeezed.contains(part), "{part} in {text}");
    }
    let text = objects(json!({ "health": health }));
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("no Service: no port"), "{text}");
    assert!(
        squeezed.contains("startupProbe: exec:") && squeezed.contains("livenessProbe: exec:"),
        "{text}"
    );
    assert!(squeezed.contains("periodSeconds: 1 timeoutSeconds: 3"), "{text}");
    let text = objects(json!({ "ready": "exec:true" }));
    assert!(
        text.contains("readinessProbe") && !text.contains("livenessProbe"),
        "{text}"
    );
    assert!(!objects(json!({ "health": "exec:true", "autorestart": false })).contains("Probe"));
}
