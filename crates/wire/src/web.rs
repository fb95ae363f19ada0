//! The web dashboard's port, as the control socket is asked for it: `GET /v1/web` and `POST /v1/web` (see [`crate::control`]).
//!
//! Both are for whoever owns the socket: the answer has the token.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Where the dashboard is unless told otherwise: the port of PM2's old web interface.
pub const PORT: u16 = 9615;

/// The file in the home directory that says how the port is to be open.
pub const SETTINGS: &str = "web.json";

/// The file in the home directory that has the token and nothing else.
pub const TOKEN: &str = "web.token";

/// The most names that it may be called by beside its own.
pub const MOST_HOSTS: usize = 16;

/// The body of `POST /v1/web`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WebChange {
    /// Open the port, or change how it is open.
    Open(WebWish),
    /// Close it, and forget how it was open.
    Close,
}

/// How the port is to be open. What is absent stays as it is, or is as it is at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebWish {
    /// The address to listen at; loopback at first.
    #[serde(default)]
    pub host: Option<IpAddr>,
    /// The port to listen at, 9615 at first; 0 has the kernel choose one.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether nothing can be changed through it; false at first.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Who may sign in beside whoever has the token; nobody at first.
    #[serde(default)]
    pub login: Option<LoginWish>,
    /// The names it may be called by beside loopback's and its own address, e.g. that of a proxy in front; none at first.
    #[serde(default)]
    pub allow_hosts: Option<Vec<String>>,
    /// Make a new token. The one before is worth nothing then, and whoever is signed in has to do so again.
    #[serde(default)]
    pub new_token: bool,
}

/// Whether somebody may sign in by a name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoginWish {
    /// This one.
    As(Login),
    /// Nobody: the token alone opens.
    Nobody,
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Passwords do not belong into messages.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The answer to `GET /v1/web` and `POST /v1/web`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebState {
    /// How it is to be open; absent when it is off.
    pub wanted: Option<WebOpen>,
    /// Why it is not open although it is wanted.
    pub failure: Option<String>,
    /// What else has to be said, e.g. that this will not be known after a reboot.
    pub warnings: Vec<String>,
}

/// How the port is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebOpen {
    /// Where.
    pub address: SocketAddr,
    /// Whether nothing can be changed through it.
    pub read_only: bool,
    /// Who may sign in by a password.
    pub user: Option<String>,
    /// The names it may be called by beside loopback's and its own address.
    pub allow_hosts: Vec<String>,
    /// What opens it.
    pub token: String,
    /// Where the token lies for programs that read it from a file; absent without a home directory.
    pub token_file: Option<String>,
}
