//! The thread that watches.
//!
//! Started by [`Watches`](super::Watches), ends when that has nothing left to watch. Waits for commands, for the kernel's events and
//! for the next deadline of a tree; never sleeps otherwise.

use super::Reporter;
use super::kernel::{Event, Kernel, Role, Use, What};
use super::tree::Tree;
use ostler_core::{SlotId, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// What the thread is told.
pub(super) enum Command {
    Watch {
        slot: SlotId,
        spec: Arc<Spec>,
        report: Reporter,
    },
    Unwatch {
        slot: SlotId,
    },
    /// To be answered when everything before it is done.
    #[cfg(test)]
    Settled(std::sync::mpsc::Sender<()>),
}

/// The thread's state.
pub(super) struct Service {
    commands: Receiver<Command>,
    /// Readable when there are commands, or when nobody will send any more.
    wake: Arc<OwnedFd>,
    kernel: Kernel,
    trees: BTreeMap<SlotId, Tree>,
}

/// Nobody will send commands any more.
struct Ended;

impl Service {
    pub fn new(commands: Receiver<Command>, wake: Arc<OwnedFd>) -> Self {
        Self::with(commands, wake, Kernel::open())
    }

    pub fn with(commands: Receiver<Command>, wake: Arc<OwnedFd>, kernel: Kernel) -> Self {
        Self {
            commands,
            wake,
            kernel,
            trees: BTreeMap::new(),
        }
    }

    /// Serves until there is nobody to serve.
    pub fn run(mut self) {
        while self.obey().is_ok() {
            self.hear();
            let now = Instant::now();
            for tree in self.trees.values_mut() {
                tree.on_time(now);
            }
            let is_clean = self.kernel.expel();
            self.wait(is_clean);
        }
    }

    fn obey(&mut self) -> Result<(), Ended> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Watch { slot, spec, report }) => {
                    self.unwatch(slot);
                    let mut tree = Tree::new(slot, &spec, report);
                    tree.settle(&mut self.kernel);
                    self.trees.insert(slot, tree);
                }
                Ok(Command::Unwatch { slot }) => self.unwatch(slot),
                #[cfg(test)]
                Ok(Command::Settled(answer)) => answer.send(()).expect("a test waits"),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Ended),
            }
        }
    }

    fn unwatch(&mut self, slot: SlotId) {
        if let Some(mut tree) = self.trees.remove(&slot) {
            tree.release(&mut self.kernel);
        }
    }

    fn hear(&mut self) {
        for event in self.kernel.read() {
            match event {
                Event::Entry { wd, name, what } => {
                    for one in self.kernel.uses(wd).to_vec() {
                        self.entry(&one, &name, what);
                    }
                }
                Event::Gone(wd) => {
                    for one in self.kernel.forget(wd) {
                        if let Some(tree) = self.trees.get_mut(&one.slot) {
                            tree.gone(&one, wd);
                        }
                    }
                }
                // What was read after it speaks of watches of the old instance.
                Event::Overflow => return self.start_over(),
            }
        }
    }

    fn entry(&mut self, user: &Use, name: &OsStr, what: What) {
        let Some(tree) = self.trees.get_mut(&user.slot) else {
            return;
        };
        match &user.role {
            Role::Inside => tree.entry(&mut self.kernel, &user.folder.join(name), what),
            Role::Anchor { name: awaited, root } if awaited == name => tree.anchor(&mut self.kernel, *root, what),
            Role::Anchor { .. } => {}
        }
    }

    /// Events were lost: whatever changed is found by setting everything up anew, in a new instance (to empty the old one
    /// watch by watch would fill its queue again).
    fn start_over(&mut self) {
        self.kernel = Kernel::open();
        for tree in self.trees.values_mut() {
            tree.start_over(&mut self.kernel);
        }
    }

    /// Waits for commands, events or the next deadline; not at all if there is work left.
    fn wait(&self, is_clean: bool) {
        let deadline = self.trees.values().filter_map(Tree::deadline).min();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = if is_clean { left } else { Some(Duration::ZERO) };
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut sources = vec![PollFd::new(&self.wake, PollFlags::IN)];
        sources.extend(
            self.kernel
                .descriptor()
                .map(|instance| PollFd::from_borrowed_fd(instance, PollFlags::IN)),
        );
        // Fails only with EINTR, and a look too many does no harm.
        let _ = poll(&mut sources, left.as_ref());
        // Resets the counter; fails with EAGAIN if it was 0.
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }
}
