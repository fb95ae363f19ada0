//! A service manager of a few lines: starts a service as systemd would, and keeps what it says (sd_notify(3)).

use crate::home::Home;
use crate::invocation::{Invocation, Running};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// By which process, as the kernel says.
    pub by: i32,
    /// What: assignments.
    pub lines: Vec<String>,
    /// When.
    pub at: Instant,
}

impl Said {
    /// The value of an assignment.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }
}

/// The manager. Whatever is sent to it counts; who may is the business of a real one.
#[derive(Debug)]
pub struct ServiceManager {
    path: PathBuf,
    said: Arc<Mutex<Vec<Said>>>,
}

impl ServiceManager {
    /// One that listens in the home's work directory.
    ///
    /// # Panics
    /// When its socket cannot be made.
    pub fn of(home: &Home) -> Self {
        let path = home.work().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket in the work directory");
        set_socket_passcred(&socket, true).expect("the kernel names senders");
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        // Ends with the test's process.
        std::thread::spawn(move || {
            while let Some(message) = receive(&socket) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }
        });
        Self { path, said }
    }

    /// Starts a service, whose main process has to say `WATCHDOG=1` at least so often.
    pub fn start(&self, service: Invocation, watchdog: Duration) -> Running {
        service
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .spawn()
    }

    /// All that was said until now.
    pub fn said(&self) -> Vec<Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process that it would watch now, as it was told last.
    pub fn main_process(&self) -> Option<i32> {
        self.said()
            .iter()
            .rev()
            .find_map(|said| said.value("MAINPID")?.parse().ok())
    }

    /// How often something was said.
    pub fn count(&self, assignment: &str) -> usize {
        let said = self.said();
        said.iter()
            .filter(|said| said.lines.iter().any(|line| line == assignment))
            .count()
    }
}

fn receive(socket: &UnixDatagram) -> Option<Said> {
    let mut buffer = [0; 4096];
    // Room for who sent it, none for descriptors: those are closed, which is what a barrier waits for.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut buffer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .ok()?;
    let by = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid.as_raw_nonzero().get()),
        _ => None,
    });
    let text = String::from_utf8_lossy(&buffer[..received.bytes]);
    Some(Said {
        by: by?,
        lines: text.lines().map(str::to_owned).collect(),
        at: Instant::now(),
    })
}
