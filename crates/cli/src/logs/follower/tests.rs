//! The hand-over against a daemon of a few lines.

use super::*;
use crate::fake_daemon::{Asked, FakeDaemon, Reply, Stage, frame, json, until};
use crate::samples;
use ostler_daemon::logs::end_at;
use ostler_wire::control::{FrameHeader, Process, Selector};
use std::path::PathBuf;
use tokio::sync::mpsc;

struct App {
    process: Process,
    out: PathBuf,
}

fn app(stage: &Stage) -> App {
    let mut process = samples::process(0, "api");
    let out = stage.directory.path().join("out.log");
    process.out_log = out.display().to_string();
    process.error_log = "/dev/null".into();
    App { process, out }
}

/// A daemon with that one process, whose stream is what comes out of `stream`.
fn daemon(stage: &Stage, process: &Process, stream: mpsc::UnboundedReceiver<Vec<u8>>) -> FakeDaemon {
    let list = Processes {
        processes: vec![process.clone()],
    };
    let mut stream = Some(stream);
    FakeDaemon::start(&stage.session.home, move |(_, path, _): &Asked| match path.as_str() {
        "/v1/processes/full" => json(&list),
        _follow => stream.take().map_or(Reply::Break, Reply::Stream),
    })
}

fn sent(kind: FrameKind, bytes: &[u8]) -> Vec<u8> {
    sent_at(None, kind, bytes)
}

fn sent_at(place: Option<LogPlace>, kind: FrameKind, bytes: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        kind,
        id: SlotId(0),
        name: "api".into(),
        at: samples::AT,
        len: bytes.len(),
        place,
    };
    frame(&header, bytes)
}

/// Where the app's log ends now.
fn end(app: &App) -> LogPlace {
    end_at(&app.out).expect("a log")
}

fn begin(out: LogPlace) -> Vec<u8> {
    let kind = FrameKind::Begin {
        out: Some(out),
        error: None,
    };
    sent(kind, b"")
}

fn view(lines: usize, form: Form) -> View {
    let selector = Selector {
        words: vec!["api".into()],
        cwd: "/".into(),
    };
    View {
        lines,
        form,
        ..View::live(Some(selector))
    }
}

fn append(path: &PathBuf, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the log opens");
    file.write_all(bytes).expect("the log can be written");
}

fn rotate(app: &App, second: u32) {
    let rotated = app.out.with_file_name(format!("out__2026-11-22_10-00-0{second}.log"));
    std::fs::rename(&app.out, rotated).expect("a rotated log");
}

/// Follows until the output is as expected.
async fn follow_until(stage: &Stage, view: View, expected: &str) {
    let follower = Follower::new(&stage.session, view);
    let shown = until(expected, || stage.printed.out().ends_with(expected));
    tokio::select! {
        ended = follower.follow() => panic!("it ended: {ended:?}, {:?}", stage.printed.out()),
        () = shown => {}
    }
}

#[tokio::test]
async fn file_and_stream_together_are_everything_once() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"one\ntwo\nthr");
    let (stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &app.process, pieces);
    // The stream began in the middle of a line; what the file has got since also comes over the stream.
    stream.send(begin(end(&app))).expect("the daemon lives");
    append(&app.out, b"ee\nfour\n");
    stream.send(sent(FrameKind::Out, b"ee\nfo")).expect("the daemon lives");
    stream.send(sent(FrameKind::Out, b"ur\n")).expect("the daemon lives");
    let label = "0|api      | ";
    let expected = format!("{label}two\n{label}three\n{label}four\n");
    follow_until(&stage, view(2, Form::Labelled), &expected).await;
}

#[tokio::test]
async fn raw_output_is_the_apps_bytes() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"a\nb");
    let (stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &app.process, pieces);
    stream.send(begin(end(&app))).expect("the daemon lives");
    stream
        .send(sent(FrameKind::Out, b"c\x07\nd"))
        .expect("the daemon lives");
    follow_until(&stage, view(15, Form::Raw), "a\nbc\x07\nd").await;
}

