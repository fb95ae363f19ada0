//! The core decides and does nothing else. Three proofs: what it depends on, what its source names, and, where that
//! target is installed, that it builds for a machine without an operating system. Of exports the second is proven, too.

use crate::command::{cargo, output, program, step};
use crate::{Result, say};
use ostler_testkit::tools;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that touch the operating system.
const IMPURE_CRATES: [&str; 12] = [
    "tokio",
    "mio",
    "notify",
    "hyper",
    "rustix",
    "libc",
    "nix",
    "tempfile",
    "rand",
    "getrandom",
    "ostler-sys",
    "ostler-daemon",
];

/// What no line of the pure crates may name: devices, clocks, randomness, and containers without an order.
const IMPURE_NAMES: [&str; 15] = [
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "std::io",
    "std::os",
    "std::thread",
    "std::sync::Mutex",
    "Instant::now",
    "SystemTime",
    "Zoned::now",
    "Timestamp::now",
    "HashMap",
    "HashSet",
    "unsafe ",
];

/// The target without an operating system.
const BARE: &str = "wasm32-unknown-unknown";

/// Checks all three.
pub fn check() -> Result {
    say("── purity of the core");
    dependencies()?;
    names("core")?;
    names("export")?;
    bare_build()
}

fn dependencies() -> Result {
    let arguments = [
        "tree",
        "--package",
        "ostler-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = output(cargo().args(arguments))?;
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut impure: Vec<&str> = names.filter(|name| IMPURE_CRATES.contains(name)).collect();
    impure.dedup();
    if impure.is_empty() {
        Ok(())
    } else {
        Err(format!("ostler-core depends on {}", impure.join(", ")))
    }
}

/// Looks at every line of code; comments, and what is compiled for tests only, may name what they like.
fn names(of: &str) -> Result {
    for file in sources(&tools::workspace().join("crates").join(of).join("src"))? {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        if let Some((line, name)) = impure_line(&text) {
            return Err(format!("{}:{line}: {of} names `{name}`", file.display()));
        }
    }
    Ok(())
}

/// The first line, from 1, that names what it must not, and what it names. Inline test modules stand last in a file.
fn impure_line(text: &str) -> Option<(usize, &'static str)> {
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"));
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let (_, item) = lines.next()?;
            if item.trim_end().ends_with('{') {
                return None;
            }
        } else if let Some(name) = IMPURE_NAMES.iter().find(|name| line.contains(**name)) {
            return Some((number, name));
        }
    }
    None
}

fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn bare_build() -> Result {
    let libraries = output(program("rustc").args(["--print", "target-libdir", "--target", BARE]))?;
    if Path::new(libraries.trim()).is_dir() {
        step(
            "purity: build for a bare machine",
            cargo().args(["build", "--package", "ostler-core", "--target", BARE]),
        )
    } else {
        say(&format!(
            "   (not built for {BARE}: that target is not installed; `rustup target add {BARE}`)"
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_code_is_found_and_one_in_a_comment_or_test_is_not() {
        assert_eq!(
            impure_line("fn now() {\n    Instant::now();\n}\n"),
            Some((2, "Instant::now"))
        );
        assert_eq!(impure_line("// Instant::now\n"), None);
        assert_eq!(impure_line("#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"), None);
        assert_eq!(
            impure_line("#[cfg(test)]\nmod tests;\nuse std::fs;\n"),
            Some((3, "std::fs"))
        );
    }
}
