//! What `/proc` tells of sockets: who waits on one, and who has an address.

mod common;

use common::{Child, command, until};
use ostler_sys::proc::{self, Bound, Waiting};
use rustix::fs::fstat;
use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

fn inode(socket: impl AsFd) -> BTreeSet<u64> {
    BTreeSet::from([fstat(socket).expect("fstat").st_ino])
}

/// A Python that has inherited a socket as descriptor 3, says that it runs, and does this with it.
fn python(socket: OwnedFd, then: &str) -> (Child, std::io::PipeReader) {
    let (read, write) = std::io::pipe().expect("a pipe");
    let script =
        format!("import socket, select, sys, time\ns = socket.socket(fileno=3)\nprint('up', flush=True)\n{then}");
    let mut command = command(&["/usr/bin/env", "python3", "-c", &script]);
    command.descriptors.extend([(socket, 3), (write.into(), 1)]);
    if let Some(path) = std::env::var_os("PATH") {
        command.envp = vec![common::text(&format!("PATH={}", path.to_string_lossy()))];
    }
    (Child::run(command), read)
}

#[test]
fn who_waits_on_an_inherited_socket_shows_and_who_only_has_it_does_not() {
    for (then, shows) in [
        ("s.accept()", Waiting::Yes),
        (
            "e = select.epoll(); e.register(s, select.EPOLLIN); e.poll()",
            Waiting::Yes,
        ),
        (
            "import threading; threading.Thread(target=s.accept).start(); time.sleep(100)",
            Waiting::Yes,
        ),
        ("select.select([s], [], [])", Waiting::Perhaps),
        ("select.poll().poll()", Waiting::Perhaps),
        ("time.sleep(100)", Waiting::No),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let sockets = inode(&listener);
        let (child, mut said) = python(listener.into(), then);
        let mut line = [0; 3];
        std::io::Read::read_exact(&mut said, &mut line).expect("it runs");
        let now = || proc::waits_on(child.pid, &sockets).expect("/proc");
        match shows {
            Waiting::No => assert_eq!(now(), Waiting::No, "{then}"),
            Waiting::Perhaps | Waiting::Yes => until(then, || (now() == shows).then_some(())),
        }
        assert_eq!(
            proc::waits_on(child.pid, &BTreeSet::from([1])).expect("/proc"),
            Waiting::No
        );
    }
}

#[test]
fn a_process_that_is_gone_waits_on_nothing() {
    let child = Child::run(command(&["/bin/true"]));
    let pid = child.pid;
    child.wait();
    assert_eq!(proc::waits_on(pid, &BTreeSet::from([1])).expect("/proc"), Waiting::No);
}

#[test]
fn an_address_in_use_has_a_holder() {
    let us = rustix::process::getpid();
    let four = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let four = TcpListener::bind(four.expect("an address")).expect("the port");
    let mut address = four.local_addr().expect("an address");
    assert_eq!(proc::holder_of(Bound::Tcp(address)).map(|(pid, _)| pid), Some(us));
    assert_eq!(proc::holder_of(Bound::Udp(address)), None);
    // All addresses include the one.
    address.set_ip("0.0.0.0".parse().expect("an IP"));
    assert_eq!(proc::holder_of(Bound::Tcp(address)).map(|(pid, _)| pid), Some(us));
    address.set_ip("127.0.0.2".parse().expect("an IP"));
    assert_eq!(proc::holder_of(Bound::Tcp(address)), None);
    let all = TcpListener::bind("[::]:0").expect("a port");
    let mut address = all.local_addr().expect("an address");
    address.set_ip("127.0.0.1".parse().expect("an IP"));
    assert_eq!(proc::holder_of(Bound::Tcp(address)).map(|(pid, _)| pid), Some(us));
    let datagram = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = datagram.local_addr().expect("an address");
    let (pid, name) = proc::holder_of(Bound::Udp(address)).expect("we have it");
    assert_eq!(pid, us);
    assert!(!name.is_empty());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.sock");
    let _unix = UnixListener::bind(&path).expect("a socket");
    let path = path.to_str().expect("text");
    assert_eq!(proc::holder_of(Bound::Unix(path)).map(|(pid, _)| pid), Some(us));
    assert_eq!(proc::holder_of(Bound::Unix("/nowhere")), None);
}
