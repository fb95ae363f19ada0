//! What changes something: `POST /v1/operations` (see [`crate::control`]).

use crate::control::ApiError;
use ostler_core::profiling::ProfileKind;
use ostler_core::{Outcome, Pid, SlotId, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command that changes something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Operation {
    /// Made by the client, unique. The same id sent again (after a broken connection) joins the running operation or
    /// gets its answer again; it is never carried out twice.
    pub id: String,
    /// The verb as typed, for the history.
    pub verb: String,
    /// What to do.
    pub action: Action,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `start` of a script, program or command; or of something that exists already.
    Start {
        /// What was typed, if it may name existing processes (PM2: neither slash nor extension, or a number).
        existing: Option<Selector>,
        /// What to start if nothing exists by that name.
        spec: Option<Box<Spec>>,
        /// Attributes typed on the command line, to change an existing app by.
        patch: Patch,
        /// Start a second one even if the same script runs already under the same name.
        force: bool,
        /// Why there is no `spec`: the error to answer with when nothing matches `existing` either.
        otherwise: Option<ApiError>,
    },
    /// `start` or `restart` of a config file: each app is started if its name is new, else restarted with the new spec.
    Apply {
        /// The declared apps.
        #[serde(with = "crate::together")]
        #[cfg_attr(feature = "schema", schemars(with = "crate::together::Together"))]
        specs: Vec<Spec>,
        /// Leave apps alone that exist already (`start_or_restart` semantics are the default: restart them).
        only_missing: bool,
        /// Reload existing ones instead of restarting them, so many workers of an app at once.
        reload: Option<u32>,
        /// Of these only the ones whose declaration has changed.
        only_changed: bool,
    },
    /// Stop and start again.
    Restart {
        /// Which.
        selector: Selector,
        /// Attributes typed on the command line.
        patch: Patch,
    },
    /// Replace the workers of cluster apps without a gap, restart others.
    Reload {
        /// Which.
        selector: Selector,
        /// Attributes typed on the command line.
        patch: Patch,
        /// How many workers of an app may be replaced at once.
        parallel: u32,
    },
    /// Stop.
    Stop {
        /// Which.
        selector: Selector,
    },
    /// Stop and forget.
    Delete {
        /// Which.
        selector: Selector,
    },
    /// Set counters back.
    Reset {
        /// Which.
        selector: Selector,
    },
    /// Change the number of instances.
    Scale {
        /// The app's name or a slot id.
        selector: Selector,
        /// To what.
        to: ScaleTo,
    },
    /// Send an OS signal to main processes.
    Signal {
        /// Which.
        selector: Selector,
        /// The signal's number.
        signal: i32,
    },
    /// Write a line to an app's standard input.
    SendLine {
        /// Which slot.
        slot: SlotId,
        /// The text, written as it is (the client adds the newline).
        line: String,
    },
    /// Have apps do something of their own (PM2's `trigger`).
    Trigger {
        /// Which.
        selector: Selector,
        /// The action's name, as the app has told it.
        action: String,
        /// What it is given.
        parameters: Option<String>,
        /// How long their answers are waited for, ms.
        within_ms: u64,
    },
    /// Take a profile of a worker of Node. Answered when it is in its file.
    Profile {
        /// Whose.
        slot: SlotId,
        /// What.
        kind: ProfileKind,
    },
    /// End the CPU profile that is being taken of a worker now. What there is of it is the answer to whoever asked for it.
    EndProfile {
        /// Whose.
        slot: SlotId,
    },
    /// Empty log files.
    Flush {
        /// Whose; all and the daemon's own when absent.
        selector: Option<Selector>,
    },
    /// Reopen all log files (after an external logrotate).
    ReloadLogs,
    /// Write the process list to disk.
    Save {
        /// Also when the list is empty.
        force: bool,
    },
    /// Start what the saved list has and the current list has not.
    Resurrect,
    /// Stop and forget everything, then end daemon and keeper.
    Kill,
    /// As `kill`, but workers of clusters finish with their connections first.
    WindDown,
}

impl Action {
    /// What it is called if it may come through the web dashboard's port: what acts on apps that are there, as they are declared. Nothing
    /// that names a program, a file or a variable, writes to apps, sends signals, or ends the daemon: that takes the control socket's
    /// trust. No wildcard: what is new stays closed until somebody has thought of it here.
    pub fn over_port(&self) -> Option<&'static str> {
        match self {
            Self::Restart { patch, .. } if *patch == Patch::default() => Some("restart"),
            Self::Reload { patch, .. } if *patch == Patch::default() => Some("reload"),
            Self::Stop { .. } => Some("stop"),
            Self::Delete { .. } => Some("delete"),
            Self::Reset { .. } => Some("reset"),
            Self::Scale { .. } => Some("scale"),
            Self::Restart { .. }
            | Self::Reload { .. }
            | Self::Start { .. }
            | Self::Apply { .. }
            | Self::Signal { .. }
            | Self::SendLine { .. }
            | Self::Trigger { .. }
            | Self::Profile { .. }
            | Self::EndProfile { .. }
            | Self::Flush { .. }
            | Self::ReloadLogs
            | Self::Save { .. }
            | Self::Resurrect
            | Self::Kill
            | Self::WindDown => None,
        }
    }
}

