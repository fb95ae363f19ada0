//! Connections that wait for a worker, in an object of the kernel that outlives this daemon.
//!
//! ```text
//! accept(2) ──▶ us ──▶ pair of sockets ──▶ us ──▶ worker
//! ```
//!
//! Where they wait is a pair of sockets of which the keeper has copies, so a daemon that is killed leaves them to its successor. A connection is in our hands
//! alone only between two system calls, as between `accept` and `sendmsg` to a worker. What is known of each beside (whose it is) is found again by looking.

use super::engine::Waiting;
use ostler_core::balance::Client;
use ostler_sys::fdpass::{self, Received};
use ostler_sys::pipes;
use rustix::net::getpeername;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// How many are laid down at most: surely fewer than a socket's buffer holds (some 200 KiB, of which one takes less than 1). Those beyond are kept in hand.
const ROOM: usize = 128;
/// What goes with a connection; a longer message marks the end of a lap.
const CONNECTION: &[u8] = b"\0";

/// See the module's header. Without ends (no descriptors were left) all are kept in hand.
#[derive(Debug, Default)]
pub struct Shelf {
    /// In their order: whose each is, and the connection itself where it is kept in hand.
    entries: VecDeque<(Option<Client>, Option<OwnedFd>)>,
    laid: usize,
    ends: Option<[Arc<OwnedFd>; 2]>,
}

impl Shelf {
    /// An empty one.
    ///
    /// # Errors
    /// `socketpair(2)`: no descriptors.
    pub fn create() -> io::Result<Self> {
        let (front, back) = fdpass::pair()?;
        pipes::set_nonblocking(&front)?;
        pipes::set_nonblocking(&back)?;
        Ok(Self {
            ends: Some([Arc::new(front), Arc::new(back)]),
            ..Self::default()
        })
    }

    /// A predecessor's, by its deposit's descriptors, with what waits there. It is gone through once, one connection after the other, up to a mark that is
    /// laid behind the last and that no other daemon has laid.
    ///
    /// # Errors
    /// If the ends are not the two that they should be, or nothing can be sent.
    pub fn adopt(ends: &[Arc<OwnedFd>], generation: u32) -> io::Result<Self> {
        let [front, back] = ends else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "two descriptors are expected",
            ));
        };
        let mut shelf = Self {
            ends: Some([Arc::clone(front), Arc::clone(back)]),
            ..Self::default()
        };
        let mark = generation.to_le_bytes();
        fdpass::send(&**front, &mark, &[]).map_err(io::Error::other)?;
        let mut buffer = [0; size_of::<u32>()];
        while let Ok(Received::Message(length, mut descriptors)) = fdpass::receive(&**back, &mut buffer) {
            match descriptors.pop() {
                Some(socket) => {
                    let client = client_of(&socket);
                    shelf.lay(Waiting { socket, client });
                }
                None if buffer[..length] == mark => break,
                // The mark of one that was killed on its lap.
                None => {}
            }
        }
        Ok(shelf)
    }

    /// Copies of what a successor has to get; none if all are kept in hand.
    ///
    /// # Errors
    /// `fcntl(2)`: no descriptors.
    pub fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        let ends = self.ends.iter().flatten();
        ends.map(|end| end.as_fd().try_clone_to_owned()).collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whose they are, in their order.
    pub fn clients(&self) -> impl Iterator<Item = Option<Client>> {
        self.entries.iter().map(|(client, _)| *client)
    }

    /// Lays a connection behind the others.
    pub fn lay(&mut self, waiting: Waiting) {
        let Waiting { socket, client } = waiting;
        let front = self.ends.as_ref().filter(|_| self.laid < ROOM).map(|[front, _]| front);
        // One that cannot be laid down waits all the same.
        let is_laid = front.is_some_and(|front| fdpass::send(&**front, CONNECTION, &[socket.as_fd()]).is_ok());
        self.laid += usize::from(is_laid);
        self.entries.push_back((client, (!is_laid).then_some(socket)));
    }

    /// Takes the first one away; none where nobody waits.
    pub fn take(&mut self) -> Option<Waiting> {
        while let Some((client, in_hand)) = self.entries.pop_front() {
            if let Some(socket) = in_hand.or_else(|| self.pick_up()) {
                return Some(Waiting { socket, client });
            }
        }
        None
    }

    /// The first one that is laid down; none only if the limit of open files keeps us from having it, which the kernel then closes.
    fn pick_up(&mut self) -> Option<OwnedFd> {
        self.laid -= 1;
        let [_, back] = self.ends.as_ref()?;
        match fdpass::receive(&**back, &mut [0; CONNECTION.len()]) {
            Ok(Received::Message(_, mut descriptors)) => descriptors.pop(),
            Ok(Received::End) | Err(_) => None,
        }
    }
}

