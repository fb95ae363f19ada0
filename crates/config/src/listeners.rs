//! What a worker is told of the sockets it inherits (sd_listen_fds(3)), and descriptor numbers in its arguments and variables.

use crate::environment::Variables;
use ostler_core::Listen;

/// The descriptor number of the first inherited socket; the others follow.
pub const FIRST_DESCRIPTOR: i32 = 3;

/// The variable that names the process they are meant for. Only that process knows the value: it is set when it exists.
pub const PID_VARIABLE: &str = "LISTEN_PID";

/// What a socket without a name is called (sd_listen_fds_with_names(3)).
const NAMELESS: &str = "unknown";

/// Variables by which somebody else's sockets are passed on, or its service manager spoken to. An app must not take its
/// caller's for its own.
const FOREIGN: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    PID_VARIABLE,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// Takes out what the caller was told of sockets of its own.
pub(crate) fn disinherit(variables: &mut Variables) {
    for name in FOREIGN {
        variables.remove(name);
    }
}

/// Tells of the inherited sockets, and puts numbers in the place of references to them.
pub(crate) fn describe(variables: &mut Variables, sockets: &[Listen]) {
    if sockets.is_empty() {
        return;
    }
    for value in variables.values_mut().filter(|value| value.contains(OPENING)) {
        *value = filled_in(value, sockets);
    }
    let names: Vec<&str> = sockets
        .iter()
        .map(|socket| socket.name.as_deref().unwrap_or(NAMELESS))
        .collect();
    variables.insert("LISTEN_FDS".to_owned(), sockets.len().to_string());
    variables.insert("LISTEN_FDNAMES".to_owned(), names.join(":"));
    variables.remove(PID_VARIABLE);
}

const OPENING: &str = "{{listen.";

/// A text with descriptor numbers in the place of `{{listen.0.fd}}` and `{{listen.NAME.fd}}`; others are left as they are.
pub fn filled_in(text: &str, sockets: &[Listen]) -> String {
    expanded(text, sockets).unwrap_or_else(|_| text.to_owned())
}

/// The same, or the first reference that refers to none.
pub(crate) fn expanded(text: &str, sockets: &[Listen]) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        let (before, reference) = rest.split_at(at);
        result.push_str(before);
        let inside = &reference["{{".len()..];
        let (inside, after) = inside.split_once("}}").ok_or_else(|| inside.to_owned())?;
        let number = descriptor(inside, sockets).ok_or_else(|| inside.to_owned())?;
        result.push_str(&number.to_string());
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// The number that `listen.http.fd` stands for.
fn descriptor(reference: &str, sockets: &[Listen]) -> Option<i32> {
    let which = reference.strip_prefix("listen.")?.strip_suffix(".fd")?;
    let position = match which.parse::<usize>() {
        Ok(position) => Some(position).filter(|position| *position < sockets.len()),
        Err(_) => {
            let mut named = sockets
                .iter()
                .enumerate()
                .filter(|(_, socket)| socket.name.as_deref() == Some(which));
            let (position, _) = named.next()?;
            named.next().is_none().then_some(position)
        }
    };
    Some(FIRST_DESCRIPTOR + i32::try_from(position?).ok()?)
}
