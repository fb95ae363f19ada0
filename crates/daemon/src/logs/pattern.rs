//! Date patterns of day.js (`log_date_format`), as PM2 users write them. Source: the table "List of all available
//! formats" of day.js' documentation, and PM2 7 run with every letter; the two Unix times `X` and `x` are added.
//! Letters that mean nothing stand for themselves.

use jiff::Zoned;
use std::fmt::Write;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Copied as it is.
    Text(String),
    /// Replaced by a part of the date.
    Field(Field),
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year2,
    Year4,
    Month,
    Month2,
    MonthShort,
    MonthLong,
    Day,
    Day2,
    Weekday,
    Weekday2,
    WeekdayShort,
    WeekdayLong,
    Hour,
    Hour2,
    HalfHour,
    HalfHour2,
    Lower,
    Upper,
    Minute,
    Minute2,
    Second,
    Second2,
    Millisecond,
    Offset,
    OffsetPlain,
    UnixSeconds,
    UnixMillis,
}

/// The letters of each field, longer ones before those that they begin with.
const FIELDS: [(&str, Field); 27] = [
    ("YYYY", Field::Year4),
    ("YY", Field::Year2),
    ("MMMM", Field::MonthLong),
    ("MMM", Field::MonthShort),
    ("MM", Field::Month2),
    ("M", Field::Month),
    ("DD", Field::Day2),
    ("D", Field::Day),
    ("dddd", Field::WeekdayLong),
    ("ddd", Field::WeekdayShort),
    ("dd", Field::Weekday2),
    ("d", Field::Weekday),
    ("HH", Field::Hour2),
    ("H", Field::Hour),
    ("hh", Field::HalfHour2),
    ("h", Field::HalfHour),
    ("a", Field::Lower),
    ("A", Field::Upper),
    ("mm", Field::Minute2),
    ("m", Field::Minute),
    ("ss", Field::Second2),
    ("s", Field::Second),
    ("SSS", Field::Millisecond),
    ("ZZ", Field::OffsetPlain),
    ("Z", Field::Offset),
    ("X", Field::UnixSeconds),
    ("x", Field::UnixMillis),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A pattern, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Takes a pattern apart. Every text is a pattern; text in `[brackets]` is never a field.
    pub fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (piece, length) = escaped(rest)
                .or_else(|| field(rest))
                .unwrap_or_else(|| (Piece::Text(first.to_string()), first.len_utf8()));
            pieces.push(piece);
            rest = &rest[length..];
        }
        Self { pieces }
    }

    /// Writes the moment in this form.
    pub fn format(&self, at: &Zoned, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(field) => {
                    write_field(*field, at, out).expect("invariant: writing to a string never fails");
                }
            }
        }
    }
}

/// `[text]` at the beginning of `rest`.
fn escaped(rest: &str) -> Option<(Piece, usize)> {
    let (inside, _) = rest.strip_prefix('[')?.split_once(']')?;
    (!inside.is_empty()).then(|| (Piece::Text(inside.to_owned()), inside.len() + 2))
}

/// A field at the beginning of `rest`.
fn field(rest: &str) -> Option<(Piece, usize)> {
    let (letters, field) = FIELDS.iter().find(|(letters, _)| rest.starts_with(letters))?;
    Some((Piece::Field(*field), letters.len()))
}

