//! Where in a source something stands: key paths, and their positions in the text.

use crate::diagnostic::{Diagnostic, Position};
use std::collections::BTreeMap;

/// Positions of values by key path.
pub(crate) type Positions = BTreeMap<String, Position>;

/// The place of one app's entry in its source.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The source's name as the user knows it.
    pub(crate) source: &'a str,
    /// The entry's key path; empty for the whole source.
    pub(crate) path: String,
    pub(crate) positions: &'a Positions,
    /// Whether keys are flags of a command line.
    pub(crate) flags: bool,
}

impl Place<'_> {
    /// Something to be said about a key of the entry.
    pub(crate) fn diagnostic(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        if self.flags {
            return Diagnostic::new(self.source, &flag(key), message);
        }
        let path = child(&self.path, key);
        let position = self
            .positions
            .get(&path)
            .or_else(|| self.positions.get(&self.path))
            .copied();
        Diagnostic::new(self.source, &path, message).at(position)
    }
}

/// An attribute as a flag; the script is what the command is about and has no flag.
fn flag(key: &str) -> String {
    if key == "script" {
        String::new()
    } else {
        format!("--{}", key.replace('_', "-"))
    }
}

/// `path.key`, with brackets around keys that are no identifiers. `key` may itself be a dotted path.
pub(crate) fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'));
    match (path.is_empty(), plain || key.is_empty()) {
        (_, true) if key.is_empty() => path.to_owned(),
        (true, true) => key.to_owned(),
        (false, true) => [path, ".", key].concat(),
        (_, false) => [path, "[\"", key, "\"]"].concat(),
    }
}

/// `path[index]`.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Line and column of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    Cursor::default().position(text, offset)
}

/// Lines and columns of ever later byte offsets of one text, in one pass.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    offset: usize,
    /// Line breaks before the offset, and characters between the last of them and the offset.
    lines: usize,
    columns: usize,
}

impl Cursor {
    /// Line and column of an offset, which must not lie before an earlier one asked for.
    pub(crate) fn position(&mut self, text: &str, offset: usize) -> Position {
        let offset = text.floor_char_boundary(offset.min(text.len())).max(self.offset);
        let passed = &text[self.offset..offset];
        self.offset = offset;
        if let Some(line_break) = passed.rfind('\n') {
            self.lines += passed.matches('\n').count();
            self.columns = passed[line_break + 1..].chars().count();
        } else {
            self.columns += passed.chars().count();
        }
        let count = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        Position {
            line: count(self.lines),
            column: count(self.columns),
        }
    }
}
