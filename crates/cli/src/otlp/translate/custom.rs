//! What apps measure themselves (PM2's `axm:monitor`), where it is a number.
//!
//! Their names are the apps' own words, for people: `Event Loop Latency p95`. Those of metrics are of letters, digits, `_`, `.`, `-` and `/`
//! (the specification of OpenTelemetry's metrics, *Instrument name syntax*). So all else becomes `_`, and what the app has written stands
//! beside it.

use crate::otlp::request::{Attribute, Data, Metric, Number, NumberPoint, Whole};
use ostler_wire::metrics::CustomMetric;
use std::collections::BTreeMap;

/// Before the app's own name.
const PREFIX: &str = "ostler.custom.";
/// The longest name that a metric may have.
const LONGEST_NAME: usize = 255;
/// The longest unit that a metric may have.
const LONGEST_UNIT: usize = 63;

/// Of one worker.
pub(super) fn metrics(custom: &BTreeMap<String, CustomMetric>, now: u64) -> impl Iterator<Item = Metric> {
    custom
        .iter()
        .filter_map(move |(name, custom)| metric(name, custom, now))
}

fn metric(name: &str, custom: &CustomMetric, now: u64) -> Option<Metric> {
    let number = custom.number()?;
    let own: String = name.chars().map(allowed).take(LONGEST_NAME - PREFIX.len()).collect();
    // Two that were told apart by what is left out of their names still are.
    let attributes = match own == name {
        true => Vec::new(),
        false => vec![Attribute::text("ostler.custom.name", name)],
    };
    let unit = custom
        .unit
        .as_deref()
        .filter(|unit| unit.is_ascii() && unit.len() <= LONGEST_UNIT);
    let point = NumberPoint {
        attributes,
        start_time_unix_nano: None,
        time_unix_nano: Whole(now),
        value: Number::AsDouble(number),
    };
    Some(Metric {
        name: format!("{PREFIX}{own}").into(),
        description: "What the app measures itself.".into(),
        unit: unit.unwrap_or_default().to_owned().into(),
        data: Data::gauge(vec![point]),
    })
}

fn allowed(letter: char) -> char {
    match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' | '/' => letter,
        _other => '_',
    }
}
