//! Connections of the real kernel are counted by either way, and only while a process holds them.

use ostler_sys::connections::{Open, Place, count, count_by_sock_diag, count_by_tables, held_by, inode};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

type Way = fn(&BTreeSet<Place>) -> io::Result<Open>;

const WAYS: [(&str, Way); 2] = [("sock_diag", count_by_sock_diag), ("tables", count_by_tables)];

fn at(place: &Place, way: Way) -> BTreeSet<u64> {
    let mut open = way(&BTreeSet::from([place.clone()])).expect("counted");
    open.remove(place).unwrap_or_default()
}

/// The kernel closes a connection in its own time.
fn until_open(place: &Place, expected: &BTreeSet<u64>) {
    let patience = Instant::now() + Duration::from_secs(10);
    for (name, way) in WAYS {
        while at(place, way) != *expected {
            assert!(
                Instant::now() < patience,
                "{name}: {:?} is not {expected:?}",
                at(place, way)
            );
            std::thread::yield_now();
        }
    }
}

fn tcp(listener: &TcpListener) -> Place {
    let address = listener.local_addr().expect("an address");
    Place::Tcp {
        v6: address.is_ipv6(),
        port: address.port(),
    }
}

#[test]
fn a_tcp_connection_counts_from_its_accept_to_its_close() {
    for host in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let listener = TcpListener::bind((host, 0)).expect("a listener");
        let place = tcp(&listener);
        let port = listener.local_addr().expect("an address").port();
        let clients: Vec<TcpStream> = (0..3)
            .map(|_| TcpStream::connect((host, port)).expect("connected"))
            .collect();
        until_open(&place, &BTreeSet::new());
        let mut taken: Vec<TcpStream> = (0..2).map(|_| listener.accept().expect("accepted").0).collect();
        let inodes = |taken: &[TcpStream]| taken.iter().map(|one| inode(one).expect("an inode")).collect();
        until_open(&place, &inodes(&taken));
        // A copy is the same connection; half closed is still open.
        let copy = taken[0].try_clone().expect("a copy");
        taken[1].shutdown(Shutdown::Write).expect("half closed");
        until_open(&place, &inodes(&taken));
        drop((copy, taken.pop()));
        until_open(&place, &inodes(&taken));
        drop(taken);
        until_open(&place, &BTreeSet::new());
        drop(clients);
    }
}

#[test]
fn a_unix_connection_counts_from_its_accept_to_its_close() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("of an app.sock");
    let listener = UnixListener::bind(&path).expect("a listener");
    let place = Place::Unix(path.to_str().expect("text").to_owned());
    let _clients: Vec<UnixStream> = (0..2).map(|_| UnixStream::connect(&path).expect("connected")).collect();
    let (first, _) = listener.accept().expect("accepted");
    until_open(&place, &BTreeSet::from([inode(&first).expect("an inode")]));
    drop(first);
    until_open(&place, &BTreeSet::new());
}

#[test]
fn many_ports_are_counted_as_well_as_few() {
    let listeners: Vec<TcpListener> = (0..9)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound"))
        .collect();
    let places: BTreeSet<Place> = listeners.iter().map(tcp).collect();
    let pairs: Vec<(TcpStream, TcpStream)> = listeners
        .iter()
        .map(|listener| {
            let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
            (client, listener.accept().expect("accepted").0)
        })
        .collect();
    let expected: Open = listeners
        .iter()
        .zip(&pairs)
        .map(|(listener, (_, taken))| (tcp(listener), BTreeSet::from([inode(taken).expect("an inode")])))
        .collect();
    for (name, way) in WAYS {
        assert_eq!(way(&places).expect("counted"), expected, "{name}");
    }
    assert_eq!(count(&places).expect("counted"), expected);
}

#[test]
fn thousands_of_connections_take_several_reads_and_are_all_there() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let pairs: Vec<(TcpStream, TcpStream)> = (0..400)
        .map(|_| {
            (
                TcpStream::connect(address).expect("connected"),
                listener.accept().expect("accepted").0,
            )
        })
        .collect();
    let expected: BTreeSet<u64> = pairs.iter().map(|(_, taken)| inode(taken).expect("an inode")).collect();
    for (name, way) in WAYS {
        assert_eq!(at(&tcp(&listener), way), expected, "{name}");
    }
    let held = held_by(rustix::process::getpid()).expect("our own");
    assert!(expected.is_subset(&held));
}
