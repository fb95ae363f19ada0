//! Sockets that are bound for apps of any language and inherited by their workers (docs/design/0012).
//!
//! They belong to apps: opened when the first worker that is to inherit one is launched, left with the keeper before that worker may
//! run, and closed when the machine says that no spec in use declares them any more. Nothing is ever read from them here.

pub(crate) mod bind;
pub(crate) mod notify;

use crate::fact::{Fact, Kept};
use crate::keeper_link::Deposit;
use crate::reactor::Daemon;
use ostler_config::FIRST_DESCRIPTOR;
use ostler_core::{Address, AppId, Event, Launch, Listen, SpawnError, WorkerId};
use ostler_sys::proc;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How long is looked for who has an address: the tables of a machine with very many connections take their time to read.
const LOOK_FOR_HOLDER: Duration = Duration::from_secs(2);

/// How the keys of their deposits begin.
const INHERITED: &str = "inherited/";

/// The open sockets by app and address.
pub(crate) type Sockets = BTreeMap<(AppId, Address), Arc<OwnedFd>>;

/// What a successor has to know of a socket.
#[derive(Serialize, Deserialize)]
struct Described {
    app: AppId,
    address: Address,
}

fn key(app: AppId, address: &Address) -> String {
    format!("{INHERITED}{app}/{address}")
}

impl Daemon {
    /// What a worker inherits, with the numbers it is to have. What is not open yet is bound, and left with the keeper.
    pub(crate) fn inherited(&mut self, launch: &Launch) -> Result<Vec<(OwnedFd, i32)>, NotSpawned> {
        let spec = Arc::clone(&launch.spec);
        let numbered = spec.listen.iter().zip(FIRST_DESCRIPTOR..);
        numbered
            .map(|(listen, number)| {
                let socket = self.socket(launch, listen)?;
                let copy = socket.as_fd().try_clone_to_owned().map_err(|error| SpawnError {
                    message: format!("could not hand on {}: {error}", listen.address),
                    transient: true,
                })?;
                Ok((copy, number))
            })
            .collect()
    }

    fn socket(&mut self, launch: &Launch, listen: &Listen) -> Result<Arc<OwnedFd>, NotSpawned> {
        let place = (launch.app, listen.address.clone());
        if let Some(open) = self.sockets.get(&place) {
            // The backlog may have been declared anew; the kernel takes it from a socket that listens already.
            let _ = bind::listen_with(open, listen);
            return Ok(Arc::clone(open));
        }
        let socket = bind::open(listen).map_err(|failed| self.unbound(launch, listen, failed))?;
        let socket = Arc::new(socket);
        let described = Described {
            app: launch.app,
            address: listen.address.clone(),
        };
        let data = serde_json::to_vec(&described).expect("invariant: an address has a JSON form");
        let copy = socket.as_fd().try_clone_to_owned().map_err(|error| SpawnError {
            message: format!("could not leave {} with the keeper: {error}", listen.address),
            transient: true,
        })?;
        self.keeper.deposit(&key(launch.app, &listen.address), data, vec![copy]);
        self.sockets.insert(place, Arc::clone(&socket));
        Ok(socket)
    }

