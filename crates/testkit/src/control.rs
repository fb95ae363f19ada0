//! Calls of the control API.

use crate::http::{call, exchange};
use crate::{DEADLINE, Home};
use serde_json::Value;
use std::io;
use std::os::unix::net::UnixStream;

impl Home {
    /// One call of the control API (`GET`), as JSON.
    ///
    /// # Errors
    /// When the daemon does not answer, or not with a 200.
    pub fn control(&self, path: &str) -> io::Result<Value> {
        serde_json::from_str(&self.control_text(path)?).map_err(io::Error::other)
    }

    /// One call of the control API (`GET`), as text.
    ///
    /// # Errors
    /// When the daemon does not answer, or not with a 200.
    pub fn control_text(&self, path: &str) -> io::Result<String> {
        exchange(self.control_socket()?, path)
    }

    /// One call of the control API with a body: the status and the JSON of its answer.
    ///
    /// # Errors
    /// When the daemon does not answer with JSON.
    pub fn post(&self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.call_control("POST", path, &body.to_string())
    }

    /// Any call of the control API: the status and the JSON of its answer.
    ///
    /// # Errors
    /// When the daemon does not answer with JSON.
    pub fn call_control(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
        let (status, answer) = call(self.control_socket()?, method, path, body)?;
        Ok((status, serde_json::from_str(&answer).map_err(io::Error::other)?))
    }

    fn control_socket(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(self.path().join("ostler.sock"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(stream)
    }
}
