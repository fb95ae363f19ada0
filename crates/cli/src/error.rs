//! What a command can fail with: a sentence, whose fault it is, and what to do next. Every command returns it;
//! `main` turns it into text on standard error and an exit code (`docs/exit-codes.md`).

use crate::client::CallError;
use ostler_wire::control::{ApiError, ApiErrorKind};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// What commands return.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for makes no sense or matches nothing.
    User,
    /// A config file or attribute is wrong.
    Config,
    /// The system or the daemon refused.
    System,
    /// A bug of ours.
    Internal,
    /// The failure has been printed already, in the command's own form.
    Reported,
    /// Whoever read our output has gone, as `head` does: no failure.
    OutputClosed,
}

/// A failed command.
#[derive(Debug)]
pub struct Error {
    /// Whose fault.
    pub kind: Kind,
    /// A sentence without a full stop: the call, the object, the cause.
    pub message: String,
    /// What to do next, most useful first.
    pub hints: Vec<String>,
}

impl Error {
    /// A failure of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// The user's fault.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Kind::User, message)
    }

    /// The system's fault.
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(Kind::System, message)
    }

    /// The failure was printed already.
    pub fn reported() -> Self {
        Self::new(Kind::Reported, String::new())
    }

    /// The same with a hint more.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What the process ends with. PM2 knows 0 and 1 only, and scripts rely on it.
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            Kind::OutputClosed => ExitCode::SUCCESS,
            Kind::User | Kind::Config | Kind::System | Kind::Internal | Kind::Reported => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let kind = match error.kind {
            ApiErrorKind::NotFound | ApiErrorKind::User => Kind::User,
            ApiErrorKind::System => Kind::System,
            ApiErrorKind::Internal => Kind::Internal,
        };
        Self {
            kind,
            message: error.message,
            hints: error.hint.into_iter().collect(),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Refused(error) => error.into(),
            CallError::NoDaemon => Self::user(message).hint("`ostler start <script>` starts one"),
            CallError::Connect { .. } | CallError::Lost { .. } => {
                Self::system(message).hint("`ostler daemon status` shows whether a daemon runs")
            }
            CallError::NoAnswer { .. } => Self::system(message).hint("look into ostler.log in the home directory"),
            CallError::Malformed { .. } => Self::new(Kind::Internal, message).hint(
                "daemon and command line may be of different versions: `ostler daemon status`, `ostler --version`",
            ),
        }
    }
}

/// Writing to standard output.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe {
            Kind::OutputClosed
        } else {
            Kind::System
        };
        Self::new(kind, format!("writing to standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.kind, Kind::OutputClosed);
        assert_eq!(error.exit_code(), ExitCode::SUCCESS);
    }

    #[test]
    fn an_answered_error_keeps_its_hint() {
        let answered = ApiError {
            kind: ApiErrorKind::NotFound,
            message: "no x".into(),
            hint: Some("list".into()),
        };
        let error = Error::from(CallError::Refused(answered));
        assert_eq!((error.kind, error.message.as_str()), (Kind::User, "no x"));
        assert_eq!(error.hints, ["list"]);
    }
}
