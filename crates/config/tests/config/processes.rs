//! What a process sees in its environment, and what `jlist` shows of it.

use crate::place::Place;
use ostler_config::pm2::{jlist_entry, pm2_env};
use ostler_config::{child_environment, log_path, probe_environment, read_files, with_id};
use ostler_core::{AppId, ExitStatus, Generation, Launch, Pid, SlotId, SlotView, Spec, Status, WallTime, WorkerId};
use ostler_wire::control::{Process, Usage};
use std::path::Path;
use std::sync::Arc;

fn launch(spec: Spec, slot: u32, instance: u32) -> Launch {
    let worker = WorkerId::new(slot, 1);
    Launch {
        worker,
        app: AppId(0),
        place: None,
        instance,
        spec: Arc::new(spec),
    }
}

#[test]
fn the_environment_is_layered_from_shell_to_declaration() {
    let mut place = Place::new();
    for name in ["A", "B", "C", "name", "pm_id"] {
        place.context.environment.insert(name.into(), "shell".into());
    }
    place
        .file(".env", "B=file\nC=file\npm_id=file\n")
        .file(".env.local", "C=local\n");
    let spec = place.spec(
        "a.json",
        "{ script: 'app.js', env_file: ['.env', '.env.local'], env: { D: 'declared', C: 'declared' } }",
    );
    let files = read_files(&spec.environment).expect("readable files");
    let child = child_environment(&launch(spec, 4, 1), &files, Path::new("/home/u/.ostler"));
    let value = |name: &str| child.get(name).map(String::as_str);
    assert_eq!(
        (value("A"), value("B"), value("C"), value("D")),
        (Some("shell"), Some("file"), Some("declared"), Some("declared"))
    );
    assert_eq!(
        (value("name"), value("pm_id"), value("NODE_APP_INSTANCE")),
        (Some("app"), Some("4"), Some("1"))
    );
    assert_eq!(
        (value("PM2_HOME"), value("exec_mode")),
        (Some("/home/u/.ostler"), Some("fork_mode"))
    );
    assert_eq!(value("username"), Some("tester"));
}

#[test]
fn the_command_of_a_probe_has_its_workers_environment_and_nothing_that_only_the_worker_has() {
    let mut place = Place::new();
    let channel = ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"];
    for name in channel {
        place.context.environment.insert(name.into(), "7".into());
    }
    let spec = place.spec(
        "a.json",
        "{ script: 'app.js', env: { A: 'a' }, listen: 'tcp://127.0.0.1:3000' }",
    );
    let of_probe = probe_environment(&launch(spec, 4, 1), &[], Path::new("/h"), Pid(4711));
    let value = |name: &str| of_probe.get(name).map(String::as_str);
    assert_eq!(
        (value("A"), value("pm_id"), value("NODE_APP_INSTANCE")),
        (Some("a"), Some("4"), Some("1"))
    );
    assert_eq!(value("OSTLER_PROBED_PID"), Some("4711"));
    for name in channel
        .into_iter()
        .chain(["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"])
    {
        assert_eq!(value(name), None, "{name}");
    }
}

#[test]
fn env_files_are_read_anew_each_time() {
    let place = Place::new();
    place.file(".env", "A=1\n");
    let spec = place.spec("a.json", "{ script: 'app.js', env_file: '.env' }");
    assert_eq!(read_files(&spec.environment).expect("readable")[0]["A"], "1");
    place.file(".env", "A=2\n");
    assert_eq!(read_files(&spec.environment).expect("readable")[0]["A"], "2");
    assert!(spec.environment.declared.is_empty() && !spec.environment.inherited.contains_key("A"));
}

#[test]
fn a_growing_variable_counts_instances_from_its_declared_value() {
    let place = Place::new();
    let spec = place.spec(
        "a.json",
        "{ script: 'app.js', instances: 3, increment_var: 'PORT', instance_var: 'N', env: { PORT: 3000 } }",
    );
    let child = |instance| child_environment(&launch(spec.clone(), 9, instance), &[], Path::new("/h"));
    assert_eq!((child(0)["PORT"].as_str(), child(2)["PORT"].as_str()), ("3000", "3002"));
    assert_eq!(child(2)["N"], "2");
    assert!(!child(0).contains_key("NODE_APP_INSTANCE"));
}

#[test]
fn a_declared_variable_wins_over_pm2s_facts() {
    let spec = Place::new().spec("a.json", "{ script: 'app.js', env: { name: 'mine', PM2_HOME: '/x' } }");
    let child = child_environment(&launch(spec, 0, 0), &[], Path::new("/h"));
    assert_eq!((child["name"].as_str(), child["PM2_HOME"].as_str()), ("mine", "/x"));
}

