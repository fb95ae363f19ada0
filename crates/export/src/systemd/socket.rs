//! Sockets that systemd binds, and that all instances inherit: the same protocol by which Ostler passes them on.

use super::unit::Unit;
use super::{App, Unsayable, escape};
use crate::remarks::Remarks;
use ostler_core::{Address, Listen};

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) file: String,
    pub(super) text: String,
}

/// Sockets of one unit have a name, a backlog and a mode in common.
type Common<'a> = (Option<&'a str>, u32, Option<u32>);

pub(super) fn sockets(app: &App<'_>, remarks: &mut Remarks) -> Result<Vec<Socket>, Unsayable> {
    let bound: Vec<&Listen> = app
        .spec
        .listen
        .iter()
        .filter(|socket| is_bound(socket, remarks))
        .collect();
    let mut groups: Vec<(Common<'_>, Vec<&Listen>)> = Vec::new();
    for socket in bound {
        let common = common(socket);
        match groups.iter_mut().find(|(other, _)| *other == common || by_number(app)) {
            Some((_, group)) => group.push(socket),
            None => groups.push((common, vec![socket])),
        }
    }
    if by_number(app)
        && groups
            .iter()
            .any(|(first, group)| group.iter().any(|socket| common(socket) != *first))
    {
        remarks.say("`listen`: the app goes by descriptor numbers, so all sockets are in one unit and have the name, backlog and mode of the first");
    } else if groups.len() > 1 {
        remarks.say("`listen`: systemd does not promise the order of descriptors: the app has to go by LISTEN_FDNAMES");
    }
    let several = groups.len() > 1;
    let unit = |(position, (common, group)): (usize, (Common<'_>, Vec<&Listen>))| {
        let suffix = match common.0 {
            Some(name) if several => format!("-{name}"),
            None if position > 0 => format!("-{}", position + 1),
            Some(_) | None => String::new(),
        };
        unit(app, format!("{}{suffix}.socket", app.name), common, &group)
    };
    groups.into_iter().enumerate().map(unit).collect()
}

/// Whether arguments or variables refer to descriptors by `{{listen.NAME.fd}}`.
fn by_number(app: &App<'_>) -> bool {
    let program = &app.spec.program;
    let mut texts = program
        .args
        .iter()
        .chain(&program.interpreter_args)
        .chain(app.spec.environment.declared.values());
    texts.any(|text| text.contains("{{listen."))
}

fn common(socket: &Listen) -> Common<'_> {
    let mode = matches!(socket.address, Address::Unix(_)).then_some(socket.mode);
    (socket.name.as_deref(), socket.backlog, mode)
}

fn is_bound(socket: &Listen, remarks: &mut Remarks) -> bool {
    let any_port = match &socket.address {
        Address::Tcp(address) | Address::Udp(address) => address.port() == 0,
        Address::Unix(_) => false,
    };
    if any_port {
        remarks.say(format!(
            "`listen` {} is left out: systemd wants a port's number",
            socket.address
        ));
    }
    !any_port
}

fn unit(
    app: &App<'_>,
    file: String,
    (name, backlog, mode): Common<'_>,
    group: &[&Listen],
) -> Result<Socket, Unsayable> {
    let mut unit = Unit::new(&app.spec.name, &[]);
    unit.section("Unit");
    unit.line("Description", format!("Sockets of {}", escape::prose(&app.spec.name)));
    unit.section("Socket");
    for socket in group {
        match &socket.address {
            Address::Tcp(address) => unit.line("ListenStream", address),
            Address::Udp(address) => unit.line("ListenDatagram", address),
            Address::Unix(path) => unit.said("ListenStream", path)?,
        }
    }
    if let Some(name) = name {
        unit.line("FileDescriptorName", name);
    }
    unit.line("Backlog", backlog);
    if let Some(mode) = mode {
        unit.line("SocketMode", format!("{mode:04o}"));
    }
    // The first instance stands for all: the others are given the same sockets by their own `Sockets=`.
    let service = if app.is_template() {
        app.instance(0)
    } else {
        app.service_file()
    };
    unit.line("Service", service);
    unit.section("Install");
    unit.line("WantedBy", "sockets.target");
    Ok(Socket {
        file,
        text: unit.finish(),
    })
}
