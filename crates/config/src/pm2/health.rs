//! How workers are looked at while they run: `health` and `ready`. Ostler's own, with Kubernetes' words for what they have in common.

use super::attribute::{Attribute, snake_case};
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::check::shown;
use crate::diagnostic::Problem;
use crate::units::duration;
use ostler_core::{Address, Check, Listen, Mode, Probe, ProbeKind, Probes, Program, Runtime};
use serde_json::{Map, Value};

const TIMEOUT: u64 = 1000;
const FAILURES: u64 = 3;
const START_PERIOD: u64 = 10_000;

/// How a probe may be written.
const FORMS: &str = "write a path: \"/healthz\", or \"tcp\", or \"heartbeat\" (Node.js), or \"exec:\" and a command, or an object with one of `http`, `tcp`, `heartbeat` and `command`";
/// How a command is marked where a probe is one text.
const EXEC: &str = "exec:";
/// What says what is looked at.
const CHECKS: [&str; 4] = ["http", "tcp", "heartbeat", "command"];
/// What an object may have beside that.
const KEYS: [&str; 6] = [
    "port",
    "interval",
    "timeout",
    "failure_threshold",
    "success_threshold",
    "start_period",
];

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "health",
        Kind::Probe,
        "",
        "Whether a worker lives on: one whose probe fails gets no more connections and is replaced, one worker at a time. See above. Ostler's own.",
    ),
    Attribute::new(
        "ready",
        Kind::Probe,
        "",
        "Whether a worker is to be given connections now. A new one has to be found ready within `listen_timeout` before a reload goes on. See above. Ostler's own.",
    ),
];

/// What a probe has to know of its app.
pub(crate) struct Around<'a> {
    pub(crate) mode: Mode,
    pub(crate) program: &'a Program,
    pub(crate) listen: &'a [Listen],
    /// Whether a program of Node gets our preload.
    pub(crate) preload: bool,
}

/// The declared probes.
pub(crate) fn probes(attributes: &Attributes, around: &Around<'_>) -> Result<Probes, Problem> {
    let probe = |kind: ProbeKind| {
        let declared = attributes
            .get(kind.as_str())
            .filter(|value| **value != Value::Bool(false));
        let probe = declared.map(|value| Reader { kind, value }.probe()).transpose()?;
        match probe {
            Some(probe) => Ok(Some(checked(kind, probe, around)?)),
            None => Ok(None),
        }
    };
    Ok(Probes {
        health: probe(ProbeKind::Health)?,
        ready: probe(ProbeKind::Ready)?,
    })
}

/// Whether it reaches the worker that it means.
fn checked(kind: ProbeKind, probe: Probe, around: &Around<'_>) -> Result<Probe, Problem> {
    let invalid = |message: String, hint: &str| Err(Problem::invalid(kind.as_str(), message, hint));
    let runs_node = around.mode == Mode::Cluster || around.program.interpreter.runtime() == Some(Runtime::Node);
    let port = match probe.check {
        Check::Command { .. } => return Ok(probe),
        Check::Heartbeat if around.preload && runs_node => return Ok(probe),
        Check::Heartbeat => {
            let hint =
                "it is a program of Node.js, without `pmx: false`, that says so; for others use a path or \"tcp\"";
            return invalid("nothing says that its event loop turns".into(), hint);
        }
        Check::Http { port, .. } | Check::Tcp { port } => port,
    };
    let is_shared = |port: u16| {
        let of_listen = |listen: &Listen| matches!(listen.address, Address::Tcp(at) if at.port() == port);
        around.listen.iter().any(of_listen)
    };
    if !around.listen.is_empty() && port.is_none_or(is_shared) {
        let hint = "give it a port that each worker listens on by itself, or use \"heartbeat\" (Node.js)";
        return invalid(
            "a connection to what `listen` declares reaches whichever worker accepts it".into(),
            hint,
        );
    }
    Ok(probe)
}

struct Reader<'a> {
    kind: ProbeKind,
    value: &'a Value,
}

