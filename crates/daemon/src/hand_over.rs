//! What the keeper hands to a daemon that starts.

use crate::fact::Fact;
use crate::keeper_link::Deposit;
use crate::readiness::readable;
use ostler_sys::fdpass::{self, ReceiveError, Received};
use ostler_sys::pipes;
use ostler_wire::keeper::{MAX_PACKET, ToDaemon};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Everything from hello to go.
#[derive(Debug)]
pub struct HandOver {
    /// The socket to the keeper.
    pub socket: Arc<OwnedFd>,
    /// How many daemons there have been, this one included.
    pub generation: u32,
    /// What earlier daemons deposited.
    pub deposits: BTreeMap<String, Deposit>,
    /// What the keeper reaped, oldest first: process ids and what `wait(2)` said of them.
    pub reaped: Vec<(i32, i32)>,
}

/// Takes the hand-over. Blocks until it is complete; it is the first thing a daemon does.
///
/// # Errors
/// If the keeper goes away or says something that is no message.
pub fn receive(socket: OwnedFd) -> io::Result<HandOver> {
    pipes::set_nonblocking(&socket)?;
    let socket = Arc::new(socket);
    let mut hand_over = HandOver {
        socket: Arc::clone(&socket),
        generation: 0,
        deposits: BTreeMap::new(),
        reaped: Vec::new(),
    };
    loop {
        wait_readable(&socket)?;
        let Some((message, descriptors)) = next(&socket)? else {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the keeper went away during the hand-over",
            ));
        };
        match message {
            ToDaemon::Hello { generation } => hand_over.generation = generation,
            ToDaemon::Deposit { key, data } => {
                let descriptors = descriptors.into_iter().map(Arc::new).collect();
                hand_over
                    .deposits
                    .insert(key.as_str().to_owned(), Deposit { data, descriptors });
            }
            ToDaemon::Reaped { pid, status } => hand_over.reaped.push((pid, status)),
            ToDaemon::Go => return Ok(hand_over),
        }
    }
}

/// Passes on what the keeper says from now on; `None` when it is gone.
pub async fn hear(socket: Arc<OwnedFd>, facts: UnboundedSender<Fact>) {
    if let Ok(readable) = readable(socket) {
        while let Ok(mut ready) = readable.readable().await {
            match next(readable.get_ref()) {
                Ok(Some((message, _))) => drop(facts.send(Fact::Keeper(Some(message)))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Ok(None) | Err(_) => break,
            }
        }
    }
    let _ = facts.send(Fact::Keeper(None));
}

fn next(socket: &OwnedFd) -> io::Result<Option<(ToDaemon, Vec<OwnedFd>)>> {
    let mut packet = [0; MAX_PACKET];
    let (length, descriptors) = match fdpass::receive(socket.as_fd(), &mut packet) {
        Ok(Received::Message(length, descriptors)) => (length, descriptors),
        Ok(Received::End) => return Ok(None),
        Err(ReceiveError::Nothing) => return Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => return Err(io::Error::other(error)),
    };
    let message =
        ToDaemon::decode(&packet[..length]).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some((message, descriptors)))
}

fn wait_readable(socket: &OwnedFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
