//! Cron patterns in other dialects. Ostler's is croner's: a day of month and a day of week must both match, seconds and years are
//! optional, `L`, `W` and `#` exist. Kubernetes has five fields, in which either day suffices; systemd's calendar events
//! have their own form and the same meaning of days.

use std::collections::BTreeSet;

/// A pattern whose fields are plain sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    seconds: Field,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The values of one field, and the range they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    values: BTreeSet<u32>,
    first: u32,
    last: u32,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Schedule {
    /// Reads a pattern, or says which part of it has no counterpart elsewhere.
    pub(crate) fn parse(pattern: &str) -> Result<Self, String> {
        let pattern = pattern.trim();
        let pattern = match pattern.to_ascii_lowercase().as_str() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            "@minutely" => "* * * * *",
            "@secondly" => "* * * * * *",
            _other => pattern,
        };
        let mut fields: Vec<&str> = pattern.split_whitespace().collect();
        if fields.len() == 7 {
            match fields.pop() {
                Some("*") => {}
                Some(years) => return Err(format!("the years `{years}`")),
                None => {}
            }
        }
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [seconds, minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("`{pattern}`"));
        };
        let mut weekdays = Field::parse(weekdays, 0, 7, &WEEKDAYS, 0)?;
        // Sunday has two numbers.
        if weekdays.values.remove(&7) {
            weekdays.values.insert(0);
        }
        weekdays.last = 6;
        Ok(Self {
            seconds: Field::parse(seconds, 0, 59, &[], 0)?,
            minutes: Field::parse(minutes, 0, 59, &[], 0)?,
            hours: Field::parse(hours, 0, 23, &[], 0)?,
            days: Field::parse(days, 1, 31, &[], 0)?,
            months: Field::parse(months, 1, 12, &MONTHS, 1)?,
            weekdays,
        })
    }

    /// As Kubernetes writes it, or what it cannot say.
    pub(crate) fn kubernetes(&self) -> Result<String, String> {
        if self.seconds.values.iter().ne([&0]) {
            return Err("seconds".to_owned());
        }
        if !self.days.is_full() && !self.weekdays.is_full() {
            return Err("a day of month and a day of week at once: there, one of them suffices".to_owned());
        }
        let fields = [&self.minutes, &self.hours, &self.days, &self.months, &self.weekdays];
        Ok(fields.map(|field| field.text("*", "-")).join(" "))
    }

    /// As a calendar event of systemd.time(7).
    pub(crate) fn systemd(&self) -> String {
        let weekdays = if self.weekdays.is_full() {
            String::new()
        } else {
            // Its week begins on Monday, and it takes numbers for nothing.
            let names = (1..=7)
                .map(|day| day % 7)
                .filter(|day| self.weekdays.values.contains(day));
            let names = names.map(|day| capitalised(WEEKDAYS[day as usize]));
            format!("{} ", names.collect::<Vec<_>>().join(","))
        };
        let text = |field: &Field| field.text("*", "..");
        format!(
            "{weekdays}*-{}-{} {}:{}:{}",
            text(&self.months),
            text(&self.days),
            text(&self.hours),
            text(&self.minutes),
            text(&self.seconds)
        )
    }
}

fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}

