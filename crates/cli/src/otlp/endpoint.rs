//! Where metrics are sent: a URL, understood. Pure.

use crate::error::{Error, Result};
use hyper::Uri;
use std::fmt;

/// What collectors take metrics at (the specification of OTLP, *OTLP/HTTP Request*).
pub const PATH: &str = "/v1/metrics";

/// See the module's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What is connected to: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Host and port as they were written, for the request.
    pub authority: String,
    /// What is asked for there, with its query.
    pub path: String,
}

impl Endpoint {
    /// The very place that is meant; `named` is what gave it, for errors. One without a path means [`PATH`].
    pub fn exact(named: &str, text: &str) -> Result<Self> {
        let mut endpoint = Self::read(named, text)?;
        if endpoint.path == "/" {
            PATH.clone_into(&mut endpoint.path);
        }
        Ok(endpoint)
    }

    /// The place below which all kinds of data have theirs.
    pub fn base(named: &str, text: &str) -> Result<Self> {
        let mut endpoint = Self::read(named, text)?;
        let (path, query) = match endpoint.path.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (endpoint.path.as_str(), String::new()),
        };
        endpoint.path = format!("{}{PATH}{query}", path.trim_end_matches('/'));
        Ok(endpoint)
    }

    fn read(named: &str, text: &str) -> Result<Self> {
        let uri: Uri = text.parse().map_err(|error| wrong(named, text, &format!("{error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(encrypted(named)),
            Some(_) | None => return Err(wrong(named, text, "it does not begin with `http://`")),
        }
        let authority = uri
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .unwrap_or_default();
        if authority.contains('@') {
            return Err(
                Error::user(format!("{named} has a name or a password in it, which is not sent"))
                    .hint("send it in a header: OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Basic%20…\""),
            );
        }
        let written = uri.host().unwrap_or_default();
        let host = written
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(written);
        if host.is_empty() {
            return Err(wrong(named, text, "it names no host"));
        }
        if authority.len() > written.len() && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(wrong(named, text, "its port is no number from 1 to 65535"));
        }
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            authority,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

/// Without its query, which may have a key in it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "http://{}{path}", self.authority)
    }
}

fn wrong(named: &str, text: &str, cause: &str) -> Error {
    Error::user(format!("{named} is no URL that can be sent to, \"{text}\": {cause}"))
        .hint("as http://localhost:4318, where a collector of OpenTelemetry listens")
}

fn encrypted(named: &str) -> Error {
    Error::user(format!("{named} begins with `https://`, and Ostler speaks HTTP without TLS only"))
        .hint("let a collector of OpenTelemetry run on this machine (http://localhost:4318), and have it send on with TLS; docs/otlp.md has its configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Endpoint {
        Endpoint::exact("--endpoint", text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn one_of_metrics_alone_is_taken_as_it_is_but_for_a_missing_path() {
        for (text, host, port, path, shown) in [
            (
                "http://localhost:4318",
                "localhost",
                4318,
                "/v1/metrics",
                "http://localhost:4318/v1/metrics",
            ),
            (
                "http://localhost:4318/",
                "localhost",
                4318,
                "/v1/metrics",
                "http://localhost:4318/v1/metrics",
            ),
            ("http://[::1]:9/otlp", "::1", 9, "/otlp", "http://[::1]:9/otlp"),
            ("http://c/a?key=secret", "c", 80, "/a?key=secret", "http://c/a"),
        ] {
            let endpoint = exact(text);
            assert_eq!(
                (
                    endpoint.host.as_str(),
                    endpoint.port,
                    endpoint.path.as_str(),
                    endpoint.to_string().as_str()
                ),
                (host, port, path, shown)
            );
        }
    }

    #[test]
    fn one_of_all_kinds_of_data_has_a_place_for_metrics_below_it() {
        for (text, path) in [
            ("http://c:1", "/v1/metrics"),
            ("http://c:1/", "/v1/metrics"),
            ("http://c:1/otlp/", "/otlp/v1/metrics"),
            ("http://c:1/otlp?key=x", "/otlp/v1/metrics?key=x"),
        ] {
            assert_eq!(Endpoint::base("X", text).expect("a URL").path, path, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused_with_the_reason() {
        for (text, reason) in [
            ("localhost:4318", "does not begin with `http://`"),
            ("/v1/metrics", "does not begin with `http://`"),
            ("ftp://c", "does not begin with `http://`"),
            ("https://c", "without TLS"),
            ("http://", "no URL"),
            ("http://c:99999/", "no URL"),
            ("http://c:/", "no URL"),
            ("http://ann:secret@c", "a password"),
            ("http://a b", "no URL"),
        ] {
            let error = Endpoint::exact("--endpoint", text).expect_err(text);
            assert!(error.message.contains(reason), "{text}: {error}");
            assert!(!error.hints.is_empty(), "{text}");
        }
        let error = Endpoint::exact("--endpoint", "http://ann:secret@c").expect_err("a password");
        assert!(!error.message.contains("secret"), "{error}");
    }
}
