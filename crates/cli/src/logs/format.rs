//! How a line of output is shown: with its label, raw, as JSON, or as `key=value`. Pure.

use crate::printer::{BAD, FAINT, GOOD, paint};
use crate::units;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use ostler_core::{SlotId, WallTime};
use ostler_daemon::logs::Pattern;
use serde_json::json;
use std::borrow::Cow;

pub use ostler_wire::control::StreamKind as Stream;

/// The form of the whole output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `0|api      | line`.
    Labelled,
    /// The bytes as they are.
    Raw,
    /// One object a line.
    Json,
    /// `timestamp=… app=… id=… type=… message=…`.
    KeyValue,
}

/// Where a line comes from, and when it was read; lines out of a file have no time.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The slot.
    pub id: SlotId,
    /// The app's name.
    pub name: &'a str,
    /// The stream.
    pub stream: Stream,
    /// When.
    pub at: Option<WallTime>,
}

/// PM2's label is at least this wide.
const LABEL_WIDTH: usize = 10;

/// The time in `--format` lines.
const KEY_VALUE_TIME: &str = "YYYY-MM-DD-HH:mm:ssZZ";

/// Shows lines.
pub struct Formatter {
    form: Form,
    colour: bool,
    timestamp: Option<Pattern>,
    highlight: Option<String>,
    time_zone: TimeZone,
    label_width: usize,
}

impl Formatter {
    /// One for the whole run. `timestamp` is a day.js pattern.
    pub fn new(
        form: Form,
        colour: bool,
        timestamp: Option<&str>,
        highlight: Option<String>,
        time_zone: TimeZone,
    ) -> Self {
        let pattern = if form == Form::KeyValue {
            Some(KEY_VALUE_TIME)
        } else {
            timestamp
        };
        let timestamp = pattern.map(Pattern::new);
        Self {
            form,
            colour,
            timestamp,
            highlight,
            time_zone,
            label_width: LABEL_WIDTH,
        }
    }

    /// The line with its end. Labels keep the width of the longest one seen.
    pub fn line(&mut self, origin: &Origin<'_>, line: &[u8]) -> Vec<u8> {
        match self.form {
            Form::Raw => [line, b"\n"].concat(),
            Form::Labelled => self.labelled(origin, line),
            Form::Json => format!("{}\n", self.json(origin, line)).into_bytes(),
            Form::KeyValue => self.key_value(origin, line).into_bytes(),
        }
    }

    /// A process event, where the form shows them.
    pub fn event(&self, name: &str, at: WallTime, event: &str) -> Option<String> {
        let value = json!({ "timestamp": units::iso(at), "type": "process_event", "status": event, "app_name": name });
        (self.form == Form::Json).then(|| format!("{value}\n"))
    }