impl Field {
    fn parse(text: &str, first: u32, last: u32, names: &[&str], name_base: u32) -> Result<Self, String> {
        let unsayable = || format!("`{text}`");
        let number = |word: &str| {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
            let named = named
                .and_then(|position| u32::try_from(position).ok())
                .map(|position| position + name_base);
            named
                .or_else(|| word.parse().ok())
                .filter(|value| (first..=last).contains(value))
        };
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0).ok_or_else(unsayable)?),
                None => (item, 1_usize),
            };
            let (from, to) = match (range, range.split_once('-')) {
                ("*" | "?", _) => (first, last),
                (_, Some((from, to))) => (number(from).ok_or_else(unsayable)?, number(to).ok_or_else(unsayable)?),
                (single, None) => {
                    let from = number(single).ok_or_else(unsayable)?;
                    (from, if item.contains('/') { last } else { from })
                }
            };
            if from > to {
                return Err(unsayable());
            }
            values.extend((from..=to).step_by(step));
        }
        Ok(Self { values, first, last })
    }

    fn is_full(&self) -> bool {
        self.values.len() as u32 == self.last - self.first + 1
    }

    /// `*`, `0,15,30`, or ranges with `range` between their ends.
    fn text(&self, full: &str, range: &str) -> String {
        if self.is_full() {
            return full.to_owned();
        }
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for value in &self.values {
            match runs.last_mut() {
                Some((_from, to)) if *to + 1 == *value => *to = *value,
                Some(_) | None => runs.push((*value, *value)),
            }
        }
        let run = |(from, to): (u32, u32)| match to - from {
            0 => from.to_string(),
            1 => format!("{from},{to}"),
            _more => format!("{from}{range}{to}"),
        };
        runs.into_iter().map(run).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use croner::parser::{CronParser, Seconds, Year};
    use jiff::{Timestamp, tz::TimeZone};
    use proptest::prelude::*;

    #[test]
    fn patterns_in_the_dialect_of_kubernetes() {
        let cases = [
            ("0 3 * * *", Ok("0 3 * * *")),
            ("*/15 * * * MON-FRI", Ok("0,15,30,45 * * * 1-5")),
            ("0 0 0 1 jan *", Ok("0 0 1 1 *")),
            ("0 4 * * 5-7", Ok("0 4 * * 0,5,6")),
            ("@weekly", Ok("0 0 * * 0")),
            ("0 0 0 * * * *", Ok("0 0 * * *")),
            ("10/20 1-9/4 * * *", Ok("10,30,50 1,5,9 * * *")),
            ("30 * * * * *", Err("seconds".to_owned())),
            ("0 0 L * *", Err("`L`".to_owned())),
            ("0 0 * * 5#2", Err("`5#2`".to_owned())),
            ("0 0 0 1 1 * 2030", Err("the years `2030`".to_owned())),
        ];
        for (pattern, expected) in cases {
            let said = Schedule::parse(pattern).and_then(|schedule| schedule.kubernetes());
            assert_eq!(said, expected.map(str::to_owned), "{pattern}");
        }
        assert!(Schedule::parse("0 0 13 * FRI").expect("plain").kubernetes().is_err());
    }

    #[test]
    fn patterns_as_calendar_events() {
        let cases = [
            ("0 3 * * *", "*-*-* 3:0:0"),
            ("*/15 9-17 * * MON-FRI", "Mon,Tue,Wed,Thu,Fri *-*-* 9..17:0,15,30,45:0"),
            ("0 0 13 * FRI", "Fri *-*-13 0:0:0"),
            ("30 0 0 1 */6 *", "*-1,7-1 0:0:30"),
            ("0 4 * * 0", "Sun *-*-* 4:0:0"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(
                Schedule::parse(pattern).expect("plain").systemd(),
                expected,
                "{pattern}"
            );
        }
    }

    fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
        let item = prop_oneof![
            (first..=last).prop_map(|value| value.to_string()),
            (first..=last, 1..10_u32).prop_map(move |(from, step)| format!("{from}-{last}/{step}")),
            (first..=last, first..=last).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (1..20_u32).prop_map(|step| format!("*/{step}")),
        ];
        prop_oneof![2 => Just("*".to_owned()), 3 => prop::collection::vec(item, 1..4).prop_map(|items| items.join(","))]
    }

    fn next(pattern: &str) -> Vec<String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Optional)
            .dom_and_dow(true)
            .build();
        let cron = parser.parse(pattern).expect("a pattern");
        let start = Timestamp::from_second(1_800_000_000)
            .expect("a time")
            .to_zoned(TimeZone::UTC);
        cron.iter_after(start).take(4).map(|time| time.to_string()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_same_times_are_meant(minutes in field(0, 59), hours in field(0, 23), days in field(1, 28), months in field(1, 12), weekday in prop::bool::ANY) {
            let pattern = if weekday {
                format!("{minutes} {hours} * {months} {}", "1-5")
            } else {
                format!("{minutes} {hours} {days} {months} *")
            };
            let written = Schedule::parse(&pattern).and_then(|schedule| schedule.kubernetes());
            let written = written.map_err(TestCaseError::fail)?;
            prop_assert_eq!(next(&pattern), next(&written), "{} became {}", pattern, written);
        }
    }
}