#[tokio::test]
async fn a_replaced_daemon_leaves_no_gap_and_no_repetition() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"old\n");
    let (stream, pieces) = mpsc::unbounded_channel();
    let first = daemon(&stage, &app.process, pieces);
    stream.send(begin(end(&app))).expect("the daemon lives");
    append(&app.out, b"one\n");
    let one = sent_at(Some(end(&app)), FrameKind::Out, b"one\n");
    stream.send(one).expect("the daemon lives");
    let replace = async {
        until("the first line", || stage.printed.out().ends_with("one\n")).await;
        drop((first, stream));
        // Written by the next daemon before we are connected to it.
        append(&app.out, b"two\n");
        let (stream, pieces) = mpsc::unbounded_channel();
        let second = daemon(&stage, &app.process, pieces);
        stream.send(begin(end(&app))).expect("the daemon lives");
        append(&app.out, b"three\n");
        stream.send(sent(FrameKind::Out, b"three\n")).expect("the daemon lives");
        (second, stream)
    };
    let followed = follow_until(&stage, view(0, Form::Raw), "one\ntwo\nthree\n");
    let (_daemon, ()) = tokio::join!(replace, followed);
    assert_eq!(stage.printed.out(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn the_lines_before_a_stream_are_those_of_the_file_that_it_began_in() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"one\ntwo\n");
    let (stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &app.process, pieces);
    let begun = begin(end(&app));
    // Rotated before we come to look at it.
    rotate(&app, 1);
    append(&app.out, b"three\n");
    stream.send(begun).expect("the daemon lives");
    stream.send(sent(FrameKind::Out, b"three\n")).expect("the daemon lives");
    follow_until(&stage, view(9, Form::Raw), "three\n").await;
    assert_eq!(stage.printed.out(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_replaced_daemon_repeats_nothing_of_a_file_that_was_begun_under_the_one_before() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"old\n");
    let (stream, pieces) = mpsc::unbounded_channel();
    let first = daemon(&stage, &app.process, pieces);
    stream.send(begin(end(&app))).expect("the daemon lives");
    rotate(&app, 1);
    append(&app.out, b"a long first line\n");
    let line = sent_at(Some(end(&app)), FrameKind::Out, b"a long first line\n");
    stream.send(line).expect("the daemon lives");
    let replace = async {
        until("the first line", || stage.printed.out().ends_with("line\n")).await;
        drop((first, stream));
        append(&app.out, b"two\n");
        rotate(&app, 2);
        append(&app.out, b"three\n");
        let (stream, pieces) = mpsc::unbounded_channel();
        let second = daemon(&stage, &app.process, pieces);
        stream.send(begin(end(&app))).expect("the daemon lives");
        append(&app.out, b"four\n");
        stream.send(sent(FrameKind::Out, b"four\n")).expect("the daemon lives");
        (second, stream)
    };
    let followed = follow_until(&stage, view(0, Form::Raw), "four\n");
    let (_daemon, ()) = tokio::join!(replace, followed);
    assert_eq!(stage.printed.out(), "a long first line\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn a_log_that_there_was_not_when_the_stream_began_has_no_lines_before() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    let (stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &app.process, pieces);
    let nothing = FrameKind::Begin { out: None, error: None };
    append(&app.out, b"one\n");
    stream.send(sent(nothing, b"")).expect("the daemon lives");
    stream.send(sent(FrameKind::Out, b"one\n")).expect("the daemon lives");
    stream.send(sent(FrameKind::Out, b"two\n")).expect("the daemon lives");
    follow_until(&stage, view(9, Form::Raw), "two\n").await;
    assert_eq!(stage.printed.out(), "one\ntwo\n");
}

#[tokio::test]
async fn what_came_too_quickly_is_shown_from_the_file() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"old\n");
    let (stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &app.process, pieces);
    stream.send(begin(end(&app))).expect("the daemon lives");
    append(&app.out, b"one\ntw");
    rotate(&app, 1);
    append(&app.out, b"o\n");
    let lagged = |bytes, place| FrameKind::Lagged {
        stream: Stream::Out,
        bytes,
        place,
    };
    stream
        .send(sent(lagged(8, Some(end(&app))), b""))
        .expect("the daemon lives");
    append(&app.out, b"three\n");
    let three = sent_at(Some(end(&app)), FrameKind::Out, b"three\n");
    stream.send(three).expect("the daemon lives");
    stream.send(sent(lagged(5, None), b"")).expect("the daemon lives");
    stream.send(sent(FrameKind::Out, b"end\n")).expect("the daemon lives");
    follow_until(&stage, view(0, Form::Raw), "end\n").await;
    assert_eq!(stage.printed.out(), "one\ntwo\nthree\nend\n");
    assert_eq!(
        stage.printed.error(),
        "warning: 5 bytes were left out: this terminal is too slow\n"
    );
}

#[tokio::test]
async fn the_last_lines_alone_need_no_stream() {
    let stage = Stage::new("logs");
    let app = app(&stage);
    append(&app.out, b"one\ntwo\nthree");
    let (_stream, pieces) = mpsc::unbounded_channel();
    let daemon = daemon(&stage, &app.process, pieces);
    Follower::new(&stage.session, view(2, Form::Raw))
        .show_files()
        .await
        .expect("the files are there");
    assert_eq!(stage.printed.out(), "two\nthree");
    assert!(daemon.asked().iter().all(|(method, _, _)| method == "GET"));
}

#[tokio::test]
async fn what_does_not_exist_has_no_logs() {
    let stage = Stage::new("logs");
    let (_stream, pieces) = mpsc::unbounded_channel();
    let _daemon = daemon(&stage, &samples::process(0, "web"), pieces);
    let error = Follower::new(&stage.session, view(2, Form::Raw))
        .follow()
        .await
        .expect_err("there is no api");
    assert_eq!(error.message, "Process or Namespace api not found");
}
