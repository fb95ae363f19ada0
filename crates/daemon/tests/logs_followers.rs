//! What followers get: everything exactly once from where they begin, or to be told what they missed.

mod logs_common;

use logs_common::{Bench, PATIENCE, error, out, rotation, stream, write};
use ostler_core::{Rotation, SlotId};
use ostler_daemon::logs::{Filter, Follower, Frame, StreamKind, Target, between, end_at, rotated_files};
use ostler_wire::control::{FrameHeader, FrameKind, LogPlace};
use std::io::{PipeWriter, Read};

fn everything() -> Filter {
    Filter {
        slots: Box::new(|_, _| true),
        out: true,
        error: true,
        events: true,
        known: Vec::new(),
    }
}

/// The next frame, waited for as the daemon's tasks do.
fn next(follower: &mut Follower) -> Frame {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let waiting = async { tokio::time::timeout(PATIENCE, follower.next()).await };
    runtime
        .block_on(waiting)
        .expect("a frame in time")
        .expect("a living log thread")
}

/// How large a beginning says that the two files are.
fn sizes(begin: &Frame) -> (u64, u64) {
    let FrameKind::Begin { out, error } = &begin.header.kind else {
        panic!("no beginning: {begin:?}")
    };
    let size = |end: &Option<LogPlace>| end.map_or(0, |end| end.size);
    (size(out), size(error))
}

/// A stream whose log is rotated, and has a line already.
fn rotated(bench: &Bench, rotation: &Rotation) -> PipeWriter {
    let rotation = Rotation {
        keep: 1000,
        ..rotation.clone()
    };
    let target = Target {
        rotation: Some(rotation),
        ..bench.target("o.log")
    };
    let pipe = bench.attach(out(0), target);
    write(&pipe, b"before\n");
    bench.ended(out(0));
    pipe
}

fn settled(bench: &Bench) {
    bench.ended(stream(999, 1, StreamKind::Out));
}

#[test]
fn a_follower_first_learns_how_large_the_files_are_and_then_gets_what_comes() {
    let bench = Bench::new();
    let plain = bench.attach(out(4), bench.target("o.log"));
    let wrong = bench.attach(error(4), bench.target("e.log"));
    write(&plain, b"before\n");
    write(&wrong, b"bad\n");
    bench.ended(out(4));
    let mut follower = bench.logs.follow(everything());
    settled(&bench);
    write(&plain, b"after\xff\n");
    let begin = next(&mut follower);
    assert_eq!(sizes(&begin), (7, 4));
    let FrameKind::Begin { out: plain_end, .. } = begin.header.kind else {
        panic!("no beginning")
    };
    let file = end_at(&bench.path("o.log")).expect("a log");
    assert!(plain_end.is_some_and(|end| end.is_same_file(file)), "{plain_end:?}");
    assert_eq!(
        (begin.header.id, begin.header.name.as_str(), begin.header.len),
        (SlotId(4), "app", 0)
    );
    let frame = next(&mut follower);
    assert_eq!(
        (frame.header.kind, &frame.bytes[..], frame.header.len),
        (FrameKind::Out, &b"after\xff\n"[..], 7)
    );
    write(&wrong, b"worse");
    let frame = next(&mut follower);
    assert_eq!((frame.header.kind, &frame.bytes[..]), (FrameKind::Error, &b"worse"[..]));
}

