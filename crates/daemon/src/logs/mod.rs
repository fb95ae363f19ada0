//! Logs: takes the output of every app from its pipes and puts it into files and in front of followers.
//!
//! Called by the daemon's effects and its API through [`Logs`], a handle on a thread of its own: no app, disk or follower
//! can hold up the daemon's loop, and nothing the daemon does holds up a log. Bytes, never strings.
//!
//! Invariants:
//! - Every byte an app has written is at any moment in exactly one of its pipe, the vault's staging pipe, the vault's
//!   carry area, or its files; so the death of the daemon at any instruction loses and doubles nothing
//!   (`docs/design/0005-logs.md` lists every such moment).
//! - One chunk of at most 64 KiB of one stream is in flight at a time, and streams take turns: memory is bounded whatever
//!   is written, and a flood delays nobody by more than one chunk a turn.
//! - An app is never blocked by its log: what cannot be written is dropped, counted and told.

mod archive;
mod engine;
mod file;
mod files;
mod follow;
mod form_of;
mod format;
mod handle;
mod journal;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod kill_tests;
mod note;
mod outlet;
#[cfg(test)]
mod outlet_tests;
mod pattern;
mod place;
mod pump;
mod rotate;
mod tail;
mod target;
mod transfer;
mod vault;

pub use follow::{Filter, Follower, Frame, KnownSlot, SlotFilter};
pub use handle::{Console, Logs, StreamStats};
pub use note::{FileError, Note};
pub use outlet::Outlet;
pub use pattern::Pattern;
pub use place::{Span, between, end_at};
pub use rotate::rotated_files;
pub use tail::{Tail, tail};
pub use target::{ConsoleForm, StreamId, StreamKind, Target, ToConsole};
pub use vault::Vault;
