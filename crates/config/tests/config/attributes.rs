//! What each key family makes of its keys.

use crate::place::Place;
use ostler_config::{Overrides, from_command_line, patch, signal};
use ostler_core::{Balance, Interpreter, LogFile, LogFormat, OnReadyTimeout, RestartLimit, RunAs, Spec};
use serde_json::{Value, json};
use std::time::Duration;

fn spec(value: Value) -> Spec {
    let mut value = value;
    value["script"] = "app.js".into();
    Place::new().spec("a.json", &value.to_string())
}

#[test]
fn workers_of_node_may_accept_by_themselves_and_others_not() {
    let mut place = Place::new();
    place.context.environment.insert("PATH".into(), place.path("bin"));
    for (interpreter, balance) in [
        ("node", Balance::Direct),
        ("bun", Balance::RoundRobin),
        ("deno", Balance::RoundRobin),
    ] {
        place.executable(&format!("bin/{interpreter}"), "#!/bin/sh\n");
        let app =
            json!({ "script": "app.js", "exec_mode": "cluster", "balance": "direct", "interpreter": interpreter });
        let spec = place.spec("a.json", &app.to_string());
        assert_eq!(spec.cluster.balance, balance, "{interpreter}");
    }
}

#[test]
fn an_app_without_settings_has_the_documented_defaults() {
    let spec = spec(json!({}));
    assert_eq!(
        (spec.name.as_str(), spec.namespace.as_str(), spec.instances),
        ("app", "default", 1)
    );
    assert_eq!(spec.restart.limit, RestartLimit::Rolling);
    assert_eq!(
        (spec.restart.auto, spec.restart.min_uptime),
        (true, Duration::from_secs(1))
    );
    assert_eq!(
        (spec.stop.signal, spec.stop.kill_timeout),
        (2, Duration::from_millis(1600))
    );
    assert_eq!((spec.stop.tree, spec.stop.message, spec.autostart), (true, false, true));
    assert_eq!(
        (spec.ready.wait_ready, spec.ready.listen_timeout),
        (false, Duration::from_secs(3))
    );
    assert_eq!(spec.ready.on_timeout, OnReadyTimeout::Fail);
    assert_eq!(
        (spec.cron, spec.watch, spec.memory_limit, spec.user),
        (None, None, None, None)
    );
    let rotation = spec.logs.rotation.expect("rotation is on");
    assert_eq!(
        (rotation.max_size, rotation.keep, rotation.compress),
        (512 << 20, 10, true)
    );
    assert_eq!((rotation.max_age, rotation.max_total), (None, None));
    assert_eq!(spec.environment.instance_var, "NODE_APP_INSTANCE");
    assert_eq!(spec.username, "tester");
}

#[test]
fn units_are_converted_and_recorded_as_pm2_shows_them() {
    let spec = spec(json!({
        "max_memory_restart": "200M", "min_uptime": "10s", "kill_timeout": 5000, "listenTimeout": "8000",
        "restart_delay": "1s", "exp_backoff_restart_delay": 100, "watch_delay": 250, "watch": true
    }));
    assert_eq!(spec.memory_limit, Some(200 << 20));
    assert_eq!(spec.restart.min_uptime, Duration::from_secs(10));
    assert_eq!(spec.stop.kill_timeout, Duration::from_secs(5));
    assert_eq!(spec.ready.listen_timeout, Duration::from_secs(8));
    assert_eq!(spec.restart.delay, Some(Duration::from_secs(1)));
    assert_eq!(spec.restart.backoff, Some(Duration::from_millis(100)));
    assert_eq!(spec.watch.expect("a watch").delay, Duration::from_millis(250));
    assert_eq!(spec.attributes["max_memory_restart"], 209_715_200);
    assert_eq!(spec.attributes["listen_timeout"], 8000);
}

#[test]
fn either_key_of_pm2s_restart_rule_brings_the_rule() {
    let limit = |value| spec(value).restart.limit;
    assert_eq!(
        limit(json!({ "max_restarts": 5 })),
        RestartLimit::Unstable { max_restarts: 5 }
    );
    assert_eq!(
        limit(json!({ "min_uptime": 2000 })),
        RestartLimit::Unstable { max_restarts: 16 }
    );
    assert_eq!(
        limit(json!({ "restart_delay": 100, "exp_backoff_restart_delay": 100 })),
        RestartLimit::Rolling
    );
}

