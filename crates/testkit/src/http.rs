//! A tiny HTTP client and free ports, on loopback only.

use crate::wait::DEADLINE;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below those that the kernel gives to clients (`ip_local_port_range`): one of these may be a client's at any moment.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A port nobody listens on now, and no client is given.
///
/// # Panics
/// When the machine has no free port left.
pub fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    // Each test is a process of its own: they begin at different places.
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    let first = std::process::id().wrapping_mul(61).wrapping_add(asked * 7);
    let count = u32::from(PORTS.end - PORTS.start);
    let ports = (0..count).map(|next| PORTS.start + u16::try_from(first.wrapping_add(next) % count).unwrap_or(0));
    let mut free = ports.filter(|port| TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok());
    free.next().expect("a free port")
}

/// The body of `GET /` on a loopback port.
///
/// # Errors
/// When nobody listens, the connection breaks, or the answer is no 200.
pub fn http_get(port: u16) -> io::Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    exchange(stream, "/")
}

/// Sends one `GET` over `stream` and reads the body of a 200.
///
/// # Errors
/// See [`http_get`].
pub(crate) fn exchange(stream: impl Read + Write, path: &str) -> io::Result<String> {
    match call(stream, "GET", path, "")? {
        (200, body) => Ok(body),
        (status, _) => Err(io::Error::other(format!("answer {status}"))),
    }
}

/// Sends one request over `stream` and reads the status and the body of its answer.
///
/// # Errors
/// When the connection breaks, or what comes is no answer.
pub(crate) fn call(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("answer {head}")))?;
    Ok((status, body.to_owned()))
}
