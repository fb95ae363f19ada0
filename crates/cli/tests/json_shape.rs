//! `jlist` and `prettylist` have PM2's shape, so that scripts go on working.

use ostler_testkit::{Home, Manager, apps, sleeper};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

/// Keys that `pm2_env` always has (PM2 7.0.4, fork mode, started by an ecosystem file or the command line).
const ALWAYS: [&str; 38] = [
    "name",
    "namespace",
    "username",
    "version",
    "pm_id",
    "restart_time",
    "unstable_restarts",
    "status",
    "pm_uptime",
    "created_at",
    "env",
    "pm_exec_path",
    "pm_cwd",
    "pm_out_log_path",
    "pm_err_log_path",
    "pm_pid_path",
    "exec_interpreter",
    "exec_mode",
    "instances",
    "node_args",
    "NODE_APP_INSTANCE",
    "instance_var",
    "autostart",
    "autorestart",
    "vizion",
    "pmx",
    "automation",
    "treekill",
    "windowsHide",
    "kill_retry_time",
    "merge_logs",
    "km_link",
    "vizion_running",
    "unique_id",
    "axm_actions",
    "axm_monitor",
    "axm_options",
    "axm_dynamic",
];

#[test]
fn the_top_level_has_pm2s_keys_in_pm2s_order() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let Value::Array(list) = serde_json::from_str(&home.ok(&["jlist"]).stdout).expect("JSON") else {
        panic!("an array")
    };
    let keys: Vec<&str> = list[0]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["pid", "name", "pm2_env", "pm_id", "monit"]);
    let monit = list[0]["monit"].as_object().expect("an object");
    assert!(monit["memory"].is_u64() && monit["cpu"].is_number(), "{monit:?}");
}

#[test]
fn every_key_that_pm2_always_has_is_there() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let row = home.row("one");
    let found: BTreeSet<&str> = row.0["pm2_env"]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let missing: Vec<&&str> = ALWAYS.iter().filter(|key| !found.contains(**key)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}

#[test]
fn values_have_pm2s_types_and_units() {
    let home = home();
    let mut app = sleeper("one");
    let keys = json!({
        "max_memory_restart": "150M", "min_uptime": "3s", "restart_delay": 250, "kill_timeout": "2000", "watch": false,
        "env": { "PORT": 3000, "TEXT": "x" },
    });
    app.as_object_mut()
        .expect("an object")
        .extend(keys.as_object().expect("an object").clone());
    home.start(json!([app]));
    let row = home.row("one");
    assert_eq!(row.number("max_memory_restart"), 157_286_400);
    assert_eq!(
        (
            row.number("min_uptime"),
            row.number("restart_delay"),
            row.number("kill_timeout")
        ),
        (3000, 250, 2000)
    );
    assert_eq!(
        (row.text("exec_mode"), row.text("exec_interpreter")),
        ("fork_mode", "none")
    );
    assert_eq!(row.get("args"), &json!(["100000"]));
    assert_eq!(
        (
            row.number("pm_id"),
            row.number("NODE_APP_INSTANCE"),
            row.number("instances")
        ),
        (0, 0, 1)
    );
    assert_eq!(
        (row.get("autorestart"), row.get("watch")),
        (&json!(true), &json!(false))
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_millis();
    assert!(
        now - u128::from(row.number("pm_uptime")) < 60_000,
        "`pm_uptime` is a moment, in ms"
    );
    assert_eq!(row.get("env")["TEXT"], "x");
    assert_eq!(row.get("TEXT"), "x", "the environment is there flat, too");
    assert!(row.get("script").is_null(), "`script` shows as `pm_exec_path` only");
}

/// How often a pattern occurs in `prettylist`.
fn count(home: &Home, pattern: &str) -> usize {
    home.ok(&["prettylist"]).stdout.matches(pattern).count()
}

#[test]
fn words_that_scripts_count_occur_as_often_as_in_pm2() {
    let home = home();
    home.ok(&["start", &apps::path("ready.js"), "--name", "echonest"]);
    home.wait_until("what PM2's probe tells late", || count(&home, "module_name") > 0);
    for (pattern, times) in [
        ("online", 1),
        ("stopped", 0),
        ("launching", 0),
        ("errored", 0),
        ("restart_time: 0", 1),
        ("restart_time", 1),
        ("pm_id: 0", 2),
        ("NODE_APP_INSTANCE: 0", 1),
        ("fork_mode", 1),
        ("ready.js", 1),
        ("vizion: true", 1),
        ("node_args: []", 1),
        // The name itself, the environment's key, three paths, and `axm_options.module_name`.
        ("name: 'echonest'", 3),
        ("echonest", 7),
    ] {
        assert_eq!(
            count(&home, pattern),
            times,
            "`{pattern}` in\n{}",
            home.ok(&["prettylist"]).stdout
        );
    }
    home.ok(&["stop", "all"]);
    assert_eq!((count(&home, "online"), count(&home, "stopped")), (0, 1));
    home.ok(&["delete", "all"]);
    assert_eq!(
        (count(&home, "name"), home.ok(&["prettylist"]).stdout.trim_end()),
        (0, "[]")
    );
}

#[test]
fn a_log_path_can_be_cut_out_of_prettylist_by_scripts() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let text = home.ok(&["prettylist"]).stdout;
    let line = text
        .lines()
        .find(|line| line.contains("pm_out_log_path:"))
        .expect("a line");
    let expected = format!("pm_out_log_path: '{}',", home.path().join("logs/one-out.log").display());
    assert_eq!(line.trim(), expected);
}

