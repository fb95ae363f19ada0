//! A listener's queues of connections: the common one, from which we accept for everybody, and with `balance: direct` one for each worker, which
//! that worker accepts from by itself.
//!
//! Queues are never closed while their listener lives: what somebody is about to connect to must not go away. One whose worker is gone gets
//! no new connections, those that are in it yet go to others through us, and the next worker that asks for one gets it.

use super::listener::Listener;
use ostler_core::WorkerId;
use ostler_sys::reuseport;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{ipv6_v6only, set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most queues of a listener: they go to the keeper in one message, which takes 253 descriptors (`SCM_MAX_FD`, unix(7)).
pub const MOST: usize = 200;

/// How long a queue may have connections in it, look by look, before its worker is helped out.
pub const STANDS: Duration = Duration::from_millis(250);

/// A listening socket.
#[derive(Debug)]
pub struct Queue {
    /// The socket, shared with its deposit.
    pub socket: Arc<OwnedFd>,
    /// What the kernel calls it when it tells of it.
    pub token: u64,
    /// The worker that accepts from it by itself.
    pub owner: Option<WorkerId>,
    /// What we wait for.
    pub watch: Watch,
}

/// What is waited for at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    Off,
    /// A connection, to be accepted.
    Connections,
    /// The first connection, which its worker is to accept: from then on it is looked whether it does.
    First,
    /// The time of the next look; and whether connections stood there at the last one already.
    Look(Instant, bool),
}

impl Queue {
    /// A queue that nobody waits for yet.
    pub fn new(socket: Arc<OwnedFd>, token: u64, owner: Option<WorkerId>) -> Self {
        Self {
            socket,
            token,
            owner,
            watch: Watch::Off,
        }
    }

    /// Has the kernel tell of it from now on.
    ///
    /// # Errors
    /// `epoll_ctl(2)`.
    pub fn register(&self, poll: &OwnedFd) -> Result<(), Errno> {
        let quiet = epoll::EventFlags::empty();
        epoll::add(poll, &*self.socket, epoll::EventData::new_u64(self.token), quiet)
    }

    /// Waits for something else.
    pub fn watch_for(&mut self, poll: &OwnedFd, watch: Watch) {
        if self.watch == watch {
            return;
        }
        self.watch = watch;
        let flags = match watch {
            Watch::Off | Watch::Look(..) => epoll::EventFlags::empty(),
            Watch::Connections => epoll::EventFlags::IN,
            Watch::First => epoll::EventFlags::IN | epoll::EventFlags::ONESHOT,
        };
        let _ = epoll::modify(poll, &*self.socket, epoll::EventData::new_u64(self.token), flags);
    }

    /// Takes a connection out of it.
    ///
    /// # Errors
    /// `accept4(2)`; `EAGAIN` when there is none.
    pub fn accept(&self) -> Result<OwnedFd, Errno> {
        accept_with(&*self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }

    /// Whether there is a connection in it.
    pub fn has_connections(&self) -> bool {
        let mut asked = [PollFd::new(&*self.socket, PollFlags::IN)];
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// When it is to be looked at, if it is.
    pub fn next_look(&self) -> Option<Instant> {
        match self.watch {
            Watch::Look(at, _) => Some(at),
            Watch::Off | Watch::Connections | Watch::First => None,
        }
    }
}

/// One more socket that listens where this listener does, behind all others.
///
/// # Errors
/// `EINVAL` where there cannot be two (paths); what `socket(2)`, `bind(2)` and `listen(2)` give.
pub fn beside(listener: &Listener, backlog: i32) -> Result<OwnedFd, Errno> {
    let address = SocketAddr::try_from(getsockname(&*listener.socket)?)?;
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, ipv6_v6only(&*listener.socket)?)?;
    }
    // The first one was bound without, and so found the address free.
    reuseport::allow(&*listener.socket)?;
    reuseport::allow(&socket)?;
    bind(&socket, &address)?;
    listen(&socket, backlog)?;
    Ok(socket)
}
