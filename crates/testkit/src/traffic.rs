//! Traffic that takes its time: requests, uploads and streams over HTTP/1, TLS and HTTP/2, each followed to its end.
//!
//! The client is a program of Node (`apps/traffic/client.cjs`), the server an app (`apps/traffic/server.cjs`). What counts as
//! lost is said there: everything that was not answered wholly and rightly.

use crate::{apps, repetitions, tools};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

/// A client at work. Ended by [`Traffic::end`], killed when dropped.
#[derive(Debug)]
pub struct Traffic {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
}

/// An exchange that was answered wholly and rightly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `slow`, `upload` or `stream`.
    pub kind: String,
    /// The worker's pid.
    pub by: i32,
    /// When its first byte was sent, as [`now`] counts.
    pub began: u64,
    /// When it was over, as [`now`] counts.
    pub ended: u64,
}

/// What has become of everything so far.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// How many have begun.
    pub began: usize,
    /// What was answered.
    pub answered: Vec<Exchange>,
    /// What was not, with the reason.
    pub lost: Vec<String>,
    /// How often a stream of HTTP/2 was refused before anything was done, and asked for again.
    pub repeated: usize,
    /// How many sessions of HTTP/2 were told to go.
    pub goodbyes: usize,
}

/// The time, in milliseconds since 1970: comparable with that of other programs of this machine.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).expect("invariant: the year is below 500,000,000")
}

impl Traffic {
    /// So many exchanges of each kind under way at any time, by a scheme (`http`, `https`, `h2`, `h2c`) to a loopback port.
    ///
    /// # Panics
    /// When there is no Node in `PATH`.
    pub fn begin(scheme: &str, port: u16, lanes: &[(&str, usize)]) -> Self {
        let node = tools::in_path("node").expect("the client needs node in PATH");
        let mut command = Command::new(node);
        command
            .arg(apps::path("traffic/client.cjs"))
            .arg(scheme)
            .arg(port.to_string());
        command.args(lanes.iter().map(|(kind, count)| format!("{kind}={count}")));
        // Longer than a reload takes until every slot has its new worker.
        let first = repetitions(5000, 10_000).to_string();
        let mut child = command
            .env("FIRST_MS", first)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let output = BufReader::new(child.stdout.take().expect("invariant: its output is a pipe"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let told = output.lines().map_while(Result::ok);
            for line in told.filter_map(|line| serde_json::from_str(&line).ok()) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
        }
    }

    /// What has become of everything so far.
    pub fn account(&self) -> Account {
        Account::of(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets each exchange come to its end, and says what became of all.
    ///
    /// # Panics
    /// When the client itself fails.
    pub fn end(mut self) -> Account {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("invariant: our own child can be waited for");
        assert!(status.success(), "the client: {status}");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("invariant: the reader cannot panic");
        }
        self.account()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // It has been waited for, or is still ours to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Account {
    fn of(lines: &[Value]) -> Self {
        let mut account = Self::default();
        for line in lines {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            if let Some(exchange) = Exchange::of(line) {
                account.answered.push(exchange);
            } else if line["lost"].is_string() {
                account.lost.push(format!("{}: {}", text("kind"), text("lost")));
            } else if line["repeated"].is_string() {
                account.repeated += 1;
            } else if line["goodbye"].is_u64() {
                account.goodbyes += 1;
            } else if line["began"].is_u64() {
                account.began += 1;
            }
        }
        account
    }

    /// What this worker had under way at a moment, and answered afterwards.
    pub fn under_way(&self, by: i32, moment: u64) -> impl Iterator<Item = &Exchange> {
        let spans = move |exchange: &&Exchange| exchange.began < moment && exchange.ended > moment;
        self.answered
            .iter()
            .filter(move |exchange| exchange.by == by)
            .filter(spans)
    }
}

impl Exchange {
    fn of(line: &Value) -> Option<Self> {
        Some(Self {
            kind: line["kind"].as_str()?.to_owned(),
            by: i32::try_from(line["by"].as_i64()?).ok()?,
            began: line["began"].as_u64()?,
            ended: line["ended"].as_u64()?,
        })
    }
}
