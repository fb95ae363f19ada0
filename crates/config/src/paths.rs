//! Paths as configs write them: `~`, relative to the app's `cwd`, with `.` and `..` in them.

use std::path::{Component, Path, PathBuf};

/// What relative paths of one app start from.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    cwd: PathBuf,
    /// The caller's home directory, for `~`.
    user_home: Option<PathBuf>,
}

impl Base {
    pub(crate) fn new(cwd: &Path, user_home: Option<&str>) -> Self {
        Self {
            cwd: cwd.to_owned(),
            user_home: user_home.filter(|home| !home.is_empty()).map(PathBuf::from),
        }
    }

    /// The same home, another working directory: `cwd` itself may be relative or start with `~`.
    pub(crate) fn at(&self, cwd: &str) -> Self {
        Self {
            cwd: self.path(cwd),
            user_home: self.user_home.clone(),
        }
    }

    pub(crate) fn cwd(&self) -> &Path {
        &self.cwd
    }

    pub(crate) fn cwd_text(&self) -> String {
        text(&self.cwd)
    }

    /// Absolute, without `.` and `..`, symlinks kept.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        let expanded = match (written.strip_prefix('~'), &self.user_home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
            (Some(_) | None, Some(_) | None) => PathBuf::from(written),
        };
        normal(&self.cwd.join(expanded))
    }

    pub(crate) fn resolve(&self, written: &str) -> String {
        text(&self.path(written))
    }
}

/// Paths of specs are text (JSON carries them); bytes that are no UTF-8 are shown, not kept.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Takes `.` and `..` out by the letter, as Node's `path.resolve` does.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(component),
        }
    }
    out
}

/// The first executable file called `name` in the folders of `path` (the variable's value).
pub fn which(name: &str, path: &str, cwd: &Path) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| normal(&cwd.join(folder).join(name)))
        .find(|file| is_executable(file))
}

/// Whether it is a regular file that somebody may execute.
pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_without_touching_symlinks() {
        let base = Base::new(Path::new("/srv/app"), Some("/home/u"));
        assert_eq!(base.resolve("./server.js"), "/srv/app/server.js");
        assert_eq!(base.resolve("../x/./y"), "/srv/x/y");
        assert_eq!(base.resolve("/abs"), "/abs");
        assert_eq!(base.resolve("~/logs"), "/home/u/logs");
        assert_eq!(base.resolve("~"), "/home/u");
        assert_eq!(base.resolve("~other/x"), "/srv/app/~other/x");
        assert_eq!(base.resolve("../../../.."), "/");
        assert_eq!(base.at("sub").resolve("a"), "/srv/app/sub/a");
    }
}
