//! The hand-over against a daemon of a few lines.

use super::*;
use crate::fake_daemon::{Asked, FakeDaemon, Reply, Stage, frame, json, until};
use crate::samples;
use ostler_daemon::logs::end_at;
use ostler_wire::control::{FrameHeader, Process, Selector};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// A follower's surroundings: an app with a log, and a daemon that says what it is told to.
struct Scene {
    stage: Stage,
    process: Process,
    out: PathBuf,
    stream: mpsc::UnboundedSender<Vec<u8>>,
    /// None while it is replaced.
    daemon: Option<FakeDaemon>,
}

impl Scene {
    fn new(name: &str, log: &[u8]) -> Self {
        let stage = Stage::new("logs");
        let mut process = samples::process(0, name);
        let out = stage.directory.path().join("out.log");
        process.out_log = out.display().to_string();
        process.error_log = "/dev/null".into();
        let (stream, pieces) = mpsc::unbounded_channel();
        let daemon = Some(daemon(&stage, &process, pieces));
        let scene = Self {
            stage,
            process,
            out,
            stream,
            daemon,
        };
        scene.append(log);
        scene
    }

    /// Another daemon, while none lives.
    fn next(&self) -> (mpsc::UnboundedSender<Vec<u8>>, FakeDaemon) {
        let (stream, pieces) = mpsc::unbounded_channel();
        (stream, daemon(&self.stage, &self.process, pieces))
    }

    fn append(&self, bytes: &[u8]) {
        use std::io::Write;
        if bytes.is_empty() {
            return;
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.out)
            .expect("the log opens");
        file.write_all(bytes).expect("the log can be written");
    }

    fn rotate(&self, second: u32) {
        let rotated = self.out.with_file_name(format!("out__2026-11-22_10-00-0{second}.log"));
        std::fs::rename(&self.out, rotated).expect("a rotated log");
    }

    /// Where the log ends now.
    fn end(&self) -> LogPlace {
        end_at(&self.out).expect("a log")
    }

    fn say(&self, frame: Vec<u8>) {
        self.stream.send(frame).expect("the daemon lives");
    }

    /// The stream begins where the log ends now.
    fn begin(&self) {
        self.say(begin(self.end()));
    }

    /// Follows until the output ends as expected.
    async fn follow_until(&self, view: View, expected: &str) {
        let follower = Follower::new(&self.stage.session, view);
        let shown = until(expected, || self.shown().ends_with(expected));
        tokio::select! {
            ended = follower.follow() => panic!("it ended: {ended:?}, {:?}", self.shown()),
            () = shown => {}
        }
    }

