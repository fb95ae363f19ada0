//! `ostler why`: each start and stop with its cause.

use ostler_testkit::{Home, Manager, apps, process, sleeper, tools};
use serde_json::json;

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// Waits until the history of an app says all of this, in lower case.
fn says(home: &Home, name: &str, words: &[&str]) {
    let what = format!("the history of {name} to say {words:?}");
    home.wait_until(&what, || {
        let text = home.ok(&["why", name]).stdout.to_lowercase();
        words.iter().all(|word| text.contains(word))
    });
}

#[test]
fn an_exit_code() {
    let home = home();
    let app =
        json!({ "name": "crash", "script": apps::path("crash.js"), "max_restarts": 2, "env": { "EXIT_CODE": "42" } });
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(file).run();
    says(&home, "crash", &["42"]);
}

#[test]
fn a_signal_by_its_name() {
    let home = home();
    home.start(json!([sleeper("one")]));
    process::kill(home.pid("one"));
    says(&home, "one", &["sigkill"]);
}

#[test]
fn an_abort() {
    let home = home();
    let app = json!({ "name": "abort", "script": tools::fixture(), "interpreter": "none", "args": "abort", "max_restarts": 2 });
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(file).run();
    says(&home, "abort", &["sigabrt"]);
}

#[test]
fn the_memory_limit_with_what_was_used() {
    let home = home();
    let app = json!({
        "name": "big", "script": tools::fixture(), "interpreter": "none", "args": ["memory", "60"], "max_memory_restart": "30M",
    });
    home.start(json!([app]));
    says(&home, "big", &["memory", "30"]);
}

#[test]
fn a_changed_file_by_its_name() {
    let home = home();
    let folder = home.work().join("watched");
    std::fs::create_dir(&folder).expect("a folder");
    let mut app = sleeper("seer");
    app["watch"] = json!(["."]);
    app["cwd"] = json!(folder);
    home.start(json!([app]));
    std::fs::write(folder.join("changed.txt"), "now").expect("a file");
    says(&home, "seer", &["changed.txt"]);
}

#[test]
fn the_clock() {
    let home = home();
    let mut app = sleeper("hourly");
    app["cron_restart"] = json!("* * * * * *");
    home.start(json!([app]));
    says(&home, "hourly", &["cron", "* * * * * *"]);
}

#[test]
fn a_start_as_soon_as_it_is_answered() {
    let home = home();
    let names: Vec<String> = (0..40).map(|number| format!("app-{number}")).collect();
    home.start(names.iter().map(|name| sleeper(name)).collect());
    // So much was to be written down, by a thread that leaves the processor to others.
    for name in names.iter().rev() {
        home.ok(&["why", name]);
    }
}

#[test]
fn who_asked() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["restart", "one"]);
    home.ok(&["stop", "one"]);
    says(&home, "one", &["start", "restart", "stop"]);
}

#[test]
fn that_the_signal_was_not_enough() {
    let home = home();
    home.start(json!([{ "name": "deaf", "script": apps::path("stubborn.sh"), "kill_timeout": 300 }]));
    home.wait_until("it to be deaf", || home.out_log("deaf").contains("ready"));
    home.ok(&["stop", "deaf"]);
    says(&home, "deaf", &["sigkill"]);
}

#[test]
fn the_history_outlives_the_daemon() {
    let home = home();
    home.start(json!([sleeper("one")]));
    process::kill(home.pid("one"));
    says(&home, "one", &["sigkill"]);
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    says(&home, "one", &["sigkill"]);
}

#[test]
fn an_unknown_app_is_an_error() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let output = home.call(&["why", "nobody"]).fails();
    assert!(output.stderr.contains("nobody"), "{output}");
}
