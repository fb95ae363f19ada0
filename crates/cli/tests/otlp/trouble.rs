//! What becomes of metrics that nobody takes, and what is said of it.

use crate::collector::{Collector, Reply, Sent};
use crate::support::{ask, home, of_app, open_shop, otlp, quickly, until_told, whole};
use ostler_testkit::{DEADLINE, Home, Running, Signal, free_port, process, sleeper};
use serde_json::json;
use std::time::Duration;

/// How often something was said.
fn times(running: &Running, text: &str) -> usize {
    running.stderr().matches(text).count()
}

/// Waits for so many requests more than there were.
fn wait_more(home: &Home, collector: &Collector, more: usize) {
    let before = collector.count();
    home.wait_until("further requests", || collector.count() >= before + more);
}

#[test]
fn once_is_sent_and_taken_or_not() {
    let home = home();
    let collector = Collector::start();
    let output = otlp(&home, &collector, &["--once"]).fails();
    assert!(output.stderr.contains("no daemon is running"), "{output}");
    assert!(!home.path().join("ostler.sock").exists(), "and none was started");
    assert_eq!(collector.count(), 0);
    home.start(json!([sleeper("sleep")]));
    let output = otlp(&home, &collector, &["--once"]).ok();
    assert!(
        output.stderr.contains("/v1/metrics took ") && output.stdout.is_empty(),
        "{output}"
    );
    assert_eq!(collector.count(), 1);
    for (reply, said) in [
        (
            Reply::With(404, "", "404 page not found"),
            "answered 404: 404 page not found",
        ),
        (
            Reply::With(400, "", "{\"message\":\"no such\\u001b[2J thing\"}"),
            "answered 400: no such thing",
        ),
        (Reply::With(500, "", ""), "answered 500"),
        (
            Reply::With(
                200,
                "",
                "{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"too old\"}}",
            ),
            "rejected 3 of ",
        ),
    ] {
        let before = collector.count();
        collector.answers([reply]);
        let output = otlp(&home, &collector, &["--once"]).fails();
        assert!(output.stderr.contains(said), "{said}: {output}");
        assert_eq!(collector.count(), before + 1, "{said}: it is not tried again");
    }
    collector.answers([Reply::With(
        200,
        "",
        "{\"partialSuccess\":{\"errorMessage\":\"soon deprecated\"}}",
    )]);
    let output = otlp(&home, &collector, &["--once"]).ok();
    assert!(output.stderr.contains("soon deprecated"), "{output}");
    assert!(home.ok(&["list"]).stdout.contains("sleep"));
}

#[test]
fn what_can_be_told_beforehand_is_refused_with_what_to_do() {
    let home = home();
    for (words, reason) in [
        (vec!["--endpoint", "https://collector"], "HTTP without TLS only"),
        (vec!["--endpoint", "collector:4318"], "does not begin with `http://`"),
        (vec!["--header", "secret"], "no `=`"),
        (vec!["--header", "host=secret"], "set by Ostler itself"),
    ] {
        let output = home.call(&[&["otlp", "--once"], &words[..]].concat()).fails();
        assert!(
            output.stderr.contains(reason) && output.stderr.contains("hint: "),
            "{output}"
        );
        assert!(!output.stderr.contains("secret"), "{output}");
    }
    home.call(&["otlp", "--every", "0"]).fails();
}

#[test]
fn a_collector_that_has_no_time_is_asked_again_when_it_says() {
    let home = home();
    home.start(json!([sleeper("sleep")]));
    let collector = Collector::start();
    collector.answers([Reply::With(503, "Retry-After: 2\r\n", "{\"message\":\"busy\"}")]);
    otlp(&home, &collector, &["--once"]).ok();
    let sent = collector.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    let between = sent[1].at - sent[0].at;
    assert!((2.0..8.0).contains(&between.as_secs_f64()), "{between:?}");
    assert_eq!(sent[0].body, sent[1].body, "the same once more");
    // Longer than there is time for.
    collector.answers([Reply::With(429, "Retry-After: 100\r\n", "")]);
    let output = otlp(&home, &collector, &["--once"])
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")
        .fails();
    assert!(output.stderr.contains("answered 429"), "{output}");
    assert!(output.took < Duration::from_secs(3), "it is not waited for: {output}");
    assert_eq!(collector.count(), 3);
}

#[test]
fn who_wants_to_be_left_alone_is_and_the_next_reading_has_all() {
    let home = home();
    let port = open_shop(&home);
    let collector = Collector::start();
    let sending = quickly(&home, &collector).spawn();
    ask(port, "/", 2);
    until_told(&home, &collector, 2);
    collector.answers([Reply::With(503, "Retry-After: 3\r\n", "")]);
    home.wait_until("that to be said", || times(&sending, "answered 503") == 1);
    let before = collector.count();
    ask(port, "/", 5);
    until_told(&home, &collector, 7);
    let sent = collector.sent();
    let rest = sent[before].at - sent[before - 1].at;
    assert!(rest >= Duration::from_secs(3), "{rest:?}");
    home.wait_until("that to be said", || times(&sending, "takes metrics now") == 1);
}

