//! Streams of server-sent events as bodies of responses.

use super::pieces::{Gone, Next, Reader, written};
use super::respond::Body;
use super::{Begin, Call, Watch};
use crate::events::Seen;
use crate::fact::Fact;
use crate::logs::{Follower, Frame, KnownSlot, tail};
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use ostler_core::SlotId;
use ostler_wire::control::{FrameKind, LogPlace, StreamKind};
use ostler_wire::events::{LogBegin, LogEvent, LogLagged, LogText, encode};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// The most that is read of a log file for its last lines.
const MAX_TAIL_BYTES: u64 = 256 << 10;

/// What is said to every reader.
impl Reader {
    /// Also where there is nothing to be said yet, so that the client knows that it is heard. One that is cut off by a change of daemon
    /// is to come back soon.
    async fn greet(&self) -> Result<(), Gone> {
        self.send(&b"retry: 500\n\n"[..]).await
    }

    async fn sign_of_life(&self) -> Result<(), Gone> {
        self.send(&b": \n\n"[..]).await
    }
}

fn streaming<F: Future<Output = Result<(), Gone>> + Send + 'static>(write: impl FnOnce(Reader) -> F) -> Response<Body> {
    let mut response = Response::new(written(write));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Events of state.
pub fn events(watch: Watch, facts: mpsc::UnboundedSender<Fact>) -> Response<Body> {
    streaming(|reader| write_events(reader, watch, facts))
}

async fn write_events(reader: Reader, mut watch: Watch, facts: mpsc::UnboundedSender<Fact>) -> Result<(), Gone> {
    reader.greet().await?;
    reader.send(std::mem::take(&mut watch.first)).await?;
    loop {
        match reader.unless_gone(watch.watcher.next()).await? {
            Next::Nothing => reader.sign_of_life().await?,
            Next::End => return Ok(()),
            Next::Some(Seen::Events(bytes)) => reader.send(bytes).await?,
            Next::Some(Seen::Lost(count)) => {
                let begun = super::route::ask(&facts, |reply| Call::Watch(Begin::Lost(count), reply)).await;
                let Ok(mut again) = begun else { return Ok(()) };
                reader.send(std::mem::take(&mut again.first)).await?;
                watch = again;
            }
        }
    }
}

/// Output of apps, beginning with so many lines of before of these slots' files.
pub fn logs(follower: Follower, known: Vec<KnownSlot>, lines: u32) -> Response<Body> {
    let known = known.into_iter().map(|known| (known.slot, known)).collect();
    let writer = LogWriter {
        lines,
        known,
        read: Vec::new(),
        unfinished: BTreeMap::new(),
    };
    streaming(|reader| write_logs(reader, follower, writer))
}

async fn write_logs(reader: Reader, mut follower: Follower, mut writer: LogWriter) -> Result<(), Gone> {
    reader.greet().await?;
    loop {
        match reader.unless_gone(follower.next()).await? {
            Next::Nothing => reader.sign_of_life().await?,
            Next::End => return Ok(()),
            Next::Some(frame) => reader.send(writer.encode(frame).await).await?,
        }
    }
}

/// Which output of a slot.
type Stream = (SlotId, StreamKind);

/// Makes events of frames.
struct LogWriter {
    /// How many lines of before are wanted.
    lines: u32,
    /// Slots of whose files they are read, once.
    known: BTreeMap<SlotId, KnownSlot>,
    /// Files that have been read: instances may share them.
    read: Vec<PathBuf>,
    /// What was written of a character that has not ended.
    unfinished: BTreeMap<Stream, Vec<u8>>,
}

impl LogWriter {
    async fn encode(&mut self, frame: Frame) -> Vec<u8> {
        let Frame { header, bytes } = frame;
        let (id, name, at) = (header.id, header.name, header.at);
        match header.kind {
            FrameKind::Out => self.text((id, StreamKind::Out), name, Some(at), &bytes),
            FrameKind::Error => self.text((id, StreamKind::Error), name, Some(at), &bytes),
            FrameKind::Begin { out, error } => {
                let before = self.before(id, &name, (out, error)).await;
                let size = |end: Option<LogPlace>| end.map_or(0, |end| end.size);
                let begin = LogBegin {
                    id,
                    name,
                    out_size: size(out),
                    error_size: size(error),
                };
                [before, encode("begin", None, &begin)].concat()
            }
            FrameKind::Lagged { stream, bytes, .. } => {
                self.unfinished.remove(&(id, stream));
                let lagged = LogLagged {
                    id,
                    name,
                    stream,
                    bytes,
                };
                encode("lagged", None, &lagged)
            }
            FrameKind::Event { event } => encode("event", None, &LogEvent { id, name, at, event }),
        }
    }