/// Which processes, as typed: `all`, a slot id, a name, a namespace, `/a regular expression/` on names, or a script's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Selector {
    /// The words typed; what matches any of them is meant.
    pub words: Vec<String>,
    /// The client's working directory, for script paths.
    pub cwd: String,
}

/// Attributes to change on existing processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Patch {
    /// By PM2 attribute name, as typed; `"null"` removes one.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// The client's environment to lay over the inherited one (`--update-env`).
    pub environment: Option<BTreeMap<String, String>>,
}

/// A new number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScaleTo {
    /// So many.
    Absolute(u32),
    /// So many more.
    More(u32),
    /// So many fewer.
    Fewer(u32),
}

/// The answer to an [`Operation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Verdicts slot by slot.
    Slots(Outcome),
    /// The list was saved.
    Saved {
        /// Where.
        path: String,
        /// How many processes.
        processes: usize,
    },
    /// The list was empty and therefore not saved.
    NothingToSave,
    /// The saved list was restored.
    Resurrected {
        /// From where.
        path: String,
        /// What became of each process that was restored.
        outcome: Outcome,
        /// Names that were left alone since they exist.
        present: Vec<String>,
        /// What had to be said about the file (e.g. that it was broken and an older one was taken).
        warnings: Vec<String>,
    },
    /// What came of an action of theirs.
    Triggered(Vec<ActionReply>),
    /// A profile is in its file.
    Profiled(Profiled),
    /// Done, nothing more to say.
    Done {
        /// How many slots or files it concerned.
        count: usize,
    },
    /// Everything was stopped; the daemon ends.
    Killed(Outcome),
}

/// What a worker answered to an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActionReply {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What the action gave back; nothing if the worker ended before, or gave no answer in time.
    pub value: Option<serde_json::Value>,
}

/// A profile that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Profiled {
    /// Of which slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// The instance number.
    pub instance: u32,
    /// The process.
    pub pid: Pid,
    /// What it is.
    pub kind: ProfileKind,
    /// Its file. It is to be taken away (moved, or copied) within a minute: then it is removed.
    pub path: String,
    /// How large it is.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector() -> Selector {
        Selector {
            words: vec!["api".to_owned()],
            cwd: "/".to_owned(),
        }
    }

    #[test]
    fn what_names_a_program_a_file_or_a_variable_does_not_come_through_the_port() {
        let patched = Patch {
            environment: Some(BTreeMap::from([(
                "NODE_OPTIONS".to_owned(),
                "--require /tmp/evil.js".to_owned(),
            )])),
            ..Patch::default()
        };
        let restart = |patch: Patch| Action::Restart {
            selector: selector(),
            patch,
        };
        assert_eq!(restart(Patch::default()).over_port(), Some("restart"));
        assert_eq!(restart(patched.clone()).over_port(), None);
        let reload = |patch: Patch| Action::Reload {
            selector: selector(),
            patch,
            parallel: 1,
        };
        assert_eq!(reload(Patch::default()).over_port(), Some("reload"));
        assert_eq!(reload(patched).over_port(), None);
        assert_eq!(Action::Stop { selector: selector() }.over_port(), Some("stop"));
        for closed in [
            Action::Kill,
            Action::WindDown,
            Action::Resurrect,
            Action::Save { force: true },
            Action::ReloadLogs,
            Action::Flush { selector: None },
            Action::SendLine {
                slot: SlotId(0),
                line: "rm".to_owned(),
            },
            Action::Signal {
                selector: selector(),
                signal: 9,
            },
            Action::Profile {
                slot: SlotId(0),
                kind: ProfileKind::Heap,
            },
            Action::EndProfile { slot: SlotId(0) },
        ] {
            assert_eq!(closed.over_port(), None, "{closed:?}");
        }
    }
}
