//! Logs: every byte, each line's timestamp once, rotation, following.

use ostler_testkit::torture::Torture;
use ostler_testkit::{Home, Manager, apps, concatenated, is_settled, pieces, process, repetitions, sleeper, tools};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn home() -> Home {
    Home::new(Manager::under_test(env!("CARGO_BIN_EXE_ostler")))
}

/// How long a whole torture may take.
const LONG: Duration = Duration::from_secs(240);

/// How much more memory the daemon may have at the end of a flood than before it, KiB.
const FLAT: u64 = 24 * 1024;

/// Runs the torture with further keys, waits for its end, and checks that the daemon's memory stayed flat.
fn torture(home: &Home, lines: usize, keys: Value) -> PathBuf {
    home.start(json!([sleeper("first")]));
    let memory = || {
        home.own_processes()
            .iter()
            .map(|own| process::memory(own.pid).rss)
            .sum::<u64>()
    };
    let before = memory();
    let log = home.work().join("torture.log");
    let mut app = json!({
        "name": "torture", "script": tools::fixture(), "interpreter": "none", "autorestart": false,
        "args": ["torture", "11", lines.to_string()], "out_file": log,
    });
    let Value::Object(keys) = keys else {
        unreachable!("keys are an object")
    };
    app.as_object_mut().expect("an object").extend(keys);
    let file = home.ecosystem(json!([app]));
    home.call(&["start"]).arg(file).limit(LONG).run();
    let mut highest = before;
    let row = home.wait_long(LONG, "the torture's end", || {
        highest = highest.max(memory());
        let row = home.row("torture");
        (row.status() == "stopped").then_some(row)
    });
    assert_eq!(row.number("exit_code"), 7);
    assert!(
        highest < before + FLAT,
        "the manager's memory grew from {before} to {highest} KiB"
    );
    log
}

/// Compares piece by piece, so that a difference is shown by its place and not by megabytes.
fn same(mut found: impl Read, expected: impl Iterator<Item = Vec<u8>>) {
    let mut offset = 0;
    for line in expected {
        let mut got = vec![0; line.len()];
        let read = found.read_exact(&mut got);
        assert!(read.is_ok(), "the log ends before byte {}", offset + line.len());
        assert!(
            got == line,
            "the log differs between byte {offset} and {}",
            offset + line.len()
        );
        offset += line.len();
    }
    let mut rest = Vec::new();
    found.read_to_end(&mut rest).expect("a readable log");
    assert!(
        rest.is_empty(),
        "the log has {} bytes more than were written",
        rest.len()
    );
}

#[test]
fn torture_is_logged_byte_for_byte() {
    let home = home();
    let lines = repetitions(100_000, 1_000_000);
    let log = torture(&home, lines, json!({ "log_rotate": false }));
    same(
        BufReader::new(std::fs::File::open(log).expect("the log")),
        Torture::new(11, lines),
    );
}

#[test]
fn torture_with_rotation_concatenates_to_the_same_bytes() {
    let home = home();
    let lines = repetitions(100_000, 1_000_000);
    let log = torture(
        &home,
        lines,
        json!({ "log_rotate": { "max_size": "5M", "keep": 1000 } }),
    );
    let expected: usize = Torture::new(11, lines).map(|line| line.len()).sum();
    home.wait_until("the last compression to end", || is_settled(&log));
    let found = pieces(&log);
    assert!(found.len() > expected / 6_000_000, "pieces: {found:?}");
    same(concatenated(&log).as_slice(), Torture::new(11, lines));
}

#[test]
fn torture_with_timestamps_has_exactly_one_a_line() {
    let home = home();
    let lines = repetitions(100_000, 1_000_000);
    let keys = json!({ "log_rotate": false, "log_date_format": "YYYY-MM-DD HH:mm:ss.SSS" });
    let log = torture(&home, lines, keys);
    let mut found = BufReader::new(std::fs::File::open(log).expect("the log"));
    for (number, expected) in Torture::new(11, lines).enumerate() {
        let mut line = Vec::new();
        found.read_until(b'\n', &mut line).expect("a readable log");
        let (stamp, rest) = line
            .split_at_checked(25)
            .unwrap_or_else(|| panic!("line {number} has a timestamp"));
        assert!(
            is_stamp(stamp),
            "line {number} begins with {:?}",
            String::from_utf8_lossy(stamp)
        );
        assert!(rest == expected, "line {number} is whole");
    }
    assert_eq!(
        found.read_until(b'\n', &mut Vec::new()).expect("a readable log"),
        0,
        "nothing follows"
    );
}

