//! Sockets that are bound for an app and inherited by its workers, as sd_listen_fds(3) describes it. Ostler's own.

use super::attribute::Attribute;
use super::kind::Kind;
use crate::attributes::Attributes;
use crate::check::shown;
use crate::diagnostic::Problem;
use crate::listeners::{self, FIRST_DESCRIPTOR};
use ostler_core::{Address, Listen, Program};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Node's, and nginx's. The kernel caps it at `net.core.somaxconn`.
const BACKLOG: u32 = 511;
/// As systemd's `SocketMode`: who may reach the directory may connect.
const MODE: u32 = 0o666;
/// `sun_path` less the zero behind it (unix(7)).
const LONGEST_PATH: usize = 107;
/// What an entry that is an object may have.
const KEYS: [&str; 4] = ["address", "name", "backlog", "mode"];

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[Attribute::new(
    "listen",
    Kind::Listen,
    "",
    "Sockets that Ostler binds and every instance inherits, whatever it is written in: see above. Fork mode. Ostler's own.",
)];

/// Whether sockets are declared.
pub(crate) fn is_declared(attributes: &Attributes) -> bool {
    !entries(attributes).is_empty()
}

fn entries(attributes: &Attributes) -> Vec<Value> {
    match attributes.get("listen") {
        Some(Value::Array(entries)) => entries.clone(),
        Some(entry) => vec![entry.clone()],
        None => Vec::new(),
    }
}

/// The declared sockets in their order.
pub(crate) fn sockets(attributes: &Attributes) -> Result<Vec<Listen>, Problem> {
    let sockets: Vec<Listen> = entries(attributes).iter().map(socket).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = sockets.iter().find(|socket| !seen.insert(&socket.address)) {
        let message = format!("{} is declared twice", twice.address);
        return Err(invalid(
            message,
            "remove one of them: a socket is shared by all instances",
        ));
    }
    Ok(sockets)
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem::invalid("listen", message, hint)
}

fn socket(entry: &Value) -> Result<Listen, Problem> {
    match entry {
        Value::Object(table) => of_table(table, entry),
        Value::String(text) => Ok(Listen {
            address: address(text)?,
            name: None,
            backlog: BACKLOG,
            mode: MODE,
        }),
        Value::Number(port) => Err(without_scheme(&port.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) => Err(invalid(
            format!("{} is no address", shown(entry)),
            format!("write {}", Kind::Listen.expectation()),
        )),
    }
}

fn of_table(table: &Map<String, Value>, entry: &Value) -> Result<Listen, Problem> {
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let message = format!("`{unknown}` in {} means nothing", shown(entry));
        return Err(invalid(message, format!("it may have {}", KEYS.join(", "))));
    }
    let Some(Value::String(text)) = table.get("address") else {
        let message = format!("{} has no address", shown(entry));
        return Err(invalid(message, "write { address: \"tcp://0.0.0.0:3000\" }"));
    };
    let address = address(text)?;
    if table.contains_key("mode") && !matches!(address, Address::Unix(_)) {
        return Err(invalid(
            format!("`mode` in {} has no use: it is for unix sockets", shown(entry)),
            "remove it",
        ));
    }
    Ok(Listen {
        address,
        name: table.get("name").map(name).transpose()?,
        backlog: table.get("backlog").map_or(Ok(BACKLOG), backlog)?,
        mode: table.get("mode").map_or(Ok(MODE), mode)?,
    })
}

/// Names stand between colons in `LISTEN_FDNAMES`, and beside positions in `{{listen.NAME.fd}}`.
fn name(value: &Value) -> Result<String, Problem> {
    let fits = |text: &&str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=64).contains(&text.len()) && text.chars().all(allowed) && text.parse::<u64>().is_err()
    };
    value.as_str().filter(fits).map(str::to_owned).ok_or_else(|| {
        let hint = "use letters, digits, `-` and `_`, 64 at most, not digits alone: \"http\"";
        invalid(format!("{} is no name for a socket", shown(value)), hint)
    })
}

fn backlog(value: &Value) -> Result<u32, Problem> {
    let number = Kind::Whole(1, i64::from(i32::MAX)).normal(value);
    let number = number.and_then(|number| u32::try_from(number.as_u64()?).ok());
    number.ok_or_else(|| {
        invalid(
            format!("{} is no backlog", shown(value)),
            "write how many connections may wait: 511",
        )
    })
}

fn mode(value: &Value) -> Result<u32, Problem> {
    let text = value.as_str().filter(|text| text.len() <= 4);
    let mode = text.and_then(|text| u32::from_str_radix(text, 8).ok());
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| {
        invalid(
            format!("{} is no file mode", shown(value)),
            "write it in octal, in quotes: \"0660\"",
        )
    })
}

