//! Which form a stream's output has, by what its app and whoever runs all of them ask for.

use super::format::{Dates, Form, JsonForm, Prefix};
use super::target::{ConsoleForm, StreamId, StreamKind, Target};
use ostler_core::LogFormat;

/// The time in `key=value` lines.
const KEY_VALUE_TIME: &str = "YYYY-MM-DD-HH:mm:ssZZ";
/// PM2's label is at least this wide.
const LABEL_WIDTH: usize = 10;

impl Form {
    /// The form of a stream of the app called `name`.
    pub fn of(target: &Target, id: StreamId, name: &str) -> Self {
        let date = target.date_format.as_deref();
        let json = || {
            Self::Json(Box::new(JsonForm {
                dates: Dates::new(date),
                kind: id.kind,
                process: id.worker.slot.0,
                name: serde_json::Value::from(name).to_string(),
            }))
        };
        match (target.console.map(|console| console.form), target.format, date) {
            (Some(ConsoleForm::KeyValue), _, _) => Self::Prefixed(key_value(id, name)),
            (Some(ConsoleForm::Labelled), _, date) => Self::Prefixed(label(id, name, date)),
            (Some(ConsoleForm::Json), _, _) | (Some(ConsoleForm::Raw) | None, LogFormat::Json, _) => json(),
            (Some(ConsoleForm::Raw) | None, LogFormat::Raw, Some(_)) => Self::Prefixed(Prefix::date(Dates::new(date))),
            (Some(ConsoleForm::Raw) | None, LogFormat::Raw, None) => Self::Raw,
        }
    }
}

fn key_value(id: StreamId, name: &str) -> Prefix {
    let kind = match id.kind {
        StreamKind::Out => "out",
        StreamKind::Error => "error",
    };
    Prefix {
        before: b"timestamp=".to_vec(),
        dates: Some(Dates::new(Some(KEY_VALUE_TIME))),
        after: format!(" app={name} id={} type={kind} message=", id.worker.slot).into_bytes(),
    }
}

fn label(id: StreamId, name: &str, date: Option<&str>) -> Prefix {
    let label = format!("{}|{name}", id.worker.slot);
    Prefix {
        before: format!("{label:LABEL_WIDTH$} | ").into_bytes(),
        dates: date.map(|pattern| Dates::new(Some(pattern))),
        after: if date.is_some() { b": ".to_vec() } else { Vec::new() },
    }
}
