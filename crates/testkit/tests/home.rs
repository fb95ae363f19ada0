//! The test bed tested: it finds what a manager leaves, and kills it.

use ostler_testkit::{Home, Manager, process, tools};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// A manager that starts a process by `start`, and forgets it: its `kill` ends nothing.
fn forgetful() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("forgetful");
    let text = "#!/bin/sh\ncase $1 in\nstart) mkdir -p \"$OSTLER_HOME\"; setsid sleep 1000 >/dev/null 2>&1 & ;;\njlist) echo '[]' ;;\nesac\n";
    std::fs::write(&path, text).expect("a script");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("an executable script");
    (directory, path)
}

#[test]
fn a_process_left_behind_is_killed_and_reported() {
    let (_directory, program) = forgetful();
    let home = Home::new(Manager::ostler(program));
    home.ok(&["start"]);
    let left = home.wait_for("the forgotten process", || home.processes().pop());
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(home))).expect_err("a leak is a failure");
    let text = panicked.downcast_ref::<String>().expect("a panic with a text");
    assert!(text.contains("sleep 1000"), "the message names the process: {text}");
    ostler_testkit::wait_within(ostler_testkit::DEADLINE, || {
        (!process::is_alive(left.pid)).then_some(())
    })
    .expect("it is killed");
}

#[test]
fn a_command_sees_no_variable_of_the_developer() {
    let home = Home::new(Manager::ostler(tools::in_path("env").expect("env is in PATH")));
    let output = home.ok(&[]);
    let names: Vec<&str> = output
        .stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 7, "{output}");
    assert!(
        names.contains(&"OSTLER_HOME") && names.contains(&"NO_COLOR"),
        "{output}"
    );
}

#[test]
fn the_fixture_writes_the_torture_that_its_seed_describes() {
    let home = Home::new(Manager::ostler(tools::fixture()));
    let output = home.run(&["count", "3", "0", "5"]);
    assert_eq!(
        (output.stdout.as_str(), output.code),
        ("0\n1\n2\n", Some(5)),
        "{output}"
    );
    let written = std::process::Command::new(tools::fixture())
        .args(["torture", "9", "20000"])
        .output()
        .expect("the fixture runs");
    let expected: Vec<u8> = ostler_testkit::torture::Torture::new(9, 20_000).flatten().collect();
    assert!(written.stdout == expected, "the bytes are the same");
    assert_eq!(written.status.code(), Some(7));
}
