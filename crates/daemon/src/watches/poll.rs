//! Looking at files again and again, where the kernel gives no more inotify watches.
//!
//! Called by the slot's tree, for the folders that could not be watched. Instead of a list of files, which for large trees would
//! cost memory all the time, one number is kept: equal numbers mean that nothing changed.

use std::collections::HashSet;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// When a tree looked for by polling is to be looked at again, after a look that took so long.
pub(super) fn next(began: Instant, now: Instant) -> Instant {
    now + INTERVAL.max((now - began) * SHARE)
}

/// A number that differs when a file at or below `top` was made, changed, deleted or renamed; 0 when there is none.
/// `wanted` says where to look, `counts` what counts of that, and is told whether it is a folder.
pub(super) fn fingerprint(top: &Path, wanted: impl Fn(&Path) -> bool, counts: impl Fn(&Path, bool) -> bool) -> u64 {
    let mut sum = 0_u64;
    let mut entered = HashSet::new();
    let mut ahead: Vec<PathBuf> = vec![top.to_owned()];
    while let Some(path) = ahead.pop() {
        // A link that leads nowhere does not count until it leads somewhere.
        let Ok(metadata) = path.metadata() else { continue };
        if counts(&path, metadata.is_dir()) {
            sum = sum.wrapping_add(mark(&path, &metadata));
        }
        // By links a folder may lie below itself.
        if !metadata.is_dir() || !entered.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        let Ok(entries) = path.read_dir() else { continue };
        let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
        ahead.extend(entries.filter(|path| wanted(path)));
    }
    sum
}

/// A folder's times are left out: they change with ignored files too.
fn mark(path: &Path, metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    (path, metadata.ino()).hash(&mut hasher);
    if !metadata.is_dir() {
        (metadata.mtime(), metadata.mtime_nsec(), metadata.size()).hash(&mut hasher);
    }
    hasher.finish()
}