#[test]
fn stopping_and_readiness_follow_their_keys() {
    let spec = spec(json!({
        "kill_signal": "SIGTERM", "treekill": false, "shutdown_with_message": true, "wait_ready": true,
        "ready_timeout": "accept", "stop_exit_codes": [0, "42"], "autorestart": false, "autostart": false,
        "cron": "0 3 * * *"
    }));
    assert_eq!(signal::name(spec.stop.signal), Some("SIGTERM"));
    assert_eq!((spec.stop.tree, spec.stop.message), (false, true));
    assert_eq!(
        (spec.ready.wait_ready, spec.ready.on_timeout),
        (true, OnReadyTimeout::Accept)
    );
    assert_eq!(spec.restart.stop_exit_codes, [0, 42]);
    assert_eq!((spec.restart.auto, spec.autostart), (false, false));
    assert_eq!(spec.cron.as_deref(), Some("0 3 * * *"));
}

#[test]
fn cron_zero_is_no_cron() {
    for value in [json!(0), json!("0")] {
        assert_eq!(spec(json!({ "cron_restart": value })).cron, None);
    }
}

#[test]
fn log_paths_follow_pm2s_suffix_rule() {
    let place = Place::new();
    let paths = |extra: &str| {
        let spec = place.spec("a.json", &format!("{{ script: 'app.js', name: 'm 5/x', {extra} }}"));
        let path = |file: &LogFile| match file {
            LogFile::Discard => "discard".to_owned(),
            LogFile::Path(path) => place.neutral(path),
        };
        (
            path(&spec.logs.out),
            path(&spec.logs.error),
            place.neutral(&spec.pid_file),
        )
    };
    let pid = "<folder>/home/pids/m-5-x-{id}.pid";
    let logs = |out: &str, error: &str| (out.to_owned(), error.to_owned(), pid.to_owned());
    assert_eq!(
        paths(""),
        logs("<folder>/home/logs/m-5-x-out.log", "<folder>/home/logs/m-5-x-error.log")
    );
    let own = logs(
        "<folder>/home/logs/m-5-x-out-{id}.log",
        "<folder>/home/logs/m-5-x-error-{id}.log",
    );
    assert_eq!(paths("instances: 2"), own);
    assert_eq!(paths("instances: 2, exec_mode: 'fork'"), own);
    assert_eq!(paths("exec_mode: 'cluster'"), own);
    assert_eq!(paths("merge_logs: false"), own);
    assert_eq!(
        paths("instances: 2, merge_logs: true"),
        logs("<folder>/home/logs/m-5-x-out.log", "<folder>/home/logs/m-5-x-error.log")
    );
    assert_eq!(
        paths("out: './l/o.txt', err: '~/e.log'"),
        logs("<folder>/l/o.txt", "/home/tester/e.log")
    );
    assert_eq!(paths("out: 'NULL', error: '/dev/null'"), logs("discard", "discard"));
    assert_eq!(
        paths("instances: 2, out: 'o.log', err: 'e'"),
        logs("<folder>/o-{id}.log", "<folder>/e")
    );
}

#[test]
fn log_form_and_rotation_follow_their_keys() {
    let spec = spec(json!({
        "log_type": "json", "time": true, "log": true, "disable_logs": true,
        "log_rotate": { "max_size": "5M", "max_age": "7d", "keep": 3, "maxTotal": "1G", "compress": false }
    }));
    assert_eq!(spec.logs.format, LogFormat::Json);
    assert_eq!(spec.logs.date_format.as_deref(), Some("YYYY-MM-DDTHH:mm:ss"));
    assert!(matches!(spec.logs.combined, Some(LogFile::Path(path)) if path.ends_with("/home/logs/app.log")));
    assert!(spec.logs.disabled);
    let rotation = spec.logs.rotation.expect("rotation");
    assert_eq!(
        (rotation.max_size, rotation.keep, rotation.compress),
        (5 << 20, 3, false)
    );
    assert_eq!(
        (rotation.max_age, rotation.max_total),
        (Some(Duration::from_secs(604_800)), Some(1 << 30))
    );
    assert_eq!(self::spec(json!({ "log_rotate": false })).logs.rotation, None);
}

#[test]
fn watched_paths_are_absolute_and_options_add_to_what_is_ignored() {
    let place = Place::new();
    let watch = |extra: &str| place.spec("a.json", &format!("{{ script: 'app.js', {extra} }}")).watch;
    let all = watch("watch: true").expect("a watch");
    assert_eq!(all.paths, [place.path("").trim_end_matches('/')]);
    assert_eq!(all.ignore, [r"/[\/\\]\.|node_modules/"]);
    let some = watch("watch: ['server', '/abs'], ignore_watch: 'tmp logs', watch_options: { ignored: ['x'] }");
    let some = some.expect("a watch");
    assert_eq!(some.paths, [place.path("server"), "/abs".to_owned()]);
    assert_eq!(some.ignore, ["tmp", "logs", "x"]);
    assert_eq!(watch("watch: false"), None);
}

