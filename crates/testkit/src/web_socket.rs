//! A client of WebSockets (RFC 6455) for short texts, from an address of its choice.

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

/// How long the server may take to say something.
const PATIENCE: Duration = Duration::from_secs(15);

/// The last frame of a text, and one that closes (5.2), each of a server, which does not mask.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// What says that the client masks (5.3).
const MASKED: u8 = 0x80;

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    stream: BufReader<TcpStream>,
}

/// How one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// By a frame that closes, with this code (7.4).
    Said(u16),
    /// The connection was closed without a word.
    Closed,
    /// The connection was reset.
    Reset,
}

impl WebSocket {
    /// Opens one at a loopback port, from this address of 127.0.0.0/8.
    ///
    /// # Errors
    /// `bind(2)`, `connect(2)`, `read(2)`; or the answer is not 101.
    pub fn open(from: Ipv4Addr, port: u16) -> io::Result<Self> {
        Self::open_at(from, port, "/")
    }

    /// Opens one at a path.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn open_at(from: Ipv4Addr, port: u16, path: &str) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrV4::new(from, 0))?;
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        let mut stream = BufReader::new(TcpStream::from(socket));
        stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if head.starts_with("HTTP/1.1 101 ") {
            Ok(Self { stream })
        } else {
            Err(io::Error::other(head))
        }
    }

    /// Says a text of less than 126 bytes, and gives the text that comes back.
    ///
    /// # Errors
    /// `write(2)`, `read(2)`; or what comes back is no text.
    pub fn ask(&mut self, text: &str) -> io::Result<String> {
        self.say(text)?;
        match self.frame()? {
            (TEXT, body) => String::from_utf8(body).map_err(io::Error::other),
            (kind, _) => Err(io::Error::other(format!("a frame {kind:#x} where text was expected"))),
        }
    }

    /// Says a text of less than 126 bytes.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let length = u8::try_from(text.len()).map_err(io::Error::other)?;
        // A mask of zeros leaves the text as it is.
        let mut frame = vec![TEXT, MASKED | length, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.stream.get_mut().write_all(&frame)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When something else comes, or nothing for 15 s.
    pub fn farewell(mut self) -> io::Result<Farewell> {
        match self.frame() {
            Ok((CLOSE, body)) if body.len() >= 2 => Ok(Farewell::Said(u16::from_be_bytes([body[0], body[1]]))),
            Ok((kind, _)) => Err(io::Error::other(format!("a frame {kind:#x} where none was expected"))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Farewell::Closed),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Farewell::Reset),
            Err(error) => Err(error),
        }
    }

    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::from(head[1])];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}