    /// Why a socket could not be bound, and what to do.
    fn unbound(&self, launch: &Launch, listen: &Listen, bind::Failed { call, error }: bind::Failed) -> NotSpawned {
        let address = &listen.address;
        let message = format!("cannot listen on {address}: {call}: {}", std::io::Error::from(error));
        let internet = matches!(address, Address::Tcp(_) | Address::Udp(_));
        let why = match error {
            Errno::ADDRINUSE => return self.in_use(launch.app, address, message),
            Errno::ACCESS if internet => "; ports below 1024 need CAP_NET_BIND_SERVICE",
            Errno::ADDRNOTAVAIL => "; no interface of this machine has that address",
            Errno::NOENT => "; create the directory first",
            _ => "",
        };
        SpawnError {
            message: format!("{message}{why}"),
            transient: matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS),
        }
        .into()
    }

    /// One of ours has it, or somebody who is to be looked for.
    fn in_use(&self, app: AppId, address: &Address, message: String) -> NotSpawned {
        let overlapping = |of: &(AppId, Address)| overlap(&of.1, address);
        let own = self.sockets.keys().filter(|key| overlapping(key));
        // A restart that moves to an overlapping address: the old one is closed when the last old worker has ended.
        if let Some((_, own)) = own.clone().find(|(owner, _)| *owner == app) {
            let why =
                format!("the app itself has {own} open, which overlaps; a restart of all its instances closes that");
            let message = format!("{message}: {why}");
            return SpawnError {
                message,
                transient: true,
            }
            .into();
        }
        let owner = own.clone().next().map(|(owner, _)| *owner);
        let owner = owner.and_then(|owner| self.machine.slots().find(|slot| slot.app == owner));
        if let Some(slot) = owner {
            let message = format!("{message}: `{}` has it, by its own `listen`", slot.spec.name);
            return SpawnError {
                message,
                transient: false,
            }
            .into();
        }
        NotSpawned::AddressInUse(Box::new(self.stranger_at(address, message)))
    }

    pub(crate) fn stranger_at(&self, address: &Address, message: String) -> InUse {
        let name = |record: &crate::workers::Worker| (record.pid.0, record.launch.spec.name.clone());
        InUse {
            address: address.clone(),
            message,
            ours: self.workers.values().map(name).collect(),
            ourselves: [self.own_pid, self.keeper_pid],
        }
    }

    /// A cluster's worker could not listen where somebody does: finds out who that is, for the history.
    pub(crate) fn address_in_use(
        &mut self,
        worker: WorkerId,
        address: &Address,
        owner: Option<AppId>,
        explained: Kept,
    ) {
        let message = format!("{address} is in use");
        let owner = owner.and_then(|owner| self.machine.slots().find(|slot| slot.app == owner));
        if let Some(slot) = owner {
            let error = format!("{message}: `{}` of this Ostler listens there", slot.spec.name);
            self.tell(Event::ListenFailed { worker, error });
            return self.heard.push(explained);
        }
        let facts = self.facts.clone();
        self.stranger_at(address, message).explain(move |error| {
            let error = error.message;
            let _ = facts.send(Fact::Machine(Event::ListenFailed { worker, error }));
            let _ = facts.send(Fact::Heard(explained));
        });
    }

    /// Closes what is not to stay open.
    pub(crate) fn keep_listeners(&mut self, app: AppId, addresses: &BTreeSet<Address>) {
        let of_app = self.sockets.keys().filter(|(owner, _)| *owner == app);
        let gone: Vec<Address> = of_app
            .map(|(_, address)| address.clone())
            .filter(|address| !addresses.contains(address))
            .collect();
        for address in gone {
            if let Some(socket) = self.sockets.remove(&(app, address.clone())) {
                bind::close(&socket, &address);
            }
            self.keeper.release(&key(app, &address));
        }
    }

    /// The sockets that a predecessor had opened; those of apps that were stopped just when it died are closed.
    pub(crate) fn adopt_sockets(&mut self) {
        let deposits = self.keeper.with_prefix(INHERITED);
        let deposits: Vec<(String, Deposit)> = deposits
            .map(|(key, deposit)| (key.to_owned(), deposit.clone()))
            .collect();
        for (key, deposit) in deposits {
            let described = serde_json::from_slice::<Described>(&deposit.data).ok();
            let (Some(Described { app, address }), Some(socket)) = (described, deposit.descriptors.first()) else {
                self.note(&format!(
                    "the socket {key} of the predecessor's cannot be understood; it is closed"
                ));
                self.keeper.release(&key);
                continue;
            };
            if self.machine.kept_listeners(app).any(|kept| *kept == address) {
                self.sockets.insert((app, address), Arc::clone(socket));
            } else {
                bind::close(socket, &address);
                self.keeper.release(&key);
            }
        }
    }

    /// Which sockets (by inode) a worker has inherited.
    pub(crate) fn inodes(&self, launch: &Launch) -> BTreeSet<u64> {
        let open = launch.spec.listen.iter().filter_map(|listen| {
            let socket = self.sockets.get(&(launch.app, listen.address.clone()))?;
            rustix::fs::fstat(socket).ok()
        });
        open.map(|stat| stat.st_ino).collect()
    }
}

/// Why nothing was launched.
pub(crate) enum NotSpawned {
    /// It is known.
    Known(SpawnError),
    /// Somebody has an address; who that is takes a while to find out.
    AddressInUse(Box<InUse>),
}

impl From<SpawnError> for NotSpawned {
    fn from(error: SpawnError) -> Self {
        Self::Known(error)
    }
}

/// An address that somebody has.
pub(crate) struct InUse {
    address: Address,
    message: String,
    /// Processes of our apps by their names.
    ours: BTreeMap<i32, String>,
    /// Daemon and keeper.
    ourselves: [i32; 2],
}

impl InUse {
    /// Finds out who has it, within reason, and tells.
    pub(crate) fn explain(self, tell: impl FnOnce(SpawnError) + Send + 'static) {
        let unexplained = self.unexplained();
        tokio::spawn(async move {
            let explained = tokio::task::spawn_blocking(move || self.explained());
            let explained = tokio::time::timeout(LOOK_FOR_HOLDER, explained).await;
            tell(explained.ok().and_then(Result::ok).unwrap_or(unexplained));
        });
    }

    /// What is said if nobody can be named in time.
    fn unexplained(&self) -> SpawnError {
        SpawnError {
            message: format!("{}; who has it could not be found out in time", self.message),
            transient: false,
        }
    }

    /// Says who has it, as far as that can be told. Looks through the descriptors of all processes, so never to be called by the
    /// thread that decides.
    fn explained(self) -> SpawnError {
        let bound = match &self.address {
            Address::Tcp(address) => proc::Bound::Tcp(*address),
            Address::Udp(address) => proc::Bound::Udp(*address),
            Address::Unix(path) => proc::Bound::Unix(path),
        };
        let holder = proc::holder_of(bound).map(|(pid, name)| (pid.as_raw_nonzero().get(), name));
        let who = match holder {
            None => "; who has it cannot be seen (another user's process?)".to_owned(),
            Some((pid, _)) if self.ourselves.contains(&pid) => ": another app of this Ostler has it".to_owned(),
            Some((pid, name)) => match self.ours.get(&pid) {
                Some(app) => format!(": process {pid} of `{app}` has it"),
                None => format!(": process {pid} ({name}) has it; end that, or choose another address"),
            },
        };
        SpawnError {
            message: format!("{}{who}", self.message),
            transient: false,
        }
    }
}

/// Whether one address is in use when the other is open.
fn overlap(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) | (Address::Udp(one), Address::Udp(other)) => {
            let (ip, another) = (one.ip().to_canonical(), other.ip().to_canonical());
            one.port() == other.port() && (ip == another || ip.is_unspecified() || another.is_unspecified())
        }
        (Address::Unix(one), Address::Unix(other)) => one == other,
        (Address::Tcp(_) | Address::Udp(_) | Address::Unix(_), _) => false,
    }
}
