//! As many requests as one thread can make: for benchmarks, where a client of many threads would take the processors from those
//! that are measured. For the proof that no request is lost there is [`Load`](crate::Load).

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is found in an answer whose length we know before we have it.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What came of it.
#[derive(Clone, Debug)]
pub struct Pressed {
    /// Answers of 200.
    pub answered: u64,
    /// Requests without such an answer.
    pub failed: u64,
    /// How long it took.
    pub took: Duration,
    /// How long each answer took, from the connection (fresh) or the request (kept), sorted.
    latencies: Vec<u32>,
    /// How many answers each body had; apps that answer with their pid are counted so.
    pub bodies: std::collections::BTreeMap<String, u64>,
}

impl Pressed {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// The time in which this share of the answers (0 to 1) was there.
    pub fn latency(&self, share: f64) -> Duration {
        let index = (self.latencies.len() as f64 * share) as usize;
        let micros = self.latencies.get(index.min(self.latencies.len().saturating_sub(1)));
        Duration::from_micros(u64::from(micros.copied().unwrap_or(0)))
    }
}

struct Client {
    socket: OwnedFd,
    began: Instant,
    answer: Vec<u8>,
    asked: bool,
}

/// Requests `/` over so many connections at once for a while, each over a connection of its own or over kept ones.
///
/// # Errors
/// No sockets to be had. A server that refuses or breaks connections is no error: those are counted.
pub fn press(port: u16, connections: usize, fresh: bool, span: Duration) -> io::Result<Pressed> {
    let begin = Instant::now();
    press_while(port, connections, fresh, |_| begin.elapsed() < span)
}

/// Between whoever presses and whoever watches.
#[derive(Debug, Default)]
pub struct Watched {
    /// How many answers there are.
    pub answered: AtomicU64,
    /// It is to end.
    pub enough: AtomicBool,
}

/// As [`press`], until somebody says that there is enough of it.
///
/// # Errors
/// As [`press`].
pub fn press_until(port: u16, connections: usize, fresh: bool, watched: &Watched) -> io::Result<Pressed> {
    press_while(port, connections, fresh, |answered| {
        watched.answered.store(answered, Ordering::Relaxed);
        !watched.enough.load(Ordering::Relaxed)
    })
}

fn press_while(port: u16, connections: usize, fresh: bool, goes_on: impl Fn(u64) -> bool) -> io::Result<Pressed> {
    let request: &[u8] = if fresh {
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    } else {
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    };
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut clients = (0..connections)
        .map(|token| connect(&poll, port, token).map(Some))
        .collect::<io::Result<Vec<Option<Client>>>>()?;
    let begin = Instant::now();
    let mut pressed = Pressed {
        answered: 0,
        failed: 0,
        took: Duration::ZERO,
        latencies: Vec::with_capacity(1 << 20),
        bodies: std::collections::BTreeMap::new(),
    };
    let mut events = Vec::with_capacity(connections);
    while goes_on(pressed.answered) {
        events.clear();
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let token = usize::try_from(event.data.u64()).expect("invariant: it was one of ours");
            let Some(client) = &mut clients[token] else { continue };
            let again = match step(client, request, fresh) {
                Step::Waits => continue,
                Step::Answered => {
                    pressed.answered += 1;
                    let micros = client.began.elapsed().as_micros();
                    pressed.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
                    let body = body(&client.answer);
                    match pressed.bodies.get_mut(body) {
                        Some(count) => *count += 1,
                        None => drop(pressed.bodies.insert(body.to_owned(), 1)),
                    }
                    fresh
                }
                Step::Failed => {
                    pressed.failed += 1;
                    true
                }
            };
            if again {
                clients[token] = None;
                clients[token] = Some(connect(&poll, port, token)?);
            } else if let Some(client) = &mut clients[token] {
                client.answer.clear();
                client.began = Instant::now();
                if rustix::io::write(&client.socket, request) != Ok(request.len()) {
                    pressed.failed += 1;
                    clients[token] = Some(connect(&poll, port, token)?);
                }
            }
        }
    }
    pressed.took = begin.elapsed();
    pressed.latencies.sort_unstable();
    Ok(pressed)
}

fn connect(poll: &OwnedFd, port: u16, token: usize) -> io::Result<Client> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    epoll::add(poll, &socket, EventData::new_u64(token as u64), wanted)?;
    Ok(Client {
        socket,
        began: Instant::now(),
        answer: Vec::with_capacity(512),
        asked: false,
    })
}

enum Step {
    Waits,
    Answered,
    Failed,
}

fn step(client: &mut Client, request: &[u8], fresh: bool) -> Step {
    if !client.asked {
        match rustix::io::write(&client.socket, request) {
            Ok(length) if length == request.len() => client.asked = true,
            Ok(_) => return Step::Failed,
            Err(Errno::AGAIN | Errno::NOTCONN) => return Step::Waits,
            Err(_) => return Step::Failed,
        }
    }
    loop {
        match rustix::io::read(&client.socket, rustix::buffer::spare_capacity(&mut client.answer)) {
            Ok(0) if is_whole(&client.answer) => return Step::Answered,
            Ok(0) => return Step::Failed,
            Ok(_) if client.answer.len() == client.answer.capacity() => client.answer.reserve(4096),
            Ok(_) if !fresh && is_whole(&client.answer) => return Step::Answered,
            Ok(_) => {}
            Err(Errno::AGAIN) => return Step::Waits,
            Err(_) => return Step::Failed,
        }
    }
}

fn head_end(answer: &[u8]) -> Option<usize> {
    let position = answer
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD)?;
    Some(position + END_OF_HEAD.len())
}

/// A 200 with as many bytes as it announces, or with all its chunks.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = head_end(answer) else { return false };
    if !answer.starts_with(b"HTTP/1.1 200") {
        return false;
    }
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match announced.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => answer.len() >= end + length,
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}

fn body(answer: &[u8]) -> &str {
    let end = head_end(answer).unwrap_or(answer.len());
    std::str::from_utf8(&answer[end..]).unwrap_or_default().trim()
}
