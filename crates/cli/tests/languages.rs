//! Programs of every kind are run, restarted after a crash, and stopped, by real runtimes.

use ostler_testkit::{Home, Manager, apps, free_port, http_get, process, skip, tools};
use serde_json::{Value, json};

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

/// Starts a server, sees it answer, kills it, sees its successor answer, stops it.
fn lives_and_dies(mut app: Value, word: &str) {
    let home = home();
    let port = free_port();
    app["name"] = json!("server");
    app["env"] = json!({ "PORT": port.to_string() });
    home.start(json!([app]));
    let answer = || http_get(port).ok().filter(|body| body.ends_with(&format!(" {word}")));
    let first = home.wait_for("an answer", answer);
    let pid = home.pid("server");
    process::kill(pid);
    let second = home.wait_for("an answer of its successor", || answer().filter(|body| *body != first));
    let row = home.row("server");
    assert_ne!(first, second);
    assert_ne!(row.pid(), pid);
    assert_eq!((row.status(), row.restarts()), ("online", 1), "{}", home.report());
    home.ok(&["stop", "server"]);
    assert!(http_get(port).is_err());
}

#[test]
fn a_node_script() {
    lives_and_dies(json!({ "script": apps::path("server.js") }), "node");
}

#[test]
fn an_es_module() {
    lives_and_dies(json!({ "script": apps::path("server.mjs") }), "module");
}

#[test]
fn a_python_script() {
    lives_and_dies(json!({ "script": apps::path("server.py") }), "python");
}

#[test]
fn a_perl_script() {
    lives_and_dies(json!({ "script": apps::path("server.pl") }), "perl");
}

#[test]
fn a_native_binary() {
    lives_and_dies(json!({ "script": tools::fixture(), "args": "serve" }), "native");
}

#[test]
fn an_npm_package() {
    lives_and_dies(
        json!({ "script": "npm", "args": "start", "cwd": apps::path("npm-app") }),
        "npm",
    );
}

#[test]
fn a_typescript_file_on_a_node_that_runs_it() {
    match tools::typescript_node() {
        Ok(node) => lives_and_dies(
            json!({ "script": apps::path("server.ts"), "interpreter": node }),
            "typescript",
        ),
        Err(reason) => skip("a_typescript_file_on_a_node_that_runs_it", &reason),
    }
}

#[test]
fn a_shell_script_without_extension_is_run_by_its_first_line() {
    let home = home();
    home.ok(&["start", &apps::path("ticker"), "--interpreter", "none"]);
    home.wait_until("its output", || home.out_log("ticker").starts_with("tick 0\ntick 1\n"));
    assert_eq!(home.status("ticker"), "online");
}

#[test]
fn a_shell_script_is_told_by_its_extension() {
    let home = home();
    home.start(json!([{ "name": "deaf", "script": apps::path("stubborn.sh"), "kill_timeout": 300 }]));
    home.wait_until("its output", || home.out_log("deaf") == "ready\n");
    assert_eq!(home.row("deaf").text("exec_interpreter"), "bash");
}

#[test]
fn python_output_is_not_held_back() {
    let home = home();
    let script = home.write("slow.py", "import time\nprint('at once')\ntime.sleep(1000)\n");
    home.call(&["start"]).arg(script).ok();
    home.wait_until("the line", || home.out_log("slow") == "at once\n");
}

#[test]
fn messages_pass_both_ways_between_a_node_app_and_its_manager() {
    let home = home();
    home.start(json!([{
        "name": "talk", "script": apps::path("ready.js"), "wait_ready": true, "listen_timeout": 20000,
        "shutdown_with_message": true, "kill_timeout": 10000, "env": { "GRACEFUL": "1" },
    }]));
    assert_eq!(home.status("talk"), "online");
    home.ok(&["stop", "talk"]);
    assert_eq!(home.out_log("talk"), "got \"shutdown\"\n");
}
