//! Descriptors, sockets, locks, pipes and clocks of the real kernel.

mod common;

use common::{Child, LIMIT, command, output, text, until};
use ostler_sys::fdpass::{self, MAX_DESCRIPTORS, ReceiveError, Received, SendError};
use ostler_sys::lock::LockFile;
use ostler_sys::socket::{BindError, connect_to, listen_at};
use ostler_sys::{ExitStatus, channel, clock, limits, memfd, peer, pipes, poll};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

fn lower_open_files(to: usize) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(to as u64),
            ..limit
        },
    )
    .expect("lowered");
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("fds").count() - 1
}

#[test]
fn what_the_peer_has_not_read_is_known() {
    let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let unread = |socket: &std::os::unix::net::UnixStream| fdpass::unread_by_peer(socket).expect("a socket");
    assert_eq!(unread(&ours), 0);
    ours.write_all(b"a message").expect("written");
    assert!(unread(&ours) > 0);
    let mut part = [0; 4];
    theirs.read_exact(&mut part).expect("read");
    assert!(unread(&ours) > 0, "a part is left");
    theirs.read_exact(&mut [0; 5]).expect("read");
    assert_eq!(unread(&ours), 0);
    assert!(fdpass::unread_by_peer(File::open("/dev/null").expect("a file")).is_err());
}

#[test]
fn as_many_descriptors_as_the_kernel_takes_arrive_in_order_and_close_on_exec() {
    let (ours, theirs) = fdpass::pair().expect("a pair");
    let files: Vec<File> = (0..MAX_DESCRIPTORS)
        .map(|index| {
            let mut file = memfd::create("numbered").expect("a file");
            write!(file, "{index}").expect("written");
            file
        })
        .collect();
    let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    fdpass::send(&ours, b"all of them", &borrowed).expect("sent");
    let mut buffer = [0; 64];
    let Ok(Received::Message(length, descriptors)) = fdpass::receive(&theirs, &mut buffer) else {
        panic!("no message")
    };
    assert_eq!(&buffer[..length], b"all of them");
    assert_eq!(descriptors.len(), MAX_DESCRIPTORS);
    for (index, descriptor) in descriptors.into_iter().enumerate() {
        assert!(fcntl_getfd(&descriptor).expect("flags").contains(FdFlags::CLOEXEC));
        let (mut file, mut text) = (File::from(descriptor), String::new());
        file.rewind().expect("rewound");
        file.read_to_string(&mut text).expect("text");
        assert_eq!(text, index.to_string());
    }
    let one_more: Vec<BorrowedFd<'_>> = borrowed.iter().copied().chain([ours.as_fd()]).collect();
    assert!(matches!(
        fdpass::send(&ours, b"x", &one_more),
        Err(SendError::TooManyDescriptors(254))
    ));
}

#[test]
fn messages_keep_their_borders_and_the_end_is_no_message() {
    let (ours, theirs) = fdpass::pair().expect("a pair");
    fdpass::send(&ours, b"one", &[]).expect("sent");
    fdpass::send(&ours, b"two", &[ours.as_fd()]).expect("sent");
    assert!(matches!(fdpass::send(&ours, b"", &[]), Err(SendError::Empty)));
    drop(ours);
    let mut buffer = [0; 8];
    assert!(matches!(fdpass::receive(&theirs, &mut buffer), Ok(Received::Message(3, fds)) if fds.is_empty()));
    assert!(matches!(fdpass::receive(&theirs, &mut buffer), Ok(Received::Message(3, fds)) if fds.len() == 1));
    assert!(matches!(fdpass::receive(&theirs, &mut buffer), Ok(Received::End)));
    assert!(matches!(fdpass::send(&theirs, b"x", &[]), Err(SendError::Closed)));
}

