//! Signals by name, as people write and read them.

use rustix::process::Signal;

/// The signals that have a name everywhere on Linux (`signal(7)`).
const NAMED: &[(&str, Signal)] = &[
    ("SIGHUP", Signal::HUP),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGILL", Signal::ILL),
    ("SIGTRAP", Signal::TRAP),
    ("SIGABRT", Signal::ABORT),
    ("SIGBUS", Signal::BUS),
    ("SIGFPE", Signal::FPE),
    ("SIGKILL", Signal::KILL),
    ("SIGUSR1", Signal::USR1),
    ("SIGSEGV", Signal::SEGV),
    ("SIGUSR2", Signal::USR2),
    ("SIGPIPE", Signal::PIPE),
    ("SIGALRM", Signal::ALARM),
    ("SIGTERM", Signal::TERM),
    ("SIGCHLD", Signal::CHILD),
    ("SIGCONT", Signal::CONT),
    ("SIGSTOP", Signal::STOP),
    ("SIGTSTP", Signal::TSTP),
    ("SIGTTIN", Signal::TTIN),
    ("SIGTTOU", Signal::TTOU),
    ("SIGURG", Signal::URG),
    ("SIGXCPU", Signal::XCPU),
    ("SIGXFSZ", Signal::XFSZ),
    ("SIGVTALRM", Signal::VTALARM),
    ("SIGPROF", Signal::PROF),
    ("SIGWINCH", Signal::WINCH),
    ("SIGIO", Signal::IO),
    ("SIGSYS", Signal::SYS),
];

/// The highest signal of Linux, real-time ones included.
const LAST: i32 = 64;

/// A signal's number from its name, with or without `SIG`, in any case, or from the number itself.
pub fn number(typed: &str) -> Option<i32> {
    if let Ok(number) = typed.parse() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let upper = typed.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMED
        .iter()
        .find(|(name, _)| name.strip_prefix("SIG") == Some(short))
        .map(|(_, signal)| signal.as_raw())
}

/// `SIGTERM`, or `signal 40` for one without a name.
pub fn name(number: i32) -> String {
    let named = NAMED.iter().find(|(_, signal)| signal.as_raw() == number);
    named.map_or_else(|| format!("signal {number}"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_by_number() {
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("usr2"), Some(12));
        assert_eq!(number("9"), Some(9));
        assert_eq!(number("40"), Some(40));
        assert_eq!(name(11), "SIGSEGV");
        assert_eq!(name(40), "signal 40");
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for typed in ["0", "65", "-1", "SIGNOPE", ""] {
            assert_eq!(number(typed), None, "{typed}");
        }
    }
}
