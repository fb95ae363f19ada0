//! Which file changes restart an app.

use super::attribute::Attribute;
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::paths::Base;
use crate::units::duration;
use ostler_core::WatchSpec;
use serde_json::Value;

/// PM2's default, chokidar's regular expression for dot files and `node_modules`.
const IGNORED: &str = r"/[\/\\]\.|node_modules/";

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "watch",
        Kind::FlagOrTexts,
        "false",
        "Restart when files change: below `cwd`, or in these files and folders.",
    ),
    Attribute::new(
        "ignore_watch",
        Kind::Words,
        IGNORED,
        "What not to watch: globs relative to `cwd`, absolute paths or `/regular expressions/`. Replaces the default.",
    ),
    Attribute::new(
        "watch_delay",
        Kind::Milliseconds(0),
        "0",
        "Quiet time after a change before the restart.",
    ),
    Attribute::new(
        "watch_options",
        Kind::Variables,
        "",
        "Options of PM2's watcher; `ignored` is added to `ignore_watch`, `usePolling`, `interval` and the like are not needed.",
    ),
    Attribute::new(
        "watch_action",
        Kind::Choice(&["restart", "reload"]),
        "",
        "What a change does in cluster mode. Ostler's own.",
    )
    .later("every change restarts, cluster mode does not exist yet"),
];

/// What is watched, or `None`.
pub(crate) fn spec(attributes: &Attributes, base: &Base) -> Option<WatchSpec> {
    let paths = match attributes.get("watch")? {
        Value::Bool(false) => return None,
        Value::Bool(true) => vec![base.cwd_text()],
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => attributes
            .texts("watch")
            .iter()
            .map(|path| base.resolve(path))
            .collect(),
    };
    Some(WatchSpec {
        paths,
        ignore: ignored(attributes),
        delay: duration(attributes.number("watch_delay").unwrap_or(0)),
    })
}

fn ignored(attributes: &Attributes) -> Vec<String> {
    let mut ignored = if attributes.get("ignore_watch").is_some() {
        attributes.texts("ignore_watch")
    } else {
        vec![IGNORED.to_owned()]
    };
    let option = attributes
        .get("watch_options")
        .and_then(|options| options.get("ignored"));
    match option {
        Some(Value::String(pattern)) => ignored.push(pattern.clone()),
        Some(Value::Array(patterns)) => ignored.extend(patterns.iter().filter_map(Value::as_str).map(str::to_owned)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
    }
    ignored
}