#[test]
fn file_up_to_the_beginning_and_stream_are_everything_once_whenever_one_subscribes() {
    let bench = Bench::new();
    let pipe = bench.attach(out(0), bench.target("o.log"));
    settled(&bench);
    let (go, rounds) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut numbers = 0u64..;
            for () in rounds {
                numbers
                    .by_ref()
                    .take(300)
                    .for_each(|number| write(&pipe, format!("{number:09}\n").as_bytes()));
            }
        });
        for _ in 0..50 {
            go.send(()).expect("a writer");
            let mut follower = bench.logs.follow(everything());
            let FrameKind::Begin { out, .. } = next(&mut follower).header.kind else {
                panic!("no beginning")
            };
            let mut seen = Vec::new();
            if let Some(end) = out {
                let mut file = between(&bench.path("o.log"), None, end).expect("the log");
                file.read_to_end(&mut seen).expect("a readable log");
            }
            settled(&bench);
            // Should this thread be held up for so long that it lags, what it got until then must still be right.
            while let Some(Frame {
                header: FrameHeader {
                    kind: FrameKind::Out, ..
                },
                bytes,
            }) = follower.try_next()
            {
                seen.extend_from_slice(&bytes);
            }
            let numbers = (0u64..).flat_map(|number| format!("{number:09}\n").into_bytes());
            assert!(
                seen.iter().copied().eq(numbers.take(seen.len())),
                "nothing is missing and nothing is there twice"
            );
        }
        drop(go);
    });
}

#[test]
fn the_place_of_each_frame_is_where_the_log_ends_with_it_also_over_rotations() {
    let bench = Bench::new();
    let pipe = rotated(
        &bench,
        &Rotation {
            compress: true,
            ..rotation(64)
        },
    );
    let mut follower = bench.logs.follow(everything());
    let FrameKind::Begin { out: begin, .. } = next(&mut follower).header.kind else {
        panic!("no beginning")
    };
    let mut seen = Vec::new();
    for number in 0..60 {
        write(&pipe, format!("line {number}\n").as_bytes());
        let frame = next(&mut follower);
        seen.extend_from_slice(&frame.bytes);
        let place = frame.header.place.expect("a place");
        let mut there = Vec::new();
        let mut span = between(&bench.path("o.log"), begin, place).expect("what lies between");
        span.read_to_end(&mut there).expect("readable logs");
        assert_eq!(there, seen);
    }
    let rotated = rotated_files(&bench.path("o.log")).expect("a listing");
    assert!(rotated.len() > 5, "it was rotated meanwhile: {rotated:?}");
}

#[test]
fn what_is_held_back_from_a_shared_file_comes_with_the_beginning() {
    let bench = Bench::new();
    let both = Some(bench.path("both.log"));
    let plain = bench.attach(
        out(0),
        Target {
            combined: both.clone(),
            ..bench.target("o.log")
        },
    );
    let _wrong = bench.attach(
        error(0),
        Target {
            combined: both,
            ..bench.target("e.log")
        },
    );
    let mut early = bench.logs.follow(everything());
    settled(&bench);
    write(&plain, b"whole\nhalf");
    assert_eq!(sizes(&next(&mut early)), (0, 0));
    assert_eq!(&next(&mut early).bytes[..], b"whole\nhalf");
    let mut late = bench.logs.follow(everything());
    assert_eq!(sizes(&next(&mut late)), (6, 0));
    assert_eq!(&next(&mut late).bytes[..], b"half");
    write(&plain, b" done\n");
    assert_eq!(&next(&mut late).bytes[..], b" done\n");
}

#[test]
fn a_follower_who_does_not_read_loses_the_oldest_and_is_told_how_much() {
    let bench = Bench::new();
    let pipe = bench.attach(
        out(0),
        Target {
            file: None,
            ..bench.target("none")
        },
    );
    let mut follower = bench.logs.follow(everything());
    settled(&bench);
    write(&pipe, &vec![b'x'; 3 << 20]);
    write(&pipe, b"the end");
    bench.ended(out(0));
    let (mut lagged, mut seen) = (0, Vec::new());
    while let Some(frame) = follower.try_next() {
        match frame.header.kind {
            FrameKind::Lagged { bytes, .. } => lagged += bytes as usize,
            FrameKind::Out => seen.extend_from_slice(&frame.bytes),
            FrameKind::Begin { .. } => assert!(seen.is_empty(), "the beginning comes first"),
            other @ (FrameKind::Error | FrameKind::Event { .. }) => panic!("{other:?}"),
        }
    }
    assert_eq!(lagged + seen.len(), (3 << 20) + 7);
    assert!(lagged > 0 && seen.len() <= 256 << 10 && seen.ends_with(b"the end"));
}

