//! When a cron pattern comes next.
//!
//! PM2 reads patterns with croner 4.1 for JavaScript; croner 4 for Rust is by the same author and knows more. Where both
//! accept a pattern it means the same here as there: above all, a day of month and a day of week must both match
//! (`0 0 13 * FRI` is Friday the 13th), unlike in Vixie's cron. The few differences are in
//! `docs/design/0002-machine.md`.

use crate::time::{Instant, Now, WallTime};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The next occurrence of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    /// What the wall clock is to show.
    pub(crate) wall: WallTime,
    /// When it will show that, if nobody sets it.
    pub(crate) at: Instant,
}

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no cron pattern: {reason}")]
pub struct PatternError {
    /// What was written.
    pub pattern: String,
    /// What is wrong with it, a sentence.
    pub reason: String,
}

/// Checks a pattern: five fields (minute, hour, day of month, month, day of week), with seconds before them six, with
/// a year after those seven, or a nickname as `@hourly`. `0` is a pattern too: it means "never".
///
/// # Errors
/// When it is none of these.
pub fn check(pattern: &str) -> Result<(), PatternError> {
    parse(pattern).map(|_| ())
}

/// The first occurrence after `now`; none if the pattern is off, wrong, or never comes again.
pub(crate) fn next(pattern: &str, zone: &TimeZone, now: Now) -> Option<Due> {
    let cron = parse(pattern).ok()??;
    let from = Timestamp::from_millisecond(now.wall.0).ok()?.to_zoned(zone.clone());
    let next = cron.find_next_occurrence(&from, false).ok()?;
    let wall = WallTime(next.timestamp().as_millisecond());
    let wait = u64::try_from(wall.0.saturating_sub(now.wall.0)).ok()?;
    Some(Due {
        wall,
        at: now.instant + Duration::from_millis(wait),
    })
}

