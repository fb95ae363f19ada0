//! The JavaScript runtimes apps are run on, each installed by npm below `target/tools`.
//!
//! Called by the compatibility suite, and by tests that need one particular Node.

use crate::tools;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which runtime, apart from its exact version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Node of this major version.
    Node(u32),
    /// Bun.
    Bun,
    /// Deno.
    Deno,
}

impl Kind {
    /// Every runtime that is tested, oldest Node first.
    pub const ALL: [Self; 8] = [
        Self::Node(16),
        Self::Node(18),
        Self::Node(20),
        Self::Node(22),
        Self::Node(24),
        Self::Node(26),
        Self::Bun,
        Self::Deno,
    ];

    /// The package npm has it in, and its program there.
    fn package(self) -> Result<(String, String), String> {
        match self {
            Self::Node(major) => {
                let machine = match std::env::consts::ARCH {
                    "x86_64" => "x64",
                    "aarch64" => "arm64",
                    other => return Err(format!("npm has no {self} for {other}")),
                };
                let name = format!("node-linux-{machine}");
                Ok((format!("{name}@{major}"), format!("node_modules/{name}/bin/node")))
            }
            Self::Bun => Ok(("bun@1".to_owned(), "node_modules/bun/bin/bun.exe".to_owned())),
            Self::Deno => Ok(("deno@2".to_owned(), "node_modules/deno/deno".to_owned())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(major) => write!(f, "Node {major}"),
            Self::Bun => f.write_str("Bun"),
            Self::Deno => f.write_str("Deno"),
        }
    }
}

/// An installed runtime.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// For people: `Node 20.20.2`.
    pub name: String,
    /// Which it is.
    pub kind: Kind,
    /// Its program.
    pub path: PathBuf,
}

impl Runtime {
    /// Installs it unless it is there. Tried by running it.
    ///
    /// # Errors
    /// A sentence why it cannot be had on this machine.
    pub fn install(kind: Kind) -> Result<Self, String> {
        let (package, program) = kind.package()?;
        let path = tools::npm(&package, &program).map_err(|reason| format!("{kind} cannot be had: {reason}"))?;
        let version = version(&path).map_err(|reason| format!("{kind} does not run: {}: {reason}", path.display()))?;
        let word = match kind {
            Kind::Node(_) => "Node",
            Kind::Bun => "Bun",
            Kind::Deno => "Deno",
        };
        Ok(Self {
            name: format!("{word} {version}"),
            kind,
            path,
        })
    }

    /// Node of a major version.
    ///
    /// # Errors
    /// See [`install`](Self::install).
    pub fn node(major: u32) -> Result<Self, String> {
        Self::install(Kind::Node(major))
    }

    /// Every runtime that is tested, or why it cannot be had.
    pub fn all() -> Vec<Result<Self, String>> {
        Kind::ALL.into_iter().map(Self::install).collect()
    }

    /// What its command line has before anything else: Deno runs a script only as `deno run`, with no rights unless they are given,
    /// and knows CommonJS only where it is told to look for it. Deno's own cluster starts its workers so.
    pub fn arguments(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Node(_) | Kind::Bun => &[],
            Kind::Deno => &[
                "run",
                "--allow-all",
                "--unstable-bare-node-builtins",
                "--unstable-detect-cjs",
            ],
        }
    }
}

/// The first number in what `--version` says: `v20.20.2`, `1.4.5`, `deno 2.9.6 (stable, …)`.
fn version(program: &Path) -> Result<String, String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    found.map(str::to_owned).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("--version gives no version: {text}{said}")
    })
}
