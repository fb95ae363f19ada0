//! When a container ends by itself, and with which code.

use crate::{begin, home, job, run};
use ostler_testkit::DEADLINE;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_job_gives_its_exit_code() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
        let output = run(&home(), json!([job("job", script)]), &[]);
        assert_eq!(output.code, Some(code), "{script}: {output}");
    }
}

#[test]
fn several_jobs_end_with_0_or_2() {
    let fine = json!([job("one", "exit 0"), job("two", "exit 0")]);
    assert_eq!(run(&home(), fine, &[]).code, Some(0));
    let mixed = json!([job("one", "exit 0"), job("two", "exit 5")]);
    assert_eq!(run(&home(), mixed, &[]).code, Some(2));
}

#[test]
fn an_app_that_is_given_up_ends_with_2_at_once() {
    let mut app = job("app", "exit 1");
    app["autorestart"] = true.into();
    app["max_restarts"] = 3.into();
    let began = Instant::now();
    let output = run(&home(), json!([app]), &[]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(began.elapsed() < Duration::from_secs(10), "{output}");
}

#[test]
fn what_cannot_be_started_is_said_with_exit_code_1() {
    let home = home();
    let output = home.call(&["runtime", "nothing.config.js"]).run();
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("nothing.config.js"), "{output}");
    let output = run(&home, json!([{ "name": "app", "script": "missing.js" }]), &[]);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("missing.js"), "{output}");
}

#[test]
fn pm2s_name_for_it_works_as_a_symlink() {
    let home = home();
    let link = home.work().join("pm2-runtime");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ostler"), &link).expect("a link");
    let script = home.script("job.sh", "#!/bin/sh\necho \"$@\"; exit 4\n");
    let output = home
        .program(&link)
        .args(&["start", "--no-autorestart"])
        .arg(script)
        .args(&["--", "a", "--b"])
        .run();
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), "a --b\n"), "{output}");
}

#[test]
fn it_stays_when_told_to_and_ends_with_kill() {
    let home = home();
    let running = begin(&home, json!([job("job", "exit 3")]), &["--no-auto-exit"]);
    home.wait_until("the job to have ended", || {
        home.rows("job").iter().any(|row| row.status() == "stopped")
    });
    assert!(home.ok(&["list"]).stdout.contains("job"));
    home.ok(&["kill"]);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
}
