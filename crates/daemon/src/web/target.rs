//! What can be asked for at the port. Pure.

use super::page::{self, Asset};
use ostler_wire::endpoints::Endpoint;

/// PM2's old web interface.
const PM2: &str = "/pm2.json";
/// Who is signed in.
const SESSION: &str = "/session";

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A part of the page.
    Page(&'static Asset),
    /// Signing in and out.
    Session(SessionCall),
    /// The list in the shape of PM2's old web interface.
    Pm2,
    /// A call of the control API.
    Call(Endpoint),
}

/// What about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCall {
    /// Am I signed in?
    Look,
    /// Sign in.
    Begin,
    /// Sign out.
    End,
}

/// Nothing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotThere {
    /// By that path.
    NoSuchPath,
    /// By that method.
    NoSuchMethod,
}

impl Target {
    /// What a request means. HEAD is GET, whose answer has no body.
    ///
    /// # Errors
    /// If it means nothing.
    pub fn find(method: &str, path: &str) -> Result<Self, NotThere> {
        let method = if method == "HEAD" { "GET" } else { method };
        let found = match (method, path) {
            ("GET", PM2) => Some(Self::Pm2),
            ("GET", SESSION) => Some(Self::Session(SessionCall::Look)),
            ("POST", SESSION) => Some(Self::Session(SessionCall::Begin)),
            ("DELETE", SESSION) => Some(Self::Session(SessionCall::End)),
            ("GET", _) => page::find(path).map(Self::Page),
            _ => None,
        };
        if let Some(found) = found.or_else(|| Endpoint::find(method, path).map(Self::Call)) {
            return Ok(found);
        }
        let known = matches!(path, PM2 | SESSION)
            || page::find(path).is_some()
            || Endpoint::ALL.iter().any(|endpoint| endpoint.path() == path);
        Err(if known {
            NotThere::NoSuchMethod
        } else {
            NotThere::NoSuchPath
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_found_by_method_and_path() {
        for (method, path, expected) in [
            ("GET", "/v1/ping", Ok(Target::Call(Endpoint::Ping))),
            ("HEAD", "/v1/ping", Ok(Target::Call(Endpoint::Ping))),
            ("GET", "/metrics", Ok(Target::Call(Endpoint::Prometheus))),
            ("POST", "/v1/operations", Ok(Target::Call(Endpoint::Operations))),
            ("GET", "/v1/operations", Err(NotThere::NoSuchMethod)),
            ("PUT", "/session", Err(NotThere::NoSuchMethod)),
            ("DELETE", "/session", Ok(Target::Session(SessionCall::End))),
            ("GET", "/pm2.json", Ok(Target::Pm2)),
            ("GET", "/../web.token", Err(NotThere::NoSuchPath)),
            ("GET", "//", Err(NotThere::NoSuchPath)),
            ("OPTIONS", "/v1/operations", Err(NotThere::NoSuchMethod)),
        ] {
            assert_eq!(Target::find(method, path), expected, "{method} {path}");
        }
        assert!(matches!(Target::find("GET", "/"), Ok(Target::Page(_))));
    }
}
