//! Starting, stopping, restarting, deleting, scaling, and choosing what to act on.

use ostler_testkit::{DEADLINE, Home, Manager, apps, free_port, http_get, process, sleeper};
use serde_json::json;
use std::time::{Duration, Instant};

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

#[test]
fn a_started_server_is_online_and_answers() {
    let home = home();
    let port = free_port();
    home.call(&["start", &apps::path("server.js"), "--name", "web"])
        .env("PORT", port.to_string())
        .ok();
    let body = home.wait_for("an answer", || http_get(port).ok());
    let row = home.row("web");
    assert_eq!(body, format!("ok {} node", row.pid()));
    assert_eq!((row.status(), row.id(), row.restarts()), ("online", 0, 0));
    assert!(home.ok(&["list"]).stdout.contains("online"));
}

#[test]
fn stop_ends_the_process_and_keeps_it_in_the_list() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let pid = home.pid("one");
    home.wait_until("its memory to be seen", || home.row("one").memory() > 0);
    home.ok(&["stop", "one"]);
    assert!(!process::is_alive(pid));
    let row = home.row("one");
    assert_eq!((row.status(), row.pid()), ("stopped", 0));
    assert_eq!(row.memory(), 0, "what does not run uses nothing");
}

#[test]
fn restart_gives_a_new_process_and_counts() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let before = home.pid("one");
    home.ok(&["restart", "one"]);
    let row = home.row("one");
    assert_ne!(row.pid(), before);
    assert_eq!((row.status(), row.restarts()), ("online", 1));
    assert!(!process::is_alive(before));
}

#[test]
fn start_of_a_stopped_app_does_not_count_as_a_restart() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["stop", "one"]);
    home.ok(&["start", "one"]);
    let row = home.row("one");
    assert_eq!((row.status(), row.restarts()), ("online", 0));
}

#[test]
fn delete_forgets() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    let pid = home.pid("one");
    home.ok(&["delete", "one"]);
    assert!(!process::is_alive(pid));
    assert_eq!(home.jlist().len(), 1);
    home.ok(&["delete", "all"]);
    assert_eq!(home.ok(&["jlist"]).stdout.trim_end(), "[]");
}

#[test]
fn ids_are_not_reused_while_any_process_exists_and_begin_anew_when_none_does() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    let second = home.row("two").id();
    home.ok(&["delete", "two"]);
    home.start(json!([sleeper("three")]));
    assert!(home.row("three").id() > second);
    home.ok(&["delete", "all"]);
    home.start(json!([sleeper("four")]));
    assert_eq!(home.row("four").id(), 0);
}

#[test]
fn an_app_is_chosen_by_id_name_namespace_expression_and_all() {
    let home = home();
    home.start(json!([
        { "name": "api-1", "script": "/bin/sleep", "args": "100000", "interpreter": "none", "namespace": "backend" },
        { "name": "api-2", "script": "/bin/sleep", "args": "100000", "interpreter": "none", "namespace": "backend" },
        { "name": "page", "script": "/bin/sleep", "args": "100000", "interpreter": "none" },
    ]));
    let stopped = || home.jlist().iter().filter(|row| row.status() == "stopped").count();
    let id = home.row("page").id().to_string();
    for (selector, count) in [
        (id.as_str(), 1),
        ("page", 1),
        ("backend", 2),
        ("/^api-/", 2),
        ("/1$/", 1),
        ("all", 3),
    ] {
        home.ok(&["stop", selector]);
        assert_eq!(stopped(), count, "stopped by {selector}\n{}", home.report());
        home.ok(&["start", "all"]);
        assert_eq!(stopped(), 0, "started again after {selector}\n{}", home.report());
    }
}

#[test]
fn in_a_directory_whose_name_is_no_text_names_still_work_and_a_start_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let home = home();
    home.start(json!([sleeper("one")]));
    let odd = home.work().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    std::fs::create_dir(&odd).expect("such a directory");
    home.call(&["stop", "one"]).within(&odd).ok();
    assert_eq!(home.status("one"), "stopped");
    let output = home
        .call(&["start", "/bin/sleep", "--name", "two", "--", "1"])
        .within(&odd)
        .fails();
    assert!(output.stderr.contains("is not valid UTF-8"), "{output}");
}

