//! The daemon: tells the machine what happens and does what the machine orders.
//!
//! # Theory of operation
//!
//! One thread decides (`reactor`): facts come in over one channel, the machine (`ostler-core`) turns them into orders, the journal
//! takes what changed, and only then the orders are carried out (`effects`). Around it: the log thread (`logs`), the scribe for
//! small files (`scribe`), and tasks that wait for processes, clients (`api`), the keeper and signals.
//!
//! A daemon may be killed at any moment. What its successor needs lies with the keeper (`keeper_link`): every descriptor from
//! before the app behind it ran, and the journal (`journal`). `reactor::adopt` is the successor's side, `take_over` what happens
//! when it is the keeper that dies.
#![forbid(unsafe_code)]

pub mod alarm;
mod api;
pub mod container;
mod containment;
mod durable;
mod effects;
mod events;
mod fact;
mod hand_over;
pub mod history;
pub mod journal;
mod keeper_link;
pub mod logs;
mod metrics;
mod operations;
mod paths;
mod primary;
mod profile_files;
mod reactor;
mod readiness;
mod real_paths;
mod records;
mod saved_list;
mod scribe;
mod select;
mod service;
mod sockets;
mod take_over;
pub mod tree;
mod usage;
mod versions;
mod wall_clock;
pub mod watches;
mod web;
mod workers;

use crate::api::Connections;
use crate::fact::{Fact, Told};
pub use crate::reactor::RESURRECT_VARIABLE;
use crate::reactor::{Daemon, Surroundings};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Ostler's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub use ostler_keeper::NOWHERE;

/// Runs the daemon: the role that the keeper starts.
pub fn main(home: PathBuf) -> ExitCode {
    match run(home) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ostler_keeper::say(&format!("daemon: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Room for this many descriptors is made before there are threads: enough for some five hundred apps, for 32 KiB of the
/// kernel's memory.
const DESCRIPTORS: u32 = 4096;

fn run(home: PathBuf) -> io::Result<()> {
    ostler_sys::signals::unblock_all();
    ostler_sys::reap::become_subreaper()?;
    let socket = ostler_keeper::inherited(ostler_keeper::KEEPER_VARIABLE).ok_or_else(|| {
        io::Error::other("this role is started by the keeper; use `ostler daemon` to run Ostler in the foreground")
    })?;
    let keeper_pid = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let open_files = ostler_keeper::original_open_files();
    let hand_over = hand_over::receive(socket)?;
    ostler_sys::limits::reserve_descriptors(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    runtime.block_on(live(
        hand_over,
        Surroundings {
            home,
            keeper_pid,
            open_files,
            container: container::Container::from_environment(),
        },
    ))
}

async fn live(hand_over: hand_over::HandOver, around: Surroundings) -> io::Result<()> {
    let (facts, incoming) = unbounded_channel();
    let connections = Connections::default();
    let to_keeper = std::sync::Arc::clone(&hand_over.socket);
    listen_to_signals(&facts)?;
    wall_clock::watch(facts.clone())?;
    let (mut daemon, listener) = Daemon::adopt(hand_over, around, facts.clone(), connections.clone())?;
    tokio::spawn(hand_over::hear(to_keeper, facts.clone()));
    tokio::spawn(api::serve(UnixListener::from_std(listener)?, facts, connections));
    daemon.ready();
    daemon.run(incoming).await;
    Ok(())
}

/// From now on these signals are facts.
fn listen_to_signals(facts: &UnboundedSender<Fact>) -> io::Result<()> {
    on_signal(SignalKind::terminate(), facts, || Fact::Told(Told::End("SIGTERM")))?;
    on_signal(SignalKind::interrupt(), facts, || Fact::Told(Told::End("SIGINT")))?;
    on_signal(SignalKind::quit(), facts, || Fact::Told(Told::End("SIGQUIT")))?;
    on_signal(SignalKind::user_defined2(), facts, || Fact::Told(Told::ReopenLogs))?;
    if ostler_keeper::in_container() {
        on_signal(SignalKind::hangup(), facts, || Fact::Told(Told::Reload))?;
        on_signal(SignalKind::user_defined1(), facts, || {
            Fact::Told(Told::Forward(ostler_sys::signals::SIGUSR1))
        })?;
    }
    on_signal(SignalKind::child(), facts, || Fact::ChildEnded)
}

fn on_signal(kind: SignalKind, facts: &UnboundedSender<Fact>, fact: fn() -> Fact) -> io::Result<()> {
    let mut signals = signal(kind)?;
    let facts = facts.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            let _ = facts.send(fact());
        }
    });
    Ok(())
}