/// Whose a connection is; nobody's in particular if it came over a unix socket.
pub fn client_of(socket: &OwnedFd) -> Option<Client> {
    let peer = getpeername(socket).ok().flatten()?;
    Some(Client::at(SocketAddr::try_from(peer).ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn of(number: u8) -> Option<Client> {
        Some(Client::at([10, 0, 0, number].into()))
    }

    /// A connection over which a number was said already.
    fn waiting(number: u8) -> Waiting {
        let (mut theirs, ours) = UnixStream::pair().expect("a connection");
        theirs.write_all(&[number]).expect("said");
        Waiting {
            socket: ours.into(),
            client: of(number),
        }
    }

    fn said(waiting: Waiting) -> u8 {
        let mut said = [0];
        UnixStream::from(waiting.socket)
            .read_exact(&mut said)
            .expect("a number");
        said[0]
    }

    fn all(mut shelf: Shelf) -> Vec<u8> {
        std::iter::from_fn(|| shelf.take()).map(said).collect()
    }

    fn successor(of: &Shelf, generation: u32) -> Shelf {
        let ends: Vec<_> = of.descriptors().expect("copies").into_iter().map(Arc::new).collect();
        Shelf::adopt(&ends, generation).expect("the same")
    }

    #[test]
    fn those_who_wait_come_in_their_order_and_whose_they_are_stays_known() {
        let mut shelf = Shelf::create().expect("a pair");
        (1..=3).for_each(|number| shelf.lay(waiting(number)));
        let first = shelf.take().expect("somebody");
        assert_eq!((first.client, shelf.len()), (of(1), 2));
        shelf.lay(first);
        assert_eq!(shelf.clients().collect::<Vec<_>>(), [of(2), of(3), of(1)]);
        assert_eq!(all(shelf), [2, 3, 1]);
    }

    #[test]
    fn a_successor_has_them_in_their_order_and_so_has_its_own() {
        let mut shelf = Shelf::create().expect("a pair");
        (1..=4).for_each(|number| shelf.lay(waiting(number)));
        assert_eq!(shelf.take().map(said), Some(1));
        let second = successor(&shelf, 2);
        assert_eq!(second.len(), 3);
        drop(shelf);
        let third = successor(&second, 3);
        drop(second);
        assert_eq!(all(third), [2, 3, 4]);
    }

    #[test]
    fn one_that_is_killed_on_its_lap_leaves_a_mark_that_misleads_nobody() {
        let mut shelf = Shelf::create().expect("a pair");
        shelf.lay(waiting(1));
        // Its mark is laid, and it has laid the first behind that.
        let [front, _] = shelf.ends.as_ref().expect("ends");
        fdpass::send(&**front, &2u32.to_le_bytes(), &[]).expect("sent");
        shelf.lay(waiting(2));
        let after = successor(&shelf, 3);
        assert_eq!(after.len(), 2);
        assert_eq!(all(after), [1, 2]);
    }

    #[test]
    fn those_for_whom_there_is_no_room_wait_in_hand_in_the_same_order() {
        let mut shelf = Shelf::create().expect("a pair");
        let many = u8::try_from(ROOM).expect("a small number") + 3;
        (0..many).for_each(|number| shelf.lay(waiting(number)));
        assert_eq!(shelf.entries.iter().filter(|(_, in_hand)| in_hand.is_some()).count(), 3);
        assert_eq!(
            successor(&shelf, 2).len(),
            ROOM,
            "the others end with whoever holds them"
        );
        let mut without = Shelf::default();
        (0..many).for_each(|number| without.lay(waiting(number)));
        assert_eq!(all(without), (0..many).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_shelf_still_takes_a_successors_mark() {
        let mut shelf = Shelf::create().expect("a pair");
        let many = u8::try_from(ROOM).expect("a small number");
        (0..many).for_each(|number| shelf.lay(waiting(number)));
        let after = successor(&successor(&shelf, 2), 3);
        assert_eq!(all(after), (0..many).collect::<Vec<_>>());
    }
}
