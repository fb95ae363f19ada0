//! The whole way, bytes to messages and back: with what real runtimes have said, and with what nobody would say.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod recorded;
mod spoken;
mod torn;

/// All messages of a stream that comes in one piece.
fn messages(dialect: Dialect, bytes: &[u8]) -> Vec<FromWorker> {
    let mut channel = Channel::new(dialect);
    let mut messages = Vec::new();
    channel.feed(bytes, |message| messages.push(message));
    assert!(!channel.is_within_frame(), "the stream ends with a frame");
    messages
}

fn json_messages(text: &str) -> Vec<FromWorker> {
    messages(Dialect::Json, text.as_bytes())
}

/// A value in a frame of its own.
fn framed(value: &Value, dialect: Dialect) -> Vec<u8> {
    let mut bytes = Vec::new();
    ToWorker::User(value).encode(0, dialect, &mut bytes);
    bytes
}

const DIALECTS: [Dialect; 3] = [Dialect::Json, Dialect::Advanced, Dialect::Bun];

fn dialects() -> impl Strategy<Value = Dialect> {
    proptest::sample::select(DIALECTS.to_vec())
}

/// Any JSON value with the numbers of JavaScript.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..1_i64 << 53).prop_map(Value::from),
        // What is whole would come back as an integer, and serde_json rounds the last digit of others its own way.
        any::<i32>().prop_map(|eighths| Value::from((f64::from(eighths) * 2.0 + 1.0) / 8.0)),
        "[a-zA-Z0-9 \\n\"\\\\äß日本\u{1f600}]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("[a-z1日]{0,5}", inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

#[test]
fn ready_internal_user_and_garbage_are_told_apart() {
    let mut decoder = Decoder::default();
    let messages = decoder.feed(b"\"ready\"\n{\"cmd\":\"NODE_HANDLE\"}\n{\"a\":1}\nnot json\n\n");
    assert_eq!(
        messages,
        [
            Message::Ready,
            Message::Internal,
            Message::User(json!({"a": 1})),
            Message::Garbage(8)
        ]
    );
}

#[test]
fn what_a_fork_app_is_sent_is_one_line_of_json() {
    assert_eq!(encode(&json!({"a": "b\n"})), b"{\"a\":\"b\\n\"}\n");
}
