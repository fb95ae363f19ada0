//! Commands against a daemon of a few lines: what they ask, what they print, what they end with.

use crate::arguments::{Verb, parse};
use crate::error::{Kind, Result};
use crate::fake_daemon::{Asked, FakeDaemon, Reply, Stage, json};
use crate::samples;
use crate::targets;
use ostler_core::{ExitStatus, Failure, Outcome, Pid, SlotId, SlotOutcome, Verdict};
use ostler_wire::control::{Action, Answer, ApiError, ApiErrorKind, ProcessRows, Processes};

fn verb(line: &str) -> Verb {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&words)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .line
        .verb
}

async fn run(stage: &Stage, line: &str) -> Result {
    verb(line).run(&stage.session).await
}

/// A daemon that gives one answer to every operation and has no processes.
fn daemon(stage: &Stage, answer: Answer) -> FakeDaemon {
    FakeDaemon::start(&stage.session.home, move |(method, path, _): &Asked| {
        match (method.as_str(), path.as_str()) {
            ("POST", _) => json(&answer),
            (_, "/v1/processes") => json(&ProcessRows::default()),
            (_, _) => json(&Processes::default()),
        }
    })
}

fn outcome(verdict: Verdict) -> Outcome {
    Outcome {
        slots: vec![SlotOutcome {
            slot: SlotId(0),
            name: "api".into(),
            verdict,
        }],
    }
}

#[tokio::test]
async fn questions_without_a_daemon_are_answered_with_nothing() {
    let table = [
        ("jlist", "[]"),
        ("prettylist", "[]"),
        ("id api", "[]\n"),
        ("pid", "\n"),
        ("completion names", ""),
    ];
    for (line, expected) in table {
        let stage = Stage::new("x");
        run(&stage, line)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(
            (stage.printed.out().as_str(), stage.printed.error().as_str()),
            (expected, ""),
            "{line}"
        );
        let left = std::fs::read_dir(stage.directory.path())
            .expect("the home is there")
            .count();
        assert_eq!(left, 0, "{line} leaves nothing behind");
    }
}

#[tokio::test]
async fn a_list_without_a_daemon_is_empty() {
    let stage = Stage::new("list");
    run(&stage, "list").await.expect("an empty list is a list");
    assert_eq!(stage.printed.out().lines().count(), 4);
}