#[test]
fn force_is_no_cause_for_a_warning() {
    let home = home();
    let script = apps::path("ticker");
    let output = home.ok(&["start", &script, "--interpreter", "sh", "--force"]);
    assert!(!output.stderr.contains("force"), "{output}");
}

#[test]
fn an_unknown_name_is_an_error_that_names_it() {
    let home = home();
    home.start(json!([sleeper("one")]));
    for verb in ["stop", "restart", "delete"] {
        let output = home.call(&[verb, "nobody"]).fails();
        assert!(output.stderr.contains("nobody"), "{output}");
    }
    assert_eq!(home.status("one"), "online");
}

#[test]
fn a_missing_script_is_an_error_that_names_it_and_lists_nothing() {
    let home = home();
    let output = home.call(&["start", "./missing.js"]).fails();
    let path = home.work().join("missing.js");
    assert!(output.stderr.contains(&path.display().to_string()), "{output}");
    assert_eq!(home.jlist().len(), 0);
}

#[test]
fn a_missing_interpreter_is_told_apart_from_a_missing_script() {
    let home = home();
    let output = home
        .call(&[
            "start",
            &apps::path("server.js"),
            "--interpreter",
            "no-such-interpreter",
        ])
        .fails();
    assert!(output.stderr.contains("no-such-interpreter"), "{output}");
    assert!(!output.stderr.to_lowercase().contains("script not found"), "{output}");
}

#[test]
fn the_same_script_is_started_twice_only_by_force() {
    let home = home();
    let script = apps::path("ticker");
    let start = |extra: &[&str]| home.call(&["start", &script, "--interpreter", "sh"]).args(extra);
    start(&[]).ok();
    let output = start(&[]).fails();
    assert!(output.stderr.contains("already"), "{output}");
    start(&["--force"]).ok();
    assert_eq!(home.rows("ticker").len(), 2);
}

#[test]
fn arguments_after_two_dashes_are_the_programs_own() {
    let home = home();
    let file = home.work().join("seen.json");
    let call = home.call(&["start", &apps::path("environment.js"), "--name", "seen"]);
    call.env("ENVIRONMENT_FILE", &file)
        .args(&["--", "--name", "x y", "-i", "3", "--"])
        .ok();
    let seen = home.wait_for("the app's own account", || std::fs::read_to_string(&file).ok());
    let seen: serde_json::Value = serde_json::from_str(&seen).expect("whole JSON");
    assert_eq!(seen["arguments"], json!(["--name", "x y", "-i", "3", "--"]));
    assert_eq!(seen["directory"], json!(home.work().to_str()));
    assert_eq!(home.jlist().len(), 1);
}

#[test]
fn a_command_with_spaces_is_run_by_a_shell() {
    let home = home();
    home.ok(&["start", "echo one two && exec sleep 100000", "--name", "shell"]);
    home.wait_until("the shell's output", || home.out_log("shell") == "one two\n");
    assert_eq!(home.status("shell"), "online");
}

#[test]
fn a_program_is_found_in_path() {
    let home = home();
    home.ok(&["start", "sleep", "--name", "found", "--", "100000"]);
    let row = home.row("found");
    assert_eq!(row.status(), "online");
    assert!(row.text("pm_exec_path").ends_with("/sleep"));
}

#[test]
fn apps_come_from_standard_input_too() {
    let home = home();
    let text = json!({ "apps": [sleeper("piped")] }).to_string();
    home.call(&["start", "-"]).input(text).ok();
    assert_eq!(home.status("piped"), "online");
}

#[test]
fn npm_start_is_run_by_its_words() {
    let home = home();
    let port = free_port();
    let call = home
        .call(&["start", "npm", "--name", "npm-app", "--", "start"])
        .within(apps::path("npm-app"));
    call.env("PORT", port.to_string()).ok();
    let body = home.wait_for("an answer", || http_get(port).ok());
    assert!(body.ends_with(" npm"), "{body}");
}

