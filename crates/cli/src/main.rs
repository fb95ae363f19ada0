//! The `ostler` program: the command line, and under two internal first arguments the keeper and the daemon.

mod application;
mod arguments;
mod boot;
mod chosen_worker;
mod client;
mod commands;
mod completion;
mod configuration;
mod connection;
mod container;
mod describe_view;
mod error;
#[cfg(test)]
mod fake_daemon;
mod frames;
mod history_view;
mod home;
mod inspect;
mod intent;
mod interrupts;
mod launch_daemon;
mod leftovers;
mod list_view;
mod log_places;
mod logs;
mod monit;
mod otlp;
mod printer;
mod profile_output;
mod progress;
mod project;
#[cfg(test)]
mod samples;
mod selection;
mod session;
mod signals;
mod table;
mod targets;
mod terminal_text;
mod units;
mod verdicts;
mod watch_extensions;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(launch_daemon::KEEPER_ROLE) => launch_daemon::run_keeper(),
        Some(launch_daemon::DAEMON_ROLE) => launch_daemon::run_daemon(),
        Some(_) | None => application::run(),
    }
}
