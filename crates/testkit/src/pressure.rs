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

    fn count(&mut self, client: &Client) {
        self.answered += 1;
        let micros = client.began.elapsed().as_micros();
        self.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
        let body = body(&client.answer);
        match self.bodies.get_mut(body) {
            Some(count) => *count += 1,
            None => drop(self.bodies.insert(body.to_owned(), 1)),
        }
    }
}

/// Connections that request `/` at once, each one request after the other: over a connection of its own, or over the one that is kept.
#[derive(Debug)]
pub struct Pressure {
    port: u16,
    fresh: bool,
    poll: OwnedFd,
    clients: Vec<Option<Client>>,
    /// How many of them wait for their first answer.
    unanswered: usize,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    began: Instant,
    answer: Vec<u8>,
    asked: bool,
    answered: bool,
}

/// Between whoever presses and whoever watches.
#[derive(Debug, Default)]
pub struct Watched {
    /// How many answers there are.
    pub answered: AtomicU64,
    /// It is to end.
    pub enough: AtomicBool,
}

/// How long kept connections may take to be answered once.
const SETTLED: Duration = Duration::from_secs(10);

impl Pressure {
    /// Connects. Kept connections have been answered once when this returns: what connecting costs is not theirs.
    ///
    /// # Errors
    /// No sockets to be had, or kept connections that are not answered.
    pub fn open(port: u16, connections: usize, fresh: bool) -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let clients = (0..connections).map(|token| connect(&poll, port, token).map(Some));
        let mut pressure = Self {
            clients: clients.collect::<io::Result<_>>()?,
            port,
            fresh,
            poll,
            unanswered: connections,
        };
        if !fresh {
            let begin = Instant::now();
            pressure.press_while(|_, unanswered| unanswered > 0 && begin.elapsed() < SETTLED)?;
            if pressure.unanswered > 0 {
                let what = format!("{} connections of {connections} were not answered", pressure.unanswered);
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
        }
        Ok(pressure)
    }

    /// Makes requests for a while.
    ///
    /// # Errors
    /// No sockets to be had. A server that refuses or breaks connections is no error: those are counted.
    pub fn press(&mut self, span: Duration) -> io::Result<Pressed> {
        let begin = Instant::now();
        self.press_while(|_, _| begin.elapsed() < span)
    }

    /// As [`press`](Self::press), until somebody says that there is enough of it.
    ///
    /// # Errors
    /// As [`press`](Self::press).
    pub fn press_until(&mut self, watched: &Watched) -> io::Result<Pressed> {
        self.press_while(|answered, _| {
            watched.answered.store(answered, Ordering::Relaxed);
            !watched.enough.load(Ordering::Relaxed)
        })
    }

    fn press_while(&mut self, goes_on: impl Fn(u64, usize) -> bool) -> io::Result<Pressed> {
        let request: &[u8] = if self.fresh {
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        } else {
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        };
        let begin = Instant::now();
        let mut pressed = Pressed {
            answered: 0,
            failed: 0,
            took: Duration::ZERO,
            latencies: Vec::with_capacity(1 << 20),
            bodies: std::collections::BTreeMap::new(),
        };
        let mut events = Vec::with_capacity(self.clients.len());
        while goes_on(pressed.answered, self.unanswered) {
            events.clear();
            let patience = Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let token = usize::try_from(event.data.u64()).expect("invariant: it was one of ours");
                self.serve(token, request, &mut pressed)?;
            }
        }
        pressed.took = begin.elapsed();
        pressed.latencies.sort_unstable();
        Ok(pressed)
    }

    fn serve(&mut self, token: usize, request: &[u8], pressed: &mut Pressed) -> io::Result<()> {
        let Some(client) = &mut self.clients[token] else {
            return Ok(());
        };
        let again = match step(client, request, self.fresh) {
            Step::Waits => return Ok(()),
            Step::Answered => {
                pressed.count(client);
                if !std::mem::replace(&mut client.answered, true) {
                    self.unanswered = self.unanswered.saturating_sub(1);
                }
                self.fresh
            }
            Step::Failed => {
                pressed.failed += 1;
                true
            }
        };
        if again {
            return self.reconnect(token);
        }
        client.answer.clear();
        client.began = Instant::now();
        if rustix::io::write(&client.socket, request) != Ok(request.len()) {
            pressed.failed += 1;
            return self.reconnect(token);
        }
        Ok(())
    }

    fn reconnect(&mut self, token: usize) -> io::Result<()> {
        // Its descriptor is free before there is another.
        self.clients[token] = None;
        self.clients[token] = Some(connect(&self.poll, self.port, token)?);
        Ok(())
    }
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
        answered: false,
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
