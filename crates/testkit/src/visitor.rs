//! A client with one connection that it keeps, from an address of its choice.

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// See the module's header.
#[derive(Debug)]
pub struct Visitor {
    stream: BufReader<Stream>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Visitor {
    /// Connects to a loopback port.
    ///
    /// # Errors
    /// `connect(2)`.
    pub fn at(port: u16) -> io::Result<Self> {
        // Not bound: bind(2) refuses a port that closed connections of anybody still linger on, and after a test with many of them that is each.
        Self::over(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    }

    /// Connects to a loopback port from this address of 127.0.0.0/8.
    ///
    /// # Errors
    /// `bind(2)`, `connect(2)`.
    pub fn from(address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrV4::new(address, 0))?;
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        Self::over(TcpStream::from(socket))
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// `connect(2)`.
    pub fn at_path(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::of(Stream::Unix(stream)))
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::of(Stream::Tcp(stream)))
    }

    fn of(stream: Stream) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends a request, without waiting for the answer.
    ///
    /// # Errors
    /// `write(2)`.
    pub fn ask(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())
    }

    /// The body of the answer, which has to be whole and a 200.
    ///
    /// # Errors
    /// `read(2)`; or the answer is another.
    pub fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let mut length = 0;
        self.stream.read_line(&mut line)?;
        if line.split(' ').nth(1) != Some("200") {
            return Err(io::Error::other(format!("answer {line:?}")));
        }
        while line != "\r\n" {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The answer, if it comes within this time.
    pub fn answer_within(&mut self, limit: Duration) -> Option<String> {
        if let Stream::Tcp(stream) = self.stream.get_ref() {
            stream.set_read_timeout(Some(limit)).ok()?;
        }
        self.answer().ok()
    }

    /// Both at once.
    ///
    /// # Errors
    /// See [`ask`](Self::ask) and [`answer`](Self::answer).
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        self.ask(path)?;
        self.answer()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}