#[test]
fn python_writes_unbuffered() {
    let place = Place::new();
    place.file("app.py", "");
    let child = child_environment(
        &launch(place.spec("a.json", "{ script: 'app.py' }"), 0, 0),
        &[],
        Path::new("/h"),
    );
    assert_eq!(child["PYTHONUNBUFFERED"], "1");
}

fn process(spec: Spec) -> Process {
    let id = SlotId(3);
    let (out_log, error_log) = (log_path(&spec.logs.out, id), log_path(&spec.logs.error, id));
    let pid_file = with_id(&spec.pid_file, id);
    let view = SlotView {
        id,
        app: AppId(1),
        instance: 1,
        generation: Generation(2),
        status: Status::Online,
        pid: Some(Pid(19470)),
        launched_at: Some(WallTime(1_795_248_168_129)),
        launched: None,
        created_at: Some(WallTime(1_795_248_168_000)),
        restarts: 2,
        unstable_restarts: 0,
        last_exit: Some(ExitStatus::Code(1)),
        restart_delay_ms: 0,
        health: ostler_core::Health::default(),
        watching: false,
        spec: Arc::new(spec),
    };
    Process {
        view,
        connections: None,
        node: None,
        footprint: None,
        usage: Some(Usage {
            memory: 51_941_376,
            cpu: 0.0,
        }),
        version: Some("1.0.0".into()),
        node_version: Some("20.20.2".into()),
        out_log,
        error_log,
        combined_log: None,
        pid_file,
        dropped_log_bytes: 0,
        said: None,
        custom: Default::default(),
        actions: Vec::new(),
    }
}

const APP: &str =
    "{ script: 'app.js', name: 'echonest', args: '--flag x', max_memory_restart: '150M', env: { FOO: 'bar' } }";

#[test]
fn jlist_has_pm2s_keys_in_pm2s_order() {
    let mut place = Place::new();
    place
        .context
        .environment
        .retain(|name, _value| name == "HOME" || name == "PATH");
    let entry = jlist_entry(&process(place.spec("a.json", APP)), Path::new("/home/u/.ostler"));
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&entry), ["pid", "name", "pm2_env", "pm_id", "monit"]);
    let expected = "name filter_env namespace args env max_memory_restart merge_logs vizion autostart autorestart watch \
        instance_var pmx automation treekill username windowsHide kill_retry_time node_args pm_exec_path pm_cwd \
        exec_interpreter exec_mode instances pm_out_log_path pm_err_log_path pm_pid_path km_link vizion_running \
        NODE_APP_INSTANCE HOME PATH FOO PM2_HOME PM2_USAGE unique_id axm_actions axm_monitor axm_options axm_dynamic \
        status pm_uptime created_at pm_id restart_time unstable_restarts exit_code version node_version";
    assert_eq!(
        keys(&entry["pm2_env"]).join(" "),
        expected.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    assert_eq!(entry["monit"].to_string(), r#"{"memory":51941376,"cpu":0}"#);
    assert_eq!((&entry["pid"], &entry["pm_id"]), (&19470.into(), &3.into()));
}

#[test]
fn scripts_that_count_words_in_lists_find_pm2s_numbers() {
    let entry = jlist_entry(&process(Place::new().spec("a.json", APP)), Path::new("/home/u/.ostler")).to_string();
    let count = |word: &str| entry.matches(word).count();
    assert_eq!(count("echonest"), 7, "{entry}");
    assert_eq!(
        (
            count("online"),
            count("restart_time"),
            count("\"pm_id\":3"),
            count("app.js")
        ),
        (1, 1, 2, 1)
    );
    assert_eq!((count("fork_mode"), count("NODE_APP_INSTANCE\":")), (1, 1));
    assert_eq!((count("stopped"), count("errored"), count("launching")), (0, 0, 0));
}

#[test]
fn a_variable_never_hides_a_setting() {
    let spec = Place::new().spec(
        "a.json",
        "{ script: 'app.js', env: { name: 'x', status: 'y', pm_id: 'z', watch: 'w' } }",
    );
    let map = pm2_env(&process(spec), Path::new("/h"));
    assert_eq!(
        (&map["name"], &map["status"], &map["pm_id"]),
        (&"app".into(), &"online".into(), &3.into())
    );
    assert_eq!((&map["watch"], &map["env"]["watch"]), (&false.into(), &"w".into()));
}
