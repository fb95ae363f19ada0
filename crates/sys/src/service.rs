//! Speaking to the service manager that started us: the protocol of `sd_notify(3)`, without its library.
//!
//! Called by the daemon and by `ostler daemon`. A message is one datagram with assignments, one a line.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sendmsg_addr, sendto, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The variables by which a service manager tells its service how to speak to it. What we start must not have them, or it would
/// speak in our name.
pub const VARIABLES: [&str; 3] = [SOCKET_VARIABLE, WATCHDOG_VARIABLE, "WATCHDOG_PID"];

/// Names the socket.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

/// How often it wants to hear of us, µs.
const WATCHDOG_VARIABLE: &str = "WATCHDOG_USEC";

/// The service manager, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl ServiceManager {
    /// The one that `NOTIFY_SOCKET` names: a path, or an abstract name after `@`. `None` without the variable, and for kinds of
    /// addresses that only virtual machines have.
    ///
    /// # Errors
    /// `socket(2)`, or a path longer than an address holds.
    pub fn from_environment() -> io::Result<Option<Self>> {
        match std::env::var(SOCKET_VARIABLE) {
            Ok(name) => Self::at(&name),
            Err(_) => Ok(None),
        }
    }

    fn at(name: &str) -> io::Result<Option<Self>> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] if !rest.is_empty() => SocketAddrUnix::new_abstract_name(rest)?,
            [b'/', ..] => SocketAddrUnix::new(name)?,
            _other => return Ok(None),
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        Ok(Some(Self { socket, address }))
    }

    /// Sends assignments, one a line. Never waits.
    ///
    /// # Errors
    /// `sendto(2)`: of kind `WouldBlock` when the service manager has not read what was sent before.
    pub fn tell(&self, assignments: &str) -> io::Result<()> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(sendto(&self.socket, assignments.as_bytes(), flags, &self.address).map(drop)?)
    }

    /// Waits until all that was sent has been taken in (`BARRIER=1`, systemd 246), at most for `limit`. Whether it has.
    ///
    /// # Errors
    /// `pipe(2)`, `sendmsg(2)`, `poll(2)`.
    pub fn settle(&self, limit: Duration) -> io::Result<bool> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        let descriptors = [theirs.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let message = [IoSlice::new(b"BARRIER=1")];
        sendmsg_addr(
            &self.socket,
            &self.address,
            &message,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        drop(theirs);
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        loop {
            // Closed by the service manager once it has come to this message.
            match poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&limit)) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How often the service manager wants to hear `WATCHDOG=1`, if it does. `WATCHDOG_PID` is not looked at: which of our processes
/// speaks changes, by our own choice.
pub fn watchdog() -> Option<Duration> {
    let period = std::env::var(WATCHDOG_VARIABLE).ok()?.parse().ok()?;
    Some(Duration::from_micros(period)).filter(|period| !period.is_zero())
}

/// Whether a process runs in the same service as this one: in the same cgroup of systemd's hierarchy.
pub fn is_same(pid: i32) -> bool {
    let of = |pid: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        group(&text).map(str::to_owned)
    };
    let own = of("self");
    own.is_some() && own == of(&pid.to_string())
}

/// Version 2 where it is systemd's, else the version 1 hierarchy that systemd has for itself.
fn group(text: &str) -> Option<&str> {
    let named = text.lines().find_map(|line| line.split_once(":name=systemd:"));
    named
        .map(|(_, path)| path)
        .or_else(|| text.lines().find_map(|line| line.strip_prefix("0::")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn what_is_told_arrives_at_a_path_as_one_datagram() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        let service = ServiceManager::at(path.to_str().expect("text")).expect("an address");
        service.expect("a path").tell("READY=1\nSTATUS=up").expect("told");
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).expect("received");
        assert_eq!(&buffer[..length], b"READY=1\nSTATUS=up");
    }

    #[test]
    fn a_manager_that_does_not_read_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let _manager = UnixDatagram::bind(&path).expect("a socket");
        let service = ServiceManager::at(path.to_str().expect("text")).expect("an address");
        let service = service.expect("a path");
        let refused = (0..100_000).find_map(|_| service.tell("WATCHDOG=1").err());
        assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }

    #[test]
    fn a_barrier_is_passed_when_its_descriptor_is_closed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        let service = ServiceManager::at(path.to_str().expect("text")).expect("an address");
        let service = service.expect("a path");
        let unread = service.settle(Duration::from_millis(20)).expect("asked");
        assert!(!unread, "nobody has read it");
        // Reading without room for descriptors closes them.
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            let mut lengths = (0..2).map(|_| manager.recv(&mut buffer).expect("received"));
            assert!(lengths.all(|length| length == b"BARRIER=1".len()));
        });
        assert!(service.settle(Duration::from_secs(10)).expect("asked"));
        reader.join().expect("both were read");
    }

    #[test]
    fn only_addresses_that_can_be_reached_count() {
        assert!(ServiceManager::at("vsock:2:9999").expect("no error").is_none());
        assert!(ServiceManager::at("").expect("no error").is_none());
        assert!(ServiceManager::at("@name").expect("no error").is_some());
    }

    #[test]
    fn the_cgroup_is_that_of_systemds_hierarchy() {
        let hybrid = "4:memory:/x\n1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n";
        assert_eq!(group(hybrid), Some("/system.slice/a.service"));
        assert_eq!(group("0::/system.slice/b.service\n"), Some("/system.slice/b.service"));
        assert_eq!(group(""), None);
        assert!(is_same(i32::try_from(std::process::id()).expect("a pid")));
        assert!(!is_same(i32::MAX));
    }
}
