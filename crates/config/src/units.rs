//! Sizes and times as configs write them. PM2 knows `K`, `M`, `G` and `s`, `m`, `h` on whole numbers, upper and lower
//! case as written; everything it accepts means the same here, and the obvious neighbours (`1.5G`, `150mb`, `500ms`,
//! `7d`) are understood too.

use std::time::Duration;

/// Bytes from `"150M"`, `"1.5GB"`, `"512 KiB"` or a plain number of bytes. Units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1_u64 << 40,
        _other => return None,
    };
    scaled(number, factor)
}

/// Bytes from `"80%"` of so many; from 1 to 100 per cent.
pub(crate) fn share(text: &str, of: u64) -> Option<u64> {
    let (number, unit) = split(text)?;
    let percent = number
        .parse::<f64>()
        .ok()
        .filter(|percent| (1.0..=100.0).contains(percent));
    percent
        .filter(|_| unit == "%")
        .map(|percent| (of as f64 * percent / 100.0) as u64)
}

/// Milliseconds from `"10s"`, `"1.5h"`, `"500ms"`, `"7d"` or a plain number of milliseconds.
pub fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _other => return None,
    };
    scaled(number, factor)
}

/// A duration from attributes normalised to milliseconds.
pub(crate) fn duration(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.starts_with(|c: char| c.is_ascii_digit())).then_some((number, unit.trim_start()))
}

/// `number × factor` rounded to the nearest whole; `None` when it is no number or does not fit.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let value = (number.parse::<f64>().ok()? * factor as f64).round();
    // Above 2^53 a decimal fraction no longer says which whole number is meant.
    (value < 9_007_199_254_740_992.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pm2s_own_spellings_mean_what_they_mean_in_pm2() {
        for (text, value) in [
            ("150M", 157_286_400),
            ("1G", 1 << 30),
            ("10K", 10_240),
            ("1048576", 1_048_576),
        ] {
            assert_eq!(bytes(text), Some(value), "{text}");
        }
        for (text, value) in [("1h", 3_600_000), ("3m", 180_000), ("4s", 4000), ("250", 250)] {
            assert_eq!(milliseconds(text), Some(value), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_a_share_of_what_there_is() {
        assert_eq!(share("80%", 1000), Some(800));
        assert_eq!(share("12.5 %", 1000), Some(125));
        for text in ["0%", "101%", "80", "%", "-5%"] {
            assert_eq!(share(text, 1000), None, "{text}");
        }
    }

    #[test]
    fn neighbouring_spellings_are_understood() {
        assert_eq!(bytes("1.5g"), Some(1_610_612_736));
        assert_eq!(bytes("150mb"), bytes("150 MiB"));
        assert_eq!(milliseconds("7d"), Some(604_800_000));
        assert_eq!(milliseconds("0.5s"), milliseconds("500 ms"));
    }

    #[test]
    fn nonsense_is_not_a_size_nor_a_time() {
        for text in [
            "",
            "M",
            "-5M",
            "1.2.3M",
            "ten",
            "5X",
            ".5M",
            "99999999999999999999",
            "18446744073709551615G",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
        for text in ["", "s", "-1s", "5 parsecs", "1e3"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_whole_size_is_its_number_times_its_unit(number in 0_u64..1 << 20, unit in 0_usize..4) {
            let (letter, factor) = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1_u64 << 30)][unit];
            prop_assert_eq!(bytes(&format!("{number}{letter}")), Some(number * factor));
        }

        #[test]
        fn no_text_makes_the_unit_parsers_panic(text in ".{0,24}") {
            let _value = (bytes(&text), milliseconds(&text));
        }

        #[test]
        fn a_time_in_smaller_units_is_the_same_time(hours in 0_u64..100_000) {
            prop_assert_eq!(milliseconds(&format!("{hours}h")), milliseconds(&format!("{}m", hours * 60)));
            prop_assert_eq!(milliseconds(&format!("{hours}h")), milliseconds(&format!("{}s", hours * 3600)));
        }
    }
}
