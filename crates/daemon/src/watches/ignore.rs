//! Which paths are left out of a watch.
//!
//! Called by the slot's tree on the way down, folder by folder: when a path is asked about, its parents are known not to be
//! ignored. The entries mean what PM2's users write in `ignore_watch`:
//!
//! - `/expression/` is a JavaScript regular expression, tried on the absolute path (a match must reach beyond the watched path
//!   itself, else an app below `~/.apps` would be ignored whole) and on the path relative to `cwd`;
//! - `name` or `*.log`, without a slash, is tried on the name of every file and folder at any depth, as in `.gitignore`;
//! - anything else is a glob on the path, relative to `cwd` unless it is absolute;
//! - `!` before a glob takes it out of what the others ignore.
//!
//! A folder that is ignored is so with all its contents.

use super::own::OwnFiles;
use globset::{Glob, GlobBuilder, GlobSet};
use ostler_core::Spec;
use regex_lite::{Regex, RegexBuilder};
use std::path::{Component, Path, PathBuf};

/// The rules of one watch.
#[derive(Debug)]
pub(super) struct Ignore {
    cwd: PathBuf,
    own: OwnFiles,
    globs: Globs,
    expressions: Vec<Regex>,
    /// What entries with `!` take out.
    kept: Globs,
}

/// Globs that are tried together.
#[derive(Debug, Default)]
struct Globs {
    /// On the name alone.
    names: GlobSet,
    /// On the absolute path.
    paths: GlobSet,
}

/// The rules while they are read.
#[derive(Default)]
struct Reading {
    globs: GlobsRead,
    expressions: Vec<Regex>,
    kept: GlobsRead,
}

#[derive(Default)]
struct GlobsRead {
    names: Vec<Glob>,
    paths: Vec<Glob>,
}

impl Ignore {
    /// The rules of `spec`, and a complaint for each entry that cannot be understood (it then ignores nothing).
    pub fn of(spec: &Spec) -> (Self, Vec<String>) {
        let cwd = PathBuf::from(&spec.program.cwd);
        let mut reading = Reading::default();
        let entries = spec.watch.iter().flat_map(|watch| &watch.ignore);
        let complaints = entries.filter_map(|entry| {
            let error = reading.entry(entry.trim(), &cwd).err()?;
            Some(format!(
                "ignore_watch of {}: {entry:?} has no effect: {error}",
                spec.name
            ))
        });
        let complaints = complaints.collect();
        let ignore = Self {
            own: OwnFiles::of(spec),
            globs: reading.globs.finish(),
            expressions: reading.expressions,
            kept: reading.kept.finish(),
            cwd,
        };
        (ignore, complaints)
    }

    /// Whether `path`, in the watch of `root`, is left out. What the user asked to watch by its own name is not, unless
    /// it is a file of Ostler's.
    pub fn skips(&self, path: &Path, root: &Path) -> bool {
        self.own.contains(path) || (path != root && self.matches(path, root) && !self.kept.match_path(path))
    }

    /// Whether the folder may have been made for log or pid files, so that its appearance alone says nothing.
    pub fn is_for_own_files(&self, folder: &Path) -> bool {
        self.own.lie_below(folder)
    }

    fn matches(&self, path: &Path, root: &Path) -> bool {
        self.globs.match_path(path) || self.expression_matches(path, root)
    }

    fn expression_matches(&self, path: &Path, root: &Path) -> bool {
        if self.expressions.is_empty() {
            return false;
        }
        let absolute = path.to_string_lossy();
        let relative = path.strip_prefix(&self.cwd).ok().map(Path::to_string_lossy);
        let known = root.to_string_lossy().len();
        self.expressions.iter().any(|expression| {
            expression.find_iter(&absolute).any(|found| found.end() > known)
                || relative.as_ref().is_some_and(|relative| expression.is_match(relative))
        })
    }
}

impl Globs {
    fn match_path(&self, path: &Path) -> bool {
        self.names.is_match(path.file_name().unwrap_or_default()) || self.paths.is_match(path)
    }
}

impl GlobsRead {
    fn add(&mut self, entry: &str, cwd: &Path) -> Result<(), String> {
        let entry = entry.strip_suffix('/').unwrap_or(entry);
        if entry.contains('/') {
            // `logs/**` is the folder with its contents, as `./logs`.
            let ends = ["/**/*", "/**"];
            let bare = ends.iter().find_map(|end| entry.strip_suffix(end)).unwrap_or(entry);
            self.paths.push(parse(&absolute(bare, cwd))?);
        } else {
            self.names.push(parse(entry)?);
        }
        Ok(())
    }

    fn finish(self) -> Globs {
        // Fails only when all of them together grow too large.
        let set = |globs| GlobSet::new(globs).unwrap_or_default();
        Globs {
            names: set(self.names),
            paths: set(self.paths),
        }
    }
}

impl Reading {
    fn entry(&mut self, entry: &str, cwd: &Path) -> Result<(), String> {
        if entry.is_empty() {
            return Ok(());
        }
        if let Some((body, flags)) = as_expression(entry) {
            self.expressions.push(expression(body, flags)?);
            return Ok(());
        }
        if ["!(", "@(", "+(", "?(", "*("]
            .iter()
            .any(|opening| entry.contains(opening))
        {
            return Err(
                "patterns with \"!(…)\" and the like are not understood; use a /regular expression/".to_owned(),
            );
        }
        match entry.strip_prefix('!') {
            Some(kept) => self.kept.add(kept, cwd),
            None => self.globs.add(entry, cwd),
        }
    }
}

/// Body and flags, if the entry is a regular expression and no absolute path. Both begin with a slash; a path may end with one,
/// or with a name that could be flags (`/srv/imgs`).
fn as_expression(entry: &str) -> Option<(&str, &str)> {
    let (body, flags) = entry.strip_prefix('/')?.rsplit_once('/')?;
    let are_flags = flags.chars().all(|flag| "dgimsuvy".contains(flag));
    if body.is_empty() || !are_flags {
        return None;
    }
    let is_plain = !body.contains(['\\', '[', '(', '^', '$', '|', '*', '+', '?']);
    let is_path = is_plain && (!flags.is_empty() || Path::new(entry).exists());
    (!is_path).then_some((body, flags))
}

fn expression(body: &str, flags: &str) -> Result<Regex, String> {
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| body.contains(look)) {
        return Err(
            "look-ahead and look-behind are not supported; use a glob, or \"!\" before a glob for exceptions"
                .to_owned(),
        );
    }
    RegexBuilder::new(body)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .build()
        .map_err(|error| error.to_string())
}

fn parse(pattern: &str) -> Result<Glob, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_err(|error| error.kind().to_string())
}

/// The pattern on absolute paths: `.` and `..` taken out, below `cwd` (whose own characters are literal) unless it is
/// absolute.
fn absolute(pattern: &str, cwd: &Path) -> String {
    let mut path = PathBuf::from(globset::escape(&cwd.to_string_lossy()));
    for component in Path::new(pattern).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir | Component::Prefix(_) => {}
            Component::RootDir => path = PathBuf::from("/"),
            Component::Normal(name) => path.push(name),
        }
    }
    path.to_string_lossy().into_owned()
}
