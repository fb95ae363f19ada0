//! Quantities as people read them.

use ostler_core::WallTime;
use std::time::Duration;

/// PM2's uptime: one number with one unit, the next unit only from two on: `59s`, `119s`, `2m`.
pub fn uptime(millis: u64) -> String {
    let mut text = String::new();
    write_uptime(&mut text, millis);
    text
}

/// As [`uptime`], to the end of a text.
pub fn write_uptime(text: &mut String, millis: u64) {
    let seconds = millis / 1000;
    let minutes = seconds / 60;
    let hours = minutes / 60;
    let days = hours / 24;
    let (months, years) = (days / 30, days / 365);
    let steps = [(years, 'Y'), (months, 'M'), (days, 'D'), (hours, 'h'), (minutes, 'm')];
    let step = steps
        .into_iter()
        .find(|(count, _)| *count > 1)
        .unwrap_or((seconds, 's'));
    number(text, step.0);
    text.push(step.1);
}

/// PM2's memory: one decimal where there is one, and a lower-case unit: `49.5mb`, `0b`.
pub fn memory(bytes: u64) -> String {
    let mut text = String::new();
    write_memory(&mut text, bytes);
    text
}

/// As [`memory`], to the end of a text.
pub fn write_memory(text: &mut String, bytes: u64) {
    const UNITS: [&str; 5] = ["b", "kb", "mb", "gb", "tb"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    write_tenths(text, value);
    text.push_str(UNITS[unit]);
}

/// Appends a number of 0 or more with one decimal, where that is not 0.
pub fn write_tenths(text: &mut String, value: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is too large or no number becomes the nearest that there is"
    )]
    let tenths = (value * 10.0).round() as u64;
    number(text, tenths / 10);
    if !tenths.is_multiple_of(10) {
        text.push('.');
        number(text, tenths % 10);
    }
}

/// Appends a number. A list has thousands.
pub fn number(text: &mut String, number: u64) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// A span in words of two units at most: `35 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub fn span(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, (millis % 1000) / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        86_400.. => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The moment in UTC as JavaScript's `toISOString` writes it.
pub fn iso(at: WallTime) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{moment:.3}")
}

/// The moment in local time, to the second.
pub fn local(at: WallTime) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    moment
        .to_zoned(jiff::tz::TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_changes_its_unit_from_two_on() {
        let table = [
            (999, "0s"),
            (59_000, "59s"),
            (119_000, "119s"),
            (120_000, "2m"),
            (7_199_000, "119m"),
            (7_200_000, "2h"),
            (47 * 3_600_000, "47h"),
            (48 * 3_600_000, "2D"),
            (59 * 86_400_000, "59D"),
            (60 * 86_400_000, "2M"),
            (730 * 86_400_000, "2Y"),
        ];
        for (millis, shown) in table {
            assert_eq!(uptime(millis), shown);
        }
    }

    #[test]
    fn memory_has_one_decimal_at_most() {
        for (bytes, shown) in [
            (0, "0b"),
            (1023, "1023b"),
            (1536, "1.5kb"),
            (51_941_376, "49.5mb"),
            (1 << 30, "1gb"),
        ] {
            assert_eq!(memory(bytes), shown);
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let table = [
            (35, "35 ms"),
            (1250, "1.2 s"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
        ];
        for (millis, shown) in table {
            assert_eq!(span(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn moments_are_written_as_javascript_does() {
        assert_eq!(iso(WallTime(1_795_248_168_129)), "2026-11-21T08:02:48.129Z");
        assert_eq!(iso(WallTime(0)), "1970-01-01T00:00:00.000Z");
    }
}
