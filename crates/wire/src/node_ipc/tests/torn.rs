//! Streams that are cut, torn, endless or nonsense.

use super::*;

/// What a stream says when it comes in pieces of the given sizes, over and over.
fn in_pieces(dialect: Dialect, stream: &[u8], sizes: &[usize]) -> Vec<FromWorker> {
    let mut channel = Channel::new(dialect);
    let (mut messages, mut rest) = (Vec::new(), stream);
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*size));
        channel.feed(piece, |message| messages.push(message));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    messages
}

/// What a stream says to a reader that peeks, acts, and takes; whose peeks end at any place.
fn by_peeking(dialect: Dialect, stream: &[u8], capacity: usize, arrivals: &[usize]) -> (Vec<FromWorker>, Channel) {
    let mut channel = Channel::new(dialect);
    let (mut messages, mut taken, mut arrived) = (Vec::new(), 0, 0);
    for size in arrivals.iter().cycle() {
        arrived = (arrived + size).min(stream.len());
        loop {
            let peeked = &stream[taken..arrived.min(taken + capacity)];
            let take = channel.take(peeked, capacity);
            if take == 0 {
                break;
            }
            channel.feed(&peeked[..take], |message| messages.push(message));
            taken += take;
        }
        if arrived == stream.len() {
            break;
        }
    }
    (messages, channel)
}

proptest! {
    #[test]
    fn messages_are_the_same_however_the_stream_is_cut(
        values in proptest::collection::vec(values(), 0..9), dialect in dialects(),
        sizes in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        let stream: Vec<u8> = values.iter().flat_map(|value| framed(value, dialect)).collect();
        let whole = messages(dialect, &stream);
        prop_assert_eq!(whole.len(), values.len());
        prop_assert_eq!(in_pieces(dialect, &stream, &sizes), whole);
    }

    #[test]
    fn a_reader_that_peeks_hears_everything_once(
        values in proptest::collection::vec(values(), 0..9), dialect in dialects(), capacity in 4_usize..200,
        arrivals in proptest::collection::vec(1_usize..99, 1..5),
    ) {
        let stream: Vec<u8> = values.iter().flat_map(|value| framed(value, dialect)).collect();
        let (heard, channel) = by_peeking(dialect, &stream, capacity, &arrivals);
        prop_assert_eq!(heard, messages(dialect, &stream));
        prop_assert!(!channel.is_within_frame());
    }

    #[test]
    fn what_is_complete_is_never_a_part_of_a_frame(
        values in proptest::collection::vec(values(), 1..6), dialect in dialects(), cut in any::<proptest::sample::Index>(),
    ) {
        let ends: Vec<usize> = values.iter().scan(0, |end, value| {
            *end += framed(value, dialect).len();
            Some(*end)
        }).collect();
        let stream: Vec<u8> = values.iter().flat_map(|value| framed(value, dialect)).collect();
        let cut = cut.index(stream.len() + 1);
        let expected = ends.iter().rev().find(|end| **end <= cut).copied().unwrap_or(0);
        prop_assert_eq!(complete(dialect, &stream[..cut]), expected);
        prop_assert_eq!(frames(dialect, &stream[..cut]).count(), ends.iter().filter(|end| **end <= cut).count());
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_came(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), dialect in dialects(),
        sizes in proptest::collection::vec(1_usize..40, 1..5),
    ) {
        in_pieces(dialect, &bytes, &sizes);
        let (_, channel) = by_peeking(dialect, &bytes, 64, &sizes);
        prop_assert!(channel.pending() <= bytes.len());
    }

    #[test]
    fn damaged_messages_of_the_cluster_do_not_panic(
        at in any::<proptest::sample::Index>(), byte in any::<u8>(), dialect in dialects(),
    ) {
        let name = SocketName { address: "::", family: Family::V6, port: 3102 };
        let data = json!({"ticketKeys": "00", "more": [1, 2.5, null]});
        let mut frame = Vec::new();
        ToWorker::Listens { ack: 1, key: "k", data: &data, name: Some(name) }.encode(7, dialect, &mut frame);
        let at = at.index(frame.len());
        frame[at] = byte;
        in_pieces(dialect, &frame, &[frame.len()]);
    }
}

/// What a successor hears that goes on after so many bytes have been taken off a stream.
fn by_a_successor(dialect: Dialect, stream: &[u8], taken: usize) -> Vec<FromWorker> {
    let bytes_at = |range: Range<usize>| Ok::<_, std::convert::Infallible>(stream[..taken][range].to_vec());
    let Ok(mut channel) = Channel::resume(dialect, taken, bytes_at);
    let mut messages = Vec::new();
    channel.feed(&stream[taken..], |message| messages.push(message));
    assert!(!channel.is_within_frame(), "the stream ends with a frame");
    messages
}

proptest! {
    #[test]
    fn a_successor_hears_what_had_not_ended_wherever_it_goes_on(
        values in proptest::collection::vec(values(), 1..6), dialect in dialects(), taken in any::<proptest::sample::Index>(),
    ) {
        let stream: Vec<u8> = values.iter().flat_map(|value| framed(value, dialect)).collect();
        let taken = taken.index(stream.len() + 1);
        let ended = frames(dialect, &stream[..complete(dialect, &stream[..taken])]).count();
        prop_assert_eq!(by_a_successor(dialect, &stream, taken), &messages(dialect, &stream)[ended..]);
    }
}

