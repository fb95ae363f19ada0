//! A collector that remembers what it was sent and answers as it is told to.

use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What is answered to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status, headers as lines, and a body.
    With(u16, &'static str, &'static str),
    /// Nothing, ever.
    Silence,
    /// A body without end.
    Flood,
    /// None: the connection is closed.
    HangUp,
}

/// What was sent in one request.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it had come.
    pub at: Instant,
    /// The request's line and headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

/// See the module's header. Ended when dropped.
pub struct Collector {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    sent: Mutex<Vec<Sent>>,
    replies: Mutex<VecDeque<Reply>>,
    afterwards: Mutex<Option<Reply>>,
    connections: Mutex<Vec<TcpStream>>,
    ends: AtomicBool,
}

impl Collector {
    /// At any port that is free.
    pub fn start() -> Self {
        Self::at(0)
    }

    /// At this port.
    pub fn at(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            port,
            shared,
            accepting: Some(accepting),
        }
    }

    /// The base of its URLs.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on these are answered, one a request, and after them that everything was taken.
    pub fn answers(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.replies).extend(replies);
    }

    /// From now on this is answered, when there is nothing else to be answered.
    pub fn answers_always(&self, reply: Option<Reply>) {
        *lock(&self.shared.afterwards) = reply;
    }

    /// All it was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.shared.sent).clone()
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// How many requests it has had.
    pub fn count(&self) -> usize {
        lock(&self.shared.sent).len()
    }
}

impl Sent {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("JSON ({error}): {}", self.body))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // Whoever waits for a connection gets one.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for connection in lock(&self.shared.connections).iter() {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.ends.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(copy) = stream.try_clone() {
            lock(&shared.connections).push(copy);
        }
        let shared = Arc::clone(shared);
        // Ends with its connection, which is shut down at the latest when the collector is dropped.
        std::thread::spawn(move || drop(serve(stream, &shared)));
    }
}

/// Requests over one connection, until it ends.
fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(sent) = request(&mut reader)? {
        let reply = lock(&shared.replies)
            .pop_front()
            .or_else(|| lock(&shared.afterwards).clone());
        lock(&shared.sent).push(sent);
        match reply.unwrap_or(Reply::With(200, "", "{\"partialSuccess\":{}}")) {
            Reply::With(status, headers, body) => write!(
                stream,
                "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )?,
            Reply::Silence => {}
            Reply::HangUp => return stream.shutdown(Shutdown::Both),
            Reply::Flood => {
                write!(stream, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                loop {
                    stream.write_all(chunk.as_bytes())?;
                }
            }
        }
    }
    Ok(())
}

/// The next request; none at the connection's end.
fn request(reader: &mut impl BufRead) -> io::Result<Option<Sent>> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line.to_ascii_lowercase());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length
        .and_then(|length| length.trim().parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Sent {
        at: Instant::now(),
        head,
        body: String::from_utf8(body).map_err(io::Error::other)?,
    }))
}