/// Writes one part of the date.
fn write_field(field: Field, at: &Zoned, out: &mut String) -> std::fmt::Result {
    let month = MONTHS[usize::from(at.month().unsigned_abs()) - 1];
    let weekday_number = at.weekday().to_sunday_zero_offset();
    let weekday = WEEKDAYS[usize::from(weekday_number.unsigned_abs())];
    let half = (at.hour() + 11) % 12 + 1;
    match field {
        Field::Year2 => write!(out, "{:02}", at.year().rem_euclid(100)),
        Field::Year4 => write!(out, "{:04}", at.year()),
        Field::Month => write!(out, "{}", at.month()),
        Field::Month2 => write!(out, "{:02}", at.month()),
        Field::MonthShort => out.write_str(&month[..3]),
        Field::MonthLong => out.write_str(month),
        Field::Day => write!(out, "{}", at.day()),
        Field::Day2 => write!(out, "{:02}", at.day()),
        Field::Weekday => write!(out, "{weekday_number}"),
        Field::Weekday2 => out.write_str(&weekday[..2]),
        Field::WeekdayShort => out.write_str(&weekday[..3]),
        Field::WeekdayLong => out.write_str(weekday),
        Field::Hour => write!(out, "{}", at.hour()),
        Field::Hour2 => write!(out, "{:02}", at.hour()),
        Field::HalfHour => write!(out, "{half}"),
        Field::HalfHour2 => write!(out, "{half:02}"),
        Field::Lower => out.write_str(if at.hour() < 12 { "am" } else { "pm" }),
        Field::Upper => out.write_str(if at.hour() < 12 { "AM" } else { "PM" }),
        Field::Minute => write!(out, "{}", at.minute()),
        Field::Minute2 => write!(out, "{:02}", at.minute()),
        Field::Second => write!(out, "{}", at.second()),
        Field::Second2 => write!(out, "{:02}", at.second()),
        Field::Millisecond => write!(out, "{:03}", at.millisecond()),
        Field::Offset => write_offset(at, ":", out),
        Field::OffsetPlain => write_offset(at, "", out),
        Field::UnixSeconds => write!(out, "{}", at.timestamp().as_second()),
        Field::UnixMillis => write!(out, "{}", at.timestamp().as_millisecond()),
    }
}

/// Writes the distance from UTC: `+05:30`.
fn write_offset(at: &Zoned, between: &str, out: &mut String) -> std::fmt::Result {
    let minutes = at.offset().seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    write!(out, "{sign}{:02}{between}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use jiff::civil::date;
    use jiff::tz::{Offset, TimeZone};

    fn formatted(pattern: &str, hour: i8) -> String {
        let zone = TimeZone::fixed(Offset::from_seconds(5 * 3600 + 1800).expect("a valid offset"));
        let at = date(2026, 11, 7)
            .at(hour, 5, 9, 45_000_000)
            .to_zoned(zone)
            .expect("a valid date");
        let mut out = String::new();
        Pattern::new(pattern).format(&at, &mut out);
        out
    }

    #[test]
    fn every_field_of_dayjs_is_written_as_dayjs_does() {
        let pattern = "YYYY|YY|M|MM|MMM|MMMM|D|DD|d|dd|ddd|dddd|H|HH|h|hh|a|A|m|mm|s|ss|SSS|Z|ZZ";
        let expected = "2026|26|11|11|Nov|November|7|07|6|Sa|Sat|Saturday|13|13|1|01|pm|PM|5|05|9|09|045|+05:30|+0530";
        assert_eq!(formatted(pattern, 13), expected);
    }

    #[test]
    fn letters_without_meaning_and_bracketed_text_stand_for_themselves() {
        assert_eq!(
            formatted("[at YYYY] HH[h]|T|Q|Do|SS|S|L[]", 7),
            "at YYYY 07h|T|Q|7o|SS|S|L[]"
        );
    }

    #[test]
    fn midnight_and_noon_are_twelve_on_the_half_day_clock() {
        assert_eq!(
            (formatted("h A", 0), formatted("hh a", 12)),
            ("12 AM".into(), "12 pm".into())
        );
    }

    #[test]
    fn unix_times_are_written_in_seconds_and_milliseconds() {
        assert_eq!(formatted("X x", 13), "1794036909 1794036909045");
    }

    #[test]
    fn fields_are_taken_greedily_from_the_left() {
        assert_eq!(formatted("DDD MMMMM hhh", 7), "077 November11 077");
    }
}
