//! A path that the user asked to watch, and the places from which its coming and going is seen.
//!
//! Called by the slot's tree. A watch in the kernel hangs on a folder itself, not on its name: when the folder is replaced, or a
//! link on the way to it, the old one stays watched. So each folder on the way is watched for the next name (an "anchor").

use super::kernel::Wd;
use globset::{GlobBuilder, GlobMatcher};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A watched path.
#[derive(Debug)]
pub(super) struct Root {
    /// As given; of a glob the part before its first pattern.
    pub path: PathBuf,
    /// Which files below count, if the path was a glob.
    only: Option<GlobMatcher>,
    pub anchors: Vec<(Anchor, Wd)>,
    pub state: RootState,
}

/// What is found at a watched path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootState {
    Missing,
    File,
    Folder,
}

/// A name in a folder on the way to a watched path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub folder: PathBuf,
    pub name: OsString,
    /// Whether it is the watched path's own name, or that of what it links to.
    pub last: bool,
}

impl Root {
    pub fn new(path: &str) -> Self {
        let whole = PathBuf::from(path);
        let glob = GlobBuilder::new(path).literal_separator(true).build();
        let only = glob.ok().filter(|_| has_pattern(path) && !whole.exists());
        let path = match only {
            Some(_) => whole
                .components()
                .take_while(|part| !has_pattern(&part.as_os_str().to_string_lossy()))
                .collect(),
            None => whole,
        };
        Self {
            path,
            only: only.map(|glob| glob.compile_matcher()),
            anchors: Vec::new(),
            state: RootState::Missing,
        }
    }

    pub fn is_glob(&self) -> bool {
        self.only.is_some()
    }

    /// Whether a change of `path`, which lies at or below this one, counts.
    pub fn counts(&self, path: &Path) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(path))
    }

    /// Looks what is there now.
    pub fn look(&mut self) -> RootState {
        self.state = match self.path.metadata() {
            Ok(metadata) if metadata.is_dir() => RootState::Folder,
            Ok(_) => RootState::File,
            Err(_) => RootState::Missing,
        };
        self.state
    }
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The anchors of a path, those nearest to the root of the file system first, those of links' targets after them.
pub(super) fn anchors(path: &Path) -> Vec<Anchor> {
    let mut found = Vec::new();
    collect(path, true, MOST_LINKS, &mut found);
    found
}

fn collect(path: &Path, last: bool, links: usize, found: &mut Vec<Anchor>) {
    let mut ways: Vec<&Path> = path.ancestors().collect();
    ways.reverse();
    for way in ways {
        let (Some(folder), Some(name)) = (way.parent(), way.file_name()) else {
            continue;
        };
        let anchor = Anchor {
            folder: folder.to_owned(),
            name: name.to_owned(),
            last: last && way == path,
        };
        if found.contains(&anchor) {
            continue;
        }
        let last = anchor.last;
        found.push(anchor);
        if let Some(links) = links.checked_sub(1)
            && let Ok(target) = way.read_link()
        {
            collect(&folder.join(target), last, links, found);
        }
    }
}
