//! What happens when the system refuses something: a full disk, no descriptors, a home that cannot be written.

use ostler_testkit::{Home, Manager, Tmpfs, is_root, process, skip, sleeper, tools};
use serde_json::json;
use std::process::Command;

fn manager() -> Manager {
    Manager::ostler(env!("CARGO_BIN_EXE_ostler"))
}

/// A small file system, or a visible remark that this test could not run.
fn small(test: &str, bytes: u64) -> Option<Tmpfs> {
    Tmpfs::mount(bytes).map_err(|reason| skip(test, &reason)).ok()
}

#[test]
fn a_full_disk_stops_the_log_and_not_the_app() {
    let Some(disk) = small("a_full_disk_stops_the_log_and_not_the_app", 4 << 20) else {
        return;
    };
    let home = Home::new(manager());
    let log = disk.path().join("count.log");
    home.start(json!([{
        "name": "count", "script": tools::fixture(), "interpreter": "none", "args": ["count", "100000000", "200"],
        "out_file": log, "log_rotate": false,
    }]));
    let size = || std::fs::metadata(&log).map_or(0, |file| file.len());
    home.wait_until("a few lines", || size() > 1000);
    disk.fill();
    let pid = home.pid("count");
    let full = size();
    home.start(json!([sleeper("other")]));
    assert_eq!((home.pid("count"), home.status("count").as_str()), (pid, "online"));
    disk.empty();
    home.wait_until("the log to go on", || size() > full + 4096);
    assert_eq!((home.pid("count"), home.row("count").restarts()), (pid, 0));
    let text = std::fs::read_to_string(&log).expect("the log");
    in_order_but_for_gaps(&text);
    home.ok(&["delete", "all"]);
}

/// The lines of a counting app, of which a full disk may have taken some, and of the last before a gap the end.
///
/// # Panics
/// When they are out of order, a line is there twice, or two are glued together.
fn in_order_but_for_gaps(text: &str) {
    let mut next: u64 = 0;
    for line in text.split_inclusive('\n') {
        let line = line.trim_end();
        let cut = next.to_string().starts_with(line);
        let number: u64 = line.parse().unwrap_or_else(|_| panic!("`{line}` is no number"));
        assert!(
            number >= next || cut,
            "{number} stands where {next} or more was expected"
        );
        next = next.max(number + 1);
    }
}

#[test]
fn a_save_on_a_full_disk_fails_aloud_and_keeps_the_last_good_list() {
    let Some(disk) = small(
        "a_save_on_a_full_disk_fails_aloud_and_keeps_the_last_good_list",
        8 << 20,
    ) else {
        return;
    };
    let home = Home::at(manager(), disk.path().join("home"));
    home.start(json!([sleeper("one")]));
    home.ok(&["save"]);
    let saved = home.read("dump.pm2");
    home.start(json!([sleeper("two")]));
    disk.fill();
    let output = home.call(&["save"]).fails();
    assert!(
        output.stderr.contains("dump.pm2") && output.stderr.contains("space"),
        "{output}"
    );
    assert_eq!(home.read("dump.pm2"), saved);
    assert_eq!(home.jlist().len(), 2, "the list itself is untouched");
    disk.empty();
    home.ok(&["save"]);
    assert!(home.read("dump.pm2").contains("two"));
    home.ok(&["kill"]);
}

#[test]
fn a_daemon_killed_while_the_disk_is_full_still_has_a_successor() {
    let Some(disk) = small("a_daemon_killed_while_the_disk_is_full_still_has_a_successor", 8 << 20) else {
        return;
    };
    let home = Home::at(manager(), disk.path().join("home"));
    home.start(json!([sleeper("one")]));
    disk.fill();
    let (pid, before) = (home.pid("one"), home.topology());
    process::kill(before.daemon);
    home.wait_recovered(before);
    assert_eq!((home.pid("one"), home.row("one").restarts()), (pid, 0));
    disk.empty();
    home.ok(&["kill"]);
}

#[test]
fn without_descriptors_a_start_fails_aloud_and_nothing_else_does() {
    let home = Home::new(manager());
    home.start(json!([sleeper("one")]));
    let pid = home.pid("one");
    let daemon = home.topology().daemon;
    let usual = soft_limit(daemon);
    let open = process::descriptors(daemon).len();
    limit_descriptors(daemon, open + 4);
    let many: Vec<_> = (0..20).map(|number| sleeper(&format!("app-{number}"))).collect();
    let file = home.ecosystem(json!(many));
    let output = home.call(&["start"]).arg(file).run();
    assert_ne!(output.code, Some(0), "{output}");
    let said = (output.stdout.clone() + &output.stderr).to_lowercase();
    assert!(
        said.contains("descriptor") || said.contains("too many open files"),
        "{output}"
    );
    limit_descriptors(daemon, usual);
    for number in 0..20 {
        home.wait_status(&format!("app-{number}"), "online");
    }
    assert_eq!((home.pid("one"), home.row("one").restarts()), (pid, 0));
    assert_eq!(home.topology().daemon, daemon, "the daemon lives");
    home.start(json!([sleeper("later")]));
    assert_eq!(home.status("later"), "online");
}

