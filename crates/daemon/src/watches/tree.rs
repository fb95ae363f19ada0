//! What is watched for one slot.
//!
//! Called by the thread. Invariants: `folders` has every folder at or below the watched paths that is not ignored, with its watch,
//! unless `polled` has it or a folder above it; what the kernel knows as one folder is there once.

use super::Reporter;
use super::ignore::Ignore;
use super::kernel::{self, EVERYTHING, Kernel, Role, STRUCTURE, Use, Wd, What};
use super::outbox::Outbox;
use super::poll;
use super::root::{Anchor, Root, RootState, anchors};
use ostler_core::{SlotId, Spec};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A file closed by a writer counts as changed if it was modified so recently: opened for writing is not yet written.
const FRESH: Duration = Duration::from_secs(2);
/// How often anchors are looked for again when a link changes meanwhile.
const MOST_LOOKS: usize = 4;

/// The watch of one slot.
pub(super) struct Tree {
    slot: SlotId,
    name: String,
    ignore: Ignore,
    roots: Vec<Root>,
    folders: BTreeMap<PathBuf, Wd>,
    /// Folders that are looked at from time to time, with what they looked like.
    polled: BTreeMap<PathBuf, u64>,
    next_poll: Option<Instant>,
    /// Whether a folder was met by two paths, by way of a link, and is known by only one of them.
    met_twice: bool,
    told: Told,
    outbox: Outbox,
}

/// What has been noted once and need not be noted again.
#[derive(Default)]
struct Told {
    limit: bool,
    unreadable: bool,
}

/// Whether what is found in a folder is news.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    New,
    Known,
}

impl Tree {
    /// The watch of `spec`, nothing of it set up yet.
    pub fn new(slot: SlotId, spec: &Spec, report: Reporter) -> Self {
        let outbox = Outbox::new(slot, report);
        let (ignore, complaints) = Ignore::of(spec);
        for complaint in complaints {
            outbox.note(complaint);
        }
        let paths = spec.watch.iter().flat_map(|watch| &watch.paths);
        Self {
            slot,
            name: spec.name.clone(),
            ignore,
            roots: paths.map(|path| Root::new(path)).collect(),
            folders: BTreeMap::new(),
            polled: BTreeMap::new(),
            next_poll: None,
            met_twice: false,
            told: Told::default(),
            outbox,
        }
    }

    /// Sets up what is not, for the first time.
    pub fn settle(&mut self, kernel: &mut Kernel) {
        self.settle_roots(kernel, Found::Known);
        for root in self.roots.iter().filter(|root| root.state == RootState::Missing) {
            let path = root.path.display();
            let text = format!("{} watches {path}, which does not exist; it is waited for", self.name);
            self.outbox.note(text);
        }
    }

    /// Gives up every watch.
    pub fn release(&mut self, kernel: &mut Kernel) {
        let slot = self.slot;
        let anchors = self.roots.iter_mut().flat_map(|root| root.anchors.drain(..));
        let anchors = anchors.map(|(_, wd)| wd);
        for wd in anchors.chain(std::mem::take(&mut self.folders).into_values()) {
            kernel.release(wd, |one| one.slot == slot);
        }
        self.polled.clear();
        self.met_twice = false;
    }

    /// Events were lost, and `kernel` is a new instance.
    pub fn start_over(&mut self, kernel: &mut Kernel) {
        self.outbox.note(format!(
            "more files changed at once than the kernel could tell (fs.inotify.max_queued_events); everything watched for {} counts as changed",
            self.name
        ));
        self.release(kernel);
        self.settle_roots(kernel, Found::Known);
        for root in &self.roots {
            self.outbox.changed(&root.path);
        }
    }

