//! Node's inspector in a worker, opened for a while: `POST /v1/inspection` (see [`crate::control`]).
//!
//! Whoever reaches an inspector can run any code in the program, so it is open on 127.0.0.1 only, and as long as somebody says so: the call is to be
//! made again every few seconds.

use ostler_core::{Pid, SlotId};
use serde::{Deserialize, Serialize};

/// The body of `POST /v1/inspection`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum InspectionChange {
    /// Open it, or keep it open: this holds for 20 s.
    Open {
        /// Made by the client, unique: one at a time inspects a worker.
        id: String,
        /// Whose.
        slot: SlotId,
        /// The port on 127.0.0.1; 0, or absent, for any that is free.
        #[serde(default)]
        port: u16,
    },
    /// Close it.
    Close {
        /// As it was opened.
        id: String,
        /// Whose.
        slot: SlotId,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InspectionState {
    /// Its slot.
    pub id: SlotId,
    /// The app's name.
    pub name: String,
    /// The instance number.
    pub instance: u32,
    /// The process.
    pub pid: Pid,
    /// Where it is open, `ws://127.0.0.1:PORT/ID`; null when it was closed.
    pub url: Option<String>,
    /// Whether it was opened for this. A program that was started with `--inspect` keeps its own, wherever that listens.
    pub own: bool,
}
