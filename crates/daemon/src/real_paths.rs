//! Where paths really lie, asked once for all that is launched at a time: a hundred instances have a program and a folder in common, and are
//! meant to be of one deployment even while a link is being changed.

use std::collections::BTreeMap;

/// What was found out since the last time it was forgotten.
#[derive(Debug, Default)]
pub struct RealPaths {
    known: BTreeMap<String, Option<String>>,
}

impl RealPaths {
    /// A path without symbolic links (realpath(3)); `None` if it cannot be followed or is not UTF-8.
    pub fn of(&mut self, path: &str) -> Option<String> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let real = std::fs::canonicalize(path).ok();
        let real = real.and_then(|real| Some(real.to_str()?.to_owned()));
        self.known.insert(path.to_owned(), real.clone());
        real
    }

    /// All is launched that was to be.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_that_is_changed_counts_for_what_is_launched_next() {
        let folder = tempfile::tempdir().expect("tempdir");
        let root = folder.path().canonicalize().expect("it is there");
        let at = |name: &str| root.join(name).to_string_lossy().into_owned();
        let (old, new, link) = (at("old"), at("new"), at("current"));
        std::fs::create_dir(&old)
            .and_then(|()| std::fs::create_dir(&new))
            .expect("mkdir");
        symlink(&old, &link).expect("symlink");
        let mut paths = RealPaths::default();
        assert_eq!(paths.of(&link), Some(old.clone()));
        std::fs::remove_file(&link)
            .and_then(|()| symlink(&new, &link))
            .expect("symlink");
        assert_eq!(paths.of(&link), Some(old));
        paths.forget();
        assert_eq!(paths.of(&link), Some(new));
        assert_eq!(paths.of(&at("absent")), None);
    }
}
