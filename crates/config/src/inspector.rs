//! Node's inspector in workers that run the same command line: each has to have a port of its own.

/// What is added to the arguments of an instance's Node for that; nothing if it is not to be inspected, or has a port that the system chooses.
/// Node's own primary counts on from the declared port (9229 by default), too (`lib/internal/cluster/primary.js`); by instance number it is the same one
/// after every restart.
pub fn inspect_port(arguments: &[String], instance: u32) -> Option<String> {
    // `--inspect-port` says where, the others that; with a port, where as well. What comes last holds (`node --help`).
    let names = ["--inspect", "--inspect-brk", "--inspect-wait"];
    let places = ["--inspect-port", "--debug-port"];
    let split = |argument: &'_ str| {
        argument
            .split_once('=')
            .map_or((argument.to_owned(), None), |(name, value)| {
                (name.to_owned(), Some(value.to_owned()))
            })
    };
    let split: Vec<(String, Option<String>)> = arguments.iter().map(|argument| split(argument)).collect();
    if instance == 0 || !split.iter().any(|(name, _)| names.contains(&name.as_str())) {
        return None;
    }
    let said = split
        .iter()
        .rev()
        .filter(|(name, _)| names.contains(&name.as_str()) || places.contains(&name.as_str()));
    let place = said
        .filter_map(|(_, value)| value.as_deref())
        .next()
        .unwrap_or_default();
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (Some(host), port),
        None if place.bytes().all(|byte| byte.is_ascii_digit()) => (None, place),
        None => (Some(place), ""),
    };
    let declared: u32 = if port.is_empty() { 9229 } else { port.parse().ok()? };
    let own = u16::try_from(declared + instance).ok().filter(|_| declared > 0)?;
    Some(match host {
        Some(host) => format!("--inspect-port={host}:{own}"),
        None => format!("--inspect-port={own}"),
    })
}

#[cfg(test)]
mod tests {
    use super::inspect_port;

    #[test]
    fn each_instance_is_inspected_at_a_port_of_its_own() {
        let cases: [(&[&str], u32, Option<&str>); 10] = [
            (&["--inspect"], 0, None),
            (&["--inspect"], 2, Some("--inspect-port=9231")),
            (&["--inspect-brk=4000"], 1, Some("--inspect-port=4001")),
            (&["--inspect=0.0.0.0:4000"], 1, Some("--inspect-port=0.0.0.0:4001")),
            (&["--inspect=[::1]:4000"], 1, Some("--inspect-port=[::1]:4001")),
            (&["--inspect=localhost"], 1, Some("--inspect-port=localhost:9230")),
            (&["--inspect", "--inspect-port=5000"], 3, Some("--inspect-port=5003")),
            (&["--inspect=0"], 3, None),
            (&["--inspect-port=5000"], 3, None),
            (&["--max-old-space-size=100"], 1, None),
        ];
        for (arguments, instance, expected) in cases {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            assert_eq!(inspect_port(&arguments, instance).as_deref(), expected, "{arguments:?}");
        }
    }
}