#[test]
fn commands_that_only_read_start_no_daemon() {
    let home = home();
    for command in [
        &["list"][..],
        &["jlist"],
        &["prettylist"],
        &["pid"],
        &["id", "x"],
        &["logs", "--nostream"],
    ] {
        home.run(command);
        assert!(
            home.processes().is_empty(),
            "{command:?} started {}",
            process::describe(&home.processes())
        );
    }
    assert_eq!(home.ok(&["jlist"]).stdout.trim_end(), "[]");
}

#[test]
fn scale_adds_and_removes_instances() {
    let home = home();
    home.start(json!([sleeper("many")]));
    home.ok(&["scale", "many", "4"]);
    assert_eq!(home.pids("many").len(), 4);
    home.ok(&["scale", "many", "+1"]);
    assert_eq!(home.pids("many").len(), 5);
    home.ok(&["scale", "many", "2"]);
    let rows = home.rows("many");
    let kept: Vec<u64> = rows.iter().map(|row| row.number("NODE_APP_INSTANCE")).collect();
    assert_eq!(kept, [0, 1], "the highest numbers go");
    home.ok(&["scale", "many", "3"]);
    let rows = home.rows("many");
    let filled: Vec<u64> = rows.iter().map(|row| row.number("NODE_APP_INSTANCE")).collect();
    assert_eq!(filled, [0, 1, 2], "and come back");
    home.call(&["scale", "many", "3"]).fails();
}

#[test]
fn a_line_reaches_the_apps_standard_input() {
    let home = home();
    home.ok(&["start", &apps::path("echo.py"), "--name", "ear"]);
    home.wait_until("the app to listen", || home.out_log("ear").contains("listening"));
    home.ok(&["send", "0", "good day"]);
    home.wait_until("the line", || home.out_log("ear").contains("heard good day\n"));
}

#[test]
fn attach_gives_the_apps_input_and_output_to_the_terminal() {
    let home = home();
    home.ok(&["start", &apps::path("echo.py"), "--name", "ear"]);
    home.wait_until("the app to listen", || home.out_log("ear").contains("listening"));
    let attached = home.call(&["attach", "0"]).input("over the wire\n").spawn();
    home.wait_until("the line to come back", || {
        attached.stdout().contains("heard over the wire")
    });
}

#[test]
fn what_does_not_run_cannot_be_talked_to() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["stop", "one"]);
    for words in [&["attach", "0"][..], &["send", "0", "good day"]] {
        home.call(words).limit(DEADLINE).fails();
    }
}

#[test]
fn send_signal_reaches_the_main_process_only_and_changes_no_state() {
    let home = home();
    let script = home.script(
        "trap.sh",
        "#!/bin/sh\ntrap 'echo caught' USR1\necho armed\nwhile :; do sleep 0.05; done\n",
    );
    home.call(&["start"]).arg(script).args(&["--name", "trap"]).ok();
    home.wait_until("the trap to be armed", || home.out_log("trap").contains("armed"));
    let pid = home.pid("trap");
    home.ok(&["sendSignal", "SIGUSR1", "trap"]);
    home.wait_until("the signal", || home.out_log("trap").contains("caught"));
    let row = home.row("trap");
    assert_eq!((row.pid(), row.status(), row.restarts()), (pid, "online", 0));
}

#[test]
fn an_app_that_ignores_its_signal_is_killed_when_its_time_is_up() {
    let home = home();
    home.start(json!([{ "name": "deaf", "script": apps::path("stubborn.sh"), "kill_timeout": 700 }]));
    home.wait_until("it to be deaf", || home.out_log("deaf").contains("ready"));
    let pid = home.pid("deaf");
    let output = home.ok(&["stop", "deaf"]);
    assert!(output.took >= Duration::from_millis(700), "it had its time: {output}");
    assert!(output.took < Duration::from_millis(3000), "and no more: {output}");
    assert!(!process::is_alive(pid));
    assert_eq!(home.status("deaf"), "stopped");
}

#[test]
fn a_quick_app_is_stopped_quickly() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let output = home.ok(&["stop", "one"]);
    assert!(output.took < Duration::from_millis(1000), "no fixed wait: {output}");
}

