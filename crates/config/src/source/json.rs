//! JSON, JSON5, and JSON that is really JavaScript (PM2 evaluates every `.json` as an expression).

use super::{Document, javascript, malformed};
use crate::Context;
use crate::diagnostic::{ConfigError, Diagnostic, Position};
use crate::source::positions;
use serde_json::Value;

/// Parses JSON5, of which JSON is a part; what is not even that is given to the user's node.
pub(crate) fn parse(source: &str, text: &str, context: &Context) -> Result<Document, ConfigError> {
    if text.trim().is_empty() {
        return Err(malformed(Diagnostic::new(source, "", "it is empty")));
    }
    match value(text) {
        Ok(value) => {
            let scan = positions::scan(text);
            let warnings = scan.repeated.into_iter().map(|(path, at)| {
                Diagnostic::new(source, &path, "declared a second time; the last one counts").at(Some(at))
            });
            let warnings = warnings.collect();
            Ok(Document {
                source: source.to_owned(),
                value,
                positions: scan.positions,
                warnings,
            })
        }
        Err(error) => as_javascript(source, text, &error, context),
    }
}

fn value(text: &str) -> Result<Value, json5::Error> {
    serde_json::from_str(text).or_else(|_strict| json5::from_str(text))
}

/// When JavaScript finds the syntax wrong too, the JSON parser's message is the better one: it has a place.
fn as_javascript(source: &str, text: &str, error: &json5::Error, context: &Context) -> Result<Document, ConfigError> {
    let at = error.position().map(|place| Position {
        line: count(place.line),
        column: count(place.column),
    });
    let what = error.code().map_or_else(|| error.to_string(), |code| code.to_string());
    let malformed_json = |hint: &str| {
        malformed(
            Diagnostic::new(source, "", format!("not valid JSON: {what}"))
                .at(at)
                .hint(hint),
        )
    };
    match javascript::expression(source, text, context) {
        Ok(document) => Ok(document),
        Err(javascript::Failure::Syntax(_message)) => Err(malformed_json(
            "nor is it a JavaScript expression; look for a missing comma, quote or bracket",
        )),
        Err(javascript::Failure::NoNode) => {
            Err(malformed_json("if it is JavaScript, install node to have it evaluated"))
        }
        Err(javascript::Failure::Other(error)) => Err(error),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).map_or(u32::MAX, |number| number + 1)
}
