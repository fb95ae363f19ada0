//! A tiny HTTP client and free ports, on loopback only.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// A port nobody listens on now.
///
/// # Panics
/// When the machine has no free port left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
    listener
        .local_addr()
        .expect("invariant: a bound listener has an address")
        .port()
}

/// The body of `GET /` on a loopback port.
///
/// # Errors
/// When nobody listens, the connection breaks, or the answer is no 200.
pub fn http_get(port: u16) -> io::Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    exchange(stream, "/")
}

/// Sends one `GET` over `stream` and reads the body of a 200.
///
/// # Errors
/// See [`http_get`].
pub(crate) fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    if head.split_whitespace().nth(1) == Some("200") {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(format!(
            "answer {}",
            head.lines().next().unwrap_or_default()
        )))
    }
}
