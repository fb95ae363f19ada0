//! What a request says that is of interest to the door. Pure.

use super::names::Authority;
use super::target::Target;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use ostler_wire::web::Login;
use std::net::{IpAddr, SocketAddr};

/// A request, as the door sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What it is for.
    pub target: Target,
    /// Whether its method may change something.
    pub changes: bool,
    /// Which server it means; `None` if that cannot be told, or if it is said twice.
    pub host: Option<Authority>,
    /// The page that it comes from: not said, or said (in a way that can be understood, or not).
    pub origin: Option<Option<Authority>>,
    /// What the browser says about that.
    pub site: Site,
    /// Whether its body is said to be JSON.
    pub is_json: bool,
    /// The session's cookie.
    pub session: Option<String>,
    /// What it shows beside that.
    pub credential: Option<Credential>,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Where it has come to.
    pub local: IpAddr,
}

/// What shows who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The token.
    Token(String),
    /// A name and a password.
    Password(Login),
}

/// `Sec-Fetch-Site` (W3C Fetch Metadata), which pages cannot set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// No browser, or an old one.
    Unsaid,
    /// Our own page, or the user himself.
    Own,
    /// Any other page.
    Other,
}

/// The name of the cookie. Cookies belong to a host and not to its port, so the port is in the name: two daemons do not sign each other
/// out.
pub fn cookie_name(port: u16) -> String {
    format!("ostler-{port}")
}

impl Asked {
    /// Of a request over a connection between these, of a server that listens at `port`.
    pub fn new(target: Target, request: &Parts, peer: IpAddr, local: SocketAddr, port: u16) -> Self {
        let headers = &request.headers;
        Self {
            target,
            changes: !matches!(request.method, Method::GET | Method::HEAD),
            host: host(&request.uri, headers),
            origin: headers
                .contains_key(ORIGIN)
                .then(|| only(headers, &ORIGIN).and_then(Authority::of_origin)),
            site: site(headers),
            is_json: only(headers, &CONTENT_TYPE).is_some_and(is_json),
            session: cookie(headers, &cookie_name(port)),
            credential: only(headers, &AUTHORIZATION).and_then(credential),
            peer,
            local: local.ip(),
        }
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// A target in absolute form (as to a proxy) must not mean another host than the header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let said = Authority::parse(only(headers, &HOST)?)?;
    match uri.authority() {
        Some(other) if Authority::parse(other.as_str()) != Some(said.clone()) => None,
        _ => Some(said),
    }
}

fn site(headers: &HeaderMap) -> Site {
    if !headers.contains_key("sec-fetch-site") {
        return Site::Unsaid;
    }
    match only(headers, &HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => Site::Own,
        Some(_) | None => Site::Other,
    }
}

fn is_json(value: &str) -> bool {
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    Some(value.to_owned())
}

/// `Bearer TOKEN` (RFC 6750) or `Basic` (RFC 7617).
fn credential(value: &str) -> Option<Credential> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credential::Token(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credential::Password(Login {
        user: user.to_owned(),
        password: password.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn asked(uri: &str, headers: &[(&str, &str)]) -> Asked {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let local: SocketAddr = "127.0.0.1:9615".parse().expect("an address");
        Asked::new(Target::Pm2, &parts, local.ip(), local, 9615)
    }

    #[test]
    fn a_host_is_said_once_and_without_contradiction() {
        let good = Authority::parse("localhost:9615");
        for (uri, headers, expected) in [
            ("/", &[("host", "localhost:9615")][..], good.clone()),
            ("http://localhost:9615/", &[("host", "localhost:9615")], good),
            ("http://evil.example/", &[("host", "localhost:9615")], None),
            ("/", &[("host", "localhost:9615"), ("host", "evil.example")], None),
            ("/", &[], None),
        ] {
            assert_eq!(asked(uri, headers).host, expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn credentials_are_read_from_cookie_and_header() {
        let found = asked("/", &[("cookie", "a=b; ostler-9614=x; ostler-9615=secret")]);
        assert_eq!(found.session.as_deref(), Some("secret"));
        for (value, expected) in [
            ("Bearer abc", Some(Credential::Token("abc".to_owned()))),
            ("bearer  abc ", Some(Credential::Token("abc".to_owned()))),
            (
                // ann:a:b
                "Basic YW5uOmE6Yg==",
                Some(Credential::Password(Login {
                    user: "ann".to_owned(),
                    password: "a:b".to_owned(),
                })),
            ),
            ("Basic !", None),
            ("Digest x", None),
            ("Bearer", None),
        ] {
            assert_eq!(asked("/", &[("authorization", value)]).credential, expected, "{value}");
        }
    }

    #[test]
    fn what_a_browser_says_of_the_page_is_read_and_what_cannot_be_read_is_another_page() {
        for (headers, site, origin) in [
            (&[][..], Site::Unsaid, None),
            (&[("sec-fetch-site", "same-origin")], Site::Own, None),
            (&[("sec-fetch-site", "none")], Site::Own, None),
            (&[("sec-fetch-site", "same-site")], Site::Other, None),
            (&[("sec-fetch-site", "cross-site")], Site::Other, None),
            (
                &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
                Site::Other,
                None,
            ),
            (&[("origin", "null")], Site::Unsaid, Some(None)),
            (
                &[("origin", "http://localhost:9615")],
                Site::Unsaid,
                Some(Authority::parse("localhost:9615")),
            ),
        ] {
            let found = asked("/", headers);
            assert_eq!((found.site, found.origin), (site, origin), "{headers:?}");
        }
        for (kind, json) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(asked("/", &[("content-type", kind)]).is_json, json, "{kind}");
        }
    }
}
