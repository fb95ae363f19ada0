//! When a cron pattern comes next.
//!
//! PM2 reads patterns with croner 4 for JavaScript; croner 4 for Rust is by the same author. What differs between the two is
//! listed, with a test each, in `docs/design/0002-machine.md`.

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
        .build();
    match parser.parse(pattern) {
        Ok(cron) => Ok(Some(cron)),
        Err(error) => Err(PatternError {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        }),
    }
}
