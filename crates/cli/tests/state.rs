//! What was saved comes back, once, as it was.

use ostler_testkit::{Home, Manager, Row, apps, process, sleeper};
use serde_json::json;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

fn names(home: &Home) -> Vec<String> {
    home.jlist().iter().map(|row| row.name().to_owned()).collect()
}

/// Ends the manager with all its apps.
fn power_cut(home: &Home) {
    home.ok(&["kill"]);
    home.wait_until("nothing to be left", || home.processes().is_empty());
}

#[test]
fn resurrect_brings_back_what_was_saved() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two"), sleeper("three")]));
    home.ok(&["stop", "two"]);
    let output = home.ok(&["save"]);
    assert!(output.stderr.contains("dump.pm2"), "{output}");
    power_cut(&home);
    home.ok(&["resurrect"]);
    let statuses: Vec<(String, String)> = home
        .jlist()
        .iter()
        .map(|row| (row.name().to_owned(), row.status().to_owned()))
        .collect();
    let expected = [("one", "online"), ("two", "stopped"), ("three", "online")];
    assert_eq!(
        statuses,
        expected.map(|(name, status)| (name.to_owned(), status.to_owned()))
    );
    assert!(home.jlist().iter().all(|row| row.restarts() == 0));
}

#[test]
fn resurrecting_twice_gives_each_app_once() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    home.ok(&["save"]);
    home.ok(&["delete", "two"]);
    let pid = home.pid("one");
    home.ok(&["resurrect"]);
    home.ok(&["resurrect"]);
    let mut found = names(&home);
    found.sort();
    assert_eq!(found, ["one", "two"]);
    assert_eq!(home.pid("one"), pid, "what runs is left alone");
}

#[test]
fn instance_numbers_are_kept() {
    let home = home();
    home.start(json!([sleeper("many")]));
    home.ok(&["scale", "many", "4"]);
    home.ok(&["stop", "1"]);
    let numbers = || {
        home.rows("many")
            .iter()
            .map(|row| row.number("NODE_APP_INSTANCE"))
            .collect::<Vec<_>>()
    };
    let running = || {
        home.rows("many")
            .iter()
            .filter(|row| row.status() == "online")
            .map(|row| row.number("NODE_APP_INSTANCE"))
            .collect::<Vec<_>>()
    };
    assert_eq!((numbers(), running()), (vec![0, 1, 2, 3], vec![0, 2, 3]));
    home.ok(&["save"]);
    power_cut(&home);
    home.ok(&["resurrect"]);
    assert_eq!((numbers(), running()), (vec![0, 1, 2, 3], vec![0, 2, 3]));
}

#[test]
fn environment_arguments_and_settings_are_kept() {
    let home = home();
    let script = home.script("say.sh", "#!/bin/sh\necho $1 $WORD $SHELL_WORD\nsleep 100000\n");
    let file = home.ecosystem(json!([{
        "name": "say", "script": script, "args": ["first arg"], "env": { "WORD": "declared" }, "kill_timeout": 4321,
        "namespace": "group", "max_restarts": 5,
    }]));
    home.call(&["start"]).arg(file).env("SHELL_WORD", "inherited").ok();
    home.wait_until("its line", || !home.out_log("say").is_empty());
    home.ok(&["save"]);
    power_cut(&home);
    home.ok(&["flush"]);
    home.ok(&["resurrect"]);
    home.wait_until("its line again", || {
        home.out_log("say").ends_with("first arg declared inherited\n")
    });
    let row = home.row("say");
    assert_eq!(
        (
            row.number("kill_timeout"),
            row.number("max_restarts"),
            row.text("namespace")
        ),
        (4321, 5, "group")
    );
}

#[test]
fn the_saved_list_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["save"]);
    let mode = std::fs::metadata(home.path().join("dump.pm2"))
        .expect("the saved list")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_empty_list_is_never_saved_over_a_full_one_unless_forced() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["save"]);
    home.ok(&["delete", "all"]);
    home.ok(&["save"]);
    home.ok(&["resurrect"]);
    assert_eq!(names(&home), ["one"]);
    home.ok(&["delete", "all"]);
    home.ok(&["save", "--force"]);
    home.ok(&["resurrect"]);
    assert!(names(&home).is_empty());
}

#[test]
fn a_broken_list_is_kept_aside_and_an_older_one_is_taken() {
    let home = home();
    home.start(json!([sleeper("one")]));
    home.ok(&["save"]);
    home.start(json!([sleeper("two")]));
    home.ok(&["save"]);
    power_cut(&home);
    let broken = "[{\"name\": \"on";
    std::fs::write(home.path().join("dump.pm2"), broken).expect("a broken file");
    let output = home.ok(&["resurrect"]);
    assert!(
        (output.stdout.clone() + &output.stderr).contains("dump.pm2"),
        "it is told: {output}"
    );
    assert!(names(&home).contains(&"one".to_owned()), "{}", home.report());
    let kept = std::fs::read_dir(home.path()).expect("the home").flatten();
    let aside = kept
        .filter(|entry| std::fs::read_to_string(entry.path()).is_ok_and(|text| text == broken))
        .count();
    assert_eq!(aside, 1, "the broken file is kept");
}

#[test]
fn resurrect_without_a_saved_list_says_so() {
    let home = home();
    let output = home.run(&["resurrect"]);
    assert!(
        (output.stdout.clone() + &output.stderr).to_lowercase().contains("no "),
        "{output}"
    );
    assert!(home.jlist().is_empty());
}

/// What `pm2 save` of PM2 7.0.4 wrote of two apps, with the paths of this test.
fn pm2_dump(home: &Home) -> String {
    let text = std::fs::read_to_string(apps::path("dump.pm2")).expect("the fixture");
    text.replace("@WORK@", home.work().to_str().expect("a path that is text"))
}

#[test]
fn the_list_that_pm2_saved_is_read() {
    let home = home();
    std::fs::create_dir_all(home.path()).expect("a home");
    for directory in ["pm2/logs", "pm2/pids"] {
        std::fs::create_dir_all(home.work().join(directory)).expect("what PM2 had there");
    }
    std::fs::write(home.path().join("dump.pm2"), pm2_dump(&home)).expect("PM2's file");
    home.ok(&["resurrect"]);
    let row = home.wait_status("first", "online");
    assert_eq!((row.restarts(), row.text("pm_exec_path")), (0, "/bin/sleep"));
    let environment = std::fs::read(format!("/proc/{}/environ", row.pid())).expect("its environment");
    let variable = |text: &[u8]| environment.split(|byte| *byte == 0).any(|entry| entry == text);
    assert!(variable(b"WORD=kept"), "the app has its environment");
    assert_eq!(home.status("second"), "stopped");
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_of_the_daemon() {
    let home = home();
    for number in 0..5 {
        home.start(json!([sleeper(&format!("app-{number}"))]));
        process::kill(home.topology().daemon);
    }
    home.wait_until("all five", || {
        home.jlist().iter().filter(|row| row.status() == "online").count() == 5
    });
    assert_eq!(home.jlist().iter().map(Row::restarts).sum::<u64>(), 0);
}
