//! Running other programs from the workspace's root.

use crate::{Result, say};
use ostler_testkit::tools;
use std::process::Command;

/// Cargo, as it called us.
pub fn cargo() -> Command {
    program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// A program in the workspace's root.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(tools::workspace());
    command
}

/// Runs a step with its output shown.
///
/// # Errors
/// When it cannot be run or does not end well.
pub fn step(what: &str, command: &mut Command) -> Result {
    say(&format!("── {what}"));
    let status = command.status().map_err(|error| format!("{what}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what} failed ({status})"))
    }
}

/// Runs a command and gives its standard output.
///
/// # Errors
/// When it cannot be run or does not end well.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Whether cargo has a subcommand of this name.
pub fn has_subcommand(name: &str) -> bool {
    cargo()
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