#[tokio::test]
async fn nothing_of_a_name_is_a_failure_and_all_of_nothing_is_not() {
    for line in ["stop all", "delete all", "restart all"] {
        let stage = Stage::new("x");
        run(&stage, line)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(stage.printed.error(), "warning: no process found\n", "{line}");
    }
    for line in [
        "stop nope",
        "delete nope",
        "restart nope",
        "reset nope",
        "scale nope 2",
        "sendSignal HUP nope",
    ] {
        let error = run(&Stage::new("x"), line).await.expect_err(line);
        assert_eq!(error.message, "Process or Namespace nope not found", "{line}");
    }
    for line in [
        "daemon status",
        "logs",
        "describe x",
        "env 0",
        "why x",
        "send 0 x",
        "attach 0",
    ] {
        assert_eq!(
            run(&Stage::new("x"), line).await.expect_err(line).kind,
            Kind::User,
            "{line}"
        );
    }
    for line in ["kill", "save", "flush", "reloadLogs", "logs --nostream"] {
        run(&Stage::new("x"), line)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[tokio::test]
async fn all_of_nothing_is_no_failure_with_a_daemon_either() {
    let stage = Stage::new("stop");
    let error = ApiError {
        kind: ApiErrorKind::NotFound,
        message: "none".into(),
        hint: None,
    };
    let body = serde_json::to_vec(&error).expect("an error is JSON");
    let _daemon = FakeDaemon::start(&stage.session.home, move |_: &Asked| Reply::Json(404, body.clone()));
    run(&stage, "stop all").await.expect("nothing is done at once");
    let error = run(&stage, "stop nope").await.expect_err("nothing bears that name");
    assert_eq!((error.kind, error.message.as_str()), (Kind::User, "none"));
}

#[tokio::test]
async fn a_stop_asks_says_and_shows_the_list() {
    let stage = Stage::new("stop");
    let daemon = daemon(&stage, Answer::Slots(outcome(Verdict::Stopped { killed: false })));
    run(&stage, "stop api web").await.expect("it was stopped");
    assert_eq!(stage.printed.error(), "stopped api (0)\n");
    assert!(stage.printed.out().starts_with("┌────┬"), "{}", stage.printed.out());
    let asked = daemon.operations();
    let selector = targets::selector(&stage.session, &["api".into(), "web".into()]);
    assert_eq!(
        (asked[0].verb.as_str(), &asked[0].action),
        ("stop", &Action::Stop { selector })
    );
}

#[tokio::test]
async fn a_failed_start_shows_its_reason_and_its_last_words() {
    let stage = Stage::new("restart");
    let failed = Failure::Exited {
        status: ExitStatus::Code(1),
        after_ms: 35,
        retrying: true,
    };
    let answer = Answer::Slots(outcome(Verdict::Failed(failed)));
    let log = stage.directory.path().join("api-error.log");
    let mut process = samples::process(0, "api");
    process.error_log = log.display().to_string();
    let processes = Processes {
        processes: vec![process],
    };
    let _daemon = FakeDaemon::start(&stage.session.home, move |(method, path, _): &Asked| {
        match (method.as_str(), path.as_str()) {
            ("POST", _) => {
                std::fs::write(&log, "Error: boom\n    at app.js:1\n").expect("the log can be written");
                json(&answer)
            }
            (_, "/v1/processes") => json(&ProcessRows::default()),
            (_, _) => json(&processes),
        }
    });
    let error = run(&stage, "restart api").await.expect_err("it failed");
    assert_eq!(error.kind, Kind::Reported);
    let expected = "error: api (0) exited with code 1 after 35 ms; it is being started again\nlast lines of ";
    let said = stage.printed.error();
    assert!(said.starts_with(expected), "{said}");
    assert!(
        said.contains(":\n  Error: boom\n      at app.js:1\nhint: `ostler logs api"),
        "{said}"
    );
}

#[tokio::test]
async fn log_lines_from_before_are_not_taken_for_the_reason() {
    let stage = Stage::new("restart");
    let log = stage.directory.path().join("api-error.log");
    std::fs::write(&log, "long ago\n").expect("the log can be written");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let file = std::fs::File::options().write(true).open(&log).expect("the log opens");
    file.set_modified(past).expect("its time can be set");
    let mut process = samples::process(0, "api");
    process.error_log = log.display().to_string();
    let processes = Processes {
        processes: vec![process],
    };
    let answer = Answer::Slots(outcome(Verdict::Failed(Failure::NotReady {
        waited_ms: 3000,
        retrying: false,
        probe: None,
    })));
    let _daemon = FakeDaemon::start(&stage.session.home, move |(method, path, _): &Asked| {
        match (method.as_str(), path.as_str()) {
            ("POST", _) => json(&answer),
            (_, "/v1/processes") => json(&ProcessRows::default()),
            (_, _) => json(&processes),
        }
    });
    run(&stage, "restart api").await.expect_err("it failed");
    let said = stage.printed.error();
    assert!(
        said.contains("it wrote nothing to its error log") && !said.contains("long ago"),
        "{said}"
    );
}

#[tokio::test]
async fn a_restart_carries_what_was_typed() {
    let mut stage = Stage::new("restart");
    stage.session.environment.insert("PORT".into(), "4000".into());
    let daemon = daemon(&stage, Answer::Slots(outcome(Verdict::Online { pid: Pid(7) })));
    run(&stage, "restart api --update-env --max-memory-restart 1G -f")
        .await
        .expect("it was restarted");
    let Action::Restart { patch, .. } = &daemon.operations()[0].action else {
        panic!("no restart")
    };
    assert_eq!(
        serde_json::Value::Object(patch.attributes.clone()),
        serde_json::json!({"max_memory_restart": "1G"})
    );
    assert_eq!(patch.environment.as_ref(), Some(&stage.session.environment));
    assert_eq!(stage.printed.error(), "restarted api (0), pid 7\n");
}

#[tokio::test]
async fn an_environment_block_needs_a_config_file() {
    let error = run(&Stage::new("restart"), "restart api --env production")
        .await
        .expect_err("there is no file");
    assert!(error.message.contains("--env"), "{}", error.message);
}

#[tokio::test]
async fn an_empty_list_is_not_saved_and_that_is_no_failure() {
    let stage = Stage::new("save");
    let _daemon = daemon(&stage, Answer::NothingToSave);
    run(&stage, "save").await.expect("PM2 ends with 0 too");
    assert!(
        stage
            .printed
            .error()
            .starts_with("warning: there is no process to save"),
        "{}",
        stage.printed.error()
    );
}

#[tokio::test]
async fn an_answer_to_another_question_is_a_bug() {
    let stage = Stage::new("stop");
    let _daemon = daemon(&stage, Answer::NothingToSave);
    assert_eq!(
        run(&stage, "stop api").await.expect_err("a wrong answer").kind,
        Kind::Internal
    );
}

#[tokio::test]
async fn data_is_printed_without_a_word_more() {
    let stage = Stage::new("x");
    let _daemon = daemon(&stage, Answer::NothingToSave);
    for line in ["jlist", "prettylist", "list --json"] {
        run(&stage, line)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert_eq!(stage.printed.out(), "[][]{\"processes\":[]}\n");
    assert_eq!(stage.printed.error(), "");
}

/// The first operation that a command asks of a daemon.
async fn asked(stage: &Stage, line: &str) -> Action {
    let daemon = daemon(stage, Answer::Slots(outcome(Verdict::Online { pid: Pid(7) })));
    run(stage, line).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    daemon.operations().remove(0).action
}

/// A stage with an executable `app.sh` and a config file `apps.json` that declares two apps by it.
fn stage_with_files() -> Stage {
    use std::os::unix::fs::PermissionsExt;
    let mut stage = Stage::new("start");
    stage
        .session
        .environment
        .insert("PATH".into(), std::env::var("PATH").unwrap_or_default());
    let script = stage.directory.path().join("app.sh");
    std::fs::write(&script, "#!/bin/sh\n").expect("a script can be written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    let apps = serde_json::json!([{"name": "one", "script": "app.sh"}, {"name": "two", "script": "app.sh"}]);
    let text = serde_json::json!({ "apps": apps }).to_string();
    std::fs::write(stage.directory.path().join("apps.json"), text).expect("a config can be written");
    stage
}

#[tokio::test]
async fn a_script_is_started_as_a_new_app() {
    let stage = stage_with_files();
    let Action::Start {
        existing,
        spec,
        otherwise,
        force,
        ..
    } = asked(&stage, "start app.sh -n api -f").await
    else {
        panic!("no start")
    };
    assert_eq!((existing, otherwise, force), (None, None, true));
    let spec = spec.expect("the script is there");
    assert_eq!(spec.name, "api");
    assert_eq!(
        spec.program.path,
        stage.directory.path().join("app.sh").display().to_string()
    );
}

#[tokio::test]
async fn a_bare_word_may_mean_what_exists() {
    let stage = stage_with_files();
    let Action::Start {
        existing,
        spec,
        otherwise,
        ..
    } = asked(&stage, "start my.api").await
    else {
        panic!("no start")
    };
    assert_eq!(existing.map(|selector| selector.words), Some(vec!["my.api".to_owned()]));
    assert_eq!(spec, None);
    let message = otherwise.expect("there is no such script").message;
    assert!(message.contains("my.api"), "{message}");
}

#[tokio::test]
async fn apps_of_one_config_send_the_variables_of_the_shell_once() {
    let stage = stage_with_files();
    let action = asked(&stage, "start apps.json").await;
    let Action::Apply { specs, .. } = &action else {
        panic!("{action:?}")
    };
    assert_eq!(specs.len(), 2);
    assert!(specs.iter().all(|spec| spec.environment.inherited.contains_key("PATH")));
    let sent = serde_json::to_string(&action).expect("it can be sent");
    assert_eq!(sent.matches("\"PATH\":").count(), 1, "{sent}");
    let received: Action = serde_json::from_str(&sent).expect("what was sent");
    assert_eq!(received, action);
}

#[tokio::test]
async fn a_config_file_is_applied_and_words_of_it_select_by_name() {
    let stage = stage_with_files();
    let names = |action: Action| match action {
        Action::Apply {
            specs,
            only_missing: false,
            reload: _,
            only_changed: _,
        } => specs.into_iter().map(|spec| spec.name).collect(),
        Action::Stop { selector } | Action::Delete { selector } => selector.words,
        other => panic!("{other:?}"),
    };
    assert_eq!(names(asked(&stage, "start apps.json").await), ["one", "two"]);
    assert_eq!(names(asked(&stage, "restart apps.json --only two").await), ["two"]);
    assert_eq!(names(asked(&stage, "startOrReload apps.json").await), ["one", "two"]);
    assert_eq!(
        names(asked(&stage, "stop apps.json other").await),
        ["one", "two", "other"]
    );
    assert_eq!(names(asked(&stage, "delete apps.json --only one").await), ["one"]);
}

#[tokio::test]
async fn a_broken_config_starts_nothing_not_even_a_daemon() {
    let stage = stage_with_files();
    std::fs::write(stage.directory.path().join("bad.json"), r#"{"apps": [{"script": 7}]}"#).expect("it can be written");
    let error = run(&stage, "start bad.json").await.expect_err("7 is no script");
    assert_eq!(error.kind, Kind::Config);
    assert!(error.message.contains("script"), "{}", error.message);
    assert!(!stage.session.home.daemon_log().exists());
}

#[tokio::test]
async fn without_words_and_without_a_config_file_there_is_nothing_to_start() {
    let error = run(&stage_with_files(), "start").await.expect_err("nothing is named");
    assert!(error.message.starts_with("nothing to start"), "{}", error.message);
}

#[tokio::test]
async fn a_command_that_is_overtaken_has_failed_only_if_its_wish_is_not_so() {
    use ostler_core::{Mode, Status};
    for (line, status, well) in [
        ("restart api", Status::Online, true),
        ("restart api", Status::Stopped, false),
        ("stop api", Status::Stopped, true),
        ("stop api", Status::Online, false),
    ] {
        let stage = Stage::new("x");
        let mut looks = 0;
        let _daemon = FakeDaemon::start(&stage.session.home, move |(method, _, _): &Asked| {
            if method == "POST" {
                return json(&Answer::Slots(outcome(Verdict::Superseded)));
            }
            looks += 1;
            // The other command is still at work at the first look.
            let status = if looks == 1 { Status::Launching } else { status };
            let row = ostler_wire::control::ProcessRow {
                id: SlotId(0),
                name: "api".into(),
                namespace: "default".into(),
                version: None,
                mode: Mode::Fork,
                instance: 0,
                pid: None,
                uptime_ms: 0,
                restarts: 0,
                status,
                health: ostler_core::Health::default(),
                usage: None,
                connections: None,
                user: "u".into(),
                watching: false,
            };
            json(&ProcessRows { processes: vec![row] })
        });
        let result = run(&stage, line).await;
        assert_eq!(result.is_ok(), well, "{line}, {status:?}: {}", stage.printed.error());
        assert!(stage.printed.error().contains("another command overtook this one"));
    }
}