#[test]
fn instances_count_from_the_processors_this_process_may_use() {
    let processors = u32::try_from(std::thread::available_parallelism().expect("a number").get()).expect("few");
    let instances = |value: Value| spec(json!({ "instances": value })).instances;
    assert_eq!(instances(json!("max")), processors);
    assert_eq!(instances(json!(0)), processors);
    assert_eq!(instances(json!(-1)), processors.saturating_sub(1).max(1));
    assert_eq!(instances(json!(-1000)), 1);
    assert_eq!(instances(json!("3")), 3);
}

#[test]
fn a_percentage_of_memory_counts_from_what_this_process_may_use() {
    let limit = |value: &str| spec(json!({ "max_memory_restart": value })).memory_limit;
    let all = limit("100%").expect("a limit");
    assert!(all > 1 << 20, "{all}");
    let half = limit("50%").expect("a limit");
    assert!(half.abs_diff(all / 2) <= 1, "{half} of {all}");
}

#[test]
fn a_main_key_wins_even_when_it_is_zero() {
    let user = spec(json!({ "uid": 0, "user": "nobody" })).user;
    assert_eq!(
        user,
        Some(RunAs {
            user: "0".into(),
            group: None
        })
    );
}

#[test]
fn a_user_brings_his_home() {
    let environment = spec(json!({ "user": "root" })).environment.inherited;
    assert_eq!(
        (environment["HOME"].as_str(), environment["USER"].as_str()),
        ("/root", "root")
    );
}

#[test]
fn names_are_made_of_prefix_name_and_environment() {
    let place = Place::new();
    let overrides = Overrides {
        env_name: Some("production".into()),
        ..Overrides::default()
    };
    let text = "{ script: 'app.js', name_prefix: 'team', append_env_to_name: true, env_production: { A: 1 } }";
    let loaded = place.load_with("a.json", text, &overrides).expect("a usable config");
    assert_eq!(loaded.specs[0].name, "team:app-production");
    assert_eq!(loaded.specs[0].environment.declared["A"], "1");
}

#[test]
fn shell_variables_named_like_settings_change_nothing() {
    let mut place = Place::new();
    for name in ["name", "instances", "args", "watch", "script", "env"] {
        place.context.environment.insert(name.into(), "7".into());
    }
    let spec = place.spec("a.json", "{ script: 'app.js' }");
    assert_eq!((spec.name.as_str(), spec.instances, spec.watch), ("app", 1, None));
    assert!(spec.program.args.is_empty());
}

#[test]
fn scripts_run_by_what_their_extension_or_content_says() {
    let place = Place::new();
    place
        .executable("tool", "#!/bin/sh\n")
        .file("plain", "setInterval(() => {})")
        .file("shell", "#!/bin/sh -e\n");
    place
        .executable("binary", "\u{7f}ELF\0\0")
        .file("run.sh", "")
        .file("x.py", "")
        .file("x.mjs", "")
        .file("x.pl", "");
    let runs = |script: &str| {
        let loaded = from_command_line(script, serde_json::Map::new(), &place.context);
        let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
        match &loaded.specs[0].program.interpreter {
            Interpreter::None => "none".to_owned(),
            Interpreter::Program(program) => program.clone(),
        }
    };
    for (script, interpreter) in [
        ("tool", "none"),
        ("binary", "none"),
        ("plain", "node"),
        ("shell", "/bin/sh"),
        ("run.sh", "bash"),
        ("x.mjs", "node"),
        ("x.pl", "perl"),
        ("app.js", "node"),
    ] {
        assert_eq!(runs(script), interpreter, "{script}");
    }
    assert!(["python", "python3"].contains(&runs("x.py").as_str()));
}

#[test]
fn programs_in_path_and_commands_with_spaces_run() {
    let place = Place::new();
    let load = |target: &str, flags: Value| {
        let flags = flags.as_object().cloned().expect("an object");
        let mut loaded = from_command_line(target, flags, &place.context).unwrap_or_else(|error| panic!("{error}"));
        loaded.specs.remove(0)
    };
    let npm = load("npm", json!({ "args": ["start"], "name": "web" }));
    assert!(npm.program.path.ends_with("/npm"), "{}", npm.program.path);
    assert_eq!(
        (npm.program.interpreter, npm.program.args),
        (Interpreter::None, vec!["start".to_owned()])
    );
    let command = load("node app.js --x", json!({ "args": ["a b"] }));
    assert!(command.program.path.ends_with("/bash"));
    assert_eq!(command.program.args, ["-c", "node app.js --x 'a b'"]);
    assert_eq!(command.name, "node app");
    assert_eq!(load("ls", json!({})).name, "ls");
}

#[test]
fn a_file_with_spaces_in_its_name_is_a_file() {
    let place = Place::new();
    place.file("my app.js", "");
    let spec = place.spec("a.json", "{ script: 'my app.js' }");
    assert_eq!(spec.program.path, place.path("my app.js"));
}

