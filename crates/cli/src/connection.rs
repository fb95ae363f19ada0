//! Reaching the control socket, and what identifies a client's operations. Used by the client only.

use crate::home::Home;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use tokio::net::UnixStream;

/// What an attempt to connect came to.
pub enum Connect {
    /// Somebody listens.
    Made(UnixStream),
    /// Nobody does: no socket, or a stale one.
    Nobody,
    /// Somebody does, with so many connections waiting that one more cannot be taken now.
    Busy,
    /// The system does not let us.
    Failed(io::Error),
}

/// The longest path that `sockaddr_un` takes with its final NUL (`unix(7)`).
const LONGEST_SOCKET_PATH: usize = 107;

/// Tries once.
pub async fn connect(home: &Home) -> Connect {
    let reached = match home.is_nowhere() {
        true => reach_without_file(),
        false => reach(&home.socket()).await,
    };
    match reached {
        Ok(stream) => Connect::Made(stream),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                Connect::Nobody
            }
            io::ErrorKind::WouldBlock => Connect::Busy,
            _other => Connect::Failed(error),
        },
    }
}

/// Whether anybody answers at the socket.
pub async fn somebody_listens(home: &Home) -> bool {
    matches!(connect(home).await, Connect::Made(_) | Connect::Busy)
}

async fn reach(socket: &Path) -> io::Result<UnixStream> {
    if socket.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return UnixStream::connect(socket).await;
    }
    let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
        return UnixStream::connect(socket).await;
    };
    // A longer path is reached through its open directory.
    let directory = rustix::fs::open(
        directory,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let short = Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(name);
    UnixStream::connect(short).await
}

/// A daemon without a home is only one if it is our own, or root's.
fn reach_without_file() -> io::Result<UnixStream> {
    let stream = ostler_sys::socket::connect_without_file()?;
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    let (peer, own) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    if peer == own || peer == 0 {
        Ok(stream)
    } else {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// Whether keeper or daemon live, or are being started, whoever listens at the moment.
///
/// They hold the life lock as long as either lives, and whoever starts them holds the start lock. Asking takes a lock for
/// an instant; so that this never comes in the way of a keeper which takes the life lock, that one is asked for only
/// while nobody starts one.
pub fn keeper_lives(home: &Home) -> bool {
    match Probe::of(&home.start_lock()) {
        Probe::Held => true,
        Probe::Free(_starting) => matches!(Probe::of(&home.life_lock()), Probe::Held),
    }
}

/// What a lock file tells.
enum Probe {
    /// Somebody holds it exclusively.
    Held,
    /// Nobody does, nor can while this is kept; or there is no such file.
    Free(Option<File>),
}

impl Probe {
    fn of(path: &Path) -> Self {
        let Ok(lock) = File::open(path) else {
            return Self::Free(None);
        };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Self::Held,
            Ok(()) | Err(_) => Self::Free(Some(lock)),
        }
    }
}

/// A new operation's id: 128 random bits, in hexadecimal.
pub fn operation_id() -> String {
    format!("{:032x}", random_bits())
}

/// 128 of them, for what has to differ and need not be a secret.
pub fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    if filled != Ok(bytes.len()) {
        // Before the kernel's generator is seeded: process and time still differ between two clients.
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let fallback = nanos ^ (u128::from(std::process::id()) << 96);
        bytes = fallback.to_le_bytes();
    }
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_at(path: &Path) -> Home {
        let path = path.display().to_string();
        Home::find(|name| (name == "OSTLER_HOME").then(|| path.clone()), Path::new("/"))
    }

    #[test]
    fn operation_ids_differ() {
        assert_ne!(operation_id(), operation_id());
        assert_eq!(operation_id().len(), 32);
    }

    #[tokio::test]
    async fn a_missing_and_a_stale_socket_mean_nobody() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let home = home_at(directory.path());
        assert!(matches!(connect(&home).await, Connect::Nobody));
        drop(std::os::unix::net::UnixListener::bind(home.socket()).expect("a socket can be bound"));
        assert!(home.socket().exists());
        assert!(matches!(connect(&home).await, Connect::Nobody));
    }

    #[tokio::test]
    async fn a_socket_below_a_very_long_path_is_reached() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let deep = directory.path().join("d".repeat(120));
        std::fs::create_dir(&deep).expect("a directory can be made");
        let home = home_at(&deep);
        let here = File::open(&deep).expect("the directory opens");
        let short = format!("/proc/self/fd/{}/ostler.sock", here.as_raw_fd());
        let _listener = std::os::unix::net::UnixListener::bind(short).expect("a socket can be bound");
        assert!(matches!(connect(&home).await, Connect::Made(_)));
    }

    #[test]
    fn the_life_lock_tells_whether_a_keeper_lives() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let home = home_at(directory.path());
        assert!(!keeper_lives(&home));
        let lock = File::create(home.life_lock()).expect("the lock file can be made");
        assert!(!keeper_lives(&home));
        lock.lock().expect("nobody else holds it");
        assert!(keeper_lives(&home));
        drop(lock);
        assert!(!keeper_lives(&home));
    }

    #[test]
    fn a_daemon_that_is_being_started_counts_as_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let home = home_at(directory.path());
        let lock = File::create(home.start_lock()).expect("the lock file can be made");
        assert!(!keeper_lives(&home));
        lock.lock().expect("nobody else holds it");
        assert!(keeper_lives(&home));
    }
}
