//! What a collector's answer means (the specification of OTLP, *OTLP/HTTP Response*). Pure.

use crate::terminal_text;
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;

/// How much of what a collector says is shown, characters.
const LONGEST_MESSAGE: usize = 300;
/// For how long we stay away at most because we are told to.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Its status.
    pub status: u16,
    /// Its `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body, as far as it was read.
    pub body: Vec<u8>,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The metrics are there.
    Taken,
    /// They are, with something to be said: how many points are not, and why.
    TakenInPart {
        /// How many points are not.
        rejected: u64,
        /// What the collector says.
        message: String,
    },
    /// Not now.
    Later {
        /// What is wrong.
        trouble: Trouble,
        /// When they may come again.
        after: Option<Duration>,
    },
    /// Never, as they are.
    Refused(Trouble),
}

/// What keeps metrics from being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is of, for telling it from another.
    pub kind: String,
    /// What is wrong, for people.
    pub cause: String,
    /// What to do.
    pub hint: Option<&'static str>,
}

/// `ExportMetricsServiceResponse`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    partial_success: PartialSuccess,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PartialSuccess {
    /// A number, as a number or as text.
    rejected_data_points: serde_json::Value,
    error_message: String,
}

/// `google.rpc.Status`, as which failures are answered.
#[derive(Deserialize)]
struct Status {
    message: String,
}

/// What an answer that came at `now` means.
pub fn understand(heard: &Heard, now: Timestamp) -> Meaning {
    match heard.status {
        200..=299 => taken(&heard.body),
        429 | 502 | 503 | 504 => Meaning::Later {
            trouble: trouble(heard),
            after: heard.retry_after.as_deref().and_then(|text| rest(text, now)),
        },
        _other => Meaning::Refused(trouble(heard)),
    }
}

fn taken(body: &[u8]) -> Meaning {
    // What is no JSON of the kind says nothing, and has a status that says enough.
    let response: Response = serde_json::from_slice(body).unwrap_or_default();
    let PartialSuccess {
        rejected_data_points,
        error_message,
    } = response.partial_success;
    let rejected = match &rejected_data_points {
        serde_json::Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    match (rejected.unwrap_or(0), shown(&error_message)) {
        (0, message) if message.is_empty() => Meaning::Taken,
        (rejected, message) => Meaning::TakenInPart { rejected, message },
    }
}

fn trouble(heard: &Heard) -> Trouble {
    let status = heard.status;
    let said = match serde_json::from_slice::<Status>(&heard.body) {
        Ok(status) => shown(&status.message),
        Err(_) => shown(&String::from_utf8_lossy(&heard.body)),
    };
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Trouble {
        kind: format!("status {status}"),
        cause: format!("answered {status}{said}"),
        hint: hint(status),
    }
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        300..=399 => Some("the collector has moved: give its new address"),
        401 | 403 | 407 => Some("OTEL_EXPORTER_OTLP_HEADERS has what the collector wants to be shown"),
        404 | 405 => Some("collectors take metrics at /v1/metrics, of HTTP at port 4318"),
        413 => Some("raise the collector's limit for requests (max_request_body_size)"),
        415 => Some("the collector has to take JSON: its receiver `otlp` with `protocols: http` does"),
        _other => None,
    }
}

/// How long to stay away: seconds, or until a date (RFC 9110, 10.2.3).
fn rest(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let rest = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(rest.min(LONGEST_REST))
}

/// What others say as a line of ours: bounded, and with nothing in it that terminals obey.
fn shown(text: &str) -> String {
    let begin: String = text.trim().chars().take(LONGEST_MESSAGE).collect();
    terminal_text::plain(&begin.replace(['\r', '\n'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, body: &str, retry_after: Option<&str>) -> Meaning {
        let now = "2026-11-21T08:00:00Z".parse().expect("a moment");
        let heard = Heard {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: body.as_bytes().to_vec(),
        };
        understand(&heard, now)
    }

    #[test]
    fn what_is_taken_is_taken_whatever_is_said_beside() {
        for body in [
            "{}",
            "",
            "ok",
            "{\"partialSuccess\":{}}",
            "{\"partialSuccess\":{\"rejectedDataPoints\":\"0\"}}",
            "[1]",
        ] {
            assert_eq!(meaning(200, body, None), Meaning::Taken, "{body}");
        }
    }

    #[test]
    fn what_is_taken_in_part_says_how_much_is_not() {
        for (rejected, count) in [("\"3\"", 3), ("3", 3), ("\"0\"", 0)] {
            let body =
                format!("{{\"partialSuccess\":{{\"rejectedDataPoints\":{rejected},\"errorMessage\":\"too old\"}}}}");
            let expected = Meaning::TakenInPart {
                rejected: count,
                message: "too old".to_owned(),
            };
            assert_eq!(meaning(200, &body, None), expected);
        }
    }

    #[test]
    fn what_may_be_tried_again_is_and_all_else_is_not() {
        for status in [429, 502, 503, 504] {
            assert!(
                matches!(meaning(status, "", None), Meaning::Later { after: None, .. }),
                "{status}"
            );
        }
        for status in [301, 400, 401, 404, 408, 413, 500, 501, 505] {
            assert!(matches!(meaning(status, "", None), Meaning::Refused(_)), "{status}");
        }
    }

    #[test]
    fn how_long_to_stay_away_is_seconds_or_a_date_within_bounds() {
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("9999999", Some(600)),
            ("Sat, 21 Nov 2026 08:00:09 GMT", Some(9)),
            ("Sat, 21 Nov 2026 07:00:00 GMT", Some(0)),
            ("Fri, 21 Nov 2036 08:00:00 GMT", Some(600)),
            ("soon", None),
            ("-3", None),
        ] {
            let Meaning::Later { after, .. } = meaning(503, "", Some(text)) else {
                panic!("{text}");
            };
            assert_eq!(after, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn what_collectors_say_is_shown_without_what_terminals_obey() {
        let cause = |body: &str| match meaning(400, body, None) {
            Meaning::Refused(trouble) => trouble.cause,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            cause("{\"code\":3,\"message\":\"no\\u001b[2J such\\nthing\"}"),
            "answered 400: no such thing"
        );
        assert_eq!(cause("404 page\n"), "answered 400: 404 page");
        assert_eq!(cause(""), "answered 400");
        assert_eq!(cause(&"x".repeat(5000)).len(), "answered 400: ".len() + LONGEST_MESSAGE);
    }
}
