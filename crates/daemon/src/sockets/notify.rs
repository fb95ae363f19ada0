//! `READY=1`, `STOPPING=1` and `STATUS=`: how programs of any language say that they are ready, that they are ending by themselves, and
//! what they are at (sd_notify(3)). What else there is, and why it is not taken, is in docs/design/0012.
//!
//! Each worker that may say so has a socket of its own, so that nobody has to find out afterwards which worker a helper belonged to
//! that has ended already. Its address is abstract and chosen by the kernel: reachable for workers that run as another user,
//! nobody can take it first, and nothing is left behind. Who sends is told by the kernel; only root, our user and the worker's are believed.

use crate::fact::Fact;
use ostler_core::{Event, Mode, Pid, Spec, WorkerId};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, bind,
    getsockname, recv, recvmsg, socket_with,
};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

/// The variable that names the socket.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";
/// Longer notifications are cut; what we listen for is short.
const LONGEST: usize = 4096;
/// How much is kept of what a worker says of itself, letters.
const LONGEST_STATUS: usize = 200;

/// Whether a worker is to have such a socket: where its readiness is of interest and no cluster tells it.
pub(crate) fn is_wanted(spec: &Spec) -> bool {
    spec.mode == Mode::Fork && (spec.ready.wait_ready || !spec.listen.is_empty())
}

/// A socket, and what its worker is told about it.
pub(crate) fn open() -> io::Result<(OwnedFd, String)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    set_socket_passcred(&socket, true)?;
    // Without a name the kernel chooses one (unix(7), autobind).
    bind(&socket, &SocketAddrUnix::new_unnamed())?;
    let bound = SocketAddrUnix::try_from(getsockname(&socket)?)?;
    let name = bound.abstract_name().and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or_else(|| io::Error::other("the kernel gave the notification socket no name"))?;
    Ok((socket, format!("@{name}")))
}

/// Hears what is said on it. A daemon that is killed before what came of it is in the journal leaves it to its successor.
pub(crate) async fn hear(socket: AsyncFd<Arc<OwnedFd>>, (worker, pid): (WorkerId, Pid), facts: UnboundedSender<Fact>) {
    while let Ok(mut ready) = socket.readable().await {
        let mut buffer = vec![0; LONGEST];
        match look(socket.get_ref(), &mut buffer) {
            Ok((length, sender)) => {
                let trusted = sender.is_some_and(|uid| is_trusted(uid, pid));
                if let Some(text) = status(&buffer[..length]).filter(|_| trusted) {
                    let _ = facts.send(Fact::Said(worker, text));
                }
                if let Some(event) = news(&buffer[..length], worker).filter(|_| trusted) {
                    let _ = facts.send(Fact::Machine(event));
                }
                let (kept, is_kept) = oneshot::channel();
                let _ = facts.send(Fact::Heard(Box::new(|| {
                    let _ = kept.send(());
                })));
                let _ = is_kept.await;
                let _ = recv(socket.get_ref(), &mut buffer[..], RecvFlags::DONTWAIT);
            }
            Err(Errno::AGAIN) => ready.clear_ready(),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The next notification, which stays where it is, and the user who sent it. Descriptors that come with it are closed.
fn look(socket: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, Option<u32>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let sender = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.uid.as_raw()),
        _ => None,
    });
    Ok((received.bytes, sender))
}

fn is_trusted(uid: u32, worker: Pid) -> bool {
    let owner = std::fs::metadata(format!("/proc/{worker}")).map(|process| process.uid());
    uid == 0 || uid == rustix::process::geteuid().as_raw() || owner.is_ok_and(|owner| owner == uid)
}

/// What is new with a worker. One that says both is on its way out.
fn news(notification: &[u8], worker: WorkerId) -> Option<Event> {
    if says(notification, b"STOPPING=1") {
        return Some(Event::StoppingMessage { worker });
    }
    says(notification, b"READY=1").then_some(Event::ReadyMessage { worker })
}

/// Assignments, one a line.
fn says(notification: &[u8], assignment: &[u8]) -> bool {
    notification.split(|byte| *byte == b'\n').any(|line| line == assignment)
}

/// What it is at, as it says; the last one counts.
fn status(notification: &[u8]) -> Option<String> {
    let lines = notification.split(|byte| *byte == b'\n');
    let text = lines.filter_map(|line| line.strip_prefix(b"STATUS=")).next_back()?;
    Some(String::from_utf8_lossy(text).chars().take(LONGEST_STATUS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendFlags, sendto};

    #[test]
    fn an_assignment_is_one_line_among_others() {
        let worker = WorkerId::new(0, 1);
        let said = |notification: &[u8]| match news(notification, worker) {
            Some(Event::ReadyMessage { .. }) => "ready",
            Some(Event::StoppingMessage { .. }) => "stopping",
            Some(_) => "something else",
            None => "nothing",
        };
        for (notification, expected) in [
            (&b"READY=1"[..], "ready"),
            (b"STATUS=up\nREADY=1\n", "ready"),
            (b"STOPPING=1", "stopping"),
            (b"READY=1\nSTOPPING=1\nSTATUS=bye", "stopping"),
        ] {
            assert_eq!(said(notification), expected, "{notification:?}");
        }
        let others = [
            "",
            "READY=0",
            "READY=12",
            "STATUS=READY=1",
            "STOPPING=0",
            "RELOADING=1",
            "WATCHDOG=1",
            "MAINPID=1",
        ];
        for other in others {
            assert_eq!(said(other.as_bytes()), "nothing", "{other}");
        }
    }

    #[test]
    fn the_last_status_counts_and_is_bounded() {
        assert_eq!(status(b"READY=1\nSTATUS=one\nSTATUS=two\n").as_deref(), Some("two"));
        assert_eq!(status(b"READY=1"), None);
        assert_eq!(status(b"STATUS=\xff").as_deref(), Some("\u{fffd}"));
        let long = [&b"STATUS="[..], &[b'x'; 1000]].concat();
        assert_eq!(status(&long).map(|text| text.len()), Some(LONGEST_STATUS));
    }

    #[test]
    fn the_kernel_names_the_socket_and_the_sender_and_what_is_looked_at_stays() {
        let (socket, name) = open().expect("a socket");
        let name = name.strip_prefix('@').expect("an abstract name");
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("an address");
        let flags = SocketFlags::CLOEXEC;
        let sender = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).expect("a socket");
        sendto(&sender, b"READY=1\n", SendFlags::empty(), &address).expect("sent");
        for _ in 0..2 {
            let mut buffer = [0; 64];
            let (length, uid) = look(&socket, &mut buffer).expect("a notification");
            assert_eq!(
                (&buffer[..length], uid),
                (&b"READY=1\n"[..], Some(rustix::process::geteuid().as_raw()))
            );
        }
    }
}
