//! What the streams of the control API say: `GET /v1/events` and `GET /v1/logs` (see [`crate::control`]), as server-sent
//! events. Each has a name (`event:`) and one JSON value (`data:`).
//!
//! Events of state have a number (`id:`), by which a client that comes back goes on where it was (`Last-Event-ID`). The first one says all
//! there is, every other one what has changed since the one before it.

use crate::control::StreamKind;
use ostler_core::history::Entry;
use ostler_core::{AppId, ExitStatus, Generation, Health, Mode, Pid, RollView, SlotId, SlotView, Status, WallTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `GET /v1/events` says.
#[derive(Clone, Debug, PartialEq)]
pub enum StateEvent {
    /// `snapshot`: all there is now. Whatever came before it is of no more concern.
    Snapshot(Snapshot),
    /// `process`: a slot is new, or is not as it was.
    Process(ProcessState),
    /// `removed`: a slot is no more.
    Removed(Removed),
    /// `history`: something has happened to a process, with its cause.
    History(Entry),
    /// `reload`: how far a reload is.
    Reload(Reload),
    /// `reload_ended`: it is over.
    ReloadEnded(ReloadEnded),
    /// `lost`: events are missing here; a snapshot follows.
    Lost(Lost),
}

impl StateEvent {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Process(_) => "process",
            Self::Removed(_) => "removed",
            Self::History(_) => "history",
            Self::Reload(_) => "reload",
            Self::ReloadEnded(_) => "reload_ended",
            Self::Lost(_) => "lost",
        }
    }

    /// As it goes over the wire, with its number if it has one.
    pub fn encode(&self, id: Option<EventId>) -> Vec<u8> {
        match self {
            Self::Snapshot(data) => encode(self.name(), id, data),
            Self::Process(data) => encode(self.name(), id, data),
            Self::Removed(data) => encode(self.name(), id, data),
            Self::History(data) => encode(self.name(), id, data),
            Self::Reload(data) => encode(self.name(), id, data),
            Self::ReloadEnded(data) => encode(self.name(), id, data),
            Self::Lost(data) => encode(self.name(), id, data),
        }
    }
}

/// The number of an event: of which daemon, and which of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// Which daemon of its line.
    pub generation: u32,
    /// The how-manieth event of that daemon.
    pub sequence: u64,
}

impl EventId {
    /// As [`Display`](std::fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (generation, sequence) = text.trim().split_once('-')?;
        Some(Self {
            generation: generation.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.generation, self.sequence)
    }
}

/// One server-sent event. JSON has no line breaks, so its data is one line.
pub fn encode(name: &str, id: Option<EventId>, data: &impl Serialize) -> Vec<u8> {
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    let mut text = format!("event: {name}\n{id}data: ").into_bytes();
    // Numbers, strings and maps with string keys always have a JSON form.
    if serde_json::to_writer(&mut text, data).is_err() {
        text.extend_from_slice(b"null");
    }
    text.extend_from_slice(b"\n\n");
    text
}

/// All there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// The slots, by id.
    pub processes: Vec<ProcessState>,
    /// The reloads under way, by app.
    pub reloads: Vec<Reload>,
}

/// What is known of a slot and does not change by mere time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessState {
    /// The slot.
    pub id: SlotId,
    /// Its app.
    pub app: AppId,
    /// The app's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `fork` or `cluster`.
    pub mode: Mode,
    /// The instance number.
    pub instance: u32,
    /// The current or last launch.
    pub generation: Generation,
    /// Its status.
    pub status: Status,
    /// The main process, when one runs.
    pub pid: Option<Pid>,
    /// When the current or last process was launched.
    pub launched_at: Option<WallTime>,
    /// Restarts.
    pub restarts: u32,
    /// Of these, unstable in a row.
    pub unstable_restarts: u32,
    /// The delay before the pending or last delayed restart, ms.
    pub restart_delay_ms: u64,
    /// How the last process ended.
    pub last_exit: Option<ExitStatus>,
    /// Whether files are watched for it.
    pub watching: bool,
    /// What its probes say.
    #[serde(default)]
    pub health: Health,
    /// What it says it is at (`STATUS=` of sd_notify(3)).
    pub said: Option<String>,
}

impl ProcessState {
    /// Of a slot, of which that was said.
    pub fn new(view: &SlotView, said: Option<String>) -> Self {
        Self {
            id: view.id,
            app: view.app,
            name: view.spec.name.clone(),
            namespace: view.spec.namespace.clone(),
            mode: view.spec.mode,
            instance: view.instance,
            generation: view.generation,
            status: view.status,
            pid: view.pid,
            launched_at: view.launched_at,
            restarts: view.restarts,
            unstable_restarts: view.unstable_restarts,
            restart_delay_ms: view.restart_delay_ms,
            last_exit: view.last_exit,
            watching: view.watching,
            health: view.health.clone(),
            said,
        }
    }
}

/// A slot that is no more. Its id may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removed {
    /// The slot.
    pub id: SlotId,
}

/// How far a reload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reload {
    /// Its slots, and what each is at.
    #[serde(flatten)]
    pub roll: RollView,
    /// How many connections the worker that is to go has left, by slot; absent where nobody has counted them.
    pub connections: BTreeMap<SlotId, u32>,
}

/// A reload is over. What became of each worker is in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReloadEnded {
    /// The app.
    pub app: AppId,
    /// A replacement had failed: what was replaced has been put back.
    pub undone: bool,
}

/// Events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lost {
    /// At least how many; null when the last one that the client knows was another daemon's.
    pub events: Option<u64>,
}

/// What `GET /v1/logs` says as `out` and `error`: output of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogText {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// When it was read; null for what was in the log file before.
    pub at: Option<WallTime>,
    /// What was written, line breaks included, mostly whole lines. What is not UTF-8 is shown as U+FFFD; `POST /v1/follow` has the bytes.
    pub text: String,
}

/// What `GET /v1/logs` says as `begin`: from here on nothing of this slot is left out without saying so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogBegin {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// Size of the standard output file then, bytes.
    pub out_size: u64,
    /// Size of the standard error file then, bytes.
    pub error_size: u64,
}

/// What `GET /v1/logs` says as `lagged`: output was left out because the client was too slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLagged {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// Of which of its outputs.
    pub stream: StreamKind,
    /// How much, bytes.
    pub bytes: u64,
}

/// What `GET /v1/logs` says as `event`: something happened to a process, in PM2's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogEvent {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// When.
    pub at: WallTime,
    /// `online`, `exit`, `restart`, ….
    pub event: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_three_lines_and_its_number_comes_back() {
        let id = EventId {
            generation: 3,
            sequence: 41,
        };
        let bytes = StateEvent::Removed(Removed { id: SlotId(7) }).encode(Some(id));
        assert_eq!(bytes, b"event: removed\nid: 3-41\ndata: {\"id\":7}\n\n");
        let text = LogText {
            id: SlotId(0),
            name: "a\nb".to_owned(),
            at: None,
            text: "one\ntwo\r\n".to_owned(),
        };
        let bytes = encode("out", None, &text);
        assert_eq!(
            bytes.iter().filter(|byte| **byte == b'\n').count(),
            3,
            "no line of the text's"
        );
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for other in ["", "3", "3-", "-4", "x-1", "1-2-3"] {
            assert_eq!(EventId::parse(other), None, "{other}");
        }
    }
}
