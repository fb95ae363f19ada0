//! From the map that a config has for one app to checked attributes: names folded, values in normal form, and everything
//! that cannot be used said aloud.

use crate::attributes::Attributes;
use crate::diagnostic::Diagnostic;
use crate::place::Place;
use crate::pm2::attribute::{Attribute, Effect, find, nearest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What was said of one app, checked.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) attributes: Attributes,
    /// `env_<name>` blocks by name.
    pub(crate) named_environments: BTreeMap<String, Map<String, Value>>,
    /// Under which key each attribute was written.
    pub(crate) written_as: BTreeMap<&'static str, String>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) problems: Vec<Diagnostic>,
}

/// Checks the entry at `place`.
pub(crate) fn check(entry: &Map<String, Value>, place: &Place<'_>) -> Checked {
    let mut checked = Checked::default();
    let mut candidates: Vec<(&'static Attribute, Vec<(&str, &Value)>)> = Vec::new();
    for (key, value) in entry {
        match (find(key), key.strip_prefix("env_")) {
            (Some(_), _) if value.is_null() => {}
            (Some(attribute), _) => match candidates
                .iter_mut()
                .find(|(known, _values)| known.name == attribute.name)
            {
                Some((_known, values)) => values.push((key, value)),
                None => candidates.push((attribute, vec![(key, value)])),
            },
            (None, Some(name)) => named_environment(&mut checked, name, key, value, place),
            (None, None) => checked.warnings.push(unknown(key, place)),
        }
    }
    for (attribute, values) in candidates {
        admit(&mut checked, attribute, values, place);
    }
    checked
}

fn named_environment(checked: &mut Checked, name: &str, key: &str, value: &Value, place: &Place<'_>) {
    match value {
        Value::Object(block) => {
            checked.named_environments.insert(name.to_owned(), block.clone());
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let message = format!("{} is not a block of variables", shown(value));
            let problem = place
                .diagnostic(key, message)
                .hint("write an object of names and values: { PORT: 3000 }");
            checked.problems.push(problem);
        }
    }
}

fn unknown(key: &str, place: &Place<'_>) -> Diagnostic {
    let warning = place.diagnostic(key, "unknown key, it has no effect");
    match nearest(key) {
        Some(known) => warning.hint(format!("did you mean `{known}`?")),
        None => warning,
    }
}

/// Takes the value under the attribute's own name, else under the first alias; PM2's rule, except that a main key counts
/// as absent only when it is, not also when it is 0 or false.
fn admit(checked: &mut Checked, attribute: &'static Attribute, mut values: Vec<(&str, &Value)>, place: &Place<'_>) {
    values.sort_by_key(|(key, _value)| rank(attribute, key));
    let (key, value) = values[0];
    for (other, overruled) in &values[1..] {
        if *overruled != value {
            let message = format!("it means the same as `{key}`, which is declared too and counts");
            checked
                .warnings
                .push(place.diagnostic(other, message).hint("remove one of them"));
        }
    }
    let Some(normal) = attribute.kind.normal(value) else {
        checked.problems.push(unsuitable(attribute, key, value, place));
        return;
    };
    let asks = asks_for_something(&normal);
    match attribute.effect {
        Effect::Effective => {}
        Effect::Later(missing) if asks => {
            checked
                .warnings
                .push(place.diagnostic(key, format!("not yet effective: {missing}")));
        }
        Effect::Ignored(reason) if asks => {
            checked
                .warnings
                .push(place.diagnostic(key, format!("has no effect: {reason}")));
        }
        Effect::Later(_) | Effect::Ignored(_) => {}
    }
    checked.attributes.set(attribute.name, normal);
    checked.written_as.insert(attribute.name, key.to_owned());
}

fn rank(attribute: &Attribute, key: &str) -> usize {
    let snake = crate::pm2::attribute::snake_case(key);
    let names = std::iter::once(&attribute.name).chain(attribute.aliases);
    // Of one name's two spellings the snake_case one counts.
    names
        .enumerate()
        .find(|(_rank, name)| **name == key || **name == snake)
        .map_or(usize::MAX, |(rank, name)| rank * 2 + usize::from(*name != key))
}

/// `pmx: false` and the like ask for what Ostler does anyway.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !matches!(text.as_str(), "" | "false"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(table) => !table.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn unsuitable(attribute: &Attribute, key: &str, value: &Value, place: &Place<'_>) -> Diagnostic {
    let message = format!("{} is not valid here", shown(value));
    place
        .diagnostic(key, message)
        .hint(format!("write {}", attribute.kind.expectation()))
}

/// A value in a message, as JSON and not too long.
pub(crate) fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head}…")
}
