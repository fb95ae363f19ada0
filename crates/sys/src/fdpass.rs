//! Passing descriptors between our own processes: messages over a `SOCK_SEQPACKET` pair (`unix(7)`).
//!
//! Called by keeper and daemon. A message is bytes and descriptors that arrive together or not at all; messages
//! keep their borders. An empty message does not exist, so that the end of the stream is told apart.

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many descriptors one message takes (the kernel's `SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// `TIOCOUTQ` under its name for sockets (asm-generic/ioctls.h).
const SIOCOUTQ: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(b'T', 0x11);

/// How many bytes of what was sent over a stream socket its peer has not read (`SIOCOUTQ`, unix(7)); the kernel counts its own
/// book-keeping in, so only zero says something exact.
///
/// # Errors
/// Not a socket.
#[allow(unsafe_code, reason = "rustix has no name for this ioctl")]
pub fn unread_by_peer(socket: impl AsFd) -> io::Result<u32> {
    // SAFETY: SIOCOUTQ writes one int, which is what the getter has room for.
    let count = unsafe {
        let getter = rustix::ioctl::Getter::<SIOCOUTQ, std::ffi::c_int>::new();
        rustix::ioctl::ioctl(socket, getter)?
    };
    Ok(u32::try_from(count).unwrap_or(0))
}

/// A message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// More than [`MAX_DESCRIPTORS`].
    #[error("{0} descriptors do not fit into one message of {MAX_DESCRIPTORS}: send several")]
    TooManyDescriptors(usize),
    /// Without bytes it would look like the end of the stream.
    #[error("a message needs at least one byte")]
    Empty,
    /// `EMSGSIZE`: longer than the socket's send buffer.
    #[error("a message of {0} bytes is longer than the socket's buffer: send less, or raise SO_SNDBUF")]
    TooLong(usize),
    /// `EAGAIN`: the peer does not read as fast as we write, on a socket that does not block.
    #[error("the peer has not read earlier messages yet: wait until the socket is writable")]
    Full,
    /// `ETOOMANYREFS`: more descriptors under way than this user's limit of open files.
    #[error("too many descriptors are under way: wait until the peer has received some, or raise RLIMIT_NOFILE")]
    TooManyUnderWay,
    /// `EPIPE`, `ECONNRESET`, `ECONNREFUSED`: nobody is there to read.
    #[error("the peer has closed its end")]
    Closed,
    /// Anything else.
    #[error("sendmsg on a descriptor socket: {0}")]
    Call(io::Error),
}

/// A message was not received whole. What could be received of it is dropped and closed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// `EAGAIN`: nothing there, on a socket that does not block.
    #[error("no message is there yet")]
    Nothing,
    /// The message was longer than the buffer.
    #[error("a message is longer than the {0} bytes expected")]
    TooLong(usize),
    /// The kernel could not install all descriptors: our limit of open files is reached.
    #[error("descriptors that came with a message are lost: raise the limit of open files (ulimit -n, LimitNOFILE=)")]
    DescriptorsLost,
    /// Anything else.
    #[error("recvmsg on a descriptor socket: {0}")]
    Call(io::Error),
}

/// What [`receive`] found.
#[derive(Debug)]
pub enum Received {
    /// A message: the number of its bytes in the buffer, and its descriptors (close-on-exec) in their order.
    Message(usize, Vec<OwnedFd>),
    /// The peer has closed its end and everything it sent has been received.
    End,
}

/// A connected pair, close-on-exec, blocking.
///
/// # Errors
/// `socketpair(2)`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message. The descriptors stay ours; the peer gets copies.
///
/// # Errors
/// See [`SendError`]; nothing was sent then.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SendError> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(SendError::TooManyDescriptors(descriptors.len()));
    }
    if bytes.is_empty() {
        return Err(SendError::Empty);
    }
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(fits, "invariant: the space is for MAX_DESCRIPTORS");
    }
    loop {
        return match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::MSGSIZE) => Err(SendError::TooLong(bytes.len())),
            Err(Errno::AGAIN) => Err(SendError::Full),
            Err(Errno::TOOMANYREFS) => Err(SendError::TooManyUnderWay),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::CONNREFUSED) => Err(SendError::Closed),
            Err(error) => Err(SendError::Call(error.into())),
        };
    }
}

/// Receives one message into `buffer`.
///
/// # Errors
/// See [`ReceiveError`].
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, ReceiveError> {
    let size = buffer.len();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(message) => break message,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(ReceiveError::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::End),
            Err(error) => return Err(ReceiveError::Call(error.into())),
        }
    };
    let descriptors = take_descriptors(&mut control);
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(ReceiveError::DescriptorsLost);
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(ReceiveError::TooLong(size));
    }
    Ok(if message.bytes == 0 {
        Received::End
    } else {
        Received::Message(message.bytes, descriptors)
    })
}

fn take_descriptors(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = part {
            descriptors.extend(passed);
        }
    }
    descriptors
}