fn address(text: &str) -> Result<Address, Problem> {
    match text.split_once("://") {
        Some(("tcp", rest)) => internet(text, rest).map(Address::Tcp),
        Some(("udp", rest)) => internet(text, rest).map(Address::Udp),
        Some(("unix", path)) => unix(text, path).map(Address::Unix),
        Some((scheme, _)) => Err(invalid(
            format!("\"{text}\": `{scheme}` is no kind of socket"),
            "it is tcp, udp or unix",
        )),
        None => Err(without_scheme(text)),
    }
}

/// What was meant can often be told.
fn without_scheme(text: &str) -> Problem {
    let meant = if text.starts_with('/') {
        format!("unix://{text}")
    } else if let Ok(port) = text.trim_start_matches([':', '*']).parse::<u16>() {
        format!("tcp://0.0.0.0:{port}")
    } else {
        format!("tcp://{text}")
    };
    let meant = match address(&meant) {
        Ok(_) => meant,
        Err(_) => "tcp://0.0.0.0:3000".to_owned(),
    };
    invalid(
        format!("\"{text}\" does not say what kind of socket it is"),
        format!("write \"{meant}\""),
    )
}

fn internet(text: &str, rest: &str) -> Result<SocketAddr, Problem> {
    let rest = rest.trim_end_matches('/');
    let Some((host, port)) = rest.rsplit_once(':').filter(|(host, _)| is_whole(host)) else {
        let hint = "write address and port, an IPv6 address in brackets: \"tcp://0.0.0.0:3000\", \"tcp://[::]:3000\"";
        return Err(invalid(format!("\"{text}\" has no port"), hint));
    };
    let port = port.parse().map_err(|_| {
        invalid(
            format!("\"{text}\": \"{port}\" is no port"),
            "it is a number from 0 to 65535",
        )
    })?;
    Ok(SocketAddr::new(ip(text, host)?, port))
}

/// Not the beginning of an IPv6 address without brackets.
fn is_whole(host: &str) -> bool {
    host.starts_with('[') == host.ends_with(']') && (host.starts_with('[') || !host.contains(':'))
}

/// Names are not looked up: a socket is bound to an address of this machine, and must be the same at each start.
fn ip(text: &str, host: &str) -> Result<IpAddr, Problem> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        "" | "*" => Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => bare.parse().map_err(|_| {
            let hint = "write an IP address of this machine, 0.0.0.0 for all of IPv4, [::] for all, or localhost";
            invalid(format!("\"{text}\": \"{bare}\" is no address to bind to"), hint)
        }),
    }
}

fn unix(text: &str, path: &str) -> Result<String, Problem> {
    if !path.starts_with('/') || path.ends_with('/') {
        let hint = "the path is absolute: \"unix:///run/app.sock\"";
        return Err(invalid(format!("\"{text}\" has no absolute path of a file"), hint));
    }
    if path.len() > LONGEST_PATH {
        let message = format!("\"{text}\": the path has {} bytes", path.len());
        return Err(invalid(message, format!("unix sockets take {LONGEST_PATH}")));
    }
    Ok(path.to_owned())
}

/// Checks what refers to sockets by `{{listen…}}`.
pub(crate) fn check_references(
    sockets: &[Listen],
    program: &Program,
    declared: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    let of = |key: &'static str| move |text: &String| (key, text.clone());
    let texts = program.args.iter().map(of("args"));
    let texts = texts.chain(program.interpreter_args.iter().map(of("node_args")));
    let texts = texts.chain(declared.values().map(of("env")));
    for (key, text) in texts {
        listeners::expanded(&text, sockets).map_err(|reference| unresolved(key, &reference, sockets))?;
    }
    Ok(())
}

fn unresolved(key: &str, reference: &str, sockets: &[Listen]) -> Problem {
    let named = sockets.iter().filter(|socket| socket.name.is_some());
    let twice = named
        .filter(|socket| reference.split('.').nth(1) == socket.name.as_deref())
        .count()
        > 1;
    let message = match (sockets.is_empty(), twice) {
        (true, _) => format!("`{{{{{reference}}}}}` refers to a socket, and no `listen` is declared"),
        (false, true) => format!("`{{{{{reference}}}}}`: several sockets of `listen` have that name"),
        (false, false) => format!("`{{{{{reference}}}}}` refers to no socket of `listen`"),
    };
    let known = sockets.iter().enumerate().map(|(position, socket)| {
        let number = FIRST_DESCRIPTOR + i32::try_from(position).unwrap_or_default();
        format!("{{{{listen.{position}.fd}}}} is {number}, {}", socket.address)
    });
    let known: Vec<String> = known.collect();
    let hint = match known.is_empty() {
        true => "declare it: listen: [\"tcp://0.0.0.0:3000\"]".to_owned(),
        false => known.join("; "),
    };
    Problem::invalid(key, message, hint)
}
