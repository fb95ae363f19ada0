//! What is said about a configuration: warnings that leave it valid and errors that do not. Every one names its
//! source, the key's path and, where the format has them, line and column.

use std::fmt;

/// A place in a text, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character in the line.
    pub column: u32,
}

/// One thing to be said. [`Display`](fmt::Display) gives `source:line:column: key: message`, then the hint on a line
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as named by the user, `standard input` or `command line`.
    pub source: String,
    /// Where in the source, where that is known.
    pub position: Option<Position>,
    /// The key's path, e.g. `apps[1].max_memory_restart`, or a flag; empty when it concerns the whole.
    pub key: String,
    /// What is the matter: one sentence without a full stop.
    pub message: String,
    /// What would be right, or what to do next.
    pub hint: Option<String>,
}

/// Why a configuration could not be used. Nothing of it takes effect then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// What kind of failure the first problem is.
    pub kind: ConfigErrorKind,
    /// All problems found, in the order of the source; never empty.
    pub problems: Vec<Diagnostic>,
    /// What was to be warned of before the failure.
    pub warnings: Vec<Diagnostic>,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigErrorKind {
    /// The config file does not exist.
    FileNotFound,
    /// The config file cannot be read.
    FileUnreadable,
    /// The text is not of its format.
    Malformed,
    /// Evaluating it as JavaScript failed: it threw, hung, exited, or there is no node.
    Evaluation,
    /// It has a form or value that means nothing.
    Invalid,
    /// The script to run does not exist.
    ScriptNotFound,
    /// The interpreter cannot be found.
    InterpreterNotFound,
}

/// A problem whose source and path are yet to be filled in by whoever knows them.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: ConfigErrorKind,
    /// The attribute's canonical name.
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn invalid(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(ConfigErrorKind::Invalid, key, message, hint)
    }

    pub(crate) fn of(kind: ConfigErrorKind, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl Diagnostic {
    pub(crate) fn new(source: &str, key: &str, message: impl Into<String>) -> Self {
        Self {
            source: source.to_owned(),
            position: None,
            key: key.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl ConfigError {
    pub(crate) fn one(kind: ConfigErrorKind, problem: Diagnostic) -> Self {
        Self {
            kind,
            problems: vec![problem],
            warnings: Vec::new(),
        }
    }

    pub(crate) fn with_warnings(mut self, mut warnings: Vec<Diagnostic>) -> Self {
        warnings.append(&mut self.warnings);
        self.warnings = warnings;
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}