/// `2026-11-21 08:10:32.613: `
fn is_stamp(bytes: &[u8]) -> bool {
    let shape = b"dddd-dd-dd dd:dd:dd.ddd: ";
    bytes.len() == shape.len()
        && bytes.iter().zip(shape).all(|(byte, kind)| {
            if *kind == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == kind
            }
        })
}

fn shell(home: &Home, name: &str, text: &str, keys: Value) -> Value {
    let script = home.script(&format!("{name}.sh"), &format!("#!/bin/sh\n{text}\n"));
    let mut app = json!({ "name": name, "script": script, "autorestart": false });
    let Value::Object(keys) = keys else {
        unreachable!("keys are an object")
    };
    app.as_object_mut().expect("an object").extend(keys);
    app
}

#[test]
fn both_streams_go_to_their_own_file_and_to_the_combined_one() {
    let home = home();
    let combined = home.work().join("all.log");
    home.start(json!([shell(
        &home,
        "chat",
        "echo to out; echo to error >&2; sleep 1000",
        json!({ "log_file": combined })
    )]));
    home.wait_until("both lines", || read(&combined).lines().count() == 2);
    assert_eq!(
        (home.out_log("chat").as_str(), home.error_log("chat").as_str()),
        ("to out\n", "to error\n")
    );
    let together = read(&combined);
    assert!(
        together.contains("to out\n") && together.contains("to error\n"),
        "{together}"
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_last_line_without_newline_is_kept() {
    let home = home();
    home.start(json!([shell(&home, "chat", "printf 'no end'", json!({}))]));
    home.wait_until("the line", || home.out_log("chat") == "no end");
}

#[test]
fn json_logs_have_one_object_a_line() {
    let home = home();
    home.start(json!([shell(
        &home,
        "chat",
        "printf 'one\\ntwo\\nthree'; sleep 0.3",
        json!({ "log_type": "json" })
    )]));
    home.wait_until("three lines", || home.out_log("chat").lines().count() == 3);
    let objects: Vec<Value> = home
        .out_log("chat")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let messages: Vec<&str> = objects
        .iter()
        .filter_map(|object| object["message"].as_str())
        .map(str::trim_end)
        .collect();
    assert_eq!(messages, ["one", "two", "three"]);
    for object in objects {
        assert_eq!(
            (&object["type"], &object["process_id"], &object["app_name"]),
            (&json!("out"), &json!(0), &json!("chat"))
        );
        assert!(object["timestamp"].is_string(), "{object}");
    }
}

#[test]
fn instances_have_files_of_their_own_unless_merged() {
    let home = home();
    let text = "echo from $NODE_APP_INSTANCE; sleep 1000";
    home.start(json!([
        shell(&home, "apart", text, json!({ "instances": 2, "exec_mode": "fork" })),
        shell(
            &home,
            "merged",
            text,
            json!({ "instances": 2, "exec_mode": "fork", "merge_logs": true })
        ),
    ]));
    for (row, instance) in home.rows("apart").iter().zip(0..) {
        let log = PathBuf::from(row.text("pm_out_log_path"));
        assert_eq!(log, home.path().join(format!("logs/apart-out-{}.log", row.id())));
        home.wait_until("its line", || read(&log) == format!("from {instance}\n"));
    }
    home.wait_until("both lines", || home.out_log("merged").lines().count() == 2);
}

#[test]
fn output_to_dev_null_makes_no_file() {
    let home = home();
    let keys = json!({ "out_file": "/dev/null", "error_file": "NULL" });
    home.start(json!([shell(
        &home,
        "quiet",
        "echo out; echo error >&2; echo done > done; sleep 1000",
        keys
    )]));
    home.wait_until("it to have written", || home.work().join("done").exists());
    assert_eq!(
        std::fs::read_dir(home.path().join("logs")).map_or(0, Iterator::count),
        0
    );
    assert_eq!(home.row("quiet").text("pm_out_log_path"), "/dev/null");
}

#[test]
fn logs_shows_the_last_lines_and_ends_when_asked_to() {
    let home = home();
    home.start(json!([shell(
        &home,
        "chat",
        "for n in 1 2 3 4 5 6; do echo line $n; done; sleep 1000",
        json!({})
    )]));
    home.wait_until("six lines", || home.out_log("chat").lines().count() == 6);
    let output = home.ok(&["logs", "chat", "--nostream", "--lines", "2", "--raw"]);
    assert_eq!(
        output
            .stdout
            .lines()
            .filter(|line| line.starts_with("line"))
            .collect::<Vec<_>>(),
        ["line 5", "line 6"]
    );
    let output = home.ok(&["logs", "chat", "--nostream", "--lines", "3"]);
    assert_eq!(
        output
            .stdout
            .lines()
            .filter(|line| line.contains("chat") && line.contains("| line"))
            .count(),
        3,
        "{output}"
    );
}

#[test]
fn logs_can_be_limited_to_one_stream() {
    let home = home();
    home.start(json!([shell(
        &home,
        "chat",
        "echo good; echo bad >&2; sleep 1000",
        json!({})
    )]));
    home.wait_until("both lines", || {
        !home.out_log("chat").is_empty() && !home.error_log("chat").is_empty()
    });
    let shown = |flag| {
        let output = home.ok(&["logs", "chat", "--nostream", "--raw", flag]);
        output.stdout + &output.stderr
    };
    let (out, error) = (shown("--out"), shown("--err"));
    assert!(out.contains("good") && !out.contains("bad"), "{out}");
    assert!(error.contains("bad") && !error.contains("good"), "{error}");
}

#[test]
fn json_output_of_logs_is_one_object_a_line() {
    let home = home();
    home.ok(&["start", &apps::path("ticker"), "--name", "tick", "--interpreter", "sh"]);
    let follower = home.call(&["logs", "tick", "--json", "--lines", "0"]).spawn();
    home.wait_until("a few objects", || follower.stdout().lines().count() > 3);
    let text = follower.stdout();
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["app_name"], &first["type"], &first["process_id"]),
        (&json!("tick"), &json!("out"), &json!(0))
    );
    assert!(
        first["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("tick ")),
        "{first}"
    );
}

#[test]
fn a_follower_sees_every_line_once_over_restarts_and_rotations() {
    let home = home();
    let script = home.script("long.sh", "#!/bin/sh\nexec \"$FIXTURE\" count 5000 50\n");
    home.start(json!([{
        "name": "count", "script": script, "env": { "FIXTURE": tools::fixture() }, "stop_exit_codes": [0],
        "log_rotate": { "max_size": "4K", "keep": 1000 },
    }]));
    let follower = home.call(&["logs", "count", "--raw", "--lines", "1000000"]).spawn();
    home.wait_until("the run's end", || follower.stdout().lines().any(|line| line == "4999"));
    home.wait_status("count", "stopped");
    home.ok(&["restart", "count"]);
    home.wait_until("the second run's end", || {
        follower.stdout().lines().filter(|line| *line == "4999").count() == 2
    });
    let seen: Vec<usize> = follower.stdout().lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(follower.stderr(), "", "nothing was left out");
    let second = &seen[seen.len() - 5_000..];
    assert!(second.iter().copied().eq(0..5_000), "the second run whole and in order");
    let log = home.path().join("logs/count-out.log");
    home.wait_until("the last compression to end", || is_settled(&log));
    assert!(pieces(&log).len() > 2, "it was rotated meanwhile");
    let all: Vec<usize> = String::from_utf8(concatenated(&log))
        .expect("numbers")
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    assert!(
        all.iter().copied().eq((0..5_000).chain(0..5_000)),
        "and so are the files"
    );
}

#[test]
fn a_follower_of_a_stopped_app_sees_its_last_lines_and_then_its_next_run() {
    let home = home();
    home.start(json!([shell(
        &home,
        "brief",
        "echo $0 ran",
        json!({ "stop_exit_codes": [0] })
    )]));
    home.wait_status("brief", "stopped");
    let follower = home.call(&["logs", "brief", "--raw"]).spawn();
    let runs = || follower.stdout().lines().filter(|line| line.ends_with(" ran")).count();
    home.wait_until("the last line of the run before", || runs() == 1);
    home.ok(&["restart", "brief"]);
    home.wait_until("the line of the next run", || runs() == 2);
    home.ok(&["restart", "brief"]);
    home.wait_until("the third run", || runs() >= 3);
    assert_eq!(runs(), 3, "each once");
}

#[test]
fn a_flood_of_one_app_delays_no_other() {
    let home = home();
    home.start(json!([
        { "name": "flood", "script": tools::fixture(), "interpreter": "none", "args": ["flood", "200"], "log_rotate": false },
        sleeper("calm"),
    ]));
    let output = home.ok(&["restart", "calm"]);
    assert!(output.took < Duration::from_secs(5), "{output}");
    let size = || std::fs::metadata(home.path().join("logs/flood-out.log")).map_or(0, |file| file.len());
    home.wait_long(Duration::from_secs(60), "the whole flood", || {
        (size() == 200_000_000).then_some(())
    });
}
