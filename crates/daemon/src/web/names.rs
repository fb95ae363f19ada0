//! What a server may be called: the authorities of `Host` and `Origin`. Pure.
//!
//! A page elsewhere whose name is made to lead here (DNS rebinding) asks under that name. So a request is answered only if it names this
//! server by an address, or by a name that cannot be made to lead elsewhere or has been allowed.

use std::net::{IpAddr, Ipv6Addr};

/// A host and, if it was said, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub host: Host,
    /// At which port, if not at the scheme's own.
    pub port: Option<u16>,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// In small letters.
    Name(String),
    /// IPv4 in IPv6 as IPv4.
    Address(IpAddr),
}

impl Host {
    /// `None` for what is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().ok()?;
            return Some(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_name = !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed);
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl Authority {
    /// Of a `Host` header.
    pub fn parse(text: &str) -> Option<Self> {
        let colon = text.rfind(':').filter(|colon| !text[*colon..].contains(']'));
        let (host, port) = match colon {
            Some(colon) => (&text[..colon], Some(port(&text[colon + 1..])?)),
            None => (text, None),
        };
        let host = Host::parse(host)?;
        Some(Self { host, port })
    }

    /// Of an `Origin` header, with the port of its scheme where it says none. `None` for `null` and what is no web page's.
    pub fn of_origin(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let own = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let mut authority = Self::parse(rest)?;
        authority.port = authority.port.or(Some(own));
        Some(authority)
    }

    /// Whether an origin is the page that this host serves. A proxy may speak TLS for it, so either scheme's own port fits where the host
    /// says none.
    pub fn serves(&self, origin: &Self) -> bool {
        let same_port = match self.port {
            Some(port) => origin.port == Some(port),
            None => matches!(origin.port, Some(80 | 443)),
        };
        self.host == origin.host && same_port
    }
}

fn port(digits: &str) -> Option<u16> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

/// Whether a server that a connection has reached at `local` may be called so. `allowed` are names in small letters.
pub fn is_ours(host: &Host, local: IpAddr, allowed: &[String]) -> bool {
    match host {
        Host::Address(address) => {
            address.is_loopback() || *address == local.to_canonical() || allowed.contains(&address.to_string())
        }
        Host::Name(name) => name == "localhost" || allowed.contains(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_understood_as_browsers_write_them() {
        for (text, host, port) in [
            ("localhost:9615", Some("localhost"), Some(9615)),
            ("Example.COM", Some("example.com"), None),
            ("127.0.0.1:80", Some("127.0.0.1"), Some(80)),
            ("[::1]:9615", Some("::1"), Some(9615)),
            ("[::ffff:10.0.0.1]", Some("10.0.0.1"), None),
            ("", None, None),
            ("a b", None, None),
            ("user@localhost", None, None),
            ("localhost:", None, None),
            ("localhost:+80", None, None),
            ("localhost:99999", None, None),
            ("::1", None, None),
            ("[::1", None, None),
        ] {
            let found = Authority::parse(text);
            let expected = host.map(|host| Authority {
                host: match host.parse() {
                    Ok(address) => Host::Address(address),
                    Err(_) => Host::Name(host.to_owned()),
                },
                port,
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn only_names_that_lead_nowhere_else_and_allowed_ones_are_ours() {
        let local: IpAddr = "192.168.1.5".parse().expect("an address");
        let allowed = ["ops.example.com".to_owned(), "10.9.9.9".to_owned()];
        for (text, ours) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("192.168.1.5", true),
            ("OPS.example.com", true),
            ("10.9.9.9", true),
            ("192.168.1.6", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("localhost.", false),
            ("127.0.0.1.evil.example", false),
        ] {
            let host = Host::parse(text).expect("a host");
            assert_eq!(is_ours(&host, local, &allowed), ours, "{text}");
        }
    }

    #[test]
    fn a_page_is_served_by_the_host_that_it_came_from_and_by_no_other() {
        for (host, origin, same) in [
            ("localhost:9615", "http://localhost:9615", true),
            ("localhost:9615", "http://localhost:3000", false),
            ("localhost:9615", "http://127.0.0.1:9615", false),
            ("ops.example.com", "https://ops.example.com", true),
            ("ops.example.com", "http://ops.example.com", true),
            ("ops.example.com", "https://ops.example.com:8443", false),
            ("ops.example.com:8443", "https://ops.example.com:8443", true),
            ("ops.example.com", "https://evil.example", false),
        ] {
            let host = Authority::parse(host).expect("a host");
            let origin = Authority::of_origin(origin).expect("an origin");
            assert_eq!(host.serves(&origin), same, "{host:?} {origin:?}");
        }
        for none in ["null", "", "file://", "chrome-extension://abc"] {
            assert_eq!(Authority::of_origin(none), None, "{none}");
        }
    }
}
