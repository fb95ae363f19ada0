//! What was taken off a channel of a message that has not ended yet, in objects of the kernel that a successor gets.
//!
//! Most messages are left in the socket until they have been acted upon. One that fills what can be looked at has to be taken piece by
//! piece, and a daemon killed in between would leave its successor the end of a message without its beginning.
//!
//! ```text
//! socket ── splice(2) ──▶ pipe ── splice(2) ──▶ file in memory
//! ```
//!
//! Invariant: the stream since the last beginning of a frame is what the file has, then the pipe, then the socket. Each step moves bytes
//! within one system call, and how many there are is known to the kernel alone, so nothing has to be written down beside.

use super::link::Link;
use ostler_sys::{memfd, pipes};
use ostler_wire::node_ipc::{Channel, Dialect};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::net::RecvFlags;
use rustix::pipe::SpliceFlags;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// What stays of a message that is too long to be kept: its header, in a page of the file.
const HEAD: u64 = 4096;

/// See the module's header.
#[derive(Debug)]
pub struct Unfinished {
    file: File,
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in the file.
    length: u64,
}

impl Unfinished {
    /// Nothing taken yet.
    ///
    /// # Errors
    /// `memfd_create(2)`, `pipe2(2)`: no descriptors or no memory.
    pub fn create() -> io::Result<Self> {
        let file = memfd::create("unfinished")?;
        let (read, write) = pipes::pipe()?;
        Ok(Self {
            file,
            read,
            write,
            length: 0,
        })
    }

    /// Copies of what a successor has to get.
    ///
    /// # Errors
    /// `fcntl(2)`: no descriptors.
    pub fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        let all = [self.file.as_fd(), self.read.as_fd(), self.write.as_fd()];
        all.iter().map(BorrowedFd::try_clone_to_owned).collect()
    }

    /// A predecessor's.
    ///
    /// # Errors
    /// `fstat(2)`, `splice(2)`.
    pub fn adopt([file, read, write]: [OwnedFd; 3]) -> io::Result<Self> {
        let file = File::from(file);
        let length = file.metadata()?.len();
        let mut adopted = Self {
            file,
            read,
            write,
            length,
        };
        adopted.empty_pipe()?;
        Ok(adopted)
    }

    /// The channel, as it was left.
    ///
    /// # Errors
    /// `read(2)`.
    pub fn resume(&self, dialect: Dialect) -> io::Result<Channel> {
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        Channel::resume(dialect, length, |range: Range<usize>| {
            let mut bytes = vec![0; range.len()];
            self.file.read_exact_at(&mut bytes, range.start as u64)?;
            Ok(bytes)
        })
    }

    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes so many bytes off a socket that has them.
    ///
    /// # Errors
    /// `splice(2)`: no memory. What was taken until then is kept; so many bytes were not.
    pub fn take(&mut self, socket: impl AsFd, length: usize) -> Result<(), (usize, io::Error)> {
        let mut left = length;
        while left > 0 {
            left -= pipes::splice(&socket, &self.write, left).map_err(|error| (left, error))?;
            self.empty_pipe().map_err(|error| (left, error))?;
        }
        Ok(())
    }

    fn empty_pipe(&mut self) -> io::Result<()> {
        loop {
            let unread = usize::try_from(pipes::unread(&self.read)?).unwrap_or(usize::MAX);
            if unread == 0 {
                return Ok(());
            }
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            let at = &mut self.length;
            rustix::pipe::splice(&self.read, None, &self.file, Some(at), unread, flags)?;
        }
    }

    /// All that was taken has been acted upon.
    ///
    /// # Errors
    /// `ftruncate(2)`.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        Ok(())
    }

    /// Gives back the memory of a message that is not to be kept; how much of it was taken stays known.
    ///
    /// # Errors
    /// `fallocate(2)`.
    pub fn let_go(&self) -> io::Result<()> {
        let Some(length) = self.length.checked_sub(HEAD).filter(|length| *length > 0) else {
            return Ok(());
        };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, HEAD, length)?)
    }
}

impl Link {
    /// Goes on where a predecessor was killed in the middle of a message.
    ///
    /// # Errors
    /// If what it has left cannot be read.
    pub fn go_on(&mut self, mut unfinished: Unfinished) -> io::Result<()> {
        self.channel = unfinished.resume(self.channel.dialect())?;
        if !self.channel.is_within_frame() {
            unfinished.clear()?;
        }
        self.unfinished = Some(unfinished);
        Ok(())
    }

