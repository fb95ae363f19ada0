//! What a stream is and where its bytes go. Made by the daemon from an app's [`LogSpec`], kept in the journal so that a
//! successor can finish a chunk before anyone has told it about the stream.

use ostler_core::{LogFile, LogFormat, LogSpec, Rotation, SlotId, WorkerId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use ostler_wire::control::StreamKind;

/// One output of one launched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The process.
    pub worker: WorkerId,
    /// Which of its outputs.
    pub kind: StreamKind,
}

/// The form of what goes to our own standard output and error, for everything that an app writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleForm {
    /// As the app's own settings say, which is as written unless they ask for dates or JSON.
    #[default]
    Raw,
    /// One JSON object a line.
    Json,
    /// `timestamp=… app=… id=… type=… message=…`.
    KeyValue,
    /// `0|api      | line`.
    Labelled,
}

/// To which of our own outputs, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToConsole {
    /// Standard error rather than standard output.
    pub error: bool,
    /// The form; a file that gets the same stream has the same.
    pub form: ConsoleForm,
}

/// Where a stream goes and in which form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its own file, absolute; none when output is discarded (followers see it all the same).
    pub file: Option<PathBuf>,
    /// A further file that gets both outputs.
    pub combined: Option<PathBuf>,
    /// Raw bytes or one JSON object a line.
    pub format: LogFormat,
    /// A day.js pattern: raw lines get it as a prefix, JSON objects as their `timestamp`.
    pub date_format: Option<String>,
    /// When files are rotated; never when absent.
    pub rotation: Option<Rotation>,
    /// It goes to our own standard output or error as well.
    #[serde(default)]
    pub console: Option<ToConsole>,
    /// Neither file nor follower gets anything; the pipe is emptied all the same, so that the app never blocks.
    pub disabled: bool,
}

impl Target {
    /// Where `kind` of the slot's process goes by its app's settings: `{id}` is filled in, a combined file equal to the
    /// stream's own is left out.
    pub fn of(spec: &LogSpec, kind: StreamKind, slot: SlotId) -> Self {
        let own = match kind {
            StreamKind::Out => &spec.out,
            StreamKind::Error => &spec.error,
        };
        let file = path(own, slot);
        let combined = spec.combined.as_ref().and_then(|log| path(log, slot));
        Self {
            combined: combined.filter(|both| file.as_ref() != Some(both)),
            file,
            format: spec.format,
            date_format: spec.date_format.clone(),
            rotation: spec.rotation.clone(),
            console: None,
            disabled: spec.disabled,
        }
    }

    /// The same, and to our own standard output or error.
    pub fn with_console(self, form: Option<ConsoleForm>, kind: StreamKind) -> Self {
        let error = kind == StreamKind::Error;
        Self {
            console: form.map(|form| ToConsole { error, form }),
            ..self
        }
    }

    /// The files, its own first.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let wanted = !self.disabled;
        self.file.iter().chain(self.combined.iter()).filter(move |_| wanted)
    }
}

/// The path of `log` for `slot`; none when discarded.
fn path(log: &LogFile, slot: SlotId) -> Option<PathBuf> {
    match log {
        LogFile::Discard => None,
        LogFile::Path(path) => Some(PathBuf::from(path.replace("{id}", &slot.to_string()))),
    }
}
