//! Watching files for apps that are to be restarted when one changes.
//!
//! Called by the reactor (`Effect::Watch`, `Effect::Unwatch`). Nothing here blocks it: it only sends commands to one thread, which
//! owns one inotify instance for all watches. Both exist only while something is watched. The quiet time before a restart is
//! decided by the machine; here, a burst of events becomes one report.
//!
//! Invariants: an ignored folder is never watched nor read; a folder is watched before it is read, so that nothing is missed
//! between; a watched path that goes away is waited for. Why it is built so: `docs/design/0009-watching.md`.

mod ignore;
mod kernel;
mod outbox;
mod own;
mod poll;
mod root;
mod service;
#[cfg(test)]
mod tests;
mod tree;

use self::service::{Command, Service};
use ostler_core::{SlotId, Spec};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// What a watch has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Something changed and is not ignored. A burst of changes gives one such report about every 10 ms.
    Changed {
        /// Whose watch.
        slot: SlotId,
        /// One of the changed paths, spelled as in the watch; of a burst the first that still exists.
        path: PathBuf,
    },
    /// Something the user should know, for the daemon's own log.
    Note(String),
}

/// How reports reach who asked for them. Called in the watching thread: must not block.
type Reporter = Box<dyn Fn(Report) + Send>;

/// All watches. One thread serves them; nothing here blocks the caller.
#[derive(Debug, Default)]
pub struct Watches {
    slots: BTreeSet<SlotId>,
    running: Option<Running>,
}

/// The thread, seen from outside. Dropping it ends the thread.
#[derive(Debug)]
struct Running {
    /// Taken only when dropped.
    commands: Option<Sender<Command>>,
    wake: Arc<OwnedFd>,
}

impl Watches {
    /// Watches what `spec` says (nothing if it says nothing), instead of what was watched for the slot before. If it cannot
    /// be done, a note says so.
    pub fn watch(&mut self, slot: SlotId, spec: &Arc<Spec>, report: impl Fn(Report) + Send + 'static) {
        let report: Reporter = Box::new(report);
        let running = match self.running.take().map_or_else(Running::start, Ok) {
            Ok(running) => self.running.insert(running),
            Err(error) => return report(Report::Note(format!("cannot watch files of {}: {error}", spec.name))),
        };
        self.slots.insert(slot);
        running.send(Command::Watch {
            slot,
            spec: Arc::clone(spec),
            report,
        });
    }

    /// Watches nothing for the slot any more. A report that is under way may still come.
    pub fn unwatch(&mut self, slot: SlotId) {
        if !self.slots.remove(&slot) {
            return;
        }
        if self.slots.is_empty() {
            self.running = None;
        } else if let Some(running) = &self.running {
            running.send(Command::Unwatch { slot });
        }
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (commands, incoming) = channel();
        let woken = Arc::clone(&wake);
        std::thread::Builder::new()
            .name("watches".to_owned())
            .spawn(move || Service::new(incoming, woken).run())?;
        Ok(Self {
            commands: Some(commands),
            wake,
        })
    }

    fn send(&self, command: Command) {
        // Fails only when the thread has panicked, and then nobody is left to tell.
        let _ = self.commands.as_ref().map(|commands| commands.send(command));
        self.ring();
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the thread has been woken already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.commands = None;
        self.ring();
    }
}
