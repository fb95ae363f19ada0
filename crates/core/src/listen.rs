//! Sockets that are bound for an app and inherited by all its workers, whatever they are written in (docs/design/0012).

use core::net::SocketAddr;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A declared socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listen {
    /// Where it is bound. No two of one app have the same.
    pub address: Address,
    /// What workers are told it is called (`LISTEN_FDNAMES`), if it was given a name.
    pub name: Option<String>,
    /// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
    pub backlog: u32,
    /// The file mode of a unix socket.
    pub mode: u32,
}

/// Where a socket is bound. Two that are equal are one socket, which stays open when an app is given a new spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A TCP listener; on port 0 the kernel chooses one.
    Tcp(SocketAddr),
    /// A UDP socket.
    Udp(SocketAddr),
    /// A stream listener at an absolute path.
    Unix(String),
}

/// As it is declared: `tcp://0.0.0.0:3000`, `unix:///run/app.sock`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}
