//! What values an attribute takes, and how each is brought into the one form that the rest of the crate works with:
//! sizes in bytes, times in milliseconds, word lists as arrays of strings. The normal form is also what `jlist` shows.

use crate::{signal, units, words};
use serde_json::{Number, Value};

/// What values an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A string.
    Text,
    /// A string or a number, kept as a string.
    TextOrNumber,
    /// `true`, `false` or a string.
    FlagOrText,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A size in bytes: a number, or a string with a unit.
    Bytes,
    /// A size in bytes, or a percentage of the memory there is for us.
    Memory,
    /// A time in milliseconds, at least so many: a number, or a string with a unit.
    Milliseconds(u64),
    /// A whole number, at least and at most.
    Whole(i64, i64),
    /// A list of strings, or one string that is split at spaces.
    Words,
    /// A string, or a list of strings (not split).
    Texts,
    /// `true`, `false`, a string, or a list of strings.
    FlagOrTexts,
    /// An exit code, or a list of them.
    ExitCodes,
    /// A number of instances, or `max`.
    Instances,
    /// A cron pattern; `0` for none.
    Cron,
    /// A signal by name or number.
    Signal,
    /// Names and values of environment variables.
    Variables,
    /// A nested object, or `false`.
    TableOrFalse,
    /// A socket's address, an object with one, or a list of these.
    Listen,
    /// What is looked at, and how often: a string, an object, or `false`.
    Probe,
    /// Whatever it is, it is kept as it is.
    Anything,
}

impl Kind {
    /// What would be right, for people.
    pub(crate) fn expectation(self) -> String {
        match self {
            Self::Flag => "true or false, without quotes".into(),
            Self::Text => "a string".into(),
            Self::TextOrNumber => "a string or a number".into(),
            Self::FlagOrText => "true, false or a string".into(),
            Self::Choice(words) => format!("one of {}", quoted_list(words)),
            Self::Bytes => "a number of bytes, or a string with a unit: \"512K\", \"150M\", \"2G\"".into(),
            Self::Memory => {
                "a number of bytes, a string with a unit: \"512K\", \"150M\", \"2G\", or a percentage of the memory of this \
                 container or machine: \"80%\""
                    .into()
            }
            Self::Milliseconds(0) => {
                "a number of milliseconds, or a string with a unit: \"500ms\", \"10s\", \"5m\", \"1h\"".into()
            }
            Self::Milliseconds(least) => {
                format!("at least {least} milliseconds, as a number or a string with a unit: \"10s\", \"5m\"")
            }
            Self::Whole(least, i64::MAX) => format!("a whole number, {least} or more"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Words => "a list of strings, or one string with spaces between the words".into(),
            Self::Texts => "a string or a list of strings".into(),
            Self::FlagOrTexts => "true, false, a string or a list of strings".into(),
            Self::ExitCodes => "an exit code from 0 to 255 or a list of them: [0, 42]".into(),
            Self::Instances => "a whole number (negative: so many fewer than there are processors) or \"max\"".into(),
            Self::Cron => "a cron pattern of 5 to 7 fields such as \"0 3 * * *\", or \"@daily\"; 0 for none".into(),
            Self::Signal => "a signal such as \"SIGTERM\", or its number".into(),
            Self::Variables => "an object of names and values: { PORT: 3000 }".into(),
            Self::TableOrFalse => "an object, or false".into(),
            Self::Listen => "an address such as \"tcp://0.0.0.0:3000\" or \"unix:///run/app.sock\", an object { address, name, backlog, mode }, or a list of these".into(),
            Self::Probe => "a path such as \"/healthz\", \"tcp\", \"heartbeat\", \"exec:COMMAND\", or an object { http, tcp, heartbeat, command, port, interval, timeout, failure_threshold, success_threshold, start_period }".into(),
            Self::Anything => "any value".into(),
        }
    }

    /// The value in normal form, or `None` when it is not of this kind.
    pub(crate) fn normal(self, value: &Value) -> Option<Value> {
        match self {
            Self::Flag => value.is_boolean().then(|| value.clone()),
            Self::Text => value.is_string().then(|| value.clone()),
            Self::TextOrNumber => scalar_text(value).map(Value::String),
            Self::FlagOrText => (value.is_boolean() || value.is_string()).then(|| value.clone()),
            Self::Choice(words) => value.as_str().filter(|word| words.contains(word)).map(Value::from),
            Self::Bytes => number_or(value, units::bytes).map(Value::from),
            Self::Memory => number_or(value, |text| units::share(text, ostler_sys::cgroup::memory_limit()))
                .or_else(|| number_or(value, units::bytes))
                .map(Value::from),
            Self::Milliseconds(least) => number_or(value, units::milliseconds)
                .filter(|span| *span >= least)
                .map(Value::from),
            Self::Whole(least, most) => whole(value).filter(|n| (least..=most).contains(n)).map(Value::from),
            Self::Words => split_words(value),
            Self::Texts => texts(value),
            Self::FlagOrTexts => {
                if value.is_boolean() {
                    Some(value.clone())
                } else {
                    texts(value)
                }
            }
            Self::ExitCodes => exit_codes(value),
            Self::Instances => instances(value).map(Value::from),
            Self::Cron => cron(value).map(Value::String),
            Self::Signal => signal::parse(value).map(Value::from),
            Self::Variables => value.is_object().then(|| value.clone()),
            Self::TableOrFalse => (value.is_object() || *value == Value::Bool(false)).then(|| value.clone()),
            Self::Listen => (!value.is_boolean()).then(|| value.clone()),
            Self::Probe => {
                let fits = value.is_string() || value.is_object() || *value == Value::Bool(false);
                fits.then(|| value.clone())
            }
            Self::Anything => Some(value.clone()),
        }
    }
}

fn quoted_list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A string as it is, a number in its decimal form.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number_text(number)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number as JavaScript writes it: `3000`, not `3000.0`.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        Some(_) | None => number.to_string(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number_or(value: &Value, parse: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    parse(&scalar_text(value)?)
}

fn split_words(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::from(words::split(text))),
        Value::Array(_) => texts(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn texts(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value.clone()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar_text).collect();
            items.map(Value::from)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn exit_codes(value: &Value) -> Option<Value> {
    let codes: Option<Vec<i64>> = match value {
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::String(text) => words::split(text).iter().map(|word| word.parse().ok()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => whole(value).map(|code| vec![code]),
    };
    codes
        .filter(|codes| codes.iter().all(|code| (0..=255).contains(code)))
        .map(Value::from)
}

/// PM2: `max` is 0 is "as many as there are processors".
fn instances(value: &Value) -> Option<i64> {
    if value.as_str() == Some("max") {
        return Some(0);
    }
    whole(value).filter(|number| i32::try_from(*number).is_ok())
}

/// The pattern, checked; empty for none (`0`).
fn cron(value: &Value) -> Option<String> {
    let pattern = scalar_text(value)?;
    if pattern.trim() == "0" {
        return Some(String::new());
    }
    // The parser's defaults are croner's own dialect: seconds and years optional.
    croner::parser::CronParser::new()
        .parse(pattern.trim())
        .is_ok()
        .then(|| pattern.trim().to_owned())
}
