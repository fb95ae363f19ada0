//! The machine: every decision Ostler takes, without doing anything.
//!
//! # Theory of operation
//!
//! ```text
//! OS ──facts──▶ Event ──▶ Machine (pure) ──▶ Effect ──orders──▶ OS
//! ```
//!
//! The daemon feeds [`Event`]s with the time they happened to [`Machine::handle`], runs the [`Effect`]s that
//! [`Machine::poll_effect`] gives, and sleeps until [`Machine::next_deadline`]. Nothing here blocks, reads a clock,
//! or touches a descriptor, so every rule is tested in microseconds and any history can be replayed.
#![forbid(unsafe_code)]

pub mod balance;
mod effect;
mod event;
pub mod history;
mod ids;
pub mod inspection;
mod listen;
mod machine;
pub mod metrics;
mod outcome;
mod probe;
pub mod profiling;
mod schedule;
mod settings;
pub mod sharing;
mod slot;
mod spec;
mod time;
mod turns;
mod view;

pub use effect::{Effect, Launch, Notice, NoticeKind, Place, Scope};
pub use event::{Event, ExitStatus, Origin, Request, SavedInstance, SpawnError};
pub use ids::{AppId, Generation, Pid, SlotId, Ticket, WorkerId};
pub use listen::{Address, Listen};
pub use machine::{AppRecord, Change, Counters, Machine, TicketRecord};
pub use outcome::{Failure, Outcome, SlotOutcome, Verdict};
pub use probe::{Check, Health, Probe, ProbeKind, ProbeResult, Probes};
pub use schedule::cron;
pub use settings::Settings;
pub use slot::{Slot as SlotRecord, SpecKey};
pub use spec::{
    Balance, ClusterPolicy, Environment, Interpreter, LogFile, LogFormat, LogSpec, Mode, OnReadyTimeout, Program,
    ReadyPolicy, RestartLimit, RestartPolicy, Rotation, RunAs, Runtime, Serialization, Spec, StopPolicy, WatchSpec,
};
pub use time::{Instant, Now, WallTime};
pub use turns::Turns;
pub use view::{Awaited, RollView, SlotView, Status, Step, TurnView};
