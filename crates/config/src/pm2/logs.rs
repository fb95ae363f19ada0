//! Where output and the pid file go, and in which form.

use super::attribute::Attribute;
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::diagnostic::Problem;
use crate::paths::{self, Base};
use crate::units;
use ostler_core::{LogFile, LogFormat, LogSpec, Rotation};
use serde_json::Value;
use std::path::Path;

/// PM2's `--time`.
const TIME_FORMAT: &str = "YYYY-MM-DDTHH:mm:ss";

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "out_file",
        Kind::Text,
        "<home>/logs/<name>-out.log",
        "The file of standard output; `/dev/null` or `NULL` for none.",
    )
    .aliases(&["out", "output", "out_log"]),
    Attribute::new(
        "error_file",
        Kind::Text,
        "<home>/logs/<name>-error.log",
        "The file of standard error; `/dev/null` or `NULL` for none.",
    )
    .aliases(&["error", "err", "err_file", "err_log"]),
    Attribute::new(
        "log_file",
        Kind::FlagOrText,
        "",
        "A file for both; `true` for `<name>.log` in the log folder.",
    )
    .aliases(&["log"]),
    Attribute::new(
        "pid_file",
        Kind::Text,
        "<home>/pids/<name>.pid",
        "The pid file; before `.pid` comes `-<id>`.",
    )
    .aliases(&["pid"]),
    Attribute::new(
        "merge_logs",
        Kind::Flag,
        "true without `instances` in fork mode",
        "Instances share one log file: no `-<id>` in its name.",
    )
    .aliases(&["combine_logs"]),
    Attribute::new(
        "disable_logs",
        Kind::Flag,
        "false",
        "Neither file nor follower gets any output.",
    ),
    Attribute::new(
        "log_type",
        Kind::Choice(&["raw", "json"]),
        "raw",
        "The lines as written, or one JSON object a line.",
    ),
    Attribute::new(
        "log_date_format",
        Kind::Text,
        "",
        "A day.js pattern put before each line.",
    ),
    Attribute::new(
        "time",
        Kind::Flag,
        "false",
        "The same as `log_date_format: \"YYYY-MM-DDTHH:mm:ss\"`.",
    ),
    Attribute::new(
        "log_rotate",
        Kind::TableOrFalse,
        "{ max_size: \"512M\", keep: 10, compress: true }",
        "When logs are rotated (`max_size`, `max_age`) and what is kept (`keep`, `max_total`, `compress`); `false` for never. Ostler's own.",
    ),
];

/// What log paths depend on besides the attributes.
pub(crate) struct LogContext<'a> {
    pub(crate) name: &'a str,
    /// Ostler's home.
    pub(crate) home: &'a Path,
    pub(crate) base: &'a Base,
    /// PM2 would use cluster mode, or `instances` is given: each instance has files of its own.
    pub(crate) several: bool,
}

/// Where output goes.
pub(crate) fn spec(attributes: &Attributes, context: &LogContext<'_>) -> Result<LogSpec, Problem> {
    let merged = attributes.flag("merge_logs").unwrap_or(!context.several);
    let written = |key: &str, default: &str| {
        let path = attributes.text(key).filter(|path| !path.is_empty());
        log_file(path, default, merged, context)
    };
    let combined = match attributes.get("log_file") {
        None | Some(Value::Bool(false)) => None,
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
        ) => Some(written("log_file", "")),
    };
    Ok(LogSpec {
        out: written("out_file", "-out"),
        error: written("error_file", "-error"),
        combined,
        merged,
        format: if attributes.text("log_type") == Some("json") {
            LogFormat::Json
        } else {
            LogFormat::Raw
        },
        date_format: date_format(attributes),
        disabled: attributes.flag("disable_logs").unwrap_or(false),
        rotation: rotation(attributes.get("log_rotate"))?,
    })
}

fn date_format(attributes: &Attributes) -> Option<String> {
    let format = attributes.text("log_date_format").filter(|format| !format.is_empty());
    let time = attributes.flag("time").unwrap_or(false).then_some(TIME_FORMAT);
    time.or(format).map(str::to_owned)
}

fn log_file(written: Option<&str>, default: &str, merged: bool, context: &LogContext<'_>) -> LogFile {
    let path = match written {
        Some("NULL" | "/dev/null") => return LogFile::Discard,
        Some(path) => context.base.resolve(path),
        None => in_home(context, "logs", &format!("{default}.log")),
    };
    LogFile::Path(if merged { path } else { with_id(&path, ".log") })
}

