//! Unix sockets at paths of any length.
//!
//! `sockaddr_un` has room for 107 bytes; homes can be longer. The directory is opened, and the socket addressed as
//! `/proc/self/fd/<directory>/<name>`, so only the last part of a path has to be short.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 511;

/// A listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there and answers.
    #[error("`{}` is in use: another process answers there", .0.display())]
    InUse(PathBuf),
    /// What is there is no socket, and is left alone.
    #[error("`{}` exists and is no socket; move it away", .0.display())]
    NoSocket(PathBuf),
    /// A system call failed.
    #[error("no socket can be made at `{}`: {call}: {source}", path.display())]
    Call {
        /// Which.
        call: &'static str,
        /// Where.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
}

/// Listens at `path`, for our own user only (mode 0600). A socket left there by a process that is gone is replaced
/// in one step, so that clients find the old one or the new one, never none. Close-on-exec, blocking.
///
/// Two processes that do this at once both succeed, and the later one gets the path: whoever must not share holds a
/// [`crate::lock::LockFile`] first.
///
/// # Errors
/// See [`BindError`].
pub fn listen_at(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |call| {
        move |errno: Errno| BindError::Call {
            call,
            path: path.to_owned(),
            source: errno.into(),
        }
    };
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        if connect_to(path).is_ok() {
            return Err(BindError::InUse(path.to_owned()));
        }
    }
    let (directory, name) = split(path).map_err(failed("open its directory"))?;
    let socket = stream_socket().map_err(failed("socket"))?;
    // Made under another name: at its own it must not be seen before it has its mode and listens.
    let unfinished = format!(".{}.new", rustix::process::getpid());
    let _ = unlinkat(&directory, &unfinished, AtFlags::empty());
    bind(
        &socket,
        &address(&directory, OsStr::new(&unfinished)).map_err(failed("bind"))?,
    )
    .map_err(failed("bind"))?;
    let finished = finish(&socket, &directory, &unfinished, name);
    if finished.is_err() {
        let _ = unlinkat(&directory, &unfinished, AtFlags::empty());
    }
    finished.map_err(failed("listen")).map(|()| UnixListener::from(socket))
}

fn finish(socket: &OwnedFd, directory: &OwnedFd, unfinished: &str, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::chmodat(directory, unfinished, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
    listen(socket, BACKLOG)?;
    renameat(directory, unfinished, directory, name)
}

/// Connects to the socket at `path`. Close-on-exec, blocking.
///
/// # Errors
/// `connect(2)`: `NotFound` when nothing is there, `ConnectionRefused` when nobody listens (any more),
/// `WouldBlock` when its backlog is full.
pub fn connect_to(path: &Path) -> io::Result<UnixStream> {
    let (directory, name) = split(path)?;
    let socket = stream_socket()?;
    let address = address(&directory, name)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(socket.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Listens without a file: in the abstract name space (`unix(7)`), under a name that is this user's in this process name space.
/// Anybody in the same network name space can connect: whoever accepts must ask who it is (`SO_PEERCRED`).
///
/// # Errors
/// `bind(2)`: `AddrInUse` when somebody listens there already.
pub fn listen_without_file() -> io::Result<UnixListener> {
    let socket = stream_socket()?;
    bind(&socket, &fileless_address()?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Connects to what [`listen_without_file`] has made. Anybody may listen there: whoever connects must ask who it is.
///
/// # Errors
/// `connect(2)`: `ConnectionRefused` when nobody listens.
pub fn connect_without_file() -> io::Result<UnixStream> {
    let socket = stream_socket()?;
    rustix::net::connect(&socket, &fileless_address()?)?;
    Ok(socket.into())
}

fn fileless_address() -> io::Result<SocketAddrUnix> {
    // Containers that share the network of their host do not share its process ids.
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |data| std::os::unix::fs::MetadataExt::ino(&data));
    let user = rustix::process::geteuid().as_raw();
    Ok(SocketAddrUnix::new_abstract_name(
        format!("ostler-{user}-{namespace}").as_bytes(),
    )?)
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

fn split(path: &Path) -> Result<(OwnedFd, &OsStr), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((openat(CWD, parent, flags, Mode::empty())?, name))
}

fn address(directory: &OwnedFd, name: &OsStr) -> Result<SocketAddrUnix, Errno> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.as_bytes());
    SocketAddrUnix::new(path)
}
