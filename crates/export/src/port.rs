//! Which ports an app listens on, as far as its config tells: `listen`, and `PORT` (also what `port` sets).

use ostler_core::{Address, Spec};
use std::collections::BTreeSet;

/// A port that others reach the app by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// What it is called: 15 characters at most, lower case letters, digits and `-` (RFC 6335).
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) udp: bool,
}

/// All ports, those of `listen` first.
pub(crate) fn ports(spec: &Spec) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    let mut add = |port: Port| {
        if port.number > 0
            && !ports
                .iter()
                .any(|other| (other.number, other.udp) == (port.number, port.udp))
        {
            ports.push(port);
        }
    };
    for socket in &spec.listen {
        let (number, udp) = match &socket.address {
            Address::Tcp(address) => (address.port(), false),
            Address::Udp(address) => (address.port(), true),
            Address::Unix(_) => continue,
        };
        let kind = if udp { "udp" } else { "tcp" };
        let name = socket
            .name
            .as_deref()
            .and_then(service_name)
            .unwrap_or_else(|| format!("{kind}-{number}"));
        add(Port { name, number, udp });
    }
    if let Some(number) = declared(spec) {
        let name = "http".to_owned();
        add(Port {
            name,
            number,
            udp: false,
        });
    }
    let mut seen = BTreeSet::new();
    for port in &mut ports {
        if !seen.insert(port.name.clone()) {
            port.name = format!("{}-{}", if port.udp { "udp" } else { "tcp" }, port.number);
            seen.insert(port.name.clone());
        }
    }
    ports
}

/// The number that `PORT` declares, if it is one.
pub(crate) fn declared(spec: &Spec) -> Option<u16> {
    let port = spec.environment.declared.get("PORT")?;
    port.trim().parse().ok().filter(|port| *port > 0)
}

/// The first TCP port: where probes go.
pub(crate) fn first_tcp(ports: &[Port]) -> Option<&Port> {
    ports.iter().find(|port| !port.udp)
}

fn service_name(name: &str) -> Option<String> {
    let name: String = name.to_lowercase().replace('_', "-").chars().take(15).collect();
    let name = name.trim_matches('-').replace("--", "-");
    name.contains(|c: char| c.is_ascii_alphabetic()).then_some(name)
}