    /// Takes bytes off the channel that have been acted upon. What cannot be kept of a message that has not ended is lost
    /// with this daemon, for which a reason is returned.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<io::Error> {
        let within = self.channel.is_within_frame();
        let Some(unfinished) = self.unfinished.as_mut().filter(|kept| within || !kept.is_empty()) else {
            let _ = rustix::net::recv(&*self.socket, buffer, RecvFlags::DONTWAIT);
            return None;
        };
        let taken = unfinished.take(&self.socket, buffer.len()).and_then(|()| {
            let tidied = match within {
                false => unfinished.clear(),
                true if self.channel.is_skipping() => unfinished.let_go(),
                true => Ok(()),
            };
            tidied.map_err(|error| (0, error))
        });
        let (left, error) = taken.err()?;
        self.unfinished = None;
        if left > 0 {
            let _ = rustix::net::recv(&*self.socket, &mut buffer[..left], RecvFlags::DONTWAIT);
        }
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_wire::node_ipc::{FromWorker, MAX_FRAME};
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    /// What a successor has.
    fn successor(of: &Unfinished) -> Unfinished {
        let descriptors = of.descriptors().expect("copies").try_into().expect("three");
        Unfinished::adopt(descriptors).expect("the same")
    }

    fn heard(kept: &Unfinished, dialect: Dialect, rest: &[u8]) -> Vec<FromWorker> {
        let (mut channel, mut messages) = (kept.resume(dialect).expect("a channel"), Vec::new());
        channel.feed(rest, |message| messages.push(message));
        messages
    }

    #[test]
    fn a_successor_goes_on_with_what_was_taken_in_pieces() {
        let (ours, mut theirs) = UnixStream::pair().expect("a channel");
        let mut message = vec![b'"'];
        message.resize(300_000, b'x');
        message.extend_from_slice(b"\"\n");
        let mut kept = Unfinished::create().expect("a file and a pipe");
        for piece in message[..200_000].chunks(40_000) {
            theirs.write_all(piece).expect("sent");
            kept.take(&ours, piece.len()).expect("taken");
        }
        let after = successor(&kept);
        assert!(!after.is_empty());
        let expected = FromWorker::User(serde_json::Value::from("x".repeat(299_999)));
        assert_eq!(heard(&after, Dialect::Json, &message[200_000..]), [expected]);
    }

    #[test]
    fn a_daemon_killed_between_two_moves_leaves_the_bytes_in_the_pipe() {
        let (ours, mut theirs) = UnixStream::pair().expect("a channel");
        let kept = Unfinished::create().expect("a file and a pipe");
        theirs.write_all(b"\"rea").expect("sent");
        assert_eq!(pipes::splice(&ours, &kept.write, 4).expect("moved"), 4);
        assert_eq!(heard(&successor(&kept), Dialect::Json, b"dy\"\n"), [FromWorker::Ready]);
    }

    #[test]
    fn a_daemon_killed_before_it_tidied_up_leaves_nothing_to_be_heard_again() {
        let (ours, mut theirs) = UnixStream::pair().expect("a channel");
        let mut kept = Unfinished::create().expect("a file and a pipe");
        theirs.write_all(b"\"ready\"\n").expect("sent");
        kept.take(&ours, 8).expect("taken");
        let mut after = successor(&kept);
        assert_eq!(heard(&after, Dialect::Json, b"\"ready\"\n"), [FromWorker::Ready]);
        after.clear().expect("cleared");
        assert!(successor(&after).is_empty());
    }

    #[test]
    fn of_a_message_that_is_too_long_only_its_length_takes_room() {
        let (ours, mut theirs) = UnixStream::pair().expect("a channel");
        let length = MAX_FRAME + 1;
        let mut kept = Unfinished::create().expect("a file and a pipe");
        let header = u32::try_from(length).expect("invariant: 16 MiB").to_be_bytes();
        theirs.write_all(&header).expect("sent");
        kept.take(&ours, header.len()).expect("taken");
        let piece = [b'x'; 64 * 1024];
        for _ in 0..MAX_FRAME / piece.len() {
            theirs.write_all(&piece).expect("sent");
            kept.take(&ours, piece.len()).expect("taken");
            kept.let_go().expect("let go");
        }
        let after = successor(&kept);
        assert!(after.file.metadata().expect("its size").blocks() <= 16, "of 512 bytes");
        assert_eq!(
            heard(&after, Dialect::Advanced, b"x\0\0\0\0"),
            [FromWorker::Garbage(length), FromWorker::Garbage(0)]
        );
    }
}
