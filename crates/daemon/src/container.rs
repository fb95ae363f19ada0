//! What a daemon is told that runs in a container: there, what apps write goes to its own output, and their end is its own.
//!
//! Said once by `ostler runtime`, in an environment variable, which every daemon of the same keeper finds again.

use crate::logs::{Console, ConsoleForm, Outlet};
use ostler_keeper::CONTAINER_VARIABLE;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// All apps together are not given longer than this to finish, whatever their specs allow each: Kubernetes kills what is
/// left of a pod after 30 s, unless told otherwise.
pub const LONGEST_END: Duration = Duration::from_secs(28);

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The form of the output.
    pub form: ConsoleForm,
    /// End when nothing runs any more and nothing is going to.
    pub auto_exit: bool,
    /// How long everything may take to end, ms; by what the apps' specs allow them when absent.
    pub shutdown_timeout_ms: Option<u64>,
    /// The process that starts the apps, a child of the keeper.
    pub starter: i32,
}

impl Container {
    /// As the keeper was told; absent outside a container, or when it cannot be understood.
    pub fn from_environment() -> Option<Self> {
        serde_json::from_str(&std::env::var(CONTAINER_VARIABLE).ok()?).ok()
    }

    /// For [`from_environment`](Self::from_environment).
    pub fn to_variable(&self) -> String {
        serde_json::to_string(self).expect("invariant: names and numbers have a JSON form")
    }

    /// How long everything may take to end.
    pub fn shutdown_timeout(&self) -> Option<Duration> {
        self.shutdown_timeout_ms.map(Duration::from_millis)
    }

    /// Something that we have to say ourselves, beside what apps write.
    pub fn line(&self, text: &str, now: &jiff::Zoned) -> String {
        match self.form {
            ConsoleForm::Json => {
                let at = format!("{:.3}", now.timestamp());
                let object = serde_json::json!({ "message": text, "timestamp": at, "type": "ostler" });
                format!("{object}\n")
            }
            ConsoleForm::Raw | ConsoleForm::KeyValue | ConsoleForm::Labelled => {
                format!("ostler: {}\n", text.replace('\n', "\n  "))
            }
        }
    }
}

/// Our standard output and error, or the one that both are, with the outlets that a predecessor left or new ones. What is to be
/// kept of these, unless it is kept already, comes beside them.
///
/// # Errors
/// Those of [`Outlet::create`], and of fcntl(2).
pub fn consoles(inherited: Vec<OwnedFd>) -> io::Result<(Vec<Console>, Option<Vec<OwnedFd>>)> {
    let sinks = [
        ("standard output", io::stdout().as_fd().try_clone_to_owned()?),
        ("standard error", io::stderr().as_fd().try_clone_to_owned()?),
    ];
    let distinct = if is_same(&sinks[0].1, &sinks[1].1)? { 1 } else { 2 };
    let mut left = inherited.into_iter();
    let mut fresh = None;
    let mut consoles = Vec::new();
    for (name, sink) in sinks.into_iter().take(distinct) {
        let descriptors: Vec<OwnedFd> = left.by_ref().take(Outlet::DESCRIPTORS).collect();
        let outlet = match <[OwnedFd; Outlet::DESCRIPTORS]>::try_from(descriptors) {
            Ok(descriptors) => Outlet::from_descriptors(descriptors),
            Err(_) => {
                let outlet = Outlet::create()?;
                let copies = fresh.get_or_insert_with(Vec::new);
                for descriptor in outlet.descriptors() {
                    copies.push(descriptor.try_clone_to_owned()?);
                }
                outlet
            }
        };
        let outlet = Arc::new(outlet);
        consoles.push(Console { outlet, sink, name });
    }
    Ok((consoles, fresh))
}

/// Whether both lead to the same terminal, pipe, file or socket.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_sees_whether_it_is_to_speak_json() {
        let said = |form| {
            Container {
                form,
                ..Container::default()
            }
            .to_variable()
        };
        assert!(said(ConsoleForm::Json).contains(ostler_keeper::JSON_FORM));
        for form in [ConsoleForm::Raw, ConsoleForm::KeyValue, ConsoleForm::Labelled] {
            assert!(!said(form).contains(ostler_keeper::JSON_FORM));
        }
    }
}