#[test]
fn what_a_follower_was_too_slow_for_is_found_in_the_files_at_the_places_it_is_told() {
    let bench = Bench::new();
    let log = bench.path("o.log");
    let pipe = rotated(&bench, &rotation(100_000));
    let mut follower = bench.logs.follow(everything());
    settled(&bench);
    let written: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    write(&pipe, written.as_bytes());
    bench.ended(out(0));
    let (mut shown, mut seen, mut recovered) = (None, Vec::new(), 0);
    while let Some(frame) = follower.try_next() {
        match frame.header.kind {
            FrameKind::Begin { out, .. } => shown = out,
            FrameKind::Lagged { bytes, place, .. } => {
                let mut span = between(&log, shown, place.expect("a place")).expect("the files");
                assert!(span.is_whole());
                recovered += span.read_to_end(&mut seen).expect("readable logs");
                assert_eq!(recovered, bytes as usize);
                shown = place;
            }
            FrameKind::Out => {
                seen.extend_from_slice(&frame.bytes);
                shown = frame.header.place;
            }
            other @ (FrameKind::Error | FrameKind::Event { .. }) => panic!("{other:?}"),
        }
    }
    assert!(recovered > 0, "it was too slow");
    assert!(
        seen == written.as_bytes(),
        "nothing is missing and nothing is there twice"
    );
}

#[test]
fn only_what_was_asked_for_is_delivered_and_disabled_logs_never() {
    let bench = Bench::new();
    let filter = Filter {
        slots: Box::new(|slot, _| slot != SlotId(1)),
        out: false,
        error: true,
        events: false,
        known: Vec::new(),
    };
    let mut follower = bench.logs.follow(filter);
    let pipes = [
        bench.attach(
            out(0),
            Target {
                file: None,
                ..bench.target("-")
            },
        ),
        bench.attach(
            error(1),
            Target {
                file: None,
                ..bench.target("-")
            },
        ),
        bench.attach(
            error(2),
            Target {
                disabled: true,
                ..bench.target("-")
            },
        ),
        bench.attach(
            error(0),
            Target {
                file: None,
                ..bench.target("-")
            },
        ),
    ];
    for pipe in &pipes {
        write(pipe, b"line\n");
        settled(&bench);
    }
    bench.logs.event(SlotId(0), "app".into(), "exit".into());
    (0..3).for_each(|slot| bench.ended(out(slot)));
    let kinds: Vec<FrameKind> = std::iter::from_fn(|| follower.try_next())
        .map(|frame| frame.header.kind)
        .collect();
    assert!(
        matches!(kinds[..], [FrameKind::Begin { .. }, FrameKind::Error]),
        "{kinds:?}"
    );
}

#[test]
fn events_come_in_order_with_output() {
    let bench = Bench::new();
    let mut follower = bench.logs.follow(everything());
    let pipe = bench.attach(out(0), bench.target("o.log"));
    bench.logs.event(SlotId(0), "app".into(), "online".into());
    write(&pipe, b"hello\n");
    bench.ended(out(0));
    bench.logs.event(SlotId(0), "app".into(), "exit".into());
    settled(&bench);
    let kinds: Vec<FrameKind> = std::iter::from_fn(|| follower.try_next())
        .map(|frame| frame.header.kind)
        .collect();
    let is = |kind: &FrameKind, name: &str| matches!(kind, FrameKind::Event { event } if event == name);
    assert!(
        matches!(&kinds[..], [first, FrameKind::Begin { .. }, FrameKind::Out, last]
            if is(first, "online") && is(last, "exit")),
        "{kinds:?}"
    );
}

#[test]
fn a_follower_learns_that_the_log_thread_has_ended() {
    let bench = Bench::new();
    let mut follower = bench.logs.follow(everything());
    let (sender, receiver) = std::sync::mpsc::channel();
    bench.logs.stop(move || sender.send(()).expect("a waiting test"));
    receiver.recv_timeout(PATIENCE).expect("the end");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    assert_eq!(runtime.block_on(follower.next()), None);
}
