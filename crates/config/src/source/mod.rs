//! Where configs come from: text in one of the formats, or a JavaScript module. Whatever it was, a [`Document`] comes out.

mod evaluation;
mod javascript;
mod json;
mod positions;
mod toml;
mod yaml;

use crate::Context;
use crate::diagnostic::{ConfigError, ConfigErrorKind, Diagnostic};
use crate::place::Positions;
use serde_json::Value;
use std::path::Path;

/// What standard input is called in messages.
pub(crate) const STDIN: &str = "standard input";

/// A config as data.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its name as the user knows it.
    pub(crate) source: String,
    pub(crate) value: Value,
    /// Where values stand, as far as the format tells.
    pub(crate) positions: Positions,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Toml,
    Module,
}

/// PM2 looks for these anywhere in the name, in this order; `.config.ts` and `.toml` are ours. TOML is last and only at
/// the end: a script may well be called `x.toml.js`.
const FORMATS: &[(&str, Format)] = &[
    (".json", Format::Json),
    (".yml", Format::Yaml),
    (".yaml", Format::Yaml),
    (".config.js", Format::Module),
    (".config.cjs", Format::Module),
    (".config.mjs", Format::Module),
    (".config.ts", Format::Module),
    (".config.mts", Format::Module),
    (".config.cts", Format::Module),
];

/// The format that a file name stands for, if it is a config's.
pub(crate) fn format(name: &str) -> Option<Format> {
    let by_part = FORMATS
        .iter()
        .find(|(part, _format)| name.contains(part))
        .map(|(_part, format)| *format);
    by_part.or_else(|| name.ends_with(".toml").then_some(Format::Toml))
}

/// Reads the file at `path` (relative to the caller's directory).
pub(crate) fn read(path: &Path, context: &Context) -> Result<Document, ConfigError> {
    let source = path.to_string_lossy().into_owned();
    let file = crate::paths::normal(&context.cwd.join(path));
    let bytes = std::fs::read(&file).map_err(|error| unreadable(&source, &error))?;
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match format(&name) {
        Some(Format::Module) => javascript::module(&source, &file, context),
        Some(Format::Yaml) => yaml::parse(&source, &text(&source, bytes)?),
        Some(Format::Toml) => toml::parse(&source, &text(&source, bytes)?),
        Some(Format::Json) | None => json::parse(&source, &text(&source, bytes)?, context),
    }
}

/// A config given as text: JSON, or JavaScript as in PM2.
pub(crate) fn stdin(bytes: &[u8], context: &Context) -> Result<Document, ConfigError> {
    json::parse(STDIN, &text(STDIN, bytes.to_vec())?, context)
}

fn text(source: &str, bytes: Vec<u8>) -> Result<String, ConfigError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let problem = Diagnostic::new(source, "", format!("byte {offset} is not UTF-8")).hint("save the file as UTF-8");
        ConfigError::one(ConfigErrorKind::Malformed, problem)
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn unreadable(source: &str, error: &std::io::Error) -> ConfigError {
    if error.kind() == std::io::ErrorKind::NotFound {
        let problem = Diagnostic::new(source, "", "File not found").hint("check the path");
        return ConfigError::one(ConfigErrorKind::FileNotFound, problem);
    }
    let problem = Diagnostic::new(source, "", format!("cannot read the file: {error}")).hint("check its permissions");
    ConfigError::one(ConfigErrorKind::FileUnreadable, problem)
}

/// The text is not of its format.
fn malformed(diagnostic: Diagnostic) -> ConfigError {
    ConfigError::one(ConfigErrorKind::Malformed, diagnostic)
}
