//! What the control API says as it happens: changes of state, and output.

use ostler_testkit::{EventStream, Home, Manager, SentEvent, apps, free_port, process, sleeper, tools};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// What a client knows that applies each event to what it knew before.
#[derive(Debug, Default, PartialEq)]
struct Mirror {
    processes: BTreeMap<u64, Value>,
    reloads: BTreeMap<u64, Value>,
}

impl Mirror {
    fn of(events: &[SentEvent]) -> Self {
        let mut mirror = Self::default();
        for SentEvent { name, data, .. } in events {
            let (id, app) = (data["id"].as_u64().unwrap_or(0), data["app"].as_u64().unwrap_or(0));
            match name.as_str() {
                "snapshot" => {
                    let by = |list: &str, key: &str| {
                        let list = data[list].as_array().expect("a list").iter();
                        list.map(|entry| (entry[key].as_u64().expect("a number"), entry.clone()))
                            .collect()
                    };
                    mirror = Self {
                        processes: by("processes", "id"),
                        reloads: by("reloads", "app"),
                    };
                }
                "process" => drop(mirror.processes.insert(id, data.clone())),
                "removed" => drop(mirror.processes.remove(&id)),
                "reload" => drop(mirror.reloads.insert(app, data.clone())),
                "reload_ended" => drop(mirror.reloads.remove(&app)),
                "history" | "lost" => {}
                other => panic!("{other}: {data}"),
            }
        }
        mirror
    }

    /// Names, states and restarts, by id.
    fn brief(&self) -> Vec<(String, String, u64)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let brief = |process: &Value| {
            let restarts = process["restarts"].as_u64().unwrap_or_default();
            (text(&process["name"]), text(&process["status"]), restarts)
        };
        self.processes.values().map(brief).collect()
    }
}

/// What a snapshot taken now says.
fn now(home: &Home) -> Mirror {
    let fresh = EventStream::open(home, "/v1/events", None);
    home.wait_until("a snapshot", || !fresh.events().is_empty());
    Mirror::of(&fresh.events()[..1])
}

/// Waits until what a client knows is what there is.
fn wait_same(home: &Home, stream: &EventStream) {
    home.wait_until("the same state", || Mirror::of(&stream.events()) == now(home));
}

