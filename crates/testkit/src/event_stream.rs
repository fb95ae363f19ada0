//! A client of server-sent events on the control socket, read in a thread.

use crate::Home;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// An event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentEvent {
    /// Its name.
    pub name: String,
    /// Its number, if it has one.
    pub id: Option<String>,
    /// Its data.
    pub data: Value,
}

/// A stream that is being read. Dropping it ends the connection.
#[derive(Debug)]
pub struct EventStream {
    connection: UnixStream,
    events: Arc<Mutex<Vec<SentEvent>>>,
    reader: Option<JoinHandle<()>>,
}

impl EventStream {
    /// Calls `path`, with a `Last-Event-ID` if there is one.
    ///
    /// # Panics
    /// When the daemon does not answer with such a stream.
    pub fn open(home: &Home, path: &str, last: Option<&str>) -> Self {
        let (connection, reader) = Self::call(home, path, last);
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let reader = std::thread::spawn(move || read(Chunks::new(reader), &sink));
        Self {
            connection,
            events,
            reader: Some(reader),
        }
    }

    /// Calls `path` and reads nothing of what comes.
    ///
    /// # Panics
    /// See [`open`](Self::open).
    pub fn open_and_sleep(home: &Home, path: &str) -> Sleeper {
        let (connection, reader) = Self::call(home, path, None);
        Sleeper { connection, reader }
    }

    fn call(home: &Home, path: &str, last: Option<&str>) -> (UnixStream, BufReader<UnixStream>) {
        let mut connection = UnixStream::connect(home.path().join("ostler.sock")).expect("a daemon");
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: ostler\r\nAccept: text/event-stream\r\n{last}\r\n");
        connection.write_all(request.as_bytes()).expect("a request");
        let mut reader = BufReader::new(connection.try_clone().expect("a copy"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("an answer"), 0, "cut short: {head}");
        }
        let small = head.to_ascii_lowercase();
        assert!(small.starts_with("http/1.1 200"), "{head}");
        assert!(small.contains("content-type: text/event-stream"), "{head}");
        assert!(small.contains("transfer-encoding: chunked"), "{head}");
        (connection, reader)
    }

    /// What came so far.
    pub fn events(&self) -> Vec<SentEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came so far by this name.
    pub fn named(&self, name: &str) -> Vec<SentEvent> {
        self.events().into_iter().filter(|event| event.name == name).collect()
    }

    /// Whether the other side has ended it.
    pub fn is_over(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.connection.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A client that does not read.
#[derive(Debug)]
pub struct Sleeper {
    connection: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Sleeper {
    /// It reads after all.
    pub fn wake(self) -> EventStream {
        let events = Arc::new(Mutex::new(Vec::new()));
        let (sink, reader) = (Arc::clone(&events), self.reader);
        EventStream {
            connection: self.connection,
            events,
            reader: Some(std::thread::spawn(move || read(Chunks::new(reader), &sink))),
        }
    }
}

fn read(chunks: Chunks, sink: &Mutex<Vec<SentEvent>>) {
    let mut event = SentEvent::default();
    for line in BufReader::new(chunks).lines().map_while(Result::ok) {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("id", id)) => event.id = Some(id.to_owned()),
            Some(("data", data)) => event.data = serde_json::from_str(data).unwrap_or_default(),
            Some(_) => {}
            None if line.is_empty() && !event.name.is_empty() => {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(std::mem::take(&mut event));
            }
            None => {}
        }
    }
}

/// A body in chunks (RFC 9112, section 7.1).
struct Chunks {
    inner: BufReader<UnixStream>,
    left: u64,
}

impl Chunks {
    fn new(inner: BufReader<UnixStream>) -> Self {
        Self { inner, left: 0 }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            while line.trim().is_empty() {
                line.clear();
                if self.inner.read_line(&mut line)? == 0 {
                    return Ok(0);
                }
            }
            self.left = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let read = (&mut self.inner).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}