#[test]
fn a_start_waits_for_the_ready_message() {
    let home = home();
    let call = home.call(&[
        "start",
        &apps::path("ready.js"),
        "--name",
        "slow",
        "--wait-ready",
        "--listen-timeout",
        "20000",
    ]);
    let output = call.env("AFTER_MS", "700").ok();
    assert!(output.took >= Duration::from_millis(700), "{output}");
    assert_eq!(home.status("slow"), "online");
}

#[test]
fn an_app_that_never_says_ready_is_a_failed_start() {
    let home = home();
    let call = home.call(&[
        "start",
        &apps::path("ready.js"),
        "--name",
        "late",
        "--wait-ready",
        "--listen-timeout",
        "600",
    ]);
    let output = call.env("AFTER_MS", "100000").fails();
    assert!(output.stderr.contains("late"), "{output}");
}

#[test]
fn an_app_asked_by_message_gets_no_signal() {
    let home = home();
    home.start(json!([{
        "name": "polite", "script": apps::path("ready.js"), "wait_ready": true, "shutdown_with_message": true,
        "listen_timeout": 20000, "kill_timeout": 10000, "env": { "GRACEFUL": "1" },
    }]));
    home.ok(&["stop", "polite"]);
    assert_eq!(home.status("polite"), "stopped");
    assert!(
        home.out_log("polite").contains(r#"got "shutdown""#),
        "{}",
        home.report()
    );
}

#[test]
fn an_app_registered_without_autostart_waits_to_be_started() {
    let home = home();
    let mut app = sleeper("later");
    app["autostart"] = json!(false);
    home.start(json!([app]));
    assert_eq!(home.status("later"), "stopped");
    home.ok(&["start", "later"]);
    assert_eq!(home.status("later"), "online");
}

#[test]
fn a_start_that_fails_says_why_and_shows_the_last_lines() {
    let home = home();
    let call = home
        .call(&["start", &apps::path("crash.js"), "--name", "broken"])
        .env("EXIT_CODE", "3");
    let output = call.fails();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("ending with 3"), "the error log's end: {output}");
    assert!(
        said.contains("broken") && said.contains('3'),
        "the app and its exit code: {output}"
    );
}

#[test]
fn the_pid_file_follows_the_process() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let row = home.row("one");
    let file = row.text("pm_pid_path").to_owned();
    assert_eq!(
        std::fs::read_to_string(&file).expect("the pid file").trim(),
        row.pid().to_string()
    );
    home.ok(&["stop", "one"]);
    assert!(!std::path::Path::new(&file).exists(), "a stopped app has no pid file");
}

#[test]
fn kill_ends_every_app_and_the_manager() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    home.ok(&["kill"]);
    home.wait_until("nothing to be left", || home.processes().is_empty());
    home.ok(&["kill"]);
}

#[test]
fn descriptors_of_the_manager_do_not_reach_an_app() {
    let home = home();
    let file = home.work().join("descriptors");
    let fixture = ostler_testkit::tools::fixture();
    home.start(json!([sleeper("one"), sleeper("two"), {
        "name": "look", "script": fixture, "interpreter": "none", "args": ["descriptors", file],
    }]));
    let seen = home.wait_for("the app's own account", || std::fs::read_to_string(&file).ok());
    let numbers: Vec<&str> = seen.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        numbers,
        ["0", "1", "2", "3"],
        "standard streams and the IPC channel, nothing else: {seen}"
    );
}

#[test]
fn a_hundred_apps_are_started_stopped_and_deleted_by_one_command_each() {
    let home = home();
    let many: Vec<_> = (0..100).map(|number| sleeper(&format!("app-{number}"))).collect();
    let begin = Instant::now();
    home.start(json!(many));
    assert_eq!(home.jlist().iter().filter(|row| row.status() == "online").count(), 100);
    home.ok(&["stop", "all"]);
    assert_eq!(home.jlist().iter().filter(|row| row.status() == "stopped").count(), 100);
    home.ok(&["delete", "all"]);
    assert!(begin.elapsed() < DEADLINE * 2, "took {:?}", begin.elapsed());
}
