//! Load by autocannon, as users make it: more connections than threads would bear, and as fast as they are answered.
//!
//! What counts as lost is said in `apps/cannon.cjs`. Called by the tests of the examples; [`Load`](crate::Load) is the smaller, stricter
//! client without a package.

use crate::load::Connections;
use crate::{apps, tools};
use serde_json::Value;
use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

const PACKAGE: &str = "autocannon@9.0.0";

/// An autocannon at work. Ended by [`Cannon::end`], killed when dropped.
#[derive(Debug)]
pub struct Cannon {
    child: Child,
    last: Arc<Mutex<Value>>,
    reader: Option<JoinHandle<()>>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toll {
    /// Requests that were answered by a status of 200 to 299.
    pub answered: u64,
    /// Requests that were not.
    pub lost: u64,
    /// Errors of connections, and times waited in vain.
    pub errors: u64,
}

impl Cannon {
    /// Asks for `path` on a loopback port over so many connections.
    ///
    /// # Errors
    /// A sentence why there is no autocannon on this machine.
    ///
    /// # Panics
    /// When node cannot be run.
    pub fn begin(port: u16, path: &str, connections: u32, kind: Connections) -> Result<Self, String> {
        let node = tools::in_path("node").ok_or("there is no node in PATH")?;
        let modules = tools::npm(PACKAGE, "node_modules")?;
        let kind = match kind {
            Connections::KeptAlive => "kept",
            Connections::Fresh => "fresh",
        };
        let mut child = Command::new(node)
            .arg(apps::path("cannon.cjs"))
            .arg(format!("http://127.0.0.1:{port}{path}"))
            .args([connections.to_string().as_str(), kind])
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let output = BufReader::new(child.stdout.take().expect("invariant: its output is a pipe"));
        let last = Arc::new(Mutex::new(Value::Null));
        let sink = Arc::clone(&last);
        let reader = std::thread::spawn(move || {
            let told = output.lines().map_while(Result::ok);
            for line in told.filter_map(|line| serde_json::from_str(&line).ok()) {
                *sink.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        });
        let reader = Some(reader);
        Ok(Self { child, last, reader })
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> u64 {
        self.last()["answered"].as_u64().unwrap_or_default()
    }

    /// Ends it, and says what came of it all.
    ///
    /// # Panics
    /// When autocannon itself fails.
    pub fn end(mut self) -> Toll {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("invariant: our own child can be waited for");
        assert!(status.success(), "autocannon: {status}");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("invariant: the reader cannot panic");
        }
        let last = self.last();
        let number = |key: &str| {
            let number = last[key].as_u64();
            number.unwrap_or_else(|| panic!("autocannon says `{key}`: {last}"))
        };
        Toll {
            answered: number("answered"),
            lost: number("sent") - number("answered"),
            errors: number("errors"),
        }
    }

    /// As [`end`](Self::end), where nothing may have been lost.
    ///
    /// # Panics
    /// When something was; `during` what, is in the message.
    #[track_caller]
    pub fn end_without_loss(self, during: impl Display) -> Toll {
        let toll = self.end();
        assert!(toll.lost == 0 && toll.errors == 0, "{during}: {toll:?}");
        toll
    }

    fn last(&self) -> Value {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Cannon {
    fn drop(&mut self) {
        // It has been waited for, or is still ours to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
