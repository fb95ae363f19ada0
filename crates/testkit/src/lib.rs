//! The test bed: a private home for one manager, the processes it leaves, and apps to run under it.
//!
//! # Theory of operation
//!
//! A [`Home`] is a temporary directory with the manager's home and a work directory for apps. Every command runs
//! with a clean environment that names this home, so every process the manager starts can be found again through
//! `/proc` by that name. When a home is dropped the manager is told to end, and whatever still bears the home's name
//! then is killed and reported by a panic: a leaked process is a failed test.
//!
//! Nothing here depends on the crates under test. What a test sees of the manager is what a user sees: output, exit
//! codes, files, processes. By `OSTLER_TEST_PEER=<path of pm2>` the same tests run against PM2, which is how the facts
//! they assert were checked.
//!
//! Tests wait for conditions with a deadline ([`Home::wait_until`]); they never sleep for a fixed time.
#![forbid(unsafe_code)]

pub mod apps;
mod cannon;
mod container;
mod control;
mod event_stream;
mod home;
mod http;
mod invocation;
mod load;
mod logfile;
mod machine;
mod manager;
pub mod pressure;
pub mod process;
mod pseudo_terminal;
mod row;
pub mod runtimes;
mod sandbox;
mod service_manager;
mod shifted_clock;
pub mod shown;
pub mod tools;
pub mod torture;
pub mod traffic;
mod visitor;
mod wait;
mod web_socket;

pub use cannon::{Cannon, Toll};
pub use container::{Container, Writable};
pub use event_stream::{EventStream, SentEvent, Sleeper};
pub use home::{Home, Topology};
pub use http::{free_port, http_get};
pub use invocation::{Invocation, Output, Running};
pub use load::{Connections, Load, Report};
pub use logfile::{concatenated, is_settled, pieces};
pub use machine::Machine;
pub use manager::Manager;
pub use pseudo_terminal::PseudoTerminal;
pub use row::Row;
pub use runtimes::Runtime;
pub use sandbox::{Tmpfs, is_root, skip};
pub use service_manager::{Said, ServiceManager};
pub use shifted_clock::ShiftedClock;
pub use traffic::Traffic;
pub use visitor::Visitor;
pub use wait::{DEADLINE, wait_within};
pub use web_socket::{Farewell, WebSocket};

/// `full` when the environment variable `OSTLER_TEST_FULL` is set (the long run of `cargo xtask endurance`), else
/// `normal`. For tests whose proof grows with repetition.
pub fn repetitions(normal: usize, full: usize) -> usize {
    if std::env::var_os("OSTLER_TEST_FULL").is_some() {
        full
    } else {
        normal
    }
}

/// Signals, for [`process::signal`].
pub use rustix::process::Signal;

/// An app for an ecosystem file that does nothing for ever and costs nothing: `sleep`.
pub fn sleeper(name: &str) -> serde_json::Value {
    serde_json::json!({ "name": name, "script": "/bin/sleep", "args": "100000", "interpreter": "none" })
}