    fn shown(&self) -> String {
        self.stage.printed.out()
    }
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

/// The beginning of a stream.
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

#[tokio::test]
async fn file_and_stream_together_are_everything_once() {
    let scene = Scene::new("api", b"one\ntwo\nthr");
    // The stream began in the middle of a line; what the file has got since also comes over the stream.
    scene.begin();
    scene.append(b"ee\nfour\n");
    scene.say(sent(FrameKind::Out, b"ee\nfo"));
    scene.say(sent(FrameKind::Out, b"ur\n"));
    let label = "0|api      | ";
    let expected = format!("{label}two\n{label}three\n{label}four\n");
    scene.follow_until(view(2, Form::Labelled), &expected).await;
}

#[tokio::test]
async fn raw_output_is_the_apps_bytes() {
    let scene = Scene::new("api", b"a\nb");
    scene.begin();
    scene.say(sent(FrameKind::Out, b"c\x07\nd"));
    scene.follow_until(view(15, Form::Raw), "a\nbc\x07\nd").await;
}

#[tokio::test]
async fn a_replaced_daemon_leaves_no_gap_and_no_repetition() {
    let mut scene = Scene::new("api", b"old\n");
    scene.begin();
    scene.append(b"one\n");
    scene.say(sent_at(Some(scene.end()), FrameKind::Out, b"one\n"));
    let first = scene.daemon.take();
    let replace = async {
        until("the first line", || scene.shown().ends_with("one\n")).await;
        drop(first);
        // Written by the next daemon before we are connected to it.
        scene.append(b"two\n");
        let (stream, second) = scene.next();
        stream.send(begin(scene.end())).expect("the daemon lives");
        scene.append(b"three\n");
        stream.send(sent(FrameKind::Out, b"three\n")).expect("the daemon lives");
        (second, stream)
    };
    let followed = scene.follow_until(view(0, Form::Raw), "one\ntwo\nthree\n");
    let (_daemon, ()) = tokio::join!(replace, followed);
    assert_eq!(scene.shown(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn the_lines_before_a_stream_are_those_of_the_file_that_it_began_in() {
    let scene = Scene::new("api", b"one\ntwo\n");
    let begun = begin(scene.end());
    // Rotated before we come to look at it.
    scene.rotate(1);
    scene.append(b"three\n");
    scene.say(begun);
    scene.say(sent(FrameKind::Out, b"three\n"));
    scene.follow_until(view(9, Form::Raw), "three\n").await;
    assert_eq!(scene.shown(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_replaced_daemon_repeats_nothing_of_a_file_that_was_begun_under_the_one_before() {
    let mut scene = Scene::new("api", b"old\n");
    scene.begin();
    scene.rotate(1);
    scene.append(b"a long first line\n");
    scene.say(sent_at(Some(scene.end()), FrameKind::Out, b"a long first line\n"));
    let first = scene.daemon.take();
    let replace = async {
        until("the first line", || scene.shown().ends_with("line\n")).await;
        drop(first);
        scene.append(b"two\n");
        scene.rotate(2);
        scene.append(b"three\n");
        let (stream, second) = scene.next();
        stream.send(begin(scene.end())).expect("the daemon lives");
        scene.append(b"four\n");
        stream.send(sent(FrameKind::Out, b"four\n")).expect("the daemon lives");
        (second, stream)
    };
    let followed = scene.follow_until(view(0, Form::Raw), "four\n");
    let (_daemon, ()) = tokio::join!(replace, followed);
    assert_eq!(scene.shown(), "a long first line\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn a_log_that_there_was_not_when_the_stream_began_has_no_lines_before() {
    let scene = Scene::new("api", b"");
    let nothing = FrameKind::Begin { out: None, error: None };
    scene.append(b"one\n");
    scene.say(sent(nothing, b""));
    scene.say(sent(FrameKind::Out, b"one\n"));
    scene.say(sent(FrameKind::Out, b"two\n"));
    scene.follow_until(view(9, Form::Raw), "two\n").await;
    assert_eq!(scene.shown(), "one\ntwo\n");
}

#[tokio::test]
async fn what_came_too_quickly_is_shown_from_the_file() {
    let scene = Scene::new("api", b"old\n");
    scene.begin();
    scene.append(b"one\ntw");
    scene.rotate(1);
    scene.append(b"o\n");
    let lagged = |bytes, place| FrameKind::Lagged {
        stream: Stream::Out,
        bytes,
        place,
    };
    scene.say(sent(lagged(8, Some(scene.end())), b""));
    scene.append(b"three\n");
    scene.say(sent_at(Some(scene.end()), FrameKind::Out, b"three\n"));
    scene.say(sent(lagged(5, None), b""));
    scene.say(sent(FrameKind::Out, b"end\n"));
    scene.follow_until(view(0, Form::Raw), "end\n").await;
    assert_eq!(scene.shown(), "one\ntwo\nthree\nend\n");
    assert_eq!(
        scene.stage.printed.error(),
        "warning: 5 bytes were left out: this terminal is too slow\n"
    );
}

#[tokio::test]
async fn the_last_lines_alone_need_no_stream() {
    let scene = Scene::new("api", b"one\ntwo\nthree");
    Follower::new(&scene.stage.session, view(2, Form::Raw))
        .show_files()
        .await
        .expect("the files are there");
    assert_eq!(scene.shown(), "two\nthree");
    let asked = scene.daemon.as_ref().expect("it lives").asked();
    assert!(asked.iter().all(|(method, _, _)| method == "GET"));
}

#[tokio::test]
async fn what_does_not_exist_has_no_logs() {
    let scene = Scene::new("web", b"");
    let error = Follower::new(&scene.stage.session, view(2, Form::Raw))
        .follow()
        .await
        .expect_err("there is no api");
    assert_eq!(error.message, "Process or Namespace api not found");
}
