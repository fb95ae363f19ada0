//! What runs a script: by declaration, else by extension, else by looking into the file.

use crate::attributes::Attributes;
use crate::diagnostic::{ConfigErrorKind, Problem};
use crate::paths::{Base, is_executable, which};
use ostler_core::Interpreter;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a script is run.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) interpreter: Interpreter,
    /// Arguments the interpreter needs besides the declared ones.
    pub(crate) extra_args: Vec<String>,
}

impl Runner {
    fn direct() -> Self {
        Self {
            interpreter: Interpreter::None,
            extra_args: Vec::new(),
        }
    }

    fn program(name: &str) -> Self {
        Self {
            interpreter: Interpreter::Program(name.to_owned()),
            extra_args: Vec::new(),
        }
    }
}

/// Where programs are looked for.
pub(crate) struct Search<'a> {
    /// The app's `PATH`, in which its interpreter is looked up at each launch.
    pub(crate) path: &'a str,
    /// The caller's, if the app's differs: what is found only there is run by its whole path.
    pub(crate) caller_path: &'a str,
    pub(crate) base: &'a Base,
    /// Where nvm keeps its Node versions, if the caller uses nvm.
    pub(crate) nvm: Option<&'a str>,
}

impl Search<'_> {
    /// Where `program` is.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        let cwd = self.base.cwd();
        which(program, self.path, cwd).or_else(|| which(program, self.caller_path, cwd))
    }

    /// How an interpreter is to be named in a spec: by its name where the app's own `PATH` leads to it.
    fn named(&self, program: &str) -> Option<Runner> {
        if which(program, self.path, self.base.cwd()).is_some() {
            return Some(Runner::program(program));
        }
        self.find(program)
            .map(|found| Runner::program(&crate::paths::text(&found)))
    }
}

/// Extensions and their interpreters, as in PM2. JavaScript's module extensions are ours.
const BY_EXTENSION: &[(&str, &str)] = &[
    ("sh", "bash"),
    ("py", "python"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("coffee", "coffee"),
    ("ls", "lsc"),
];

/// What runs `script`.
pub(crate) fn runner(attributes: &Attributes, script: &Path, search: &Search<'_>) -> Result<Runner, Problem> {
    if let Some(declared) = attributes.text("exec_interpreter").filter(|name| !name.is_empty()) {
        return declared_runner(declared, search);
    }
    let extension = script
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    if matches!(extension, "ts" | "tsx" | "mts" | "cts") {
        return typescript(search);
    }
    match BY_EXTENSION.iter().find(|(known, _program)| *known == extension) {
        Some((_extension, program)) => present(program, search),
        None => by_content(script, search),
    }
}

/// Node, for what is known to be its program.
pub(crate) fn node(search: &Search<'_>) -> Result<Runner, Problem> {
    present("node", search)
}

fn declared_runner(declared: &str, search: &Search<'_>) -> Result<Runner, Problem> {
    if declared == "none" {
        return Ok(Runner::direct());
    }
    if let Some(version) = declared.strip_prefix("node@") {
        return node_version(version, search);
    }
    if declared.contains('/') {
        let path = search.base.path(declared);
        return if is_executable(&path) {
            Ok(Runner::program(&crate::paths::text(&path)))
        } else {
            Err(missing(&path.display().to_string(), "it is not an executable file"))
        };
    }
    present(declared, search)
}

/// `python` falls back to `python3`, as in PM2.
fn present(program: &str, search: &Search<'_>) -> Result<Runner, Problem> {
    let fallback = || {
        if program == "python" {
            search.named("python3")
        } else {
            None
        }
    };
    search
        .named(program)
        .or_else(fallback)
        .ok_or_else(|| missing(program, "it is not available in PATH"))
}

fn missing(program: &str, why: &str) -> Problem {
    Problem::of(
        ConfigErrorKind::InterpreterNotFound,
        "exec_interpreter",
        format!("interpreter \"{program}\" cannot be used: {why}"),
        "install it, or name another with `interpreter` (`none` to execute the file itself)",
    )
}

fn node_version(version: &str, search: &Search<'_>) -> Result<Runner, Problem> {
    let version = version.trim_start_matches('v');
    let node = search.nvm.map(|nvm| format!("{nvm}/versions/node/v{version}/bin/node"));
    match node {
        Some(node) if is_executable(Path::new(&node)) => Ok(Runner::program(&node)),
        Some(_) | None => Err(Problem::of(
            ConfigErrorKind::InterpreterNotFound,
            "exec_interpreter",
            format!("Node {version} is not installed through nvm"),
            format!("run `nvm install {version}` first (NVM_DIR must be set)"),
        )),
    }
}

/// Bun if there is one, else a Node that strips types, as in PM2.
fn typescript(search: &Search<'_>) -> Result<Runner, Problem> {
    if let Some(bun) = search.named("bun") {
        return Ok(bun);
    }
    let version = search.find("node").and_then(|node| version_of(&node));
    match version.map(type_stripping) {
        Some(TypeStripping::ByDefault) => present("node", search),
        Some(TypeStripping::OnDemand) => Ok(Runner {
            extra_args: vec!["--experimental-strip-types".into()],
            ..present("node", search)?
        }),
        Some(TypeStripping::Never) | None => Err(Problem::of(
            ConfigErrorKind::InterpreterNotFound,
            "exec_interpreter",
            "nothing here runs TypeScript",
            "install Node 22.18 or newer, or bun; or compile the script to JavaScript",
        )),
    }
}

/// Whether a Node runs TypeScript (nodejs.org/api/typescript.html, history).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeStripping {
    ByDefault,
    OnDemand,
    Never,
}