#[test]
fn what_does_not_fit_is_named_on_either_side() {
    let (ours, theirs) = fdpass::pair().expect("a pair");
    pipes::set_nonblocking(&ours).expect("set");
    pipes::set_nonblocking(&theirs).expect("set");
    let mut buffer = [0; 8];
    assert!(matches!(
        fdpass::receive(&theirs, &mut buffer),
        Err(ReceiveError::Nothing)
    ));
    assert!(matches!(
        fdpass::send(&ours, &vec![0; 16 << 20], &[]),
        Err(SendError::TooLong(_))
    ));
    fdpass::send(&ours, b"longer than eight", &[]).expect("sent");
    assert!(matches!(
        fdpass::receive(&theirs, &mut buffer),
        Err(ReceiveError::TooLong(8))
    ));
    let full = until("the socket is full", || fdpass::send(&ours, &[0; 4096], &[]).err());
    assert!(matches!(full, SendError::Full), "{full}");
}

#[test]
fn a_receiver_out_of_descriptors_is_told_that_some_are_lost_and_keeps_none() {
    let (ours, theirs) = fdpass::pair().expect("a pair");
    let files: Vec<OwnedFd> = (0..20).map(|_| memfd::create("x").expect("a file").into()).collect();
    let borrowed: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    fdpass::send(&ours, b"x", &borrowed).expect("sent");
    let before = open_files();
    lower_open_files(before + 10);
    assert!(matches!(
        fdpass::receive(&theirs, &mut [0; 8]),
        Err(ReceiveError::DescriptorsLost)
    ));
    lower_open_files(before + 100);
    assert_eq!(open_files(), before);
}

#[test]
fn a_socket_is_made_at_a_path_longer_than_a_socket_address() {
    let home = tempfile::tempdir().expect("a directory");
    let deep = home.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).expect("made");
    let path = deep.join("control.sock");
    let listener = listen_at(&path).expect("listening");
    assert_eq!(
        std::fs::metadata(&path).expect("there").permissions().mode() & 0o777,
        0o600
    );
    let mut client = connect_to(&path).expect("connected");
    let (mut server, _) = listener.accept().expect("accepted");
    let who = peer::of(&server).expect("credentials");
    assert_eq!(who.pid, rustix::process::getpid());
    assert_eq!(
        (who.uid, who.gid),
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    );
    client.write_all(b"x").expect("written");
    server.read_exact(&mut [0]).expect("read");
    assert_eq!(
        std::fs::read_dir(&deep).expect("entries").count(),
        1,
        "nothing unfinished is left"
    );
}

#[test]
fn only_a_socket_that_nobody_answers_is_replaced() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("s");
    let first = listen_at(&path).expect("listening");
    assert!(matches!(listen_at(&path), Err(BindError::InUse(_))));
    drop(first);
    assert!(path.exists(), "a dead process leaves its socket");
    assert_eq!(
        connect_to(&path).expect_err("nobody").kind(),
        ErrorKind::ConnectionRefused
    );
    let second = listen_at(&path).expect("replaced");
    connect_to(&path).expect("answers");
    drop(second);
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(connect_to(&path).expect_err("nothing").kind(), ErrorKind::NotFound);
    std::fs::write(&path, "precious").expect("written");
    assert!(matches!(listen_at(&path), Err(BindError::NoSocket(_))));
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
    let nowhere = listen_at(&home.path().join("missing/s"))
        .expect_err("no directory")
        .to_string();
    assert!(
        nowhere.contains("missing/s") && nowhere.contains("No such file"),
        "{nowhere}"
    );
}

#[test]
fn a_lock_excludes_others_until_its_last_copy_is_gone() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("lock");
    let lock = LockFile::try_take(&path).expect("the file is made").expect("free");
    assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    assert!(LockFile::try_take(&path).expect("no error").is_none());
    let copy = lock.as_fd().try_clone_to_owned().expect("a copy");
    drop(lock);
    assert!(LockFile::try_take(&path).expect("no error").is_none());
    drop(copy);
    let lock = LockFile::take(&path).expect("free again");
    std::fs::remove_file(&path).expect("removed");
    let other = LockFile::try_take(&path)
        .expect("no error")
        .expect("a new file, a new lock");
    drop((lock, other));
}