#[test]
fn a_snapshot_and_what_follows_it_always_say_what_there_is() {
    let home = home();
    home.start(json!([sleeper("one"), sleeper("two")]));
    let stream = EventStream::open(&home, "/v1/events", None);
    wait_same(&home, &stream);
    assert_eq!(stream.events()[0].name, "snapshot");
    process::kill(home.pid("one"));
    home.wait_until("the restart", || {
        Mirror::of(&stream.events()).brief()[0] == ("one".to_owned(), "online".to_owned(), 1)
    });
    home.ok(&["stop", "two"]);
    home.ok(&["delete", "one"]);
    wait_same(&home, &stream);
    let brief = Mirror::of(&stream.events()).brief();
    assert_eq!(brief, [("two".to_owned(), "stopped".to_owned(), 0)]);
    // With causes, in order.
    let history = stream.named("history");
    let what: Vec<String> = history.iter().map(|entry| entry.data["what"].to_string()).collect();
    let ended = what
        .iter()
        .position(|what| what.contains(r#""itself""#))
        .expect("a crash");
    assert!(what[ended + 1].contains("started"), "{what:?}");
    // Each has the number after the one before it.
    let numbers: Vec<u64> = stream
        .events()
        .iter()
        .filter_map(|event| event.id.as_deref()?.split_once('-')?.1.parse().ok())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let first = EventStream::open(&home, "/v1/events", None);
    wait_same(&home, &first);
    let mut seen = first.events();
    let last = seen.last().and_then(|event| event.id.clone()).expect("a number");
    drop(first);
    home.ok(&["restart", "one"]);
    let second = EventStream::open(&home, "/v1/events", Some(&last));
    home.wait_until("what was missed", || !second.events().is_empty());
    assert_ne!(second.events()[0].name, "snapshot");
    home.wait_until("the same state", || {
        let all = [seen.clone(), second.events()].concat();
        Mirror::of(&all) == now(&home)
    });
    // Another daemon does not know what that one had said.
    seen = second.events();
    let last = seen.last().and_then(|event| event.id.clone()).expect("a number");
    let before = home.topology();
    process::kill(before.daemon);
    home.wait_until("the end of the stream", || second.is_over());
    home.wait_recovered(before);
    let third = EventStream::open(&home, "/v1/events", Some(&last));
    home.wait_until("a snapshot", || third.events().len() >= 2);
    let names: Vec<String> = third.events().into_iter().map(|event| event.name).collect();
    assert_eq!(names[..2], ["lost", "snapshot"]);
    assert_eq!(third.events()[0].data["events"], Value::Null);
    wait_same(&home, &third);
}

#[test]
fn what_probes_say_is_told_when_it_changes() {
    let home = home();
    let mut app = sleeper("one");
    let [sick, looks] = ["sick", "looks"].map(|name| home.work().join(name));
    let command = format!("echo >> {}; test ! -e {}", looks.display(), sick.display());
    app["health"] = json!({ "command": command, "interval": 100, "failure_threshold": 1000 });
    home.start(json!([app]));
    let stream = EventStream::open(&home, "/v1/events", None);
    let health = || {
        let mirror = Mirror::of(&stream.events());
        mirror
            .processes
            .values()
            .next()
            .map(|process| process["health"].clone())
    };
    home.wait_until("it to be well", || health() == Some(json!({ "healthy": true })));
    home.write("sick", "");
    home.wait_until("the reason", || {
        health().is_some_and(|health| health["why"].as_str().is_some_and(|why| why.contains("exit code 1")))
    });
    // What is known already is told nobody again.
    let told = stream.events().len();
    let looked = || std::fs::read(&looks).map_or(0, |lines| lines.len());
    let before = looked();
    home.wait_until("more looks", || looked() > before + 3);
    assert_eq!(stream.events().len(), told);
    std::fs::remove_file(sick).expect("it was there");
    home.wait_until("it to be well again", || health() == Some(json!({ "healthy": true })));
    wait_same(&home, &stream);
}

#[test]
fn a_reload_is_told_step_by_step() {
    let home = home();
    home.start(json!([{
        "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster", "min_ready": 50,
        "env": { "PORT": free_port() },
    }]));
    let stream = EventStream::open(&home, "/v1/events", None);
    wait_same(&home, &stream);
    home.ok(&["reload", "web"]);
    home.wait_until("the end of the reload", || !stream.named("reload_ended").is_empty());
    assert_eq!(stream.named("reload_ended")[0].data["undone"], false);
    let reloads = stream.named("reload");
    let turns = reloads
        .iter()
        .filter_map(|reload| reload.data["turns"].as_array())
        .flatten();
    let steps: BTreeSet<&str> = turns.filter_map(|turn| turn["step"].as_str()).collect();
    for step in ["launching", "starting", "proving", "done"] {
        assert!(steps.contains(step), "{step}: {steps:?}");
    }
    wait_same(&home, &stream);
}

#[test]
fn one_that_does_not_read_is_told_how_many_it_has_lost_and_begins_again() {
    let home = home();
    home.start(json!([sleeper("one")]));
    let sleeper = EventStream::open_and_sleep(&home, "/v1/events");
    // Entries of the history carry the verb as its client has typed it: some dozens fill whatever lies between.
    let long = "x".repeat(60_000);
    for round in 0..25 {
        let operation = json!({
            "id": format!("{round}"), "verb": long, "action": { "restart": {
                "selector": { "words": ["one"], "cwd": "/" }, "patch": { "attributes": {}, "environment": null } } },
        });
        home.post("/v1/operations", &operation).expect("an answer");
    }
    let memory = process::memory(home.topology().daemon);
    assert!(memory.rss < 64 << 10, "{memory:?}");
    let stream = sleeper.wake();
    home.wait_until("what it has lost", || !stream.named("lost").is_empty());
    assert!(stream.named("lost")[0].data["events"].as_u64() > Some(0));
    wait_same(&home, &stream);
    let events = stream.events();
    let at = events.iter().position(|event| event.name == "lost").expect("told");
    assert_eq!(events[at + 1].name, "snapshot");
}

fn said(stream: &EventStream, kind: &str) -> String {
    let chunks = stream.named(kind);
    chunks.iter().filter_map(|chunk| chunk.data["text"].as_str()).collect()
}

#[test]
fn output_is_streamed_beginning_with_lines_of_before() {
    let home = home();
    let go = home.work().join("go");
    let script = home.script(
        "say.sh",
        "#!/bin/sh\necho one\necho two\necho wrong >&2\nuntil [ -e \"$GO\" ]; do sleep 0.02; done\necho dr\u{e4}i\nexec sleep 100000\n",
    );
    home.start(json!([{ "name": "say", "script": script, "env": { "GO": go } }, sleeper("other")]));
    home.wait_until("its lines", || home.out_log("say").contains("two"));
    home.wait_until("its error", || home.error_log("say").contains("wrong"));
    let all = EventStream::open(&home, "/v1/logs?selector=say&tail=1", None);
    let errors = EventStream::open(&home, "/v1/logs?out=false&tail=5", None);
    home.wait_until("the beginnings", || {
        all.named("begin").len() == 1 && errors.named("begin").len() == 2
    });
    assert_eq!(
        (said(&all, "out"), said(&all, "error")),
        ("two\n".to_owned(), "wrong\n".to_owned())
    );
    std::fs::write(&go, "").expect("a file");
    home.wait_until("what comes", || said(&all, "out") == "two\ndr\u{e4}i\n");
    assert!(all.named("out").iter().all(|chunk| chunk.data["name"] == "say"));
    assert_eq!(
        (said(&errors, "out"), said(&errors, "error")),
        (String::new(), "wrong\n".to_owned())
    );
}

#[test]
fn who_reads_output_too_slowly_is_told_how_much_he_has_lost() {
    let home = home();
    let bytes = 4_000_000;
    home.start(json!([{
        "name": "flood", "script": tools::fixture(), "interpreter": "none", "args": ["flood", "4"], "autostart": false,
        "log_rotate": false,
    }]));
    let sleeper = EventStream::open_and_sleep(&home, "/v1/logs?selector=flood");
    home.ok(&["start", "flood"]);
    home.wait_until("all of it in the file", || home.out_log("flood").len() == bytes);
    let stream = sleeper.wake();
    let lost = || -> u64 {
        stream
            .named("lagged")
            .iter()
            .filter_map(|lag| lag.data["bytes"].as_u64())
            .sum()
    };
    // Each byte was heard or counted.
    home.wait_until("all of it", || {
        said(&stream, "out").len() as u64 + lost() >= bytes as u64
    });
    assert_eq!(said(&stream, "out").len() as u64 + lost(), bytes as u64);
    assert!(lost() > 0);
    assert!(
        said(&stream, "out").ends_with(&format!("{:<99}\n", 9999)),
        "the latest is heard"
    );
}
