//! Why a request is refused, in words that say what to do. Pure.

use hyper::StatusCode;
use ostler_wire::control::{ApiError, ApiErrorKind};

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not say which host it means, or not in a way that can be understood.
    NoHost,
    /// It means a host that we are not.
    ForeignHost(String),
    /// It comes from a page elsewhere.
    OtherSite,
    /// What changes something has to be JSON, which no form of another page can send.
    NotJson,
    /// It does not show who sends it.
    NobodyYet,
    /// What it shows is wrong.
    Wrong,
    /// Too many have been wrong: so many seconds are to be waited.
    TooSoon(u64),
    /// Not to be had at this port.
    Closed,
    /// Not while the port is for reading only.
    ReadOnly,
    /// There is no such path.
    NoSuchPath,
    /// It is called in another way.
    NoSuchMethod,
}

impl Refusal {
    /// As HTTP has it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::OtherSite | Self::Closed | Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NobodyYet | Self::Wrong => StatusCode::UNAUTHORIZED,
            Self::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// As the control API has it.
    pub fn error(&self) -> ApiError {
        let kind = match self {
            Self::NoSuchPath => ApiErrorKind::NotFound,
            Self::NoHost
            | Self::ForeignHost(_)
            | Self::OtherSite
            | Self::NotJson
            | Self::NobodyYet
            | Self::Wrong
            | Self::TooSoon(_)
            | Self::Closed
            | Self::ReadOnly
            | Self::NoSuchMethod => ApiErrorKind::User,
        };
        let (message, hint) = self.words();
        ApiError {
            kind,
            message,
            hint: (!hint.is_empty()).then_some(hint),
        }
    }

    fn words(&self) -> (String, String) {
        let words = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
        match self {
            Self::NoHost => words("the request does not say which host it means", ""),
            Self::ForeignHost(name) => (
                format!("this server is not called {name}"),
                format!("If it is meant to be: `ostler web --allow-host {name}`."),
            ),
            Self::OtherSite => words(
                "the request comes from another page",
                "A proxy in front has to pass the `Host` header on as it is.",
            ),
            Self::NotJson => words(
                "what changes something has to be sent as JSON",
                "Send the header `Content-Type: application/json`.",
            ),
            Self::NobodyYet => words("sign in first", "`ostler web` prints a link that does."),
            Self::Wrong => words(
                "that is not the token, nor a user and his password",
                "`ostler web` prints a link with the token.",
            ),
            Self::TooSoon(seconds) => (
                "too many attempts have failed".to_owned(),
                format!("Try again in {seconds} s."),
            ),
            Self::Closed => words(
                "that is not to be had over this port",
                "The command line can, and so can the control socket.",
            ),
            Self::ReadOnly => words(
                "this port is for reading only",
                "`ostler web --read-only=false` changes that.",
            ),
            Self::NoSuchPath => words("there is nothing by that path", ""),
            Self::NoSuchMethod => words("that is not how it is called", ""),
        }
    }
}
