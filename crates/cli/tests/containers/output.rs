//! What apps write, and whoever does not read it.

use crate::{begin, home, job, run, up};
use ostler_testkit::{DEADLINE, Home, Output, Running, Signal, process, sleeper};
use serde_json::{Value, json};

#[test]
fn output_goes_where_the_app_wrote_it_byte_by_byte() {
    let home = home();
    let output = run(
        &home,
        json!([job(
            "job",
            "printf 'one\\n\\ntwo \\033[1m'; printf 'three\\nno end' >&2"
        )]),
        &[],
    );
    assert_eq!(output.stdout, "one\n\ntwo \x1b[1m");
    assert!(output.stderr.contains("three\nno end"), "{output}");
    assert_eq!(output.code, Some(0));
    assert!(!home.path().join("logs").exists(), "no file was asked for");
}

/// Whether all of it is JSON, one value a line.
fn objects(output: &Output) -> Vec<Value> {
    let lines = output.stdout.lines().chain(output.stderr.lines());
    let object = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.map(object).collect()
}

#[test]
fn in_json_everything_is_json_also_what_ostler_says() {
    let home = home();
    let running = begin(
        &home,
        json!([sleeper("one"), job("two", "echo 1; exit 3")]),
        &["--json"],
    );
    up(&home, "one");
    let before = home.topology();
    process::signal(before.daemon, Signal::KILL);
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
    process::signal(running.pid(), Signal::TERM);
    let said = objects(&running.wait(DEADLINE));
    let ours = said.iter().filter(|line| line["type"] == "ostler").count();
    assert!(ours >= 3, "{said:?}");
    let output = home.call(&["runtime", "missing.config.js", "--json"]).run();
    assert_eq!(
        (output.code, objects(&output)[0]["level"].as_str()),
        (Some(1), Some("error")),
        "{output}"
    );
}

#[test]
fn each_form_is_a_line_of_its_own_kind() {
    let apps = || json!([job("job", "echo \"it's\"; sleep 0.05; printf 'second' >&2")]);
    let output = run(&home(), apps(), &["--json"]);
    let said = objects(&output);
    let of = |kind: &str| {
        said.iter()
            .find(|line| line["type"] == kind)
            .expect("one of each")
            .clone()
    };
    assert_eq!(
        (&of("out")["message"], &of("out")["app_name"]),
        (&json!("it's\n"), &json!("job"))
    );
    assert_eq!(of("err")["message"], "second");
    let output = run(&home(), apps(), &["--formatted"]);
    assert_eq!(output.stdout, "0|job      | it's\n");
    let output = run(&home(), apps(), &["--format"]);
    assert!(output.stdout.starts_with("timestamp=2"), "{output}");
    assert!(
        output.stdout.ends_with(" app=job id=0 type=out message=it's\n"),
        "{output}"
    );
}

/// An app that writes numbered lines to both outputs.
const COUNTING: &str = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo $i; done; echo end >&2; exit 9";

#[test]
fn nothing_of_the_output_is_lost_or_said_twice_when_the_daemon_is_killed() {
    let home = home();
    let running = begin(&home, json!([job("count", COUNTING)]), &[]);
    let (mut kills, mut last) = (0, 0);
    while kills < 8 && process::is_alive(running.pid()) {
        // One that has not answered yet when it is killed is followed by the next the later.
        let daemon = home
            .control("/v1/ping")
            .ok()
            .and_then(|pong| i32::try_from(pong["daemon"].as_i64()?).ok());
        if let Some(daemon) = daemon.filter(|daemon| *daemon != last) {
            process::signal(daemon, Signal::KILL);
            (kills, last) = (kills + 1, daemon);
        }
    }
    let output = running.wait(DEADLINE);
    assert!(kills > 3, "the app wrote for long enough");
    assert_eq!(output.code, Some(9), "{}", output.stderr);
    let expected: String = (1..=40_000).map(|number| format!("{number}\n")).collect();
    let differs = output
        .stdout
        .bytes()
        .zip(expected.bytes())
        .position(|(is, should)| is != should);
    assert!(
        output.stdout == expected,
        "{} bytes, differing at {differs:?}",
        output.stdout.len()
    );
    assert!(output.stderr.contains("end\n"));
}

/// Runs an app with a standard output that a shell redirects.
fn redirected(home: &Home, redirection: &str, script: &str) -> Running {
    let file = home.ecosystem(json!([job("job", script)]));
    home.program("bash")
        .args(&["-c", &format!("exec \"$0\" runtime \"$1\" {redirection}")])
        .arg(env!("CARGO_BIN_EXE_ostler"))
        .arg(file)
        .spawn()
}

#[test]
fn an_output_that_is_closed_blocks_no_app() {
    let home = home();
    let running = redirected(&home, "> >(exec true)", "head -c 3000000 /dev/zero; exit 6");
    let output = running.wait(DEADLINE);
    assert_eq!(output.code, Some(6), "{output}");
    assert!(
        output.stderr.contains("standard output takes nothing any more"),
        "{output}"
    );
}

#[test]
fn an_output_that_nobody_reads_makes_the_app_wait_and_nothing_else() {
    let home = home();
    let pipe = home.work().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .is_ok_and(|status| status.success())
    );
    let redirection = format!("3<>{0} >{0}", pipe.display());
    let running = redirected(
        &home,
        &redirection,
        "head -c 50000000 /dev/zero; echo written > written",
    );
    let daemon = home.topology().daemon;
    let writer = up(&home, "job");
    // Its own processor time stands still once it waits.
    let mut used = None;
    home.wait_until("the app to wait", || {
        let now = process::descendants(writer)
            .iter()
            .map(|process| process.ticks)
            .sum::<u64>();
        let state = process::descendants(writer).iter().all(|process| process.state == 'S');
        state && used.replace(now) == Some(now)
    });
    assert!(!home.work().join("written").exists(), "50 MB are in no pipe");
    assert!(process::memory(daemon).rss < 60_000, "{:?}", process::memory(daemon));
    assert!(home.ok(&["list"]).stdout.contains("online"));
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
}
