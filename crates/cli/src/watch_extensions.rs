//! `--ext`: PM2 watches only files with certain extensions by ignoring all others that are there. So do we, by their
//! extensions rather than one by one, which also covers files made later.

use std::collections::BTreeSet;
use std::path::Path;

/// More entries are not looked at.
const MOST_ENTRIES: usize = 20_000;

/// What PM2 never watches by itself: dot files and `node_modules`.
const ALWAYS_IGNORED: &str = r"/[\/\\]\.|node_modules/";

/// Patterns of what to ignore below `root` so that only the extensions, separated by commas, remain.
pub fn ignored(root: &Path, extensions: &str) -> Vec<String> {
    let wanted: Vec<String> = extensions
        .split(',')
        .map(|own| format!(".{}", own.trim().trim_start_matches('.')))
        .collect();
    let mut patterns = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            let name = entry.file_name().to_string_lossy().into_owned();
            if seen > MOST_ENTRIES || name.starts_with('.') || name == "node_modules" {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(entry.path());
            } else if !wanted.iter().any(|extension| name.ends_with(extension)) {
                patterns.insert(pattern(&name));
            }
        }
    }
    std::iter::once(ALWAYS_IGNORED.to_owned()).chain(patterns).collect()
}

fn pattern(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("**/*.{extension}"),
        Some(_) | None => format!("**/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_other_extensions_are_ignored() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let sub = root.path().join("sub");
        std::fs::create_dir(&sub).expect("a directory can be made");
        for name in ["a.js", "b.json", "Makefile", "sub/c.txt", "sub/d.js", ".hidden"] {
            std::fs::write(root.path().join(name), "").expect("a file can be written");
        }
        let expected = [ALWAYS_IGNORED, "**/*.txt", "**/Makefile"];
        assert_eq!(ignored(root.path(), "js,.json"), expected);
    }
}
