//! `Effect::Probe`: looks at a worker once, and says what was found.
//!
//! The reactor only begins a look; the rest is a task that ends by its timeout. A worker of a cluster is handed the connection by the
//! primary, so that nobody else answers for it; one in fork mode is connected to where it listens. Whether an event loop turns is
//! asked over the IPC channel, and answered by our preload. Commands are `command`'s. See docs/design/0017.

mod http;

use crate::fact::Fact;
use crate::primary::{Command, Handed, NotHanded};
use crate::reactor::{Daemon, now};
use crate::tree;
use ostler_core::{Check, Event, Mode, ProbeKind, ProbeResult, WorkerId};
use ostler_sys::Pid;
use ostler_sys::proc::ListeningSockets;
use ostler_wire::node_ipc::ToPreload;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Who waits for a worker to say that its event loop turns.
pub type Beats = BTreeMap<WorkerId, Vec<oneshot::Sender<()>>>;

/// A look that is due.
#[derive(Clone, Debug)]
pub struct Look {
    worker: WorkerId,
    kind: ProbeKind,
    pub(super) check: Check,
    pub(super) timeout: Duration,
}

impl Look {
    /// At whom, and why.
    pub(super) fn asked(&self) -> (WorkerId, ProbeKind) {
        (self.worker, self.kind)
    }
}

/// What a look has found.
#[derive(Debug)]
pub struct Looked {
    pub(super) look: Look,
    pub(super) begun: ostler_core::Instant,
    pub(super) took: Duration,
    pub(super) result: ProbeResult,
}

/// How long later a worker is looked at that stands still for somebody.
const LATER: Duration = Duration::from_secs(1);

/// How a worker is reached.
enum Way {
    /// It is handed a connection.
    Handed(oneshot::Receiver<Result<Handed, NotHanded>>),
    /// It is connected to.
    Connect { pid: i32, port: Option<u16> },
    /// It is asked over its channel.
    Asked(oneshot::Receiver<()>),
}

impl Daemon {
    /// Arranges for a look.
    pub(crate) fn probe(&self, worker: WorkerId, kind: ProbeKind, check: Check, timeout: Duration, after: Duration) {
        let facts = self.facts.clone();
        let look = Look {
            worker,
            kind,
            check,
            timeout,
        };
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = facts.send(Fact::Look(look));
        });
    }

    /// Begins a look, unless the worker has ended meanwhile.
    pub(crate) fn look(&mut self, look: Look) {
        if self.stands_still(look.worker) {
            return self.look_later(look);
        }
        if matches!(look.check, Check::Command { .. }) {
            return self.look_by_command(look);
        }
        let Some(way) = self.way_to(&look) else { return };
        let facts = self.facts.clone();
        let began = now().instant;
        tokio::spawn(async move {
            let begun = Instant::now();
            let result = found(way, &look.check, begun + look.timeout).await;
            let looked = Looked {
                begun: began,
                took: begun.elapsed(),
                result: match result {
                    Ok(()) => ProbeResult::Passed,
                    Err(Unwell { why, hung }) => {
                        let why = format!("{}: {why}", look.check);
                        ProbeResult::Failed { why, hung }
                    }
                },
                look,
            };
            let _ = facts.send(Fact::Looked(looked));
        });
    }

    /// Tells the machine what was found. That somebody does not answer whom a heap snapshot or a debugger has stopped says nothing of him.
    pub(crate) fn looked(&mut self, looked: Looked) {
        let Looked {
            look,
            begun,
            took,
            result,
        } = looked;
        if matches!(result, ProbeResult::Failed { .. }) && self.is_spared_since(look.worker, begun) {
            return self.look_later(look);
        }
        self.tell(Event::Probed {
            worker: look.worker,
            kind: look.kind,
            result,
            took,
        });
        self.told.touch(look.worker.slot);
    }

    fn look_later(&self, look: Look) {
        self.probe(look.worker, look.kind, look.check, look.timeout, LATER);
    }

    fn way_to(&mut self, look: &Look) -> Option<Way> {
        let worker = look.worker;
        let record = self.workers.get(&worker).filter(|record| record.status.is_none())?;
        let cluster = record.launch.spec.mode == Mode::Cluster;
        let port = match look.check {
            Check::Command { .. } => return None,
            Check::Http { port, .. } | Check::Tcp { port } => port,
            Check::Heartbeat => {
                if cluster {
                    self.primary.send(Command::Beat(worker));
                } else {
                    // One whose channel is full does not answer either.
                    let _ = record.tell_preload(ToPreload::Beat);
                }
                let (beat, asked) = oneshot::channel();
                let waiting = self.beats.entry(worker).or_default();
                waiting.retain(|one| !one.is_closed());
                waiting.push(beat);
                return Some(Way::Asked(asked));
            }
        };
        if !cluster {
            let pid = record.pid.0;
            return Some(Way::Connect { pid, port });
        }
        let (to, handed) = oneshot::channel();
        self.primary.send(Command::Probe(worker, port, to));
        Some(Way::Handed(handed))
    }

    /// A worker says that its event loop turns.
    pub(crate) fn beat(&mut self, worker: WorkerId) {
        for waiting in self.beats.remove(&worker).into_iter().flatten() {
            let _ = waiting.send(());
        }
    }
}

/// What is wrong.
#[derive(Debug)]
struct Unwell {
    why: String,
    hung: bool,
}

