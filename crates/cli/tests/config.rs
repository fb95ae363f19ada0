//! Ecosystem files: environments and their precedence, formats, and errors that say what to do.

use ostler_testkit::{Home, Manager, apps, process, sleeper};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

/// An app that writes its environment down, and where to.
struct Witness {
    file: PathBuf,
}

impl Witness {
    fn new(home: &Home) -> Self {
        Self {
            file: home.work().join("environment.json"),
        }
    }

    fn app(&self, env: &Value) -> Value {
        json!({ "name": "witness", "script": apps::path("environment.js"), "env": self.with_file(env) })
    }

    fn with_file(&self, env: &Value) -> Value {
        let mut env = env.clone();
        env["ENVIRONMENT_FILE"] = json!(self.file);
        env
    }

    /// What the latest process saw; the next call waits for a new account.
    fn environment(&self, home: &Home) -> Value {
        let text = home.wait_for("the app's own account", || std::fs::read_to_string(&self.file).ok());
        std::fs::remove_file(&self.file).expect("the account taken");
        serde_json::from_str::<Value>(&text).expect("whole JSON")["environment"].take()
    }
}

#[test]
fn what_is_declared_wins_over_the_shell() {
    let home = home();
    let witness = Witness::new(&home);
    let file = home.ecosystem(json!([witness.app(&json!({ "BOTH": "declared", "NUMBER": 5 }))]));
    home.call(&["start"])
        .arg(file)
        .env("BOTH", "shell")
        .env("SHELL_ONLY", "shell")
        .ok();
    let seen = witness.environment(&home);
    assert_eq!(
        (&seen["BOTH"], &seen["SHELL_ONLY"], &seen["NUMBER"]),
        (&json!("declared"), &json!("shell"), &json!("5"))
    );
}

#[test]
fn a_named_environment_wins_over_the_general_one() {
    let home = home();
    let witness = Witness::new(&home);
    let mut app = witness.app(&json!({ "STAGE": "general", "KEPT": "yes" }));
    app["env_production"] = json!({ "STAGE": "production" });
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(&file).args(&["--env", "production"]).ok();
    let seen = witness.environment(&home);
    assert_eq!((&seen["STAGE"], &seen["KEPT"]), (&json!("production"), &json!("yes")));
    home.call(&["restart"]).arg(&file).ok();
    assert_eq!(witness.environment(&home)["STAGE"], "general");
}

#[test]
fn an_env_file_lies_between_the_shell_and_what_is_declared_and_is_read_at_each_start() {
    let home = home();
    let witness = Witness::new(&home);
    let secrets = home.write(".env", "# secrets\nA=file\nB='file two'\nexport C=\"x\"\n");
    let mut app = witness.app(&json!({ "A": "declared" }));
    app["env_file"] = json!(secrets);
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(file).env("B", "shell").ok();
    let seen = witness.environment(&home);
    assert_eq!(
        (&seen["A"], &seen["B"], &seen["C"]),
        (&json!("declared"), &json!("file two"), &json!("x"))
    );
    home.write(".env", "B=changed\n");
    home.ok(&["restart", "witness"]);
    assert_eq!(witness.environment(&home)["B"], "changed");
    let list = home.ok(&["jlist"]).stdout;
    assert!(!list.contains("changed"), "values of an env_file are not kept");
}

#[test]
fn a_restart_by_name_keeps_the_environment_until_told_to_update_it() {
    let home = home();
    let witness = Witness::new(&home);
    let start = home.call(&["start", &apps::path("environment.js"), "--name", "witness"]);
    start.env("ENVIRONMENT_FILE", &witness.file).env("WHICH", "first").ok();
    assert_eq!(witness.environment(&home)["WHICH"], "first");
    home.call(&["restart", "witness"]).env("WHICH", "second").ok();
    assert_eq!(witness.environment(&home)["WHICH"], "first");
    home.call(&["restart", "witness", "--update-env"])
        .env("WHICH", "third")
        .ok();
    assert_eq!(witness.environment(&home)["WHICH"], "third");
}

#[test]
fn a_restart_by_file_replaces_the_declared_environment_whole() {
    let home = home();
    let witness = Witness::new(&home);
    home.start(json!([witness.app(&json!({ "OLD": "1", "SAME": "1" }))]));
    assert_eq!(witness.environment(&home)["OLD"], "1");
    let file = home.ecosystem(json!([witness.app(&json!({ "SAME": "2" }))]));
    home.call(&["restart"]).arg(file).ok();
    let seen = witness.environment(&home);
    assert_eq!(seen["SAME"], "2");
    assert!(
        seen["OLD"].is_null(),
        "a variable taken out of the file is gone: {}",
        seen["OLD"]
    );
}