pub(crate) fn type_stripping((major, minor): (u32, u32)) -> TypeStripping {
    match (major, minor) {
        (24.., _) | (23, 6..) | (22, 18..) => TypeStripping::ByDefault,
        (23, _) | (22, 6..) => TypeStripping::OnDemand,
        (_, _) => TypeStripping::Never,
    }
}

/// Major and minor version that `node --version` prints.
pub(crate) fn version_of(node: &Path) -> Option<(u32, u32)> {
    let output = Command::new(node)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// A file without a known extension: binaries and executable scripts with a `#!` line run by themselves, a `#!` line
/// without the permission names the interpreter, anything else is given to node as in PM2. (PM2 gives every text file to
/// node, so that a shell script without extension fails there.)
fn by_content(script: &Path, search: &Search<'_>) -> Result<Runner, Problem> {
    let head = head(script).map_err(|error| {
        Problem::of(
            ConfigErrorKind::ScriptNotFound,
            "script",
            format!("cannot read {}: {error}", script.display()),
            "check its permissions",
        )
    })?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return match shebang(line) {
            Some(program) if !is_executable(script) => declared_runner(&program, search),
            Some(_) | None => Ok(Runner::direct()),
        };
    }
    if is_binary(&head) {
        Ok(Runner::direct())
    } else {
        present("node", search)
    }
}

fn head(script: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    File::open(script)?.take(512).read_to_end(&mut head)?;
    Ok(head)
}

/// The program of a `#!` line: `/usr/bin/env X` means X.
fn shebang(line: &[u8]) -> Option<String> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let program = words.next()?;
    if program.ends_with("/env") {
        return words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .map(str::to_owned);
    }
    Some(program.to_owned())
}

/// PM2's test: a NUL, or more than a tenth of bytes that no text has.
fn is_binary(head: &[u8]) -> bool {
    if head.contains(&0) {
        return true;
    }
    let suspicious = head
        .iter()
        .filter(|byte| (**byte < 7 || **byte > 14) && **byte < 32)
        .count();
    let invalid = match std::str::from_utf8(head) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() => 0,
        Err(_) => head.iter().filter(|byte| **byte > 127).count(),
    };
    (suspicious + invalid) * 10 > head.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shebang_names_its_program() {
        assert_eq!(shebang(b"/usr/bin/env node\n").as_deref(), Some("node"));
        assert_eq!(shebang(b" /bin/sh -e\nrest").as_deref(), Some("/bin/sh"));
        assert_eq!(shebang(b"/usr/bin/env -S deno run").as_deref(), Some("deno"));
        assert_eq!(shebang(b"\n"), None);
    }

    #[test]
    fn binaries_are_told_from_text() {
        assert!(is_binary(b"\x7fELF\x02\x01\x01\0"));
        assert!(is_binary(&[1, 2, 3, 4, b'a']));
        assert!(!is_binary("console.log('é')\n".as_bytes()));
        assert!(!is_binary(b""));
    }

    #[test]
    fn type_stripping_follows_nodes_history() {
        assert_eq!(type_stripping((20, 20)), TypeStripping::Never);
        assert_eq!(type_stripping((22, 5)), TypeStripping::Never);
        assert_eq!(type_stripping((22, 6)), TypeStripping::OnDemand);
        assert_eq!(type_stripping((22, 18)), TypeStripping::ByDefault);
        assert_eq!(type_stripping((23, 5)), TypeStripping::OnDemand);
        assert_eq!(type_stripping((26, 0)), TypeStripping::ByDefault);
    }
}
