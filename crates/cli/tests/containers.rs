//! `ostler runtime`: output, exit codes, signals, and commands beside it.

use ostler_testkit::{
    Container, DEADLINE, Home, Manager, Output, Running, Signal, Writable, free_port, http_get, process, skip, sleeper,
    wait_within,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// A shell script as an app that is run once.
fn job(name: &str, script: &str) -> Value {
    json!({ "name": name, "script": "/bin/sh", "args": ["-c", script], "interpreter": "none", "autorestart": false })
}

/// Runs these apps in the foreground, with these options.
fn begin(home: &Home, apps: Value, options: &[&str]) -> Running {
    let file = home.ecosystem(apps);
    home.call(&["runtime"]).arg(file).args(options).spawn()
}

/// Waits until an app is up that somebody else has just begun to start.
fn up(home: &Home, name: &str) -> i32 {
    let online = || home.rows(name).into_iter().find(|row| row.status() == "online");
    home.wait_for(&format!("{name} to be up"), online).pid()
}

fn run(home: &Home, apps: Value, options: &[&str]) -> Output {
    begin(home, apps, options).wait(DEADLINE)
}

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
fn commands_beside_it_work_and_a_hangup_reloads() {
    let home = home();
    let ticking = "while :; do echo tick; sleep 0.1; done";
    let mut app = job("one", ticking);
    app["autorestart"] = true.into();
    let running = begin(&home, json!([app]), &[]);
    let pid = up(&home, "one");
    let logs = home.call(&["logs", "one", "--raw"]).spawn();
    home.wait_until("its lines beside it", || {
        logs.stdout().contains("tick") && running.stdout().contains("tick")
    });
    assert!(home.ok(&["list"]).stdout.contains("one"));
    process::signal(running.pid(), Signal::HUP);
    let next = home.wait_for("another process", || {
        Some(home.row("one").pid()).filter(|now| *now != pid && *now != 0)
    });
    home.wait_status("one", "online");
    home.ok(&["reload", "one"]);
    assert_ne!(home.row("one").pid(), next);
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
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

#[test]
fn requests_under_way_are_answered_before_it_ends() {
    let home = home();
    let port = free_port();
    let server = home.write(
        "server.js",
        "require('http').createServer((_, answer) => { console.log('asked'); setTimeout(() => answer.end('done'), 700) })
           .listen(process.env.PORT)",
    );
    let running = home
        .call(&["runtime"])
        .arg(server)
        .args(&["-i", "2"])
        .env("PORT", port.to_string())
        .spawn();
    home.wait_until("both workers to answer", || http_get(port).is_ok());
    let asked = || running.stdout().matches("asked").count();
    let before = asked();
    let clients: Vec<_> = (0..20).map(|_| std::thread::spawn(move || http_get(port))).collect();
    home.wait_until("all requests to be under way", || asked() == before + 20);
    process::signal(running.pid(), Signal::TERM);
    for client in clients {
        let answer = client.join().expect("the client does not panic");
        assert_eq!(answer.expect("an answer"), "done");
    }
    assert_eq!(running.wait(DEADLINE).code, Some(0));
    assert!(http_get(port).is_err());
}

#[test]
fn a_second_signal_does_not_wait_and_a_deadline_neither() {
    let stubborn = || {
        let mut app = job("stubborn", "trap '' INT TERM; while :; do sleep 1; done");
        app["kill_timeout"] = 600_000.into();
        json!([app])
    };
    let home = home();
    let running = begin(&home, stubborn(), &["--shutdown-timeout", "10m"]);
    up(&home, "stubborn");
    process::signal(running.pid(), Signal::TERM);
    home.wait_status("stubborn", "stopping");
    process::signal(running.pid(), Signal::TERM);
    let output = running.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("SIGTERM again"), "{output}");
    let running = begin(&home, stubborn(), &["--shutdown-timeout", "300"]);
    up(&home, "stubborn");
    process::signal(running.pid(), Signal::INT);
    let output = running.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
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

#[test]
fn apps_do_not_notice_that_the_daemon_was_killed() {
    let home = home();
    let running = begin(&home, json!([sleeper("one")]), &[]);
    let pid = up(&home, "one");
    let before = home.topology();
    assert_eq!(before.keeper, running.pid(), "the foreground process is the keeper");
    process::signal(before.daemon, Signal::KILL);
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
    assert_eq!(home.row("one").pid(), pid);
    process::signal(running.pid(), Signal::TERM);
    assert_eq!(running.wait(DEADLINE).code, Some(0));
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

#[test]
fn the_first_process_of_a_read_only_container_of_an_unknown_user_does_its_duties() {
    let home = home();
    // An orphan that ends, and one that goes on.
    let script = "sh -c '(sleep 0.1; exit 0) & (exec sleep 1000) & exit 0'; echo ready; exec sleep 1000";
    let mut app = job("app", script);
    app["cwd"] = home.work().to_string_lossy().into();
    app["treekill"] = true.into();
    let file = home.ecosystem(json!([app]));
    let container = match Container::run(&home, Writable::SharedMemory, &["runtime", &file.to_string_lossy()]) {
        Ok(container) => container,
        Err(reason) => return skip("containers in a container", &reason),
    };
    let ready = wait_within(DEADLINE, || {
        container.running().stdout().contains("ready\n").then_some(())
    });
    assert!(ready.is_ok(), "{}", container.running().stderr());
    for user in [None, Some("0")] {
        let list = container.beside(user, &["list"]).ok();
        assert!(list.stdout.contains("app"), "{list}");
    }
    container.beside(None, &["restart", "app"]).ok();
    let zombies = || {
        process::descendants(container.first())
            .iter()
            .filter(|process| process.state == 'Z')
            .count()
    };
    assert!(
        wait_within(DEADLINE, || (zombies() == 0).then_some(())).is_ok(),
        "orphans are waited for"
    );
    let daemon = process::descendants(container.first());
    let daemon = daemon
        .iter()
        .find(|process| process.command.ends_with("__daemon"))
        .expect("a daemon");
    process::signal(daemon.pid, Signal::KILL);
    assert!(container.beside(None, &["list"]).ok().stdout.contains("online"));
    process::signal(container.first(), Signal::TERM);
    let output = container.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("/dev/shm/ostler-12345"), "{output}");
}

#[test]
fn where_nothing_can_be_written_it_still_runs() {
    let home = home();
    let mut app = job("app", "echo ready; exec sleep 1000");
    app["cwd"] = home.work().to_string_lossy().into();
    let file = home.ecosystem(json!([app]));
    let container = match Container::run(&home, Writable::Nothing, &["runtime", &file.to_string_lossy()]) {
        Ok(container) => container,
        Err(reason) => return skip("containers without a place to write to", &reason),
    };
    let ready = wait_within(DEADLINE, || {
        container.running().stdout().contains("ready\n").then_some(())
    });
    assert!(ready.is_ok(), "{}", container.running().stderr());
    let list = container.beside(None, &["list"]).ok();
    assert!(list.stdout.contains("app"), "{list}");
    process::signal(container.first(), Signal::TERM);
    let output = container.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}