/// The pid file; it always bears the id, unless the user named one that does not end in `.pid`.
pub(crate) fn pid_file(attributes: &Attributes, context: &LogContext<'_>) -> String {
    let written = attributes.text("pid_file").filter(|path| !path.is_empty());
    let path = written.map_or_else(|| in_home(context, "pids", ".pid"), |path| context.base.resolve(path));
    with_id(&path, ".pid")
}

fn in_home(context: &LogContext<'_>, folder: &str, ending: &str) -> String {
    let name = file_name(context.name);
    paths::text(&context.home.join(folder).join(format!("{name}{ending}")))
}

/// A name as PM2 writes it into file names.
pub(crate) fn file_name(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '\\');
    name.chars().map(|c| if keep(c) { c } else { '-' }).collect()
}

/// PM2's rule: `.log` or `-7.log` at the end becomes `-{id}.log`; another ending is left as it is.
pub(crate) fn with_id(path: &str, ending: &str) -> String {
    let Some(stem) = path.strip_suffix(ending) else {
        return path.to_owned();
    };
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (before, _number) = stem.split_at(stem.len() - digits);
    let stem = match before.strip_suffix('-') {
        Some(before) if digits > 0 => before,
        Some(_) | None => stem,
    };
    format!("{stem}-{{id}}{ending}")
}

/// Rotation is on unless turned off, and generous.
const DEFAULT_ROTATION: Rotation = Rotation {
    max_size: 512 << 20,
    max_age: None,
    keep: 10,
    max_total: None,
    compress: true,
};

fn rotation(value: Option<&Value>) -> Result<Option<Rotation>, Problem> {
    let Some(value) = value else {
        return Ok(Some(DEFAULT_ROTATION));
    };
    let Some(table) = value.as_object() else {
        return Ok(None);
    };
    let mut rotation = DEFAULT_ROTATION;
    for (key, value) in table {
        set_rotation(&mut rotation, key, value)?;
    }
    Ok(Some(rotation))
}

const ROTATION_KEYS: &[(&str, Kind)] = &[
    ("max_size", Kind::Bytes),
    ("max_age", Kind::Milliseconds(1)),
    ("keep", Kind::Whole(0, u32::MAX as i64)),
    ("max_total", Kind::Bytes),
    ("compress", Kind::Flag),
];

fn set_rotation(rotation: &mut Rotation, key: &str, value: &Value) -> Result<(), Problem> {
    let name = super::attribute::snake_case(key);
    let path = format!("log_rotate.{key}");
    let Some((name, kind)) = ROTATION_KEYS.iter().find(|(known, _kind)| *known == name) else {
        let known = ROTATION_KEYS
            .iter()
            .map(|(name, _kind)| *name)
            .collect::<Vec<_>>()
            .join(", ");
        return Err(Problem::invalid(
            &path,
            "there is no such setting of log rotation",
            format!("known are {known}"),
        ));
    };
    let unsuitable = || {
        Problem::invalid(
            &path,
            format!("{value} is not valid here"),
            format!("write {}", kind.expectation()),
        )
    };
    let value = kind.normal(value).ok_or_else(unsuitable)?;
    let number = value.as_u64();
    match *name {
        "max_size" => rotation.max_size = number.filter(|size| *size > 0).ok_or_else(unsuitable)?,
        "max_age" => rotation.max_age = number.map(units::duration),
        "keep" => {
            rotation.keep = number
                .and_then(|keep| u32::try_from(keep).ok())
                .unwrap_or(rotation.keep);
        }
        "max_total" => rotation.max_total = number,
        _compress => rotation.compress = value.as_bool().unwrap_or(rotation.compress),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stands_before_the_ending_as_in_pm2() {
        assert_eq!(with_id("/l/a-out.log", ".log"), "/l/a-out-{id}.log");
        assert_eq!(with_id("/l/a-out-3.log", ".log"), "/l/a-out-{id}.log");
        assert_eq!(with_id("/l/a3.log", ".log"), "/l/a3-{id}.log");
        assert_eq!(with_id("/l/out.txt", ".log"), "/l/out.txt");
        assert_eq!(with_id("/p/a.pid", ".pid"), "/p/a-{id}.pid");
    }

    #[test]
    fn names_become_safe_file_names() {
        assert_eq!(file_name("m 5/x"), "m-5-x");
        assert_eq!(file_name("api.v2-b"), "api.v2-b");
    }
}