#[test]
fn a_successor_passes_over_a_frame_that_is_too_long_wherever_it_goes_on() {
    let length = MAX_FRAME * 2;
    for dialect in DIALECTS {
        let header = match dialect {
            Dialect::Json | Dialect::Bun => Vec::new(),
            Dialect::Advanced => u32::try_from(length).expect("invariant: 32 MiB").to_be_bytes().to_vec(),
        };
        let mut stream = header.clone();
        stream.resize(header.len() + length, b'x');
        let end = match dialect {
            Dialect::Json | Dialect::Bun => {
                stream.push(b'\n');
                stream.len()
            }
            Dialect::Advanced => stream.len(),
        };
        stream.extend(framed(&json!("ready"), dialect));
        let garbage = FromWorker::Garbage(length);
        for taken in [
            1,
            3,
            4,
            5,
            MAX_FRAME,
            MAX_FRAME + 100,
            MAX_FRAME + 70_000,
            end - 1,
            end,
            end + 2,
        ] {
            let expected: &[FromWorker] = if taken < end {
                &[garbage.clone(), FromWorker::Ready]
            } else {
                &[FromWorker::Ready]
            };
            assert_eq!(
                by_a_successor(dialect, &stream, taken),
                expected,
                "{dialect:?}, {taken} taken"
            );
            // Once it is known to be too long, its bytes are let go of and only their number is known.
            if taken > MAX_FRAME + 70_000 {
                let mut let_go = stream.clone();
                let_go[4096..taken.min(end - 1)].fill(0);
                assert_eq!(
                    by_a_successor(dialect, &let_go, taken),
                    expected,
                    "{dialect:?}, {taken} taken, let go of"
                );
            }
        }
    }
}

#[test]
fn an_endless_line_is_skipped_and_the_next_message_arrives() {
    let mut decoder = Decoder::default();
    let chunk = vec![b'x'; MAX_FRAME / 2 + 1];
    assert!(decoder.feed(&chunk).is_empty());
    assert!(decoder.feed(&chunk).is_empty());
    assert_eq!(decoder.pending(), 0, "nothing of it is kept");
    let messages = decoder.feed(b"yz\n\"ready\"\n");
    assert_eq!(messages, [Message::Garbage(chunk.len() * 2 + 2), Message::Ready]);
}

#[test]
fn a_frame_that_announces_too_much_is_skipped_whatever_the_cut() {
    let length = MAX_FRAME + 5;
    let mut stream = u32::try_from(length).expect("invariant: 16 MiB").to_be_bytes().to_vec();
    stream.resize(4 + length, 0);
    stream.extend(framed(&json!("ready"), Dialect::Advanced));
    for first in [1, 3, 4, 5, MAX_FRAME, stream.len() - 1, stream.len()] {
        let mut channel = Channel::new(Dialect::Advanced);
        let mut messages = Vec::new();
        channel.feed(&stream[..first], |message| messages.push(message));
        assert!(channel.pending() < 4 + length.min(64), "cut at {first}: it is not kept");
        channel.feed(&stream[first..], |message| messages.push(message));
        assert_eq!(
            messages,
            [FromWorker::Garbage(length), FromWorker::Ready],
            "cut at {first}"
        );
    }
}

#[test]
fn the_longest_frame_is_taken_and_one_byte_more_is_not() {
    for dialect in DIALECTS {
        for (length, expected) in [(MAX_FRAME, "whole"), (MAX_FRAME + 1, "skipped")] {
            let announced = u32::try_from(length).expect("invariant: 16 MiB");
            let (header, end) = match dialect {
                Dialect::Json | Dialect::Bun => (Vec::new(), &b"\n"[..]),
                Dialect::Advanced => (announced.to_be_bytes().to_vec(), &b""[..]),
            };
            let stream = [header, vec![b'x'; length], end.to_vec()].concat();
            for piece in [MAX_FRAME / 3, stream.len() - 1, stream.len()] {
                let (mut splitter, mut told) = (Splitter::new(dialect), Vec::new());
                for bytes in stream.chunks(piece) {
                    splitter.feed(bytes, |frame| {
                        told.push(match frame {
                            Frame::Whole(payload) => ("whole", payload.len()),
                            Frame::Skipped(length) => ("skipped", length),
                        });
                    });
                }
                assert_eq!(told, [(expected, length)], "{dialect:?} in pieces of {piece}");
                assert!(!splitter.is_within_frame());
            }
        }
    }
}

#[test]
fn an_empty_frame_is_garbage_and_an_empty_line_is_nothing() {
    assert_eq!(messages(Dialect::Advanced, &[0; 4]), [FromWorker::Garbage(0)]);
    assert_eq!(messages(Dialect::Json, b"\n\n"), []);
}

#[test]
fn a_message_of_more_values_than_are_taken_is_garbage() {
    let text = format!("[{}0]\n", "0,".repeat(MAX_MEMORY / 80));
    assert_eq!(json_messages(&text), [FromWorker::Garbage(text.len() - 1)]);
}
