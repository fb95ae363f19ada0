//! A strict HTTP client under which nothing may be lost: each request that was sent has to be answered whole, with a 200.
//!
//! A kept-alive connection that the server closes while no request is under way is no loss.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Clients at work, each in a thread. Ended by [`Load::end`], or when dropped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    lost: Mutex<Vec<String>>,
    bodies: Mutex<BTreeMap<String, u64>>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests answered.
    pub answered: u64,
    /// Requests lost, with the reason.
    pub lost: Vec<String>,
    /// How often each body was the answer.
    pub bodies: BTreeMap<String, u64>,
}

/// How clients treat their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// One for all requests of a client.
    KeptAlive,
    /// A new one for each request.
    Fresh,
}

impl Load {
    /// So many clients ask for `path` on a loopback port, each as fast as it is answered.
    pub fn begin(port: u16, path: &str, clients: usize, connections: Connections) -> Self {
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
        let clients = (0..clients).map(|_| {
            let (stop, tally, path) = (Arc::clone(&stop), Arc::clone(&tally), path.to_owned());
            std::thread::spawn(move || client(port, &path, connections, &stop, &tally))
        });
        let clients = clients.collect();
        Self { stop, tally, clients }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> u64 {
        self.tally.answered.load(Ordering::Relaxed)
    }

    /// Lets each client finish its request, and says what came of it all.
    pub fn end(mut self) -> Report {
        self.stop();
        Report {
            answered: self.answered(),
            lost: locked(&self.tally.lost).clone(),
            bodies: locked(&self.tally.bodies).clone(),
        }
    }

    /// As [`end`](Self::end), where nothing may have been lost.
    ///
    /// # Panics
    /// When something was; `during` what, is in the message.
    #[track_caller]
    pub fn end_without_loss(self, during: impl Display) -> Report {
        let report = self.end();
        let Report { lost, answered, .. } = &report;
        assert!(lost.is_empty(), "{during}: {lost:?} of {answered}");
        report
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said why.
            let _ = client.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn client(port: u16, path: &str, connections: Connections, stop: &AtomicBool, tally: &Tally) {
    let close = match connections {
        Connections::KeptAlive => "",
        Connections::Fresh => "Connection: close\r\n",
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
    let mut connection: Option<BufReader<TcpStream>> = None;
    while !stop.load(Ordering::Relaxed) {
        if connection.as_ref().is_some_and(|open| is_over(open.get_ref())) {
            connection = None;
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(BufReader::new),
        };
        match open.and_then(|open| exchange(open, &request)) {
            Ok((body, kept)) => {
                tally.answered.fetch_add(1, Ordering::Relaxed);
                *locked(&tally.bodies).entry(body).or_default() += 1;
                connection = kept;
            }
            Err(error) => locked(&tally.lost).push(error.to_string()),
        }
    }
}

/// Whether the server has closed a connection on which nothing is under way.
fn is_over(connection: &TcpStream) -> bool {
    let mut byte = [0];
    if connection.set_nonblocking(true).is_err() {
        return true;
    }
    let peeked = connection.peek(&mut byte);
    let over = !matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock);
    over || connection.set_nonblocking(false).is_err()
}

type Answer = (String, Option<BufReader<TcpStream>>);

fn exchange(mut open: BufReader<TcpStream>, request: &str) -> std::io::Result<Answer> {
    open.get_ref().set_read_timeout(Some(PATIENCE))?;
    open.get_mut().write_all(request.as_bytes())?;
    let mut length = None;
    let mut stays = true;
    let mut line = String::new();
    for number in 0.. {
        line.clear();
        if open.read_line(&mut line)? == 0 {
            return Err(std::io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("cut in line {number} of the head"),
            ));
        }
        let text = line.trim_end().to_ascii_lowercase();
        if number == 0 && !text.starts_with("http/1.1 200") {
            return Err(std::io::Error::other(text));
        }
        match text.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok(),
            Some(("connection", "close")) => stays = false,
            Some(_) => {}
            None if text.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length.ok_or_else(|| std::io::Error::other("an answer without a length"))?];
    open.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).trim_end().to_owned();
    Ok((body, stays.then_some(open)))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
