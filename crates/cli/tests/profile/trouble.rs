//! What can come between, and what is refused.

use crate::support::{holds_class, home, json_in, left, names_function, open_shop, wait_another, written};
use ostler_testkit::{
    DEADLINE, Home, Manager, Running, Runtime, Signal, Tmpfs, http_get, is_root, process, skip, tools,
};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// A CPU profile that is being taken, for long.
fn long_profile(home: &Home) -> Running {
    let profiling = home
        .call(&["profile", "shop", "--cpu", "4s", "--output", "long.cpuprofile"])
        .spawn();
    home.wait_until("a file", || !left(home).is_empty());
    profiling
}

#[test]
fn of_a_worker_that_dies_in_the_middle_nothing_is_left_and_the_next_can_be_profiled() {
    for mode in ["fork", "cluster"] {
        let home = home();
        open_shop(&home, &json!({ "exec_mode": mode }));
        let pid = home.pid("shop");
        let profiling = long_profile(&home);
        process::kill(pid);
        let output = profiling.wait(DEADLINE);
        assert_eq!(output.code, Some(1), "{mode}: {output}");
        assert!(
            output.stderr.contains("ended before its profile was written"),
            "{mode}: {output}"
        );
        assert!(output.stderr.contains("ostler why shop"), "{mode}: {output}");
        assert!(!home.work().join("long.cpuprofile").exists(), "{mode}");
        home.wait_until("its file to be removed", || left(&home).is_empty());
        home.wait_until("a successor", || home.pids("shop").iter().any(|next| *next != pid));
        let output = home.ok(&["profile", "shop", "--cpu", "1s"]);
        assert!(names_function(&json_in(&written(&output)), "grindCoffee"), "{mode}");
    }
}

#[test]
fn a_new_daemon_goes_on_with_what_was_begun() {
    for mode in ["fork", "cluster"] {
        let home = home();
        open_shop(&home, &json!({ "exec_mode": mode }));
        let before = home.topology();
        let profiling = long_profile(&home);
        process::kill(before.daemon);
        wait_another(&home, before);
        let output = home.call(&["profile", "shop", "--heap"]).run();
        assert!(output.stderr.contains("being taken already"), "{mode}: {output}");
        let output = profiling.wait(DEADLINE);
        assert_eq!(output.code, Some(0), "{mode}: {output}");
        assert!(names_function(&json_in(&written(&output)), "grindCoffee"), "{mode}");
        assert!(left(&home).is_empty(), "{mode}");
    }
}

#[test]
fn what_daemons_have_left_is_removed_by_the_next() {
    let home = home();
    open_shop(&home, &json!({}));
    let orphan = home.path().join("profiles").join("7-1-7");
    fs::create_dir_all(home.path().join("profiles")).expect("a directory");
    fs::write(&orphan, "half").expect("a file");
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_recovered(before);
    home.wait_until("it to be removed", || !orphan.exists());
}

#[test]
fn a_full_disk_is_said_and_the_worker_serves_on() {
    let test = "a_full_disk_is_said_and_the_worker_serves_on";
    // The oldest says nothing of it by itself.
    for node in [
        tools::in_path("node").ok_or("no node in PATH".to_owned()),
        Runtime::node(16).map(|node| node.path),
    ] {
        let (node, disk) = match (node, Tmpfs::mount(3 << 20)) {
            (Ok(node), Ok(disk)) => (node, disk),
            (Err(reason), _) | (_, Err(reason)) => {
                skip(test, &reason);
                continue;
            }
        };
        let home = Home::at(Manager::ostler(env!("CARGO_BIN_EXE_ostler")), disk.path().join("home"));
        let port = open_shop(&home, &json!({ "interpreter": node }));
        let pid = home.pid("shop");
        disk.fill();
        let output = home.call(&["profile", "shop", "--heap"]).fails();
        assert!(
            output.stderr.contains("ENOSPC") && output.stderr.contains("make room"),
            "{output}"
        );
        home.wait_until("its file to be removed", || left(&home).is_empty());
        assert!(http_get(port).is_ok());
        assert_eq!((home.pid("shop"), home.row("shop").restarts()), (pid, 0));
        disk.empty();
        drop(home);
    }
}