#[test]
fn trouble_is_said_once_and_once_that_it_is_over() {
    let home = home();
    home.start(json!([sleeper("sleep")]));
    let port = free_port();
    let call = home.call(&["otlp", "--endpoint", &format!("http://127.0.0.1:{port}")]);
    let sending = call.env("OTEL_METRIC_EXPORT_INTERVAL", "200").spawn();
    home.wait_until("that nobody is there to be said", || {
        times(&sending, "Connection refused") == 1
    });
    let collector = Collector::at(port);
    home.wait_until("a request", || collector.count() > 0);
    home.wait_until("that to be said", || times(&sending, "takes metrics now") == 1);
    collector.answers_always(Some(Reply::With(404, "", "no such page")));
    wait_more(&home, &collector, 4);
    assert_eq!(times(&sending, "answered 404: no such page"), 1, "{}", sending.stderr());
    assert_eq!(times(&sending, "hint: collectors take metrics at /v1/metrics"), 1);
    collector.answers_always(Some(Reply::With(
        200,
        "",
        "{\"partialSuccess\":{\"rejectedDataPoints\":2,\"errorMessage\":\"too old\"}}",
    )));
    home.wait_until("that it takes them to be said", || {
        times(&sending, "takes metrics now") == 2
    });
    wait_more(&home, &collector, 3);
    assert_eq!(times(&sending, "rejects 2 of "), 1, "{}", sending.stderr());
    collector.answers_always(None);
    home.wait_until("that it takes all to be said", || {
        times(&sending, "takes all of it again") == 1
    });
    assert_eq!(times(&sending, "Connection refused"), 1, "{}", sending.stderr());
    process::signal(sending.pid(), Signal::INT);
    let output = sending.wait(DEADLINE);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn a_collector_that_says_nothing_or_too_much_holds_nothing_up() {
    let home = home();
    home.start(json!([sleeper("sleep")]));
    let collector = Collector::start();
    collector.answers([Reply::Flood]);
    let output = otlp(&home, &collector, &["--once"]).ok();
    assert!(output.took < Duration::from_secs(5), "{output}");
    collector.answers_always(Some(Reply::Silence));
    let output = otlp(&home, &collector, &["--once"])
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        .fails();
    assert!(output.stderr.contains("gave no answer within 0.3 s"), "{output}");
    let sending = quickly(&home, &collector)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        .spawn();
    home.wait_until("that to be said", || times(&sending, "gave no answer") == 1);
    collector.answers_always(None);
    home.wait_until("that to be said", || times(&sending, "takes metrics now") == 1);
    process::signal(sending.pid(), Signal::TERM);
    assert_eq!(sending.wait(DEADLINE).code, Some(0));
}

#[test]
fn a_connection_that_was_kept_and_is_gone_is_made_anew_without_a_word() {
    let home = home();
    home.start(json!([sleeper("sleep")]));
    let collector = Collector::start();
    let sending = quickly(&home, &collector).spawn();
    wait_more(&home, &collector, 2);
    let connections = collector.connections();
    wait_more(&home, &collector, 2);
    assert_eq!(collector.connections(), connections, "it is kept");
    collector.answers([Reply::HangUp]);
    home.wait_until("another connection", || collector.connections() > connections);
    wait_more(&home, &collector, 2);
    assert_eq!(times(&sending, "warning:"), 0, "{}", sending.stderr());
    // One that is new has no such excuse, and is tried again after a while.
    drop(sending);
    let before = collector.count();
    collector.answers([Reply::HangUp]);
    let output = otlp(&home, &collector, &["--once"]).ok();
    assert!(
        output
            .stderr
            .contains("the connection broke before there was an answer"),
        "{output}"
    );
    assert_eq!(collector.count(), before + 2);
}

#[test]
fn without_a_daemon_it_waits_for_one_and_starts_none() {
    let home = home();
    let port = open_shop(&home);
    let collector = Collector::start();
    let sending = quickly(&home, &collector).spawn();
    ask(port, "/", 3);
    until_told(&home, &collector, 3);
    home.ok(&["kill"]);
    home.wait_until("that to be said", || times(&sending, "no daemon is running") == 1);
    let before = collector.count();
    assert!(home.control("/v1/ping").is_err());
    let port = open_shop(&home);
    ask(port, "/", 2);
    home.wait_until("that to be said", || times(&sending, "the daemon answers again") == 1);
    until_told(&home, &collector, 2);
    let starts = |sent: &Sent| {
        let (_, app) = of_app(&sent.json(), "shop");
        let points = app
            .map(|app| app.points("http.server.request.duration"))
            .unwrap_or_default();
        points.first().map(|point| whole(&point["startTimeUnixNano"]))
    };
    let sent = collector.sent();
    let first = sent[..before].iter().filter_map(starts).max();
    let second = sent[before..].iter().filter_map(starts).min();
    assert!(
        first.is_some() && first < second,
        "what begins anew says so: {first:?} {second:?}"
    );
    assert_eq!(times(&sending, "no daemon is running"), 1, "{}", sending.stderr());
}
