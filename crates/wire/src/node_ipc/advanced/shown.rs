//! What JSON has no word for, as something it has a word for.

use std::fmt::Write as _;

/// A number of JavaScript that is whole and within what a double counts exactly, as such.
pub(super) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// An integer by its sign and digits, lowest byte first, if it has at most 64 bits.
pub(super) fn small_integer(negative: bool, digits: &[u8]) -> Option<i128> {
    let length = digits.iter().rposition(|digit| *digit != 0).map_or(0, |at| at + 1);
    let mut low = [0; 8];
    low.get_mut(..length)?.copy_from_slice(&digits[..length]);
    let value = i128::from(u64::from_le_bytes(low));
    Some(if negative { -value } else { value })
}

/// An integer that is too large for a number: `0x` and its digits, as `BigInt()` reads them.
pub(super) fn large_integer(negative: bool, digits: &[u8]) -> String {
    let length = digits.iter().rposition(|digit| *digit != 0).map_or(0, |at| at + 1);
    let sign = if negative { "-" } else { "" };
    format!("{sign}0x{}", hexadecimal(digits[..length].iter().rev()))
}

/// Two digits a byte.
pub(super) fn hexadecimal<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: a String takes everything");
        text
    })
}

/// A regular expression as its source has it. The bits: V8, `src/regexp/regexp-flags.h`.
pub(super) fn regular_expression(pattern: &str, flags: u32) -> String {
    const LETTERS: [(u32, char); 9] = [
        (7, 'd'),
        (0, 'g'),
        (1, 'i'),
        (6, 'l'),
        (2, 'm'),
        (5, 's'),
        (4, 'u'),
        (8, 'v'),
        (3, 'y'),
    ];
    let letters = LETTERS.iter().filter(|(bit, _)| flags >> bit & 1 == 1);
    format!("/{pattern}/{}", letters.map(|(_, letter)| *letter).collect::<String>())
}

/// A time in milliseconds since 1970 as `Date.prototype.toISOString` gives it; nothing for an invalid date.
pub(super) fn date(milliseconds: f64) -> Option<String> {
    const LIMIT: f64 = 8.64e15;
    const DAY: i64 = 86_400_000;
    if milliseconds.is_nan() || milliseconds.abs() > LIMIT {
        return None;
    }
    let milliseconds = milliseconds as i64;
    let (year, month, day) = civil(milliseconds.div_euclid(DAY));
    let time = milliseconds.rem_euclid(DAY);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        year => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, fraction) = (time / 1000 % 60, time % 1000);
    Some(format!(
        "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z"
    ))
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_javascript_writes_them() {
        assert_eq!(date(0.0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(date(-1.0).as_deref(), Some("1969-12-31T23:59:59.999Z"));
        assert_eq!(date(951_782_400_000.0).as_deref(), Some("2000-02-29T00:00:00.000Z"));
        assert_eq!(date(8.64e15).as_deref(), Some("+275760-09-13T00:00:00.000Z"));
        assert_eq!(date(-8.64e15).as_deref(), Some("-271821-04-20T00:00:00.000Z"));
        assert_eq!(date(f64::NAN), None);
    }

    #[test]
    fn integers_of_any_length_are_shown() {
        assert_eq!(small_integer(true, &[1, 0, 0]), Some(-1));
        assert_eq!(small_integer(false, &[0xff; 8]), Some(i128::from(u64::MAX)));
        assert_eq!(small_integer(false, &[0, 0, 0, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(
            large_integer(true, &[2, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0]),
            "-0x1a0000000000000002"
        );
    }

    #[test]
    fn flags_of_regular_expressions_are_in_the_order_of_javascript() {
        assert_eq!(regular_expression("a+", 3), "/a+/gi");
        assert_eq!(regular_expression("", 0x1bf), "//dgimsuvy");
    }
}