impl Unwell {
    fn because(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hung: false,
        }
    }

    fn hung(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hung: true,
        }
    }
}

impl From<NotHanded> for Unwell {
    fn from(NotHanded(why): NotHanded) -> Self {
        Self::because(why)
    }
}

async fn found(way: Way, check: &Check, until: Instant) -> Result<(), Unwell> {
    match way {
        Way::Asked(asked) => match timeout_at(until, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Unwell::because("it has ended")),
            Err(_) => Err(Unwell::hung("it does not turn")),
        },
        Way::Handed(handed) => match timeout_at(until, handed).await {
            Ok(Ok(handed)) => by_handed(handed?, check, until).await,
            Ok(Err(_)) => Err(Unwell::because("it has ended")),
            Err(_) => Err(Unwell::hung(
                "it has not taken what it was sent before: its event loop hangs",
            )),
        },
        Way::Connect { pid, port } => {
            let answered = timeout_at(until, by_connecting(pid, port, check)).await;
            answered.unwrap_or_else(|_| Err(Unwell::because("no answer in time")))
        }
    }
}

async fn by_handed(handed: Handed, check: &Check, until: Instant) -> Result<(), Unwell> {
    match timeout_at(until, handed.taken).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => return Err(Unwell::because("its server has closed")),
        Ok(Err(_)) => return Err(Unwell::because("it has ended")),
        Err(_) => return Err(Unwell::hung("the connection was not taken: its event loop hangs")),
    }
    let answered = timeout_at(until, ask(handed.socket, handed.tcp, check)).await;
    answered.unwrap_or_else(|_| Err(Unwell::because("no answer in time")))
}

async fn ask(socket: OwnedFd, tcp: bool, check: &Check) -> Result<(), Unwell> {
    let Check::Http { path, .. } = check else { return Ok(()) };
    let unusable = |error: io::Error| Unwell::because(format!("the connection cannot be used: {error}"));
    if tcp {
        let stream = TcpStream::from_std(socket.into()).map_err(unusable)?;
        http::get(stream, path, "localhost").await.map_err(Unwell::because)
    } else {
        let stream = UnixStream::from_std(socket.into()).map_err(unusable)?;
        http::get(stream, path, "localhost").await.map_err(Unwell::because)
    }
}

async fn by_connecting(pid: i32, port: Option<u16>, check: &Check) -> Result<(), Unwell> {
    // Reading `/proc` is nothing for the thread that everything else waits for.
    let address = tokio::task::spawn_blocking(move || address_of(pid, port)).await;
    let address = address.unwrap_or_else(|_| Err("its sockets cannot be looked up".to_owned()));
    let address = address.map_err(Unwell::because)?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| Unwell::because(format!("connect to {address}: {error}")))?;
    match check {
        Check::Http { path, .. } => {
            let host = address.to_string();
            http::get(stream, path, &host).await.map_err(Unwell::because)
        }
        Check::Tcp { .. } | Check::Heartbeat | Check::Command { .. } => Ok(()),
    }
}

/// Where a program in fork mode is connected to: where its tree listens.
fn address_of(pid: i32, port: Option<u16>) -> Result<SocketAddr, String> {
    let tree = std::iter::once(pid).chain(tree::below(pid));
    let listening = ListeningSockets::default();
    let listeners = tree.filter_map(Pid::from_raw).map(|pid| listening.tcp_of(pid));
    let all: BTreeSet<SocketAddr> = listeners.filter_map(Result::ok).flatten().collect();
    chosen(&all, port)
}

fn chosen(all: &BTreeSet<SocketAddr>, port: Option<u16>) -> Result<SocketAddr, String> {
    let ports: BTreeSet<u16> = all.iter().map(SocketAddr::port).collect();
    let port = match (port, ports.len()) {
        (Some(port), _) if ports.contains(&port) => port,
        (Some(port), _) => return Err(format!("it does not listen on port {port}")),
        (None, 0) => return Err("it does not listen on a TCP port".to_owned()),
        (None, 1) => ports.into_iter().next().unwrap_or_default(),
        (None, _) => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let ports = ports.join(", ");
            return Err(format!(
                "it listens on ports {ports}: say by `port` which of them is meant"
            ));
        }
    };
    let address = all.iter().find(|address| address.port() == port);
    let ip = address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| reached_at(address.ip()));
    Ok(SocketAddr::new(ip, port))
}

/// Who listens at all addresses is reached at our own.
fn reached_at(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[&str]) -> BTreeSet<SocketAddr> {
        addresses
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect()
    }

    #[test]
    fn the_port_is_the_declared_one_or_the_only_one() {
        let one = at(&["0.0.0.0:3000", "[::]:3000"]);
        assert_eq!(chosen(&one, None), Ok("127.0.0.1:3000".parse().expect("an address")));
        let two = at(&["[::]:3000", "10.0.0.1:9229"]);
        assert_eq!(chosen(&two, Some(3000)), Ok("[::1]:3000".parse().expect("an address")));
        assert_eq!(
            chosen(&two, Some(9229)),
            Ok("10.0.0.1:9229".parse().expect("an address"))
        );
        assert!(chosen(&two, None).is_err_and(|why| why.contains("3000, 9229")));
        assert!(chosen(&two, Some(1)).is_err() && chosen(&at(&[]), None).is_err());
    }
}
