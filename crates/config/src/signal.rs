//! Signals by name.

use rustix::process::Signal;
use serde_json::Value;

/// The signals an app can be stopped by. Their numbers differ between systems, so they come from the system's headers.
const SIGNALS: &[(&str, Signal)] = &[
    ("SIGHUP", Signal::HUP),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGABRT", Signal::ABORT),
    ("SIGKILL", Signal::KILL),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGALRM", Signal::ALARM),
    ("SIGTERM", Signal::TERM),
    ("SIGCONT", Signal::CONT),
    ("SIGSTOP", Signal::STOP),
    ("SIGTSTP", Signal::TSTP),
    ("SIGTTIN", Signal::TTIN),
    ("SIGTTOU", Signal::TTOU),
    ("SIGWINCH", Signal::WINCH),
];

/// Linux has signals up to 64, real-time ones included.
const LAST: i64 = 64;

/// A signal's number from its name with or without `SIG`, in any case, or from the number itself.
pub fn number(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return (1..=LAST).contains(&number).then_some(number as i32);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    SIGNALS
        .iter()
        .find(|(known, _signal)| known[3..] == *name)
        .map(|(_name, signal)| signal.as_raw())
}

/// The name of a signal's number, e.g. `SIGTERM`, where it has one here.
pub fn name(number: i32) -> Option<&'static str> {
    SIGNALS
        .iter()
        .find(|(_name, signal)| signal.as_raw() == number)
        .map(|(name, _signal)| *name)
}

pub(crate) fn parse(value: &Value) -> Option<i32> {
    number(&crate::pm2::kind::scalar_text(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_name_and_by_number() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("term"), Some(15));
        assert_eq!(number("9"), Some(9));
        assert_eq!(name(2), Some("SIGINT"));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["SIGNOPE", "0", "65", "-1", ""] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