#[test]
fn small_commands_print_what_pm2_prints() {
    let home = home();
    let twice = json!({ "name": "two", "script": "/bin/sleep", "args": "100000", "interpreter": "none", "instances": 2, "exec_mode": "fork" });
    home.start(json!([sleeper("one"), twice]));
    assert_eq!(home.ok(&["id", "two"]).stdout.trim_end(), "[ 1, 2 ]");
    assert_eq!(home.ok(&["id", "nobody"]).stdout.trim_end(), "[]");
    assert_eq!(home.ok(&["ping"]).stdout.trim_end(), "{ msg: 'pong' }");
    assert_eq!(home.ok(&["pid", "one"]).stdout.trim_end(), home.pid("one").to_string());
    let environment = home.ok(&["env", "0"]).stdout;
    assert!(environment.lines().any(|line| line == "NO_COLOR: 1"), "{environment}");
    home.call(&["env", "99"]).fails();
}

#[test]
fn describe_tells_status_paths_and_restarts() {
    let home = home();
    home.start(json!([sleeper("one")]));
    for verb in ["describe", "show", "info"] {
        let text = home.ok(&[verb, "one"]).stdout;
        for word in [
            "status",
            "online",
            "restarts",
            "script path",
            "/bin/sleep",
            "one-out.log",
            "exec mode",
            "fork_mode",
        ] {
            assert!(text.contains(word), "{verb} says `{word}`:\n{text}");
        }
    }
    let output = home.call(&["describe", "nobody"]).fails();
    assert!(
        (output.stdout.clone() + &output.stderr).contains("nobody doesn't exist"),
        "{output}"
    );
}

#[test]
fn the_table_has_pm2s_columns() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let text = home.ok(&["list"]).stdout;
    let head = text.lines().nth(1).expect("a head line");
    let columns: Vec<&str> = head
        .split('│')
        .map(str::trim)
        .filter(|column| !column.is_empty())
        .collect();
    let expected = [
        "id",
        "name",
        "namespace",
        "version",
        "mode",
        "pid",
        "uptime",
        "↺",
        "status",
        "cpu",
        "mem",
        "user",
        "watching",
    ];
    assert_eq!(columns, expected, "{text}");
    for alias in ["ls", "l", "ps", "status"] {
        assert!(home.ok(&[alias]).stdout.contains("│ one "), "{alias}");
    }
}