#[test]
fn a_worker_of_another_user_writes_and_only_root_reads() {
    let test = "a_worker_of_another_user_writes_and_only_root_reads";
    if !is_root() {
        return skip(test, "running a worker as another user needs root");
    }
    let home = home();
    home.ok(&["ping"]);
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    // Whoever runs apps as others lets these through to the preload.
    open(home.path(), 0o711);
    open(home.work().parent().expect("a directory"), 0o755);
    open_shop(&home, &json!({ "user": "nobody" }));
    let owner = fs::metadata(format!("/proc/{}", home.pid("shop")))
        .expect("it runs")
        .uid();
    assert_ne!(owner, 0, "it runs as another");
    let output = home.ok(&["profile", "shop", "--heap"]);
    let file = written(&output);
    assert!(holds_class(&json_in(&file), "TeaCup"), "{output}");
    let file = fs::metadata(file).expect("it is there");
    assert_eq!((file.uid(), file.mode() & 0o777), (0, 0o600));
}

#[test]
fn what_cannot_be_profiled_is_refused_with_the_reason() {
    let home = home();
    let script = home.script("idle.js", "require('net').createServer().listen(0, '127.0.0.1')");
    home.start(json!([
        { "name": "bare", "script": script, "pmx": false },
        { "name": "clustered", "script": script, "pmx": false, "exec_mode": "cluster" },
        { "name": "sleep", "script": "/bin/sleep", "args": "100000", "interpreter": "none" },
        { "name": "stopped", "script": script },
        { "name": "fine", "script": script },
    ]));
    home.ok(&["stop", "stopped"]);
    fs::write(home.work().join("there"), "old").expect("a file");
    let refused = [
        (vec!["profile", "bare", "--cpu", "1s"], "`pmx: false`"),
        (vec!["profile", "clustered", "--heap"], "`pmx: false`"),
        (vec!["inspect", "bare"], "`pmx: false`"),
        (vec!["profile", "sleep", "--heap"], "is not run by Node"),
        (vec!["inspect", "sleep"], "is not run by Node"),
        (vec!["profile", "stopped", "--heap"], "stopped does not run"),
        (vec!["profile", "nobody", "--heap"], "nobody not found"),
        (
            vec!["profile", "fine", "--heap", "--instance", "3"],
            "has no instance 3",
        ),
        (vec!["profile", "fine", "--cpu", "999ms"], "from 1s to 5m"),
        (vec!["profile", "fine", "--cpu", "6m"], "from 1s to 5m"),
        (vec!["profile", "fine", "--cpu", "soon"], "from 1s to 5m"),
        (
            vec!["profile", "fine", "--heap", "--output", "there"],
            "is not written over",
        ),
        (
            vec!["profile", "fine", "--heap", "--output", "no/where"],
            "nothing can be written to",
        ),
    ];
    for (words, reason) in refused {
        let output = home.call(&words).fails();
        assert!(output.stderr.contains(reason), "{reason}: {output}");
        assert!(output.stderr.contains("hint: "), "what to do next: {output}");
    }
    if let Some(python) = tools::in_path("python3") {
        let script = home.write("idle.py", "import time\ntime.sleep(100000)\n");
        home.start(json!([{ "name": "snake", "script": script, "interpreter": python }]));
        let output = home.call(&["profile", "snake", "--heap"]).fails();
        assert!(
            output.stderr.contains("it is run by") && output.stderr.contains("python3"),
            "{output}"
        );
    }
    assert_eq!(
        fs::read_to_string(home.work().join("there")).expect("it is there"),
        "old"
    );
    let asked = |kind: Value| {
        let operation =
            json!({ "id": kind.to_string(), "verb": "profile", "action": { "profile": { "slot": 4, "kind": kind } } });
        home.post("/v1/operations", &operation).expect("an answer")
    };
    let (status, answer) = asked(json!({ "cpu": { "for_ms": 300_001 } }));
    assert_eq!((status, &answer["kind"]), (400, &json!("user")), "{answer}");
}

#[test]
fn a_second_one_of_the_same_worker_is_refused_and_of_another_is_not() {
    let home = home();
    open_shop(&home, &json!({ "exec_mode": "cluster", "instances": 2 }));
    let first = home.call(&["profile", "0", "--cpu", "5m"]).spawn();
    home.wait_until("a file", || !left(&home).is_empty());
    for kind in [vec!["--cpu", "1s"], vec!["--heap"]] {
        let output = home.call(&[&["profile", "0"], &kind[..]].concat()).fails();
        assert!(
            output
                .stderr
                .contains("a CPU profile of shop (0) is being taken already"),
            "{output}"
        );
    }
    home.ok(&["profile", "1", "--heap"]);
    process::signal(first.pid(), Signal::TERM);
    let output = first.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}