#[test]
fn a_changed_script_and_arguments_take_effect_by_restart_of_the_file() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let mut app = sleeper("one");
    app["args"] = json!("200000");
    let file = home.ecosystem(json!([app]));
    home.call(&["restart"]).arg(file).ok();
    let command = process::read(home.pid("one")).expect("it runs").command;
    assert!(command.ends_with("sleep 200000"), "{command}");
}

#[test]
fn shell_variables_that_bear_the_names_of_settings_change_nothing() {
    let home = home();
    let witness = Witness::new(&home);
    let file = home.ecosystem(json!([witness.app(&json!({}))]));
    let mut start = home.call(&["start"]).arg(file);
    for (name, value) in [
        ("name", "wrong"),
        ("instances", "7"),
        ("args", "wrong"),
        ("watch", "true"),
        ("status", "errored"),
    ] {
        start = start.env(name, value);
    }
    start.ok();
    let seen = witness.environment(&home);
    assert_eq!(
        (&seen["name"], &seen["instances"], &seen["status"]),
        (&json!("witness"), &json!("1"), &json!("launching")),
        "what the app is told of itself is true"
    );
    assert_eq!(home.jlist().len(), 1);
    let row = home.row("witness");
    assert_eq!((row.status(), row.text("name")), ("online", "witness"));
    home.ok(&["restart", "witness"]);
    assert_eq!(home.row("witness").status(), "online");
}

#[test]
fn what_is_declared_wins_over_what_an_app_is_told_of_itself() {
    let home = home();
    let witness = Witness::new(&home);
    let declared = json!({ "name": "mine", "instances": 7 });
    home.start(json!([witness.app(&declared)]));
    let seen = witness.environment(&home);
    assert_eq!((&seen["name"], &seen["instances"]), (&json!("mine"), &json!("7")));
    let row = home.row("witness");
    assert_eq!((row.text("name"), home.jlist().len()), ("witness", 1));
}

#[test]
fn filtered_variables_do_not_reach_the_app() {
    let home = home();
    let witness = Witness::new(&home);
    let mut app = witness.app(&json!({}));
    app["filter_env"] = json!(["SECRET_"]);
    let file = home.ecosystem(json!([app]));
    home.call(&["start"])
        .arg(file)
        .env("SECRET_KEY", "x")
        .env("OPEN", "y")
        .ok();
    let seen = witness.environment(&home);
    assert!(seen["SECRET_KEY"].is_null());
    assert_eq!(seen["OPEN"], "y");
}

#[test]
fn an_app_knows_its_instance_number_and_a_counted_variable() {
    let home = home();
    let script = home.script("number.sh", "#!/bin/sh\necho $NODE_APP_INSTANCE $PORT\nsleep 100000\n");
    home.start(json!([{
        "name": "number", "script": script, "instances": 3, "exec_mode": "fork", "merge_logs": true,
        "increment_var": "PORT", "env": { "PORT": 3000 },
    }]));
    home.wait_until("three lines", || home.out_log("number").lines().count() == 3);
    let log = home.out_log("number");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 3000", "1 3001", "2 3002"]);
}

#[test]
fn every_format_gives_the_same_app() {
    let home = home();
    let js = "{ name: 'one', script: '/bin/sleep', args: '100000', interpreter: 'none' }";
    let files = [
        (
            "ecosystem.config.js",
            format!("const twice = require('path');\nmodule.exports = {{ apps: [{js}] }};\n"),
        ),
        (
            "ecosystem.config.cjs",
            format!("module.exports = {{ apps: [{js}] }};\n"),
        ),
        ("ecosystem.config.mjs", format!("export default {{ apps: [{js}] }};\n")),
        ("apps.json", json!({ "apps": [sleeper("one")] }).to_string()),
        (
            "really.json",
            format!("{{\n  // a comment\n  apps: [{js}], // and a trailing comma\n}}\n"),
        ),
        ("list.json", json!([sleeper("one")]).to_string()),
        (
            "apps.yaml",
            "apps:\n  - name: one\n    script: /bin/sleep\n    args: '100000'\n    interpreter: none\n".to_owned(),
        ),
        (
            "apps.toml",
            "[[apps]]\nname = 'one'\nscript = '/bin/sleep'\nargs = '100000'\ninterpreter = 'none'\n".to_owned(),
        ),
    ];
    for (name, text) in files {
        let file = home.write(name, text);
        home.call(&["start"]).arg(file).ok();
        assert_eq!(home.status("one"), "online", "by {name}");
        home.ok(&["delete", "all"]);
    }
}

