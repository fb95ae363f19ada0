//! Node's IPC channel in its `json` serialisation: one JSON value a line, both ways
//! (Node: `lib/internal/child_process/serialization.js`). Bytes in, messages out.

pub mod advanced;
mod bounded;

pub use bounded::MAX_MEMORY;

/// What an app says over its channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// `process.send('ready')`.
    Ready,
    /// Node's own housekeeping (`cmd` begins with `NODE_`): not for anybody's eyes.
    Internal,
    /// Anything else.
    User(serde_json::Value),
    /// A line that is not JSON; its length.
    Garbage(usize),
}

/// The longest line that is taken, bytes. A longer one is skipped whole and counted as garbage, so that an app that
/// never ends its line cannot make us grow.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// Joins a stream of bytes to messages, however it was cut.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Vec<u8>,
    skipping: usize,
}

impl Decoder {
    /// Takes the next bytes of the stream and gives the messages that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            messages.extend(self.line(line));
        }
        self.keep(rest);
        messages
    }

    fn line(&mut self, end: &[u8]) -> Option<Message> {
        if self.skipping > 0 {
            let length = std::mem::take(&mut self.skipping) + end.len();
            return Some(Message::Garbage(length));
        }
        if self.partial.is_empty() {
            return parse(end);
        }
        self.partial.extend_from_slice(end);
        parse(&std::mem::take(&mut self.partial))
    }

    fn keep(&mut self, rest: &[u8]) {
        if self.skipping > 0 || self.partial.len() + rest.len() > MAX_LINE {
            self.skipping += std::mem::take(&mut self.partial).len() + rest.len();
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    /// Bytes of an unfinished line that are being kept.
    pub fn pending(&self) -> usize {
        self.partial.len()
    }
}

/// A message as bytes for the channel.
pub fn encode(message: &serde_json::Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn parse(line: &[u8]) -> Option<Message> {
    if line.is_empty() {
        return None;
    }
    Some(match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(serde_json::Value::String(text)) if text == "ready" => Message::Ready,
        Ok(value) if is_internal(&value) => Message::Internal,
        Ok(value) => Message::User(value),
        Err(_) => Message::Garbage(line.len()),
    })
}

fn is_internal(value: &serde_json::Value) -> bool {
    value
        .get("cmd")
        .and_then(serde_json::Value::as_str)
        .is_some_and(|cmd| cmd.starts_with("NODE_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

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
    fn an_endless_line_is_skipped_and_the_next_message_arrives() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; MAX_LINE / 2 + 1];
        assert!(decoder.feed(&chunk).is_empty());
        assert!(decoder.feed(&chunk).is_empty());
        assert_eq!(decoder.pending(), 0, "nothing of it is kept");
        let messages = decoder.feed(b"yz\n\"ready\"\n");
        assert_eq!(messages, [Message::Garbage(chunk.len() * 2 + 2), Message::Ready]);
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_stream_is_cut(values in proptest::collection::vec("[a-z\\n\"]{0,9}", 0..9), cut in 1_usize..7) {
            let stream: Vec<u8> = values.iter().flat_map(|text| encode(&json!({ "text": text }))).collect();
            let mut decoder = Decoder::default();
            let joined: Vec<Message> = stream.chunks(cut).flat_map(|chunk| decoder.feed(chunk)).collect();
            let expected: Vec<Message> = values.iter().map(|text| Message::User(json!({ "text": text }))).collect();
            prop_assert_eq!(joined, expected);
        }
    }
}
