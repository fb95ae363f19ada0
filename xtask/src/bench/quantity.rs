//! What is measured, in which unit, and what is asked of it.

/// A figure of one manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    List,
    Jlist,
    Ping,
    ListOfHundred,
    StartHundred,
    RestartHundred,
    DeleteHundred,
    Processes,
    RssEmpty,
    PssEmpty,
    RssOfHundred,
    PssOfHundred,
    IdleCpu,
    Respawn,
    RespawnWorst,
    LogPlain,
    LogPlainCpu,
    LogStamped,
    LogStampedCpu,
}

/// What is asked of a figure, compared with PM2's of the same run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At most this fraction of PM2's (1/40: 40).
    Fraction(f64),
    /// At most this fraction of PM2's, and below this absolute value.
    FractionAndBelow(f64, f64),
    /// Below this absolute value.
    Below(f64),
    /// At least so many times PM2's.
    Times(f64),
    /// Nothing; it is shown.
    Shown,
}

impl Quantity {
    /// In the order of the table.
    pub const ALL: [Self; 19] = [
        Self::List,
        Self::Jlist,
        Self::Ping,
        Self::ListOfHundred,
        Self::StartHundred,
        Self::RestartHundred,
        Self::DeleteHundred,
        Self::Processes,
        Self::RssEmpty,
        Self::PssEmpty,
        Self::RssOfHundred,
        Self::PssOfHundred,
        Self::IdleCpu,
        Self::Respawn,
        Self::RespawnWorst,
        Self::LogPlain,
        Self::LogPlainCpu,
        Self::LogStamped,
        Self::LogStampedCpu,
    ];

    /// What the table calls it, with its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::List => "`list`, one app, ms",
            Self::Jlist => "`jlist`, one app, ms",
            Self::Ping => "`ping`, ms",
            Self::ListOfHundred => "`list`, 100 apps, ms",
            Self::StartHundred => "start 100 apps, s",
            Self::RestartHundred => "restart 100 apps, s",
            Self::DeleteHundred => "delete 100 apps, s",
            Self::Processes => "processes of the manager",
            Self::RssEmpty => "RSS without apps, MiB",
            Self::PssEmpty => "PSS without apps, MiB",
            Self::RssOfHundred => "RSS with 100 apps, MiB",
            Self::PssOfHundred => "PSS with 100 apps, MiB",
            Self::IdleCpu => "CPU at rest with 100 apps, ms/s",
            Self::Respawn => "crash to new process, ms (median)",
            Self::RespawnWorst => "crash to new process, ms (worst)",
            Self::LogPlain => "log intake, plain, MB/s",
            Self::LogPlainCpu => "CPU of that, s",
            Self::LogStamped => "log intake with timestamps, MB/s",
            Self::LogStampedCpu => "CPU of that, s",
        }
    }

    /// What is asked of it.
    pub fn target(self) -> Target {
        match self {
            Self::ListOfHundred => Target::FractionAndBelow(40.0, 4.0),
            Self::StartHundred | Self::RestartHundred | Self::DeleteHundred => Target::Fraction(8.0),
            Self::RssOfHundred | Self::PssOfHundred => Target::Fraction(6.0),
            Self::IdleCpu => Target::Below(2.0),
            Self::Respawn => Target::Fraction(2.0),
            Self::LogPlain => Target::Times(1.2),
            Self::LogStamped => Target::Times(5.0),
            Self::LogPlainCpu | Self::LogStampedCpu => Target::Fraction(1.0),
            Self::List
            | Self::Jlist
            | Self::Ping
            | Self::Processes
            | Self::RssEmpty
            | Self::PssEmpty
            | Self::RespawnWorst => Target::Shown,
        }
    }
}

impl Target {
    /// For the table.
    pub fn text(self) -> String {
        match self {
            Self::Fraction(1.0) => "no more".to_owned(),
            Self::Fraction(part) => format!("≤ 1/{part}"),
            Self::FractionAndBelow(part, limit) => format!("≤ 1/{part}, < {limit}"),
            Self::Below(limit) => format!("< {limit}"),
            Self::Times(times) => format!("≥ {times}×"),
            Self::Shown => String::new(),
        }
    }

    /// Whether it is met; `None` where nothing is asked.
    pub fn is_met(self, pm2: f64, ostler: f64) -> Option<bool> {
        match self {
            Self::Fraction(part) => Some(ostler * part <= pm2),
            Self::FractionAndBelow(part, limit) => Some(ostler * part <= pm2 && ostler < limit),
            Self::Below(limit) => Some(ostler < limit),
            Self::Times(times) => Some(ostler >= pm2 * times),
            Self::Shown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_up_to_its_limit() {
        assert_eq!(Target::Fraction(8.0).is_met(8.0, 1.0), Some(true));
        assert_eq!(Target::Fraction(8.0).is_met(8.0, 1.1), Some(false));
        assert_eq!(Target::FractionAndBelow(40.0, 4.0).is_met(1000.0, 5.0), Some(false));
        assert_eq!(Target::Times(5.0).is_met(10.0, 50.0), Some(true));
        assert_eq!(Target::Below(2.0).is_met(0.0, 2.0), Some(false));
        assert_eq!(Target::Shown.is_met(1.0, 1.0), None);
    }

    #[test]
    fn the_table_has_every_quantity_once() {
        let mut sorted = Quantity::ALL;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
