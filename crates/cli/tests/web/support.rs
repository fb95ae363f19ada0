//! A home with the port open, and a client that says exactly what it is told to.

use ostler_testkit::{DEADLINE, Home, Manager};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The port of a home.
#[derive(Clone, Debug)]
pub struct Port {
    pub address: SocketAddr,
    pub token: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("JSON ({error}): {self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// What is to be sent back as `Cookie`.
    pub fn cookie(&self) -> String {
        let set = self
            .header("set-cookie")
            .unwrap_or_else(|| panic!("a cookie: {self:?}"));
        set.split(';').next().unwrap_or_default().to_owned()
    }
}

/// `ostler web` with these options, at a port that the kernel chooses.
pub fn open(home: &Home, options: &[&str]) -> Port {
    let output = home.call(&["web", "--port", "0"]).args(options).ok();
    Port::of(&output.stdout)
}

impl Port {
    /// Of a printed link.
    pub fn of(link: &str) -> Self {
        let rest = link
            .trim()
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("a link: {link}"));
        let (address, token) = rest.split_once("/#token=").unwrap_or_else(|| panic!("a token: {link}"));
        Self {
            address: address.parse().unwrap_or_else(|_| panic!("an address: {link}")),
            token: token.to_owned(),
        }
    }

    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    /// One request with these headers, `Host` only if it is among them, and its answer.
    pub fn try_ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{lines}{length}\r\n{body}");
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes())?;
        read(stream)
    }

    /// One request of whoever is at the right host, with these headers beside.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = self.address.to_string();
        let headers = [&[("Host", host.as_str())], headers].concat();
        let answer = self.try_ask(method, path, &headers, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What a program with the token asks.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[("Authorization", &self.bearer())], "")
    }

    /// What a program with the token changes.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = self.bearer();
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        self.ask("POST", path, &headers, &body.to_string())
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The page, in a browser.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The page signs in; its cookie.
    pub fn sign_in(&self, body: &Value) -> Answer {
        let origin = self.origin();
        let headers = [
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ];
        self.ask("POST", "/session", &headers, &body.to_string())
    }
}

/// An answer, up to the end of its connection.
pub fn read(mut stream: impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(|| io::Error::other(head.to_owned()))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