    /// When [`on_time`](Self::on_time) has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.outbox.due().into_iter().chain(self.next_poll).min()
    }

    /// Reports and polls if it is time.
    pub fn on_time(&mut self, now: Instant) {
        if self.next_poll.take_if(|due| *due <= now).is_some() {
            self.poll_all();
        }
        self.outbox.flush(now);
    }

    /// Something happened to `path`, in a watched folder.
    pub fn entry(&mut self, kernel: &mut Kernel, path: &Path, what: What) {
        match what {
            What::Appeared => {
                self.forget_below(kernel, path);
                self.appeared(kernel, path, Found::New);
            }
            What::Vanished => {
                self.forget_below(kernel, path);
                self.changed(path);
            }
            What::Modified => self.changed(path),
            What::Closed if is_fresh(path) => self.changed(path),
            What::Closed => {}
        }
    }

    /// Something happened to a name on the way to a watched path.
    /// Something happened to a name on the way to a watched path.
    pub fn anchor(&mut self, kernel: &mut Kernel, root: usize, what: What) {
        let Root { path, state, .. } = &self.roots[root];
        let (path, before) = (path.clone(), *state);
        match what {
            What::Appeared | What::Vanished => {
                self.forget_below(kernel, &path);
                self.settle_roots(kernel, Found::New);
                let is_news = match (before, self.roots[root].state) {
                    (RootState::Missing, RootState::Missing) => false,
                    (RootState::Missing, _) => !self.roots[root].is_glob(),
                    (RootState::File | RootState::Folder, _) => true,
                };
                if is_news && !self.ignore.skips(&path, &path) {
                    self.outbox.changed(&path);
                }
            }
            What::Modified => self.changed(&path),
            What::Closed if is_fresh(&path) => self.changed(&path),
            What::Closed => {}
        }
    }

    /// The kernel has ended a watch.
    pub fn gone(&mut self, user: &Use, wd: Wd) {
        match user.role {
            Role::Inside if self.folders.get(&user.folder) == Some(&wd) => {
                self.folders.remove(&user.folder);
            }
            // Its name vanished from the folder above, which is an anchor too.
            Role::Inside | Role::Anchor { .. } => {}
        }
    }

    fn settle_roots(&mut self, kernel: &mut Kernel, found: Found) {
        for index in 0..self.roots.len() {
            self.settle_anchors(kernel, index);
            match self.roots[index].state {
                RootState::Folder => {
                    // Of a path that is watched as a whole, it is the path itself that is reported.
                    let found = if self.roots[index].is_glob() {
                        found
                    } else {
                        Found::Known
                    };
                    self.enter(kernel, self.roots[index].path.clone(), found);
                }
                RootState::File | RootState::Missing => {}
            }
        }
    }

    /// Looks what is at a watched path and anchors it, again while it changes.
    fn settle_anchors(&mut self, kernel: &mut Kernel, index: usize) {
        let slot = self.slot;
        for _ in 0..MOST_LOOKS {
            let state = self.roots[index].look();
            let wanted = anchors(&self.roots[index].path);
            for (old, wd) in std::mem::take(&mut self.roots[index].anchors) {
                kernel.release(wd, |one| *one == old.to_use(slot, index));
            }
            for anchor in &wanted {
                self.add_anchor(kernel, index, anchor);
            }
            if self.roots[index].look() == state && anchors(&self.roots[index].path) == wanted {
                break;
            }
        }
    }

    fn add_anchor(&mut self, kernel: &mut Kernel, index: usize, anchor: &Anchor) {
        let events = match self.roots[index].state {
            RootState::File | RootState::Missing if anchor.last => EVERYTHING,
            RootState::File | RootState::Missing | RootState::Folder => STRUCTURE,
        };
        match kernel.add(anchor.to_use(self.slot, index), events) {
            Ok(wd) => self.roots[index].anchors.push((anchor.clone(), wd)),
            // A folder above that may not be read is one that seldom changes; one that is missing has an anchor itself.
            Err(error) if kernel::limit(error).is_some() => {
                let path = self.roots[index].path.clone();
                self.poll_instead(path, error);
            }
            Err(_) => {}
        }
    }

    /// A file or folder is new, or was found.
    fn appeared(&mut self, kernel: &mut Kernel, path: &Path, found: Found) {
        if self.skips(path) {
            return;
        }
        if found == Found::New && self.is_news(path, path.is_dir()) {
            self.outbox.changed(path);
        }
        self.enter(kernel, path.to_owned(), found);
    }

    /// Watches a folder and all below it, if it is one.
    fn enter(&mut self, kernel: &mut Kernel, top: PathBuf, found: Found) {
        let mut ahead = vec![top];
        while let Some(folder) = ahead.pop() {
            if self.is_known(&folder) || !self.watch_folder(kernel, &folder) {
                continue;
            }
            let Ok(entries) = folder.read_dir() else { continue };
            for entry in entries.filter_map(Result::ok) {
                let may_be_folder = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
                // Most entries are files that were there before: they cost nothing more.
                if found == Found::Known && !may_be_folder {
                    continue;
                }
                let path = entry.path();
                if self.skips(&path) {
                    continue;
                }
                if found == Found::New && self.is_news(&path, may_be_folder) {
                    self.outbox.changed(&path);
                }
                if may_be_folder {
                    ahead.push(path);
                }
            }
        }
    }

    fn is_known(&self, folder: &Path) -> bool {
        self.folders.contains_key(folder) || folder.ancestors().any(|above| self.polled.contains_key(above))
    }

    /// Asks the kernel to watch one folder; true if it does and is not known yet.
    fn watch_folder(&mut self, kernel: &mut Kernel, folder: &Path) -> bool {
        let user = Use {
            slot: self.slot,
            folder: folder.to_owned(),
            role: Role::Inside,
        };
        match kernel.add(user.clone(), EVERYTHING) {
            Ok(wd) => {
                let is_mine = |one: &Use| one.slot == self.slot && one.role == Role::Inside;
                if kernel.uses(wd).iter().filter(|one| is_mine(one)).count() > 1 {
                    kernel.release(wd, |one| *one == user);
                    self.met_twice = true;
                    return false;
                }
                self.folders.insert(folder.to_owned(), wd);
                return true;
            }
            Err(error) if kernel::limit(error).is_some() => self.poll_instead(folder.to_owned(), error),
            Err(error) if kernel::is_no_folder(error) => {}
            Err(error) => self.complain(folder, error),
        }
        false
    }

    fn complain(&mut self, folder: &Path, error: Errno) {
        if !std::mem::replace(&mut self.told.unreadable, true) {
            let folder = folder.display();
            let text = format!(
                "{} cannot watch {folder}: inotify_add_watch: {error}; changes in it go unnoticed",
                self.name
            );
            self.outbox.note(text);
        }
    }

    /// Forgets what is watched at and below a path that is not what it was.
    fn forget_below(&mut self, kernel: &mut Kernel, path: &Path) {
        let slot = self.slot;
        let below = self
            .folders
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .take_while(|(folder, _)| folder.starts_with(path));
        let below: Vec<PathBuf> = below.map(|(folder, _)| folder.clone()).collect();
        for folder in &below {
            if let Some(wd) = self.folders.remove(folder) {
                kernel.release(wd, |one| one.slot == slot && one.role == Role::Inside);
            }
        }
        self.polled.retain(|folder, _| !folder.starts_with(path));
        if !below.is_empty() && std::mem::take(&mut self.met_twice) {
            // One of them may be reachable by its other path still.
            self.release(kernel);
            self.settle_roots(kernel, Found::Known);
        }
    }

    fn poll_instead(&mut self, path: PathBuf, error: Errno) {
        if !std::mem::replace(&mut self.told.limit, true) {
            let setting = kernel::limit(error).unwrap_or("fs.inotify");
            self.outbox.note(format!(
                "{}: the kernel gives no more inotify watches ({error}), so {} is looked at once a second instead, or less often if that takes long; raise the sysctl {setting}",
                self.name,
                path.display()
            ));
        }
        let looks = self.fingerprint(&path);
        self.polled.insert(path, looks);
        let now = Instant::now();
        self.next_poll.get_or_insert_with(|| poll::next(now, now));
    }

    fn poll_all(&mut self) {
        let began = Instant::now();
        let paths: Vec<PathBuf> = self.polled.keys().cloned().collect();
        for path in paths {
            let looks = self.fingerprint(&path);
            let before = self.polled.insert(path.clone(), looks);
            if before != Some(looks) {
                self.outbox.changed(&path);
            }
        }
        self.next_poll = (!self.polled.is_empty()).then(|| poll::next(began, Instant::now()));
    }

    fn fingerprint(&self, path: &Path) -> u64 {
        poll::fingerprint(
            path,
            |path| !self.skips(path),
            |path, is_folder| self.is_news(path, is_folder),
        )
    }

    /// Reports a change unless it is ignored.
    fn changed(&mut self, path: &Path) {
        if self.is_news(path, false) {
            self.outbox.changed(path);
        }
    }

    /// Whether a change of the path, or the appearance of a folder, counts.
    fn is_news(&self, path: &Path, is_folder: bool) -> bool {
        let counts =
            |root: &Root| path.starts_with(&root.path) && root.counts(path) && !self.ignore.skips(path, &root.path);
        self.roots.iter().any(counts) && !(is_folder && self.ignore.is_for_own_files(path))
    }

    /// Whether no watched path has this one in it.
    fn skips(&self, path: &Path) -> bool {
        let has = |root: &Root| path.starts_with(&root.path) && !self.ignore.skips(path, &root.path);
        !self.roots.iter().any(has)
    }
}

impl Anchor {
    fn to_use(&self, slot: SlotId, root: usize) -> Use {
        Use {
            slot,
            folder: self.folder.clone(),
            role: Role::Anchor {
                name: self.name.clone(),
                root,
            },
        }
    }
}

/// Whether the file was modified just now.
fn is_fresh(path: &Path) -> bool {
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age < FRESH))
}
