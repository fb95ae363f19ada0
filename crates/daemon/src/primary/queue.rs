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

/// How long after the first connection a queue is looked at, and then again while its worker is helped out.
pub const STANDS: Duration = Duration::from_millis(250);
/// How often is looked meanwhile whether connections are still in it, and how many times in a row that has to be: a worker that accepts them has none for
/// moments, and would not be met in the others each time.
const AGAIN: Duration = Duration::from_millis(50);
const LOOKS: u8 = 5;

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
    /// Its worker has left connections standing, and was not seen to accept any since: it is given none of others' either.
    pub stands: bool,
    /// We have taken connections out of it since it was last looked at.
    pub helped: bool,
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
    /// The time of the next look; and at how many looks in a row connections stood there already.
    Look(Instant, u8),
}

impl Queue {
    /// A queue that nobody waits for yet.
    pub fn new(socket: Arc<OwnedFd>, token: u64, owner: Option<WorkerId>) -> Self {
        Self {
            socket,
            token,
            owner,
            watch: Watch::Off,
            stands: false,
            helped: false,
        }
    }

    /// It is somebody else's from now on, or nobody's.
    pub fn belongs_to(&mut self, owner: Option<WorkerId>) {
        self.owner = owner;
        self.stands = false;
    }

    /// Looks whether connections have stood in it since the last look, or still do; if so its worker is to be helped out.
    pub fn look(&mut self, poll: &OwnedFd, now: Instant) -> bool {
        let Watch::Look(at, stood) = self.watch else {
            return false;
        };
        if at > now {
            return false;
        }
        let helped = std::mem::take(&mut self.helped);
        if !self.has_connections() {
            self.stands &= helped;
            self.watch_for(poll, Watch::First);
            return false;
        }
        self.stands |= stood == LOOKS;
        let (wait, stood) = if self.stands {
            (STANDS, LOOKS)
        } else {
            (AGAIN, stood + 1)
        };
        self.watch = Watch::Look(now + wait, stood);
        self.stands
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::epoll::CreateFlags;
    use std::net::{TcpListener, TcpStream};

    /// A queue with a listener's address, as it is looked at after its first connection; and the looks.
    fn looked_at() -> (Queue, SocketAddr, impl FnMut(&mut Queue) -> bool) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("possible");
        let address = listener.local_addr().expect("its address");
        let mut queue = Queue::new(Arc::new(listener.into()), 1, None);
        let poll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
        queue.register(&poll).expect("registered");
        let begin = Instant::now();
        queue.watch = Watch::Look(begin, 0);
        let look = move |queue: &mut Queue| {
            let now = queue.next_look().unwrap_or(begin);
            queue.look(&poll, now)
        };
        (queue, address, look)
    }

    #[test]
    fn connections_stand_that_are_there_at_each_of_some_looks() {
        let (mut queue, address, mut look) = looked_at();
        let _visitor = TcpStream::connect(address).expect("connected");
        assert!((0..LOOKS).all(|_| !look(&mut queue)));
        assert!(look(&mut queue) && queue.stands);
    }

    #[test]
    fn a_worker_that_had_none_at_one_of_them_accepts() {
        let (mut queue, address, mut look) = looked_at();
        for _ in 0..LOOKS {
            let _visitor = TcpStream::connect(address).expect("connected");
            assert!(!look(&mut queue));
            queue.accept().expect("its worker accepts");
            assert!(!look(&mut queue) && queue.watch == Watch::First);
            queue.watch = Watch::Look(Instant::now(), 0);
        }
        assert!(!queue.stands);
    }

    #[test]
    fn one_that_was_helped_is_known_to_hang_until_it_accepts_by_itself() {
        let (mut queue, address, mut look) = looked_at();
        let _visitor = TcpStream::connect(address).expect("connected");
        while !look(&mut queue) {}
        queue.accept().expect("taken by us");
        queue.helped = true;
        assert!(
            !look(&mut queue) && queue.stands,
            "it is empty since we have emptied it"
        );
        queue.watch = Watch::Look(Instant::now(), 0);
        let _next = TcpStream::connect(address).expect("connected");
        assert!(look(&mut queue), "nobody waits for it again as long");
        queue.accept().expect("its worker accepts");
        assert!(!look(&mut queue) && !queue.stands);
    }

    #[test]
    fn what_a_worker_left_says_nothing_of_the_next() {
        let (mut queue, address, mut look) = looked_at();
        let _visitor = TcpStream::connect(address).expect("connected");
        while !look(&mut queue) {}
        queue.belongs_to(None);
        assert!(!queue.stands);
    }
}