#[test]
fn a_pipe_does_not_block_us_and_still_blocks_the_app() {
    let (read, write) = pipes::pipe().expect("a pipe");
    pipes::set_nonblocking(&read).expect("set");
    let blocks = |fd: &OwnedFd| {
        !rustix::fs::fcntl_getfl(fd)
            .expect("flags")
            .contains(rustix::fs::OFlags::NONBLOCK)
    };
    assert!(!blocks(&read) && blocks(&write));
    assert_eq!(pipes::unread(&read).expect("asked"), 0);
    let (copy_read, copy_write) = pipes::pipe().expect("a pipe");
    let empty = pipes::splice(&read, &copy_write, 100).expect_err("nothing there");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    File::from(write).write_all(b"hello").expect("written");
    assert_eq!(pipes::unread(&read).expect("asked"), 5);
    assert_eq!(pipes::splice(&read, &copy_write, 100).expect("moved"), 5);
    assert_eq!(pipes::splice(&read, &copy_write, 100).expect("the end"), 0);
    drop(copy_write);
    let mut text = String::new();
    File::from(copy_read).read_to_string(&mut text).expect("text");
    assert_eq!(text, "hello");
}

#[test]
fn node_talks_over_its_channel() {
    let Ok(node) = ostler_sys::resolve::find("node".as_ref(), std::env::var_os("PATH").as_deref(), "/".as_ref()) else {
        return;
    };
    let (mut ours, theirs) = channel::pair().expect("a pair");
    let mut command = command(&[
        node.to_str().expect("text"),
        "-e",
        "process.send('ready'); process.disconnect()",
    ]);
    command
        .envp
        .extend([text("NODE_CHANNEL_FD=3"), text("NODE_CHANNEL_SERIALIZATION_MODE=json")]);
    command.descriptors.push((theirs.into(), 3));
    let child = Child::run(command);
    let mut said = String::new();
    ours.read_to_string(&mut said).expect("text");
    assert_eq!(said, "\"ready\"\n");
    assert_eq!(child.wait(), ExitStatus::Code(0));
}

#[test]
fn children_can_be_given_the_limit_we_had_before_we_raised_ours() {
    lower_open_files(512);
    let before = limits::raise_open_files().expect("raised");
    assert_eq!(before.0, 512);
    assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
    let mut command = common::shell("ulimit -Sn");
    command.nofile = Some(before);
    assert_eq!(output(command).0, "512\n");
}

#[test]
fn the_clocks_agree_with_the_systems() {
    let now = clock::now();
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    assert!(wall.abs_diff(u128::try_from(now.wall_millis).expect("after 1970")) < 5_000);
    assert!(clock::now().monotonic_millis >= now.monotonic_millis);
}

/// Sets the wall clock to what it shows, which counts as a step; needs the right to do so.
#[test]
fn setting_the_wall_clock_is_noticed_each_time() {
    use rustix::time::{ClockId, clock_gettime, clock_settime};
    let watch = clock::ClockWatch::new().expect("a timer");
    assert!(!watch.was_set().expect("read"));
    for _ in 0..2 {
        if clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)).is_err() {
            return;
        }
        assert!(poll::readable(&watch, LIMIT).expect("poll"));
        assert!(watch.was_set().expect("read"));
        assert!(!poll::readable(&watch, Duration::ZERO).expect("poll"));
    }
}

#[test]
fn users_and_groups_are_found_by_name_and_by_number() {
    use ostler_sys::users::{UnknownError, identify, name_of};
    let root = identify("root", None).expect("root").credentials;
    assert_eq!((root.uid, root.gid), (0, 0));
    assert_eq!(identify("0", None).expect("root").credentials, root);
    let nobody = identify("nobody", Some("root")).expect("nobody");
    assert_eq!((nobody.credentials.gid, nobody.credentials.groups[0]), (0, 0));
    assert_eq!(
        name_of(nobody.credentials.uid).expect("read").as_deref(),
        Some("nobody")
    );
    let bare = identify("4242424", Some("4242425")).expect("numbers");
    assert_eq!(
        (bare.credentials.uid, bare.credentials.groups, bare.user),
        (4_242_424, vec![4_242_425], None)
    );
    assert!(matches!(
        identify("4242424", None),
        Err(UnknownError::NoGroup(4_242_424))
    ));
    assert!(matches!(identify("no-such-user", None), Err(UnknownError::User(_))));
    assert!(matches!(
        identify("root", Some("no-such-group")),
        Err(UnknownError::Group(_))
    ));
}
