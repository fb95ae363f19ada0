//! inotify(7): the watches in the kernel, and who uses each.
//!
//! Called by the thread and by the trees. The kernel has one watch a folder and instance, however often and by whatever path it is
//! asked for; so uses are counted here. A watch whose last use is gone is taken from the kernel a little later, a few at a
//! time: each gives an event (`IN_IGNORED`), and a hundred thousand at once would overflow the queue; and a folder that was
//! only renamed keeps its watch.

use ostler_core::SlotId;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How many watches are taken from the kernel at a time; far fewer than its queue holds events (16,384).
const EXPELLED_AT_ONCE: usize = 1024;
/// Bytes of events read at a time.
const BUFFER: usize = 64 * 1024;

/// What happens to names in a folder.
pub(super) const STRUCTURE: WatchFlags = WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVE);
/// That, and what happens to the files' contents.
pub(super) const EVERYTHING: WatchFlags = STRUCTURE.union(WatchFlags::MODIFY).union(WatchFlags::CLOSE_WRITE);

/// A watch descriptor. Never used again for another folder while the instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wd(i32);

/// Who wants the events of a folder, and under which path he knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub slot: SlotId,
    pub folder: PathBuf,
    pub role: Role,
}

/// What a folder is watched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It lies in a watched tree: everything in it counts.
    Inside,
    /// It lies on the way to a watched path: this name in it counts.
    Anchor {
        name: OsString,
        /// Which of the watched paths.
        root: usize,
    },
}

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Something happened to a name in a watched folder.
    Entry { wd: Wd, name: OsString, what: What },
    /// The kernel has ended a watch: the folder is gone.
    Gone(Wd),
    /// Events were lost.
    Overflow,
}

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Made, linked, or renamed to.
    Appeared,
    /// Deleted, or renamed away.
    Vanished,
    /// Written to or truncated.
    Modified,
    /// Closed by somebody who could have written.
    Closed,
}

/// The inotify instance.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Absent if the kernel gave none; then nothing can be added.
    instance: Result<OwnedFd, Errno>,
    uses: HashMap<Wd, Vec<Use>>,
    /// Watches that may have no use any more.
    unused: Vec<Wd>,
}

impl Kernel {
    pub fn open() -> Self {
        Self::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK))
    }

    /// As if `inotify_init1(2)` had given this.
    pub fn new(instance: Result<OwnedFd, Errno>) -> Self {
        Self {
            instance,
            uses: HashMap::new(),
            unused: Vec::new(),
        }
    }

    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.instance.as_ref().ok().map(AsFd::as_fd)
    }

    /// Watches a folder, following links.
    ///
    /// # Errors
    /// Those of inotify_add_watch(2); those of inotify_init1(2) if there is no instance.
    pub fn add(&mut self, new: Use, events: WatchFlags) -> Result<Wd, Errno> {
        let instance = self.instance.as_ref().map_err(|error| *error)?;
        // Two uses may want different events of one folder.
        let flags = events | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD | WatchFlags::EXCL_UNLINK;
        let wd = Wd(inotify::add_watch(instance, &new.folder, flags)?);
        let uses = self.uses.entry(wd).or_default();
        if !uses.contains(&new) {
            uses.push(new);
        }
        Ok(wd)
    }

    pub fn uses(&self, wd: Wd) -> &[Use] {
        self.uses.get(&wd).map_or(&[], Vec::as_slice)
    }

    /// Ends a use.
    pub fn release(&mut self, wd: Wd, old: impl Fn(&Use) -> bool) {
        let Some(uses) = self.uses.get_mut(&wd) else { return };
        uses.retain(|one| !old(one));
        if uses.is_empty() {
            self.unused.push(wd);
        }
    }

    /// Takes unused watches from the kernel. False if some are left for the next call.
    pub fn expel(&mut self) -> bool {
        let Ok(instance) = &self.instance else { return true };
        let rest = self.unused.len().saturating_sub(EXPELLED_AT_ONCE);
        for wd in self.unused.drain(rest..) {
            if self.uses.get(&wd).is_some_and(Vec::is_empty) {
                self.uses.remove(&wd);
                // Fails when the folder is gone, and the watch with it.
                let _ = inotify::remove_watch(instance, wd.0);
            }
        }
        self.unused.is_empty()
    }

    /// The kernel has ended the watch: whose uses that were.
    pub fn forget(&mut self, wd: Wd) -> Vec<Use> {
        self.uses.remove(&wd).unwrap_or_default()
    }

    /// The events that have come, some thousands at most.
    pub fn read(&self) -> Vec<Event> {
        let Ok(instance) = &self.instance else {
            return Vec::new();
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(instance, &mut buffer);
        let mut events = Vec::new();
        // Fails with EAGAIN when there are no more.
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            events.extend(understand(Wd(event.wd()), event.events(), name));
            if reader.is_buffer_empty() {
                break;
            }
        }
        events
    }
}

fn understand(wd: Wd, flags: ReadFlags, name: Option<&OsStr>) -> Option<Event> {
    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        return Some(Event::Overflow);
    }
    if flags.contains(ReadFlags::IGNORED) {
        return Some(Event::Gone(wd));
    }
    let what = if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
        What::Appeared
    } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        What::Vanished
    } else if flags.contains(ReadFlags::MODIFY) {
        What::Modified
    } else if flags.contains(ReadFlags::CLOSE_WRITE) {
        What::Closed
    } else {
        return None;
    };
    let name = name?.to_owned();
    Some(Event::Entry { wd, name, what })
}

/// Whether the error means that a limit of the kernel's is reached, and which setting raises it.
pub(super) fn limit(error: Errno) -> Option<&'static str> {
    match error {
        Errno::NOSPC | Errno::NOMEM => Some("fs.inotify.max_user_watches"),
        Errno::MFILE | Errno::NFILE => Some("fs.inotify.max_user_instances"),
        _ => None,
    }
}

/// Whether the error only means that there is no folder (any more).
pub(super) fn is_no_folder(error: Errno) -> bool {
    matches!(error, Errno::NOTDIR | Errno::NOENT | Errno::LOOP | Errno::NAMETOOLONG)
}
