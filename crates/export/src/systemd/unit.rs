//! A unit file as it grows: sections and lines.

use super::Unsayable;
use super::escape;
use crate::remarks::{self, Remark};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Unit {
    app: String,
    text: String,
}

impl Unit {
    /// With remarks at its top.
    pub(super) fn new(app: &str, remarks: &[Remark]) -> Self {
        let head = remarks::head(&format!("Made by `ostler export systemd`: the app {app}."), remarks);
        Self {
            app: app.to_owned(),
            text: head,
        }
    }

    /// Without anything at its top.
    pub(super) fn headless(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            text: String::new(),
        }
    }

    pub(super) fn section(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
    }

    /// A line whose value is in systemd's own words.
    pub(super) fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        self.text.push_str(&format!("{key}={value}\n"));
    }

    /// A line with a path or a name out of the config.
    pub(super) fn said(&mut self, key: &'static str, value: &str) -> Result<(), Unsayable> {
        let line = escape::line(value).ok_or_else(|| Unsayable {
            app: self.app.clone(),
            key,
            value: value.to_owned(),
        })?;
        self.line(key, line);
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `30s`, `1600ms`.
pub(super) fn span(span: Duration) -> String {
    let milliseconds = span.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}
