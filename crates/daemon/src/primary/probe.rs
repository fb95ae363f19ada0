//! Probes of cluster workers: a connection that is handed to the very worker that is meant, whoever else listens at its port.

use super::engine::Engine;
use super::link::{Link, Unsent};
use super::listener::Listener;
use ostler_core::WorkerId;
use ostler_wire::node_ipc::ToPreload;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, getsockname, listen, socket_with, socketpair,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use tokio::sync::oneshot;

/// A connection whose other end a worker was handed.
#[derive(Debug)]
pub(crate) struct Handed {
    /// Our end; it does not block.
    pub(crate) socket: OwnedFd,
    /// A TCP connection, as opposed to a unix socket's.
    pub(crate) tcp: bool,
    /// Says whether its server has taken it; closed when the worker ends before it says so.
    pub(crate) taken: oneshot::Receiver<bool>,
}

/// Why a worker could not be handed one, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotHanded(pub(crate) String);

/// Where a probe's connection is sent.
pub(crate) type HandedTo = oneshot::Sender<Result<Handed, NotHanded>>;

impl NotHanded {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Engine {
    /// Hands a worker a connection of ours, as if somebody had connected to its server at this port. One that has to read first what it was
    /// sent before, as every worker has after a change of daemon, is handed it then, as long as whoever asks has patience.
    pub(super) fn probe(&mut self, worker: WorkerId, port: Option<u16>, to: HandedTo) {
        match self.hand(worker, port) {
            Ok(Some(handed)) => drop(to.send(Ok(handed))),
            Ok(None) => self.unhanded.push((worker, port, to)),
            Err(error) => drop(to.send(Err(error))),
        }
    }

    /// Hands out what had to wait.
    pub(super) fn hand_what_waits(&mut self) {
        for (worker, port, to) in std::mem::take(&mut self.unhanded) {
            if !to.is_closed() {
                self.probe(worker, port, to);
            }
        }
    }

    /// Nothing if it cannot be handed one yet.
    fn hand(&mut self, worker: WorkerId, port: Option<u16>) -> Result<Option<Handed>, NotHanded> {
        let Some(token) = self.token_of(worker) else {
            return Err(NotHanded::because("its IPC channel is closed"));
        };
        let key = self.probed_server(token, port)?;
        let (ours, theirs, tcp) = pair(key.1).map_err(|error| {
            let error = std::io::Error::from(error);
            NotHanded::because(format!("no connection could be made for it: {error}"))
        })?;
        let Some(link) = self.link_mut(token) else {
            return Err(NotHanded::because("its IPC channel is closed"));
        };
        let (tell, taken) = oneshot::channel();
        let sent = link.probe(&key.0, theirs.as_fd(), tell);
        self.rewatch(token);
        match sent {
            Ok(()) => Ok(Some(Handed {
                socket: ours,
                tcp,
                taken,
            })),
            Err(Unsent::Full) => Ok(None),
            Err(Unsent::Closed | Unsent::TooLong) => Err(NotHanded::because("its IPC channel is closed")),
        }
    }

    /// The server that is meant, by its name, and whether it is bound to a path.
    fn probed_server(&self, token: u64, port: Option<u16>) -> Result<(String, bool), NotHanded> {
        let Some(link) = self.link(token) else {
            return Err(NotHanded::because("its IPC channel is closed"));
        };
        let servers = listening(link).filter_map(|key| self.listener(link.app, key));
        let servers = servers.filter(|listener| !listener.described.is_shared());
        let meant = |listener: &&Listener| port.is_none_or(|port| port_of(listener) == Some(port));
        let servers: Vec<&Listener> = servers.filter(meant).collect();
        match (&servers[..], port) {
            ([server], _) => Ok((server.described.key.clone(), server.described.path.is_some())),
            ([], Some(port)) => Err(NotHanded::because(format!("it does not listen on port {port}"))),
            ([], None) => Err(NotHanded::because("it does not listen")),
            (several, _) => {
                let shown: Vec<String> = several.iter().map(|listener| listener.shown()).collect();
                let shown = shown.join(", ");
                Err(NotHanded::because(format!(
                    "it listens on {shown}: say by `port` which of them is meant"
                )))
            }
        }
    }

    /// Asks a worker whether its event loop turns. One whose channel is full does not read what it is sent.
    pub(super) fn ask_for_beat(&mut self, worker: WorkerId) {
        self.tell_preload(worker, ToPreload::Beat);
    }
}

fn port_of(listener: &Listener) -> Option<u16> {
    listener.described.name.as_ref().map(|(_, port)| *port)
}

fn listening(link: &Link) -> impl Iterator<Item = &String> {
    link.servers.iter().filter(|(_, listens)| **listens).map(|(key, _)| key)
}

/// Two connected sockets, ours and the one that a server is handed: of the kind that it expects. A server of TCP asks connections for
/// addresses, which a socket pair has none of.
fn pair(path: bool) -> rustix::io::Result<(OwnedFd, OwnedFd, bool)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    if path {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        return Ok((ours, theirs, false));
    }
    let stream = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let listener = stream()?;
    bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    listen(&listener, 1)?;
    let ours = stream()?;
    // Over the loopback, to a backlog with room: done when it returns.
    connect(&ours, &getsockname(&listener)?)?;
    rustix::io::ioctl_fionbio(listener.as_fd(), true)?;
    rustix::io::ioctl_fionbio(ours.as_fd(), true)?;
    let own = SocketAddr::try_from(getsockname(&ours)?)?;
    loop {
        let theirs = accept_with(&listener, flags)?;
        // Anybody on this machine may have been quicker.
        let peer = rustix::net::getpeername(&theirs)?.map(SocketAddr::try_from);
        if peer == Some(Ok(own)) {
            return Ok((ours, theirs, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_pairs_are_connected() {
        for path in [false, true] {
            let (ours, theirs, tcp) = pair(path).expect("a pair");
            assert_eq!(tcp, !path);
            rustix::io::write(&ours, b"hello").expect("room");
            let mut buffer = [0; 8];
            let read = rustix::io::read(&theirs, &mut buffer).expect("it is there");
            assert_eq!(&buffer[..read], b"hello");
        }
    }
}