#[test]
fn the_default_file_is_found_in_the_working_directory() {
    let home = home();
    home.write(
        "ecosystem.config.js",
        "module.exports = { apps: [{ name: 'one', script: '/bin/sleep', args: '100000', interpreter: 'none' }] };",
    );
    home.ok(&["start"]);
    assert_eq!(home.status("one"), "online");
}

#[test]
fn only_chooses_apps_of_a_file() {
    let home = home();
    let file = home.ecosystem(json!([sleeper("one"), sleeper("two"), sleeper("three")]));
    home.call(&["start"]).arg(file).args(&["--only", "one,three"]).ok();
    let names: Vec<String> = home.jlist().iter().map(|row| row.name().to_owned()).collect();
    assert_eq!(names, ["one", "three"]);
}

#[test]
fn a_config_that_prints_is_understood_all_the_same() {
    let home = home();
    let file = home.write("ecosystem.config.js", "console.log('{\"apps\":[]}');\nmodule.exports = { apps: [{ name: 'one', script: '/bin/sleep', args: '100000', interpreter: 'none' }] };");
    home.call(&["start"]).arg(file).ok();
    assert_eq!(home.status("one"), "online");
}

/// Starts a broken file: exit code 1, within bounds, each of these words said, nothing started.
fn refused(name: &str, text: &str, words: &[&str]) {
    let home = home();
    let file = home.write(name, text);
    let output = home.call(&["start"]).arg(file).limit(Duration::from_secs(15)).fails();
    for word in words.iter().chain(&[name]) {
        assert!(output.stderr.contains(word), "`{word}` is said: {output}");
    }
    assert!(home.jlist().is_empty());
}

#[test]
fn a_config_that_throws_is_reported_with_its_error() {
    refused(
        "ecosystem.config.js",
        "throw new Error('no luck today');",
        &["no luck today"],
    );
}

#[test]
fn a_config_that_exits_is_reported() {
    refused("ecosystem.config.js", "process.exit(0);", &["exit"]);
}

#[test]
fn a_config_that_hangs_is_given_up_in_time() {
    let home = home();
    let file = home.write("ecosystem.config.js", "while (true) {}");
    let start = home.call(&["start"]).arg(file).env("OSTLER_CONFIG_TIMEOUT", "0.7");
    let output = start.fails();
    assert!(output.stderr.contains("took longer than 0.7 s"), "{output}");
    assert!(output.took < Duration::from_secs(5), "{output}");
    assert!(home.processes().is_empty(), "{}", process::describe(&home.processes()));
}

#[test]
fn an_end_of_the_command_is_the_end_of_the_config_that_it_evaluates() {
    let home = home();
    let script = "require('fs').writeFileSync('pid', String(process.pid)); while (true) {}";
    let file = home.write("ecosystem.config.js", script);
    let start = home.call(&["start"]).arg(file).spawn();
    let pid = home.work().join("pid");
    let node: i32 = home.wait_for("the config's process", || {
        std::fs::read_to_string(&pid).ok()?.parse().ok()
    });
    process::kill(start.pid());
    home.wait_until("its end", || !process::is_alive(node));
}

#[test]
fn a_syntax_error_is_reported_with_its_place() {
    refused("apps.yaml", "apps:\n  - name: one\n   script: x\n", &["3"]);
}

#[test]
fn a_wrong_type_is_reported_with_key_value_and_what_would_be_right() {
    let text = json!({ "apps": [{ "name": "one", "script": "/bin/sleep", "autorestart": "perhaps" }] }).to_string();
    refused("apps.json", &text, &["apps[0].autorestart", "perhaps", "true"]);
}

#[test]
fn an_unknown_key_is_reported_with_the_nearest_known_one_and_the_app_starts() {
    let home = home();
    let mut app = sleeper("one");
    app["max_restart"] = json!(3);
    let output = home.start(json!([app]));
    assert!(
        output.stderr.contains("max_restart") && output.stderr.contains("max_restarts"),
        "{output}"
    );
    assert_eq!(home.status("one"), "online");
}
