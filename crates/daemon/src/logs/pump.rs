//! The thread that passes what is in an outlet on to our own output, and waits for whoever reads it. Nobody else waits: when the
//! reader is slow, the outlet fills, and apps that write on are not read any more.
//!
//! Our output may be anything: a pipe, a terminal, a file, a socket. Where the kernel cannot splice to it the bytes are copied, and
//! a daemon that is killed in that moment may say them twice.

use super::outlet::Outlet;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Whoever has to be told.
pub(super) trait Audience: Send + 'static {
    /// There is room in the outlet again.
    fn room(&self);
    /// Our output takes nothing any more, or does again.
    fn trouble(&self, error: Option<io::Error>);
}

/// One outlet's pump.
pub(super) struct Pump<A> {
    pub outlet: Arc<Outlet>,
    /// Our output.
    pub sink: OwnedFd,
    pub audience: A,
    /// It cannot be spliced to.
    copying: bool,
    /// It takes nothing; what was meant for it is dropped.
    broken: bool,
    bytes: Vec<u8>,
}

impl<A: Audience> Pump<A> {
    pub fn new(outlet: Arc<Outlet>, sink: OwnedFd, audience: A) -> Self {
        Self {
            outlet,
            sink,
            audience,
            copying: false,
            broken: false,
            bytes: Vec::new(),
        }
    }

    /// Runs for ever.
    pub fn run(mut self) -> io::Result<()> {
        self.outlet.recover()?;
        loop {
            self.empty()?;
            let filled = self.outlet.fill(&mut self.bytes)?;
            if filled.room {
                self.audience.room();
            }
            if filled.length == 0 {
                self.bytes = Vec::new();
                self.outlet.wait();
            }
        }
    }

    /// Passes on what is in the passage.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        loop {
            let level = rustix::io::ioctl_fionread(&self.outlet.passage().read)?;
            let level = usize::try_from(level).unwrap_or(usize::MAX);
            if level == 0 {
                return Ok(());
            }
            match self.pass_on(level) {
                Ok(()) if self.broken => {
                    self.broken = false;
                    self.audience.trouble(None);
                }
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.await_room(),
                Err(Errno::INVAL) if !self.copying => self.copying = true,
                // Whoever read it has gone, or its disk is full: no reason for an app to wait.
                Err(error) => {
                    self.discard(level)?;
                    if !std::mem::replace(&mut self.broken, true) {
                        self.audience.trouble(Some(error.into()));
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, level: usize) -> Result<(), Errno> {
        let passage = &self.outlet.passage().read;
        if !self.copying {
            return splice(passage, None, &self.sink, None, level, SpliceFlags::MOVE).map(drop);
        }
        // Seen, said, and only then taken out: what is in the passage is the last that was counted.
        let counted = rustix::fs::tell(self.outlet.descriptors()[1])?;
        let mut bytes = vec![0; level];
        let seen = rustix::io::pread(self.outlet.buffer(), &mut bytes, counted - level as u64)?;
        let said = rustix::io::write(&self.sink, &bytes[..seen])?;
        self.discard(said)
    }

    /// Takes so many bytes out of the passage.
    fn discard(&self, length: usize) -> Result<(), Errno> {
        let mut bytes = vec![0; length];
        let mut left = length;
        while left > 0 {
            left -= rustix::io::read(&self.outlet.passage().read, &mut bytes[..left])?;
        }
        Ok(())
    }

    /// Somebody has made our output one that does not wait.
    fn await_room(&self) {
        // Should it fail, it is tried again.
        let _ = poll(&mut [PollFd::from_borrowed_fd(self.sink.as_fd(), PollFlags::OUT)], None);
    }
}