/// How many descriptors the process may have now.
fn soft_limit(pid: i32) -> usize {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.expect("a limit that is a number")
}

/// Sets the soft limit only: the hard one is what the daemon gives its apps.
fn limit_descriptors(pid: i32, limit: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={limit}:")])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "prlimit sets the limit of the daemon"
    );
}

#[test]
fn a_home_that_cannot_be_written_is_named_with_a_way_out() {
    let home = Home::at(manager(), "/proc/ostler-home");
    let output = home
        .call(&["start", "/bin/sleep", "--interpreter", "none", "--", "1"])
        .fails();
    assert!(
        output.stderr.contains("/proc/ostler-home") && output.stderr.contains("OSTLER_HOME"),
        "{output}"
    );
}

#[test]
fn a_read_only_home_is_named_with_a_way_out() {
    let test = "a_read_only_home_is_named_with_a_way_out";
    let Some(disk) = small(test, 1 << 20) else { return };
    let path = disk.path().join("home");
    std::fs::create_dir(&path).expect("a home");
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.path())
        .status();
    if !remounted.is_ok_and(|status| status.success()) {
        return skip(test, "the small file system cannot be made read-only");
    }
    let home = Home::at(manager(), &path);
    let output = home
        .call(&["start", "/bin/sleep", "--interpreter", "none", "--", "1"])
        .fails();
    assert!(output.stderr.contains(&path.display().to_string()), "{output}");
    assert!(output.stderr.to_lowercase().contains("read-only"), "{output}");
    assert!(home.processes().is_empty());
}

#[test]
fn a_home_that_becomes_read_only_keeps_its_apps_and_says_that_it_cannot_save() {
    let test = "a_home_that_becomes_read_only_keeps_its_apps_and_says_that_it_cannot_save";
    if !is_root() {
        return skip(test, "mounting needs root");
    }
    let home = Home::new(manager());
    home.start(json!([sleeper("one")]));
    home.ok(&["save"]);
    let pid = home.pid("one");
    let bind = |options: &[&str]| {
        let status = Command::new("mount").args(options).arg(home.path()).status();
        status.is_ok_and(|status| status.success())
    };
    let path = home.path().to_str().expect("a path that is text");
    if !bind(&["--bind", path]) || !bind(&["-o", "remount,bind,ro"]) {
        return skip(test, "a directory cannot be bound read-only here");
    }
    let output = home.run(&["save"]);
    let undone = Command::new("umount").arg("--lazy").arg(home.path()).status();
    assert!(
        undone.is_ok_and(|status| status.success()),
        "the read-only view is taken away"
    );
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("dump.pm2"), "{output}");
    assert_eq!((home.pid("one"), home.status("one").as_str()), (pid, "online"));
    home.ok(&["save"]);
}

#[test]
fn a_log_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let home = Home::new(manager());
    let mut app = sleeper("one");
    app["out_file"] = json!("/proc/nowhere/out.log");
    let file = home.ecosystem(json!([app]));
    let output = home.call(&["start"]).arg(file).fails();
    assert!(
        output.stderr.contains("/proc/nowhere") && output.stderr.contains("out_file"),
        "{output}"
    );
    assert!(home.jlist().is_empty(), "nothing was started");
    home.start(json!([sleeper("two")]));
    assert_eq!(home.status("two"), "online");
}

#[test]
fn a_log_directory_that_is_lost_later_is_told_by_the_daemon_and_the_app_runs_on() {
    let home = Home::new(manager());
    let logs = home.work().join("logs");
    home.start(json!([{
        "name": "count", "script": tools::fixture(), "interpreter": "none", "args": ["count", "100000000", "200"],
        "out_file": logs.join("out.log"),
    }]));
    let pid = home.pid("count");
    // Away first and then gone: in a directory that is emptied where it is, the daemon makes the file anew.
    let gone = home.work().join("gone");
    std::fs::rename(&logs, &gone).expect("the directory is elsewhere");
    std::fs::write(&logs, "in the way").expect("a file takes its place");
    std::fs::remove_dir_all(gone).expect("the directory goes");
    let lost = logs.join("out.log").display().to_string();
    let output = home.call(&["reloadLogs"]).fails();
    assert!(output.stderr.contains(&format!("cannot reopen {lost}")), "{output}");
    home.wait_until("the daemon to say so", || home.read("ostler.log").contains(&lost));
    assert_eq!((home.pid("count"), home.row("count").restarts()), (pid, 0));
    std::fs::remove_file(&logs).expect("the way is free");
    home.wait_until("the log to go on", || {
        std::fs::metadata(logs.join("out.log")).is_ok_and(|file| file.len() > 0)
    });
}