    fn text(&mut self, stream: Stream, name: String, at: Option<ostler_core::WallTime>, bytes: &[u8]) -> Vec<u8> {
        let mut whole = self.unfinished.remove(&stream).unwrap_or_default();
        whole.extend_from_slice(bytes);
        let (text, rest) = decoded(&whole);
        if !rest.is_empty() {
            self.unfinished.insert(stream, rest.to_vec());
        }
        let (id, kind) = stream;
        encode(word(kind), None, &LogText { id, name, at, text })
    }

    /// The last lines that its files had when the stream began.
    async fn before(&mut self, id: SlotId, name: &str, (out, error): (Option<LogPlace>, Option<LogPlace>)) -> Vec<u8> {
        let Some(known) = self.known.remove(&id).filter(|_| self.lines > 0) else {
            return Vec::new();
        };
        let mut said = Vec::new();
        for (kind, file, end) in [
            (StreamKind::Out, known.out, out),
            (StreamKind::Error, known.error, error),
        ] {
            let (Some(file), Some(end)) = (file.filter(|file| !self.read.contains(file)), end) else {
                continue;
            };
            self.read.push(file.clone());
            let lines = self.lines as usize;
            let last = tokio::task::spawn_blocking(move || last_lines(&file, lines, end)).await;
            if let Some(bytes) = last.ok().flatten().filter(|bytes| !bytes.is_empty()) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let (name, at) = (name.to_owned(), None);
                said.extend(encode(word(kind), None, &LogText { id, name, at, text }));
            }
        }
        said
    }
}

/// What a stream is called in events.
fn word(stream: StreamKind) -> &'static str {
    match stream {
        StreamKind::Out => "out",
        StreamKind::Error => "error",
    }
}

/// None where there is no such file.
fn last_lines(file: &Path, lines: usize, end: LogPlace) -> Option<Vec<u8>> {
    let mut last = tail(file, lines, Some(end)).ok()?.at_most(MAX_TAIL_BYTES).ok()?;
    let mut bytes = Vec::new();
    last.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Bytes as text, and the beginning of a character at their end whose rest is to come.
fn decoded(bytes: &[u8]) -> (String, &[u8]) {
    let Some(last) = bytes.utf8_chunks().last() else {
        return (String::new(), &[]);
    };
    let torn = last.invalid();
    // Only what ends in the middle of a character may go on: what cannot become one is not waited for.
    let is_torn = !torn.is_empty() && std::str::from_utf8(torn).is_err_and(|error| error.error_len().is_none());
    let rest = if is_torn { torn } else { &[] };
    let whole = &bytes[..bytes.len() - rest.len()];
    (String::from_utf8_lossy(whole).into_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::end_at;

    #[test]
    fn a_character_that_is_cut_is_waited_for_and_what_is_none_is_not() {
        assert_eq!(decoded("aß".as_bytes()), ("aß".to_owned(), &[][..]));
        assert_eq!(decoded(b"a\xf0\x9f\x98"), ("a".to_owned(), &b"\xf0\x9f\x98"[..]));
        assert_eq!(decoded(b"a\xff"), ("a\u{fffd}".to_owned(), &[][..]));
        assert_eq!(decoded(b"\xffa\xc3"), ("\u{fffd}a".to_owned(), &b"\xc3"[..]));
        assert_eq!(decoded(b""), (String::new(), &[][..]));
    }

    #[test]
    fn of_a_file_the_last_lines_are_read_and_not_more_than_is_bearable() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("out.log");
        std::fs::write(&file, "one\ntwo\nthree\nlater\n").expect("a file");
        let end = end_at(&file).expect("a place");
        let before = LogPlace { size: 14, ..end };
        assert_eq!(last_lines(&file, 2, before).as_deref(), Some(&b"two\nthree\n"[..]));
        assert_eq!(last_lines(&folder.path().join("none"), 2, before), None);
        std::fs::write(&file, vec![b'x'; 1 << 20]).expect("a file");
        let end = end_at(&file).expect("a place");
        assert_eq!(
            last_lines(&file, 2, end).map(|bytes| bytes.len() as u64),
            Some(MAX_TAIL_BYTES)
        );
    }
}