#[test]
fn typescript_runs_by_what_is_installed() {
    let mut place = Place::new();
    place
        .file("app.ts", "")
        .executable("bin/node", "#!/bin/sh\necho v22.7.0\n");
    place
        .context
        .environment
        .insert("PATH".into(), format!("{}:/usr/bin:/bin", place.path("bin")));
    let program = |place: &Place| {
        let program = place.spec("a.json", "{ script: 'app.ts' }").program;
        (program.interpreter, program.interpreter_args)
    };
    let node = |args: &[&str]| {
        (
            Interpreter::Program("node".into()),
            args.iter().map(|arg| (*arg).to_owned()).collect(),
        )
    };
    assert_eq!(program(&place), node(&["--experimental-strip-types"]));
    place.executable("bin/node", "#!/bin/sh\necho v24.1.0\n");
    assert_eq!(program(&place), node(&[]));
    place.executable("bin/node", "#!/bin/sh\necho v20.1.0\n");
    assert!(
        place
            .messages("a.json", "{ script: 'app.ts' }")
            .contains("nothing here runs TypeScript")
    );
    place.executable("bin/bun", "#!/bin/sh\n");
    assert_eq!(program(&place).0, Interpreter::Program("bun".into()));
}

#[test]
fn nvm_versions_are_found_where_nvm_keeps_them() {
    let mut place = Place::new();
    place.context.environment.insert("NVM_DIR".into(), place.path("nvm"));
    place.executable("nvm/versions/node/v18.1.0/bin/node", "#!/bin/sh\n");
    let spec = place.spec("a.json", "{ script: 'app.js', interpreter: 'node@18.1.0' }");
    let node = place.path("nvm/versions/node/v18.1.0/bin/node");
    assert_eq!(spec.program.interpreter, Interpreter::Program(node));
    let said = place.messages("b.json", "{ script: 'app.js', interpreter: 'node@9.9.9' }");
    assert!(said.contains("nvm install 9.9.9"), "{said}");
}

fn patched(spec: &Spec, attributes: &Value, shell: Option<&[(&str, &str)]>) -> Spec {
    let place = Place::new();
    let shell = shell.map(|pairs| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    });
    let attributes = attributes.as_object().cloned().expect("an object");
    patch(spec, &attributes, shell.as_ref(), &place.context).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_patch_without_changes_changes_nothing() {
    let place = Place::new();
    let text = "{ script: 'app.js', instances: 2, args: 'a b', env: { A: 1 }, watch: true, max_restarts: 3, log: true, \
                uid: 'root', env_file: [], cron: '0 0 * * *', log_rotate: { keep: 1 } }";
    place.file("sub/app.js", "");
    let spec = place.spec("a.json", &text.replace("{ script", "{ cwd: 'sub', script"));
    assert_eq!(spec.program.path, place.path("sub/app.js"));
    let same = patch(&spec, &serde_json::Map::new(), None, &place.context).expect("a valid patch");
    assert_eq!(same, spec);
}

#[test]
fn a_patch_changes_what_it_names_and_null_takes_away() {
    let old = spec(json!({ "max_restarts": 3, "node_args": "--harmony", "max_memory_restart": "1G" }));
    let new = patched(
        &old,
        &json!({ "max_memory_restart": "300M", "max_restarts": "null", "node_args": "null" }),
        None,
    );
    assert_eq!(new.memory_limit, Some(300 << 20));
    assert_eq!(new.restart.limit, RestartLimit::Rolling);
    assert!(new.program.interpreter_args.is_empty());
    assert!(!new.attributes.contains_key("max_restarts"));
}

#[test]
fn a_new_name_moves_no_log() {
    let old = spec(json!({}));
    let new = patched(&old, &json!({ "name": "other" }), None);
    assert_eq!(
        (new.name.as_str(), &new.logs, &new.pid_file),
        ("other", &old.logs, &old.pid_file)
    );
}

#[test]
fn updating_the_environment_lets_the_shell_win_as_in_pm2() {
    let old = spec(json!({ "env": { "A": "declared", "B": "declared" } }));
    let kept = patched(&old, &json!({}), None);
    assert_eq!(kept.environment, old.environment);
    let new = patched(&old, &json!({}), Some(&[("A", "shell"), ("NEW", "1")]));
    assert_eq!(new.environment.inherited["A"], "shell");
    assert!(!new.environment.declared.contains_key("A"));
    assert_eq!(new.environment.declared["B"], "declared");
    assert_eq!(new.environment.inherited["NEW"], "1");
    assert_eq!(new.environment.inherited["SHELL_VARIABLE"], "from the shell");
}

#[test]
fn an_app_whose_script_is_gone_can_still_be_patched() {
    let old = spec(json!({}));
    let new = patched(&old, &json!({ "args": "x y" }), None);
    assert_eq!(
        (new.program.path, new.program.args),
        (old.program.path, vec!["x".to_owned(), "y".to_owned()])
    );
}