    /// A labelled live line with the date that the app's log file has before it, so that both look the same. Other forms
    /// have their own time.
    pub fn dated<'l>(&self, date: Option<&Pattern>, at: Option<WallTime>, line: &'l [u8]) -> Cow<'l, [u8]> {
        match (self.form, date, at) {
            (Form::Labelled, Some(pattern), Some(at)) => {
                let mut text = self.moment(pattern, at);
                text.push_str(": ");
                Cow::Owned([text.as_bytes(), line].concat())
            }
            (Form::Labelled | Form::Raw | Form::Json | Form::KeyValue, _, _) => Cow::Borrowed(line),
        }
    }

    fn labelled(&mut self, origin: &Origin<'_>, line: &[u8]) -> Vec<u8> {
        let label = format!("{}|{}", origin.id, origin.name);
        self.label_width = self.label_width.max(label.chars().count());
        let style = match origin.stream {
            Stream::Out => GOOD,
            Stream::Error => BAD,
        };
        let label = format!("{label:width$} | ", width = self.label_width);
        let time = self
            .time(origin)
            .map(|time| paint(self.colour, FAINT, &format!("{time} ")))
            .unwrap_or_default();
        let mut text = time.into_bytes();
        text.extend_from_slice(paint(self.colour, style, &label).as_bytes());
        text.extend_from_slice(&self.highlighted(line));
        text.push(b'\n');
        text
    }

    fn json(&self, origin: &Origin<'_>, line: &[u8]) -> serde_json::Value {
        let kind = match origin.stream {
            Stream::Out => "out",
            Stream::Error => "err",
        };
        json!({
            "message": String::from_utf8_lossy(line),
            "timestamp": origin.at.map(units::iso),
            "type": kind,
            "process_id": origin.id.0,
            "app_name": origin.name,
        })
    }

    fn key_value(&self, origin: &Origin<'_>, line: &[u8]) -> String {
        let kind = match origin.stream {
            Stream::Out => "out",
            Stream::Error => "error",
        };
        let time = self
            .time(origin)
            .map(|time| format!("timestamp={time} "))
            .unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        format!(
            "{time}app={} id={} type={kind} message={line}\n",
            origin.name, origin.id
        )
    }

    fn time(&self, origin: &Origin<'_>) -> Option<String> {
        let (pattern, at) = (self.timestamp.as_ref()?, origin.at?);
        Some(self.moment(pattern, at))
    }

    fn moment(&self, pattern: &Pattern, at: WallTime) -> String {
        let moment = Timestamp::from_millisecond(at.0).unwrap_or_default();
        let mut text = String::new();
        pattern.format(&Zoned::new(moment, self.time_zone.clone()), &mut text);
        text
    }

    fn highlighted(&self, line: &[u8]) -> Vec<u8> {
        let Some(wanted) = self
            .highlight
            .as_ref()
            .filter(|wanted| self.colour && !wanted.is_empty())
        else {
            return line.to_vec();
        };
        let marked = paint(true, anstyle::Style::new().invert(), wanted);
        match std::str::from_utf8(line) {
            Ok(text) => text.replace(wanted, &marked).into_bytes(),
            Err(_) => line.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: WallTime = WallTime(1_795_248_168_129);

    fn origin(id: u32, name: &str, stream: Stream) -> Origin<'_> {
        Origin {
            id: SlotId(id),
            name,
            stream,
            at: Some(AT),
        }
    }

    fn formatter(form: Form, timestamp: Option<&str>) -> Formatter {
        Formatter::new(form, false, timestamp, None, TimeZone::UTC)
    }

    fn shown(formatter: &mut Formatter, origin: &Origin<'_>, line: &str) -> String {
        String::from_utf8_lossy(&formatter.line(origin, line.as_bytes())).into_owned()
    }

    #[test]
    fn labels_are_as_wide_as_pm2s_and_grow() {
        let mut lines = formatter(Form::Labelled, None);
        assert_eq!(
            shown(&mut lines, &origin(0, "chat", Stream::Out), "line"),
            "0|chat     | line\n"
        );
        assert_eq!(
            shown(&mut lines, &origin(12, "some-worker", Stream::Error), "e"),
            "12|some-worker | e\n"
        );
        assert_eq!(
            shown(&mut lines, &origin(0, "chat", Stream::Out), "line"),
            "0|chat         | line\n"
        );
    }

    #[test]
    fn a_timestamp_stands_before_the_label_of_live_lines_only() {
        let mut lines = formatter(Form::Labelled, Some("YYYY-MM-DD-HH:mm:ss"));
        assert_eq!(
            shown(&mut lines, &origin(0, "chat", Stream::Out), "x"),
            "2026-11-21-08:02:48 0|chat     | x\n"
        );
        let from_file = Origin {
            at: None,
            ..origin(0, "chat", Stream::Out)
        };
        assert_eq!(shown(&mut lines, &from_file, "x"), "0|chat     | x\n");
    }

    #[test]
    fn json_lines_have_pm2s_keys_in_pm2s_order() {
        let mut lines = formatter(Form::Json, None);
        assert_eq!(
            shown(&mut lines, &origin(0, "api", Stream::Error), "he said \"hi\""),
            "{\"message\":\"he said \\\"hi\\\"\",\"timestamp\":\"2026-11-21T08:02:48.129Z\",\"type\":\"err\",\
             \"process_id\":0,\"app_name\":\"api\"}\n"
        );
        let event = "{\"timestamp\":\"2026-11-21T08:02:48.129Z\",\"type\":\"process_event\",\"status\":\"exit\",\
                     \"app_name\":\"api\"}\n";
        assert_eq!(lines.event("api", AT, "exit").as_deref(), Some(event));
    }

    #[test]
    fn a_live_line_has_the_date_that_its_file_has() {
        let lines = formatter(Form::Labelled, None);
        let pattern = Pattern::new("YYYY-MM-DD-HH:mm:ss");
        assert_eq!(
            lines.dated(Some(&pattern), Some(AT), b"x").as_ref(),
            b"2026-11-21-08:02:48: x"
        );
        assert_eq!(
            lines.dated(Some(&pattern), None, b"x").as_ref(),
            b"x",
            "the file has it already"
        );
        assert_eq!(lines.dated(None, Some(AT), b"x").as_ref(), b"x");
    }

    #[test]
    fn key_value_lines_are_pm2s() {
        let mut lines = formatter(Form::KeyValue, None);
        assert_eq!(
            shown(&mut lines, &origin(0, "api", Stream::Error), "hello"),
            "timestamp=2026-11-21-08:02:48+0000 app=api id=0 type=error message=hello\n"
        );
    }

    #[test]
    fn what_is_looked_for_is_highlighted_where_there_is_colour() {
        let mut lines = Formatter::new(Form::Labelled, true, None, Some("err".into()), TimeZone::UTC);
        let text = shown(&mut lines, &origin(0, "a", Stream::Out), "an err or two");
        assert!(text.ends_with("an \u{1b}[7merr\u{1b}[0m or two\n"), "{text:?}");
        let mut plain = Formatter::new(Form::Labelled, false, None, Some("err".into()), TimeZone::UTC);
        assert!(shown(&mut plain, &origin(0, "a", Stream::Out), "err").ends_with("| err\n"));
    }
}