/// The pattern, or none for `0`, which turns cron off.
fn parse(pattern: &str) -> Result<Option<Cron>, PatternError> {
    let pattern = pattern.trim();
    if pattern == "0" {
        return Ok(None);
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Optional)
        .dom_and_dow(true)
        .build();
    match parser.parse(&with_open_steps(pattern)) {
        Ok(cron) => Ok(Some(cron)),
        Err(error) => Err(PatternError {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Writes `5/10` ("from 5 on, every 10"), which croner for JavaScript takes, as `5-59/10`, which croner for Rust insists on.
fn with_open_steps(pattern: &str) -> String {
    const LAST: [u32; 6] = [59, 59, 23, 31, 12, 6];
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let first = usize::from(fields.len() == 5);
    let last = LAST.iter().skip(first).map(Some).chain(std::iter::repeat(None));
    let fields = fields.iter().zip(last).map(|(field, last)| {
        let items = field.split(',').map(|item| match (item.split_once('/'), last) {
            (Some((from, step)), Some(last)) if from.parse::<u32>().is_ok() => format!("{from}-{last}/{step}"),
            (Some(_) | None, Some(_) | None) => item.to_owned(),
        });
        items.collect::<Vec<String>>().join(",")
    });
    fields.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next three occurrences after a Thursday, 10:30:30.
    fn occurrences(pattern: &str, zone: &TimeZone) -> Vec<String> {
        let mut now = Now {
            instant: Instant(0),
            wall: wall("2026-01-15T10:30:30Z"),
        };
        let mut times = Vec::new();
        while let (Some(due), 0..3) = (next(pattern, zone, now), times.len()) {
            assert_eq!(due.at.0 - now.instant.0, due.wall.0.abs_diff(now.wall.0));
            now = Now {
                instant: due.at,
                wall: due.wall,
            };
            times.push(Timestamp::from_millisecond(due.wall.0).expect("a time").to_string());
        }
        times
    }

    fn wall(text: &str) -> WallTime {
        WallTime(text.parse::<Timestamp>().expect("a time").as_millisecond())
    }

    /// As croner 4.1.97 for JavaScript was seen to answer.
    #[test]
    fn patterns_that_pm2_accepts_mean_what_they_mean_there() {
        for (pattern, expected) in [
            (
                "* * * * *",
                "2026-01-15T10:31:00Z 2026-01-15T10:32:00Z 2026-01-15T10:33:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-01-15T10:45:00Z 2026-01-15T11:00:00Z 2026-01-15T11:15:00Z",
            ),
            (
                "*/5 * * * * *",
                "2026-01-15T10:30:35Z 2026-01-15T10:30:40Z 2026-01-15T10:30:45Z",
            ),
            (
                "0 3 * * *",
                "2026-01-16T03:00:00Z 2026-01-17T03:00:00Z 2026-01-18T03:00:00Z",
            ),
            (
                "0 0 * * 7",
                "2026-01-18T00:00:00Z 2026-01-25T00:00:00Z 2026-02-01T00:00:00Z",
            ),
            (
                "0 0 L * *",
                "2026-01-31T00:00:00Z 2026-02-28T00:00:00Z 2026-03-31T00:00:00Z",
            ),
            (
                "0 0 13 * FRI",
                "2026-02-13T00:00:00Z 2026-03-13T00:00:00Z 2026-11-13T00:00:00Z",
            ),
            (
                "0 0 1 * MON",
                "2026-06-01T00:00:00Z 2027-02-01T00:00:00Z 2027-03-01T00:00:00Z",
            ),
            (
                "0/10 * * * *",
                "2026-01-15T10:40:00Z 2026-01-15T10:50:00Z 2026-01-15T11:00:00Z",
            ),
            (
                "5/10 * * * *",
                "2026-01-15T10:35:00Z 2026-01-15T10:45:00Z 2026-01-15T10:55:00Z",
            ),
            (
                "0-30/10 * * * *",
                "2026-01-15T11:00:00Z 2026-01-15T11:10:00Z 2026-01-15T11:20:00Z",
            ),
            (
                "0 0 29 2 *",
                "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z 2036-02-29T00:00:00Z",
            ),
        ] {
            assert_eq!(occurrences(pattern, &TimeZone::UTC).join(" "), expected, "{pattern}");
        }
    }

    #[test]
    fn more_is_understood_than_pm2_does() {
        for (pattern, first) in [
            ("@hourly", "2026-01-15T11:00:00Z"),
            ("@weekly", "2026-01-18T00:00:00Z"),
            ("0 0 12 1 1 * 2030", "2030-01-01T12:00:00Z"),
            ("0 0 * * FRI#2", "2026-02-13T00:00:00Z"),
            ("0 0 LW * *", "2026-01-30T00:00:00Z"),
            ("0 0 * * SAT-SUN", "2026-01-17T00:00:00Z"),
            ("0 0 ? * MON", "2026-01-19T00:00:00Z"),
        ] {
            assert_eq!(occurrences(pattern, &TimeZone::UTC)[0], first, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_never_comes_and_zero_have_no_occurrence() {
        for pattern in ["0 0 31 2 *", "0 0 12 1 1 * 2020", "0", " 0 "] {
            assert!(check(pattern).is_ok(), "{pattern}");
            assert!(occurrences(pattern, &TimeZone::UTC).is_empty(), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for pattern in [
            "",
            "* * * *",
            "abc",
            "60 * * * *",
            "0 24 * * *",
            "*/0 * * * *",
            "2026-02-01T00:00:00",
        ] {
            let error = check(pattern).expect_err(pattern);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{pattern}` is no cron pattern: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn patterns_follow_the_zones_wall_clock_over_a_change_of_daylight_saving_time() {
        // As the European Union in 2026: an hour is left out on 29 March.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let mut now = Now {
            instant: Instant(0),
            wall: wall("2026-03-27T12:00:00Z"),
        };
        let mut times = Vec::new();
        for _ in 0..3 {
            let due = next("0 4 * * *", &zone, now).expect("an occurrence");
            now = Now {
                instant: due.at,
                wall: due.wall,
            };
            times.push(due.wall);
        }
        assert_eq!(
            times,
            ["2026-03-28T03:00:00Z", "2026-03-29T02:00:00Z", "2026-03-30T02:00:00Z"].map(wall)
        );
    }
}