impl Reader<'_> {
    fn invalid(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::invalid(self.kind.as_str(), message, hint)
    }

    fn probe(&self) -> Result<Probe, Problem> {
        match self.value {
            Value::String(text) => self.of_table(&Map::new(), self.of_text(text)?),
            Value::Object(table) => {
                let table: Map<String, Value> = table
                    .iter()
                    .map(|(key, value)| (snake_case(key), value.clone()))
                    .collect();
                self.of_table(&table, self.check(&table)?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                Err(self.invalid(format!("{} is no probe", shown(self.value)), FORMS))
            }
        }
    }

    fn of_text(&self, text: &str) -> Result<Check, Problem> {
        if let Some(command) = text.strip_prefix(EXEC) {
            return self.command(&Value::from(command));
        }
        match text {
            "tcp" => Ok(Check::Tcp { port: None }),
            "heartbeat" => Ok(Check::Heartbeat),
            path if path.starts_with('/') => Ok(Check::Http {
                path: self.path(path)?,
                port: None,
            }),
            _ => Err(self.invalid(format!("\"{text}\" is no probe"), FORMS)),
        }
    }

    /// What is looked at.
    fn check(&self, table: &Map<String, Value>) -> Result<Check, Problem> {
        let known = |key: &str| CHECKS.contains(&key) || KEYS.contains(&key);
        if let Some(unknown) = table.keys().find(|key| !known(key)) {
            let message = format!("`{unknown}` in {} means nothing", shown(self.value));
            let all = [&CHECKS[..], &KEYS[..]].concat().join(", ");
            return Err(self.invalid(message, format!("it may have {all}")));
        }
        let declared: Vec<(&str, &Value)> = CHECKS.iter().filter_map(|key| Some((*key, table.get(*key)?))).collect();
        let [(check, value)] = declared[..] else {
            let message = match declared.is_empty() {
                true => format!("{} does not say what is looked at", shown(self.value)),
                false => format!("{} says more than one thing to look at", shown(self.value)),
            };
            return Err(self.invalid(message, FORMS));
        };
        if check == "command" {
            if table.contains_key("port") {
                let hint = "remove it: a command connects to what it wants";
                return Err(self.invalid("`port` has no use beside `command`", hint));
            }
            return self.command(value);
        }
        let port = table.get("port").map(|port| self.port(port)).transpose()?;
        match (check, value) {
            ("http", Value::String(path)) => Ok(Check::Http {
                path: self.path(path)?,
                port,
            }),
            ("tcp", Value::Bool(true)) => Ok(Check::Tcp { port }),
            ("tcp", Value::Number(_)) if port.is_none() => Ok(Check::Tcp {
                port: Some(self.port(value)?),
            }),
            ("heartbeat", Value::Bool(true)) if port.is_none() => Ok(Check::Heartbeat),
            _ => Err(self.invalid(
                format!("`{check}` in {} cannot be {}", shown(self.value), shown(value)),
                "write http: \"/healthz\", tcp: true, tcp: 3000 or heartbeat: true",
            )),
        }
    }

    /// A text for the shell, or a program and its arguments.
    fn command(&self, value: &Value) -> Result<Check, Problem> {
        let hint = "write what the shell is to run: \"redis-cli ping\", or a program and its arguments: [\"redis-cli\", \"ping\"]";
        let invalid = |message: String| self.invalid(message, hint);
        let words: Option<Vec<&str>> = match value {
            Value::String(text) => Some(vec![text]),
            Value::Array(words) => words.iter().map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        };
        let words = words.ok_or_else(|| invalid(format!("`command` cannot be {}", shown(value))))?;
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(invalid(format!("`command` is empty: {}", shown(value))));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(invalid(format!(
                "a NUL byte cannot be given to a program: {}",
                shown(value)
            )));
        }
        Ok(match (value, &words[..]) {
            (Value::Array(_), [program, arguments @ ..]) => Check::Command {
                program: (*program).to_owned(),
                arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            },
            (_, text) => Check::shell(&text.concat()),
        })
    }

    fn path(&self, path: &str) -> Result<String, Problem> {
        let fits = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
        if fits {
            return Ok(path.to_owned());
        }
        let hint = "it begins with /, and other characters than those of ASCII are escaped: \"/healthz\"";
        Err(self.invalid(format!("\"{path}\" is no path of HTTP"), hint))
    }

    fn port(&self, value: &Value) -> Result<u16, Problem> {
        let port = Kind::Whole(1, 65535).normal(value).and_then(|port| port.as_u64());
        let port = port.and_then(|port| u16::try_from(port).ok());
        port.ok_or_else(|| self.invalid(format!("{} is no port", shown(value)), "it is a number from 1 to 65535"))
    }

    fn of_table(&self, table: &Map<String, Value>, check: Check) -> Result<Probe, Problem> {
        let interval = match self.kind {
            ProbeKind::Health => 10_000,
            ProbeKind::Ready => 5_000,
        };
        if self.kind == ProbeKind::Ready && table.contains_key("start_period") {
            let hint =
                "remove it: a worker is given nothing before it is ready, and a reload waits for `listen_timeout`";
            return Err(self.invalid("`start_period` has no use here", hint));
        }
        let start_period = match self.kind {
            ProbeKind::Health => START_PERIOD,
            ProbeKind::Ready => 0,
        };
        Ok(Probe {
            check,
            interval: duration(self.number(table, "interval", Kind::Milliseconds(100), interval)?),
            timeout: duration(self.number(table, "timeout", Kind::Milliseconds(10), TIMEOUT)?),
            failure_threshold: self.threshold(table, "failure_threshold", FAILURES)?,
            success_threshold: self.threshold(table, "success_threshold", 1)?,
            start_period: duration(self.number(table, "start_period", Kind::Milliseconds(0), start_period)?),
        })
    }

    fn threshold(&self, table: &Map<String, Value>, key: &str, default: u64) -> Result<u32, Problem> {
        let number = self.number(table, key, Kind::Whole(1, 1000), default)?;
        Ok(u32::try_from(number).expect("invariant: it is at most 1000"))
    }

    fn number(&self, table: &Map<String, Value>, key: &str, kind: Kind, default: u64) -> Result<u64, Problem> {
        let Some(value) = table.get(key) else {
            return Ok(default);
        };
        let normal = kind.normal(value).and_then(|number| number.as_u64());
        normal.ok_or_else(|| {
            self.invalid(
                format!("`{key}` cannot be {}", shown(value)),
                format!("write {}", kind.expectation()),
            )
        })
    }
}
