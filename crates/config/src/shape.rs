//! The outer form of a config: where its apps are.

use crate::diagnostic::{ConfigError, ConfigErrorKind, Diagnostic};
use crate::place::{Place, item};
use crate::pm2::attribute::find;
use crate::source::Document;
use serde_json::{Map, Value};

/// The apps of a config.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) entries: Vec<(Place<'a>, &'a Map<String, Value>)>,
    /// The `deploy` section.
    pub(crate) deploy: Option<&'a Map<String, Value>>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Keys that stand beside `apps`.
const BESIDE: &[&str] = &["apps", "pm2", "deploy", "static", "$schema"];

/// Finds the apps in any of PM2's forms: `{apps: […]}`, `{apps: {…}}`, `{pm2: […]}`, `[…]`, one app alone.
pub(crate) fn shape(document: &Document) -> Result<Shape<'_>, ConfigError> {
    let mut shape = Shape {
        entries: Vec::new(),
        deploy: None,
        warnings: Vec::new(),
    };
    match &document.value {
        Value::Array(_) => list(document, &document.value, "", &mut shape)?,
        Value::Object(map) => object(document, map, &mut shape)?,
        Value::Null => return Err(invalid(document, "", "it is empty")),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let what = crate::check::shown(&document.value);
            return Err(invalid(document, "", format!("{what} is no configuration")));
        }
    }
    if shape.entries.is_empty() {
        shape
            .warnings
            .push(Diagnostic::new(&document.source, "", "it declares no app"));
    }
    Ok(shape)
}

fn object<'a>(document: &'a Document, map: &'a Map<String, Value>, shape: &mut Shape<'a>) -> Result<(), ConfigError> {
    shape.deploy = map.get("deploy").and_then(Value::as_object);
    let Some((key, apps)) = map.get_key_value("apps").or_else(|| map.get_key_value("pm2")) else {
        return alone(document, map, shape);
    };
    let place = root(document);
    for other in map.keys().filter(|other| *other != key) {
        shape.warnings.extend(beside(&place, other));
    }
    list(document, apps, key, shape)
}

fn beside(place: &Place<'_>, key: &str) -> Option<Diagnostic> {
    match key {
        "deploy" => Some(place.diagnostic(key, "not yet effective: the `deploy` command does not exist yet")),
        "static" => Some(place.diagnostic(key, "not yet effective: the static file server does not exist yet")),
        "$schema" => None,
        _ if BESIDE.contains(&key) => Some(place.diagnostic(key, "`apps` is declared too and counts")),
        _ => {
            let warning = place.diagnostic(key, "unknown key, it has no effect");
            let hint = find(key).map(|_attribute| "it belongs into an app: { apps: [ { … } ] }");
            Some(match hint {
                Some(hint) => warning.hint(hint),
                None => warning.hint("beside `apps` there can be `deploy` and `static`"),
            })
        }
    }
}

/// No `apps`: the object itself is an app, unless it has nothing of one.
fn alone<'a>(document: &'a Document, map: &'a Map<String, Value>, shape: &mut Shape<'a>) -> Result<(), ConfigError> {
    let place = root(document);
    let sections: Vec<&str> = map
        .keys()
        .map(String::as_str)
        .filter(|key| BESIDE.contains(key))
        .collect();
    if sections.len() == map.len() && !map.is_empty() {
        shape
            .warnings
            .extend(sections.into_iter().filter_map(|key| beside(&place, key)));
        return Ok(());
    }
    if !map.keys().any(|key| find(key).is_some()) {
        let message = if map.is_empty() {
            "it is empty"
        } else {
            "it has neither `apps` nor anything of an app"
        };
        return Err(invalid(document, "", message));
    }
    shape.entries.push((place, map));
    Ok(())
}

fn list<'a>(document: &'a Document, apps: &'a Value, path: &str, shape: &mut Shape<'a>) -> Result<(), ConfigError> {
    let values: Vec<(String, &Value)> = match apps {
        Value::Array(apps) => apps
            .iter()
            .enumerate()
            .map(|(index, app)| (item(path, index), app))
            .collect(),
        Value::Object(_) => vec![(path.to_owned(), apps)],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(invalid(
                document,
                path,
                format!("{} is no list of apps", crate::check::shown(apps)),
            ));
        }
    };
    for (path, value) in values {
        let Value::Object(map) = value else {
            return Err(invalid(
                document,
                &path,
                format!("{} is no app", crate::check::shown(value)),
            ));
        };
        shape.entries.push((Place { path, ..root(document) }, map));
    }
    Ok(())
}

fn root(document: &Document) -> Place<'_> {
    Place {
        source: &document.source,
        path: String::new(),
        positions: &document.positions,
        flags: false,
    }
}

fn invalid(document: &Document, path: &str, message: impl Into<String>) -> ConfigError {
    let place = Place {
        path: path.to_owned(),
        ..root(document)
    };
    let problem = place
        .diagnostic("", message)
        .hint("write { apps: [ { name: \"api\", script: \"./api.js\" } ] }");
    ConfigError::one(ConfigErrorKind::Invalid, problem)
}
