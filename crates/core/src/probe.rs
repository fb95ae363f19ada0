//! Probes: what an app declares to be looked at, what comes of a look, and what a worker's health is shown as.
//!
//! Two questions are asked of a worker. `health`: does it live on, or is it to be replaced? `ready`: is it to be given work now?
//! See docs/design/0017.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The probes of an app's workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Probes {
    /// Whether a worker is to live on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Probe>,
    /// Whether a worker is to be given work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Probe>,
}

impl Probes {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.health.is_none() && self.ready.is_none()
    }

    /// The one that asks this.
    pub fn get(&self, kind: ProbeKind) -> Option<&Probe> {
        match kind {
            ProbeKind::Health => self.health.as_ref(),
            ProbeKind::Ready => self.ready.as_ref(),
        }
    }
}

/// Which question a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// Whether the worker is to live on.
    Health,
    /// Whether it is to be given work.
    Ready,
}

impl ProbeKind {
    /// Its key in a config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
        }
    }
}

/// What is looked at, how often, and how many results in a row decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Probe {
    /// What is looked at.
    pub check: Check,
    /// From the beginning of one look to the beginning of the next.
    pub interval: Duration,
    /// How long a look may take.
    pub timeout: Duration,
    /// So many failures in a row are believed.
    pub failure_threshold: u32,
    /// So many successes in a row are believed.
    pub success_threshold: u32,
    /// How long after its launch a worker's failures do not count, unless it has passed before.
    pub start_period: Duration,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// `GET` of a path is answered with a status from 200 to 399.
    Http {
        /// The path, with its query.
        path: String,
        /// The port, where the worker listens on several; found among its sockets when absent.
        port: Option<u16>,
    },
    /// A connection is taken.
    Tcp {
        /// As in `Http`.
        port: Option<u16>,
    },
    /// The event loop of a program of Node turns.
    Heartbeat,
    /// A command ends with exit code 0.
    Command {
        /// What is executed: a path, or a name that is looked up in the app's `PATH`.
        program: String,
        /// What it is given.
        arguments: Vec<String>,
    },
}

/// What runs commands that are written as one text.
const SHELL: &str = "/bin/sh";
/// How much of a command is shown, in characters.
const SHOWN: usize = 60;

impl Check {
    /// A command that is written as one text, as shells take it.
    pub fn shell(text: &str) -> Self {
        Self::Command {
            program: SHELL.to_owned(),
            arguments: vec!["-c".to_owned(), text.to_owned()],
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { path, port: None } => write!(f, "GET {path}"),
            Self::Http { path, port: Some(port) } => write!(f, "GET {path} on port {port}"),
            Self::Tcp { port: None } => f.write_str("a connection"),
            Self::Tcp { port: Some(port) } => write!(f, "a connection to port {port}"),
            Self::Heartbeat => f.write_str("the event loop"),
            Self::Command { program, arguments } => write!(f, "`{}`", shown(program, arguments)),
        }
    }
}

/// A command as it was written, in one line, shortened if it is long.
fn shown(program: &str, arguments: &[String]) -> String {
    let written = match arguments {
        [flag, text] if program == SHELL && flag == "-c" => text.clone(),
        arguments => [&[program.to_owned()], arguments].concat().join(" "),
    };
    let line = written.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProbeResult {
    /// All is well.
    Passed,
    /// It is not.
    Failed {
        /// What was found, for people: `GET /healthz: answered 503`.
        why: String,
        /// The worker did not even take the connection or the question within the timeout: its event loop does not turn.
        hung: bool,
    },
}

/// What is known of a worker's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// What its `health` probe says; absent without one, and until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What its `ready` probe says; absent without one, and until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// What the last look found that failed, if nothing has passed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_was_written_in_one_line() {
        let direct = Check::Command {
            program: "redis-cli".into(),
            arguments: vec!["-p".into(), "6379".into(), "ping".into()],
        };
        assert_eq!(direct.to_string(), "`redis-cli -p 6379 ping`");
        let text = "set -e\n  curl -f localhost";
        assert_eq!(Check::shell(text).to_string(), "`set -e curl -f localhost`");
        let long = Check::shell(&"é".repeat(100)).to_string();
        assert_eq!(long, format!("`{}…`", "é".repeat(SHOWN)));
    }
}
