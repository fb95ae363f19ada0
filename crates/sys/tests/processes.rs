//! Real processes: what they use, how they end, and that nothing gets out of a cgroup.
#![allow(clippy::print_stdout, reason = "measurements are printed")]

mod common;

use common::{Child, LIMIT, command, shell, until};
use ostler_sys::cgroup::Branch;
use ostler_sys::pidfd::{self, Waited, exit_info, zombie_exit_status};
use ostler_sys::proc::{self, ListeningSockets, ProcessTable, StartTime, Stat, State};
use ostler_sys::spawn::{Command, ExecOutcome};
use ostler_sys::{ExitStatus, Pid, reap};
use std::io::Read;
use std::os::fd::OwnedFd;

/// Double fork and a session of its own, as daemons do; the last one tells its pid and sleeps.
const BREAK_AWAY: &str = "(setsid sh -c 'echo $$; exec sleep 60' &) & wait";

fn python() -> Option<std::path::PathBuf> {
    ostler_sys::resolve::find("python3".as_ref(), None, "/".as_ref()).ok()
}

/// Runs a command with its output on a pipe.
fn run_with_output(mut command: Command) -> (Child, std::io::PipeReader) {
    let (read, write) = std::io::pipe().expect("a pipe");
    command.descriptors.push((write.into(), 1));
    (Child::run(command), read)
}

fn read_pid(output: &mut std::io::PipeReader) -> Pid {
    let mut said = String::new();
    until("a line", || {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("output");
        said.push(char::from(byte[0]));
        said.ends_with('\n').then_some(())
    });
    said.trim().parse().ok().and_then(Pid::from_raw).expect("a pid")
}

#[test]
fn a_process_with_the_right_number_but_another_start_is_not_opened() {
    let child = Child::run(command(&["/bin/sleep", "60"]));
    for other in [child.start.0 - 1, child.start.0 + 1] {
        let opened = pidfd::open(child.pid, StartTime(other)).expect("no error");
        assert!(opened.is_none(), "another process had or will have that number");
    }
    assert!(pidfd::open(child.pid, child.start).expect("no error").is_some());
}

#[test]
fn the_exit_of_a_foreign_child_is_known_from_its_zombie_and_from_its_pidfd() {
    let child = Child::run(shell("exit 7"));
    assert!(pidfd::wait_for_exit(&child.pidfd, LIMIT).expect("poll"));
    assert_eq!(zombie_exit_status(child.pid, child.start), Some(ExitStatus::Code(7)));
    assert_eq!(zombie_exit_status(child.pid, StartTime(0)), None, "another process");
    assert_eq!(
        pidfd::wait(&child.pidfd).expect("waitid"),
        Waited::Ended(ExitStatus::Code(7))
    );
    assert_eq!(zombie_exit_status(child.pid, child.start), None);
    if let Some(status) = exit_info(&child.pidfd) {
        assert_eq!(status, ExitStatus::Code(7));
    } else {
        println!("this kernel has no PIDFD_INFO_EXIT");
    }
    let killed = Child::run(command(&["/bin/sleep", "60"]));
    assert_eq!(exit_info(&killed.pidfd), None, "it lives");
    pidfd::signal(&killed.pidfd, libc::SIGTERM).expect("sent");
    let status = ExitStatus::Signal {
        signal: libc::SIGTERM,
        core_dumped: false,
    };
    assert_eq!(killed.wait(), status);
    assert!(exit_info(&killed.pidfd).is_none_or(|known| known == status));
    assert!(
        !pidfd::signal(&killed.pidfd, libc::SIGTERM).expect("no error"),
        "nobody is there"
    );
}

#[test]
fn reaping_takes_each_child_once_and_then_says_there_is_none() {
    let codes = [3, 5];
    let started: Vec<_> = codes
        .map(|code| shell(&format!("exit {code}")))
        .into_iter()
        .map(Child::run)
        .collect();
    let mut reaped: Vec<_> = started
        .iter()
        .map(|_| until("a child ends", || reap::reap_any().expect("wait")))
        .collect();
    reaped.sort_by_key(|(pid, _)| pid.as_raw_nonzero());
    let mut expected: Vec<_> = started
        .iter()
        .zip(codes)
        .map(|(child, code)| (child.pid, ExitStatus::Code(code)))
        .collect();
    expected.sort_by_key(|(pid, _)| pid.as_raw_nonzero());
    assert_eq!(reaped, expected);
    assert_eq!(reap::reap_any().expect("no error"), None);
}

#[test]
fn what_a_process_uses_is_told() {
    let Some(python) = python() else { return };
    let script = "import sys\nb=bytearray(b'x'*(40<<20))\nprint(1,flush=True)\nsys.stdin.read()";
    let (silent, _open) = std::io::pipe().expect("a pipe");
    let mut command = command(&[python.to_str().expect("text"), "-c", script]);
    command.descriptors.push((OwnedFd::from(silent), 0));
    let (app, mut output) = run_with_output(command);
    read_pid(&mut output);
    let usage = Stat::read(app.pid).expect("/proc").expect("alive").usage();
    assert!(usage.resident_bytes > 40 << 20, "{usage:?}");
    let nanos = proc::cpu_nanos(app.pid).expect("/proc").expect("this kernel counts");
    assert!(nanos > 1_000_000, "{nanos}: an interpreter takes milliseconds to start");
}

#[test]
fn a_listening_socket_is_seen_as_soon_as_it_listens() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().expect("a directory");
    let unix = home.path().join("s").display().to_string();
    for (family, address) in [
        ("AF_INET", "('127.0.0.1',0)".to_owned()),
        ("AF_INET6", "('::1',0)".to_owned()),
        ("AF_UNIX", format!("'{unix}'")),
    ] {
        let script = format!(
            "import socket,sys\ns=socket.socket(socket.{family})\ns.bind({address})\nprint(0x1,flush=True)\n\
             sys.stdin.readline()\ns.listen()\nprint(0x1,flush=True)\nsys.stdin.read()"
        );
        let (input, mut go) = std::io::pipe().expect("a pipe");
        let mut command = command(&[python.to_str().expect("text"), "-c", &script]);
        command.descriptors.push((OwnedFd::from(input), 0));
        let (app, mut output) = run_with_output(command);
        read_pid(&mut output);
        assert!(!listens(app.pid), "{family}: bound is not listening");
        std::io::Write::write_all(&mut go, b"\n").expect("written");
        read_pid(&mut output);
        assert!(listens(app.pid), "{family}");
    }
}

fn listens(pid: Pid) -> bool {
    ListeningSockets::default().are_held_by(pid).expect("/proc")
}

#[test]
fn a_stopped_process_shows_as_stopped_and_is_in_the_table() {
    let child = Child::run(command(&["/bin/sleep", "60"]));
    pidfd::signal(&child.pidfd, libc::SIGSTOP).expect("sent");
    until("it stops", || {
        Stat::read(child.pid)
            .expect("/proc")
            .filter(|stat| stat.state == State::Stopped)
    });
    let us = rustix::process::getpid();
    let table = ProcessTable::scan_where(|pid| [us, child.pid].contains(&pid)).expect("/proc");
    let found: Vec<Pid> = table.iter().map(|stat| stat.pid).collect();
    assert_eq!(found.len(), 2);
    let listed = table.get(child.pid).expect("it lives");
    assert_eq!((listed.state, listed.parent), (State::Stopped, Some(us)));
}

/// Where a version 2 hierarchy is writable: `/sys/fs/cgroup` or, beside version 1, `/sys/fs/cgroup/unified`.
fn branch(name: &str) -> Option<Branch> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .find_map(|place| {
            let hierarchy = std::path::Path::new(place);
            hierarchy
                .join("cgroup.procs")
                .exists()
                .then(|| Branch::grow_at(hierarchy, &format!("test-{name}")))
                .flatten()
        })
}

#[test]
fn nothing_gets_out_of_a_cgroup() {
    let Some(branch) = branch("nothing-gets-out") else {
        return;
    };
    reap::become_subreaper().expect("subreaper");
    for one_by_one in [false, true] {
        let group = branch.group("7.1").expect("made");
        assert!(group.is_empty().expect("read"));
        let mut command = shell(BREAK_AWAY);
        command.cgroup = Some(group.directory().expect("its directory"));
        let (read, write) = std::io::pipe().expect("a pipe");
        command.descriptors.push((write.into(), 1));
        let held = command.hold().expect("held");
        assert!(held.contained());
        assert_eq!(group.processes().expect("read"), [held.pid()]);
        let mut released = held.release().expect("released");
        assert_eq!(released.outcome.wait(LIMIT).expect("read"), ExecOutcome::Running);
        let runaway = read_pid(&mut { read });
        assert!(
            group.processes().expect("read").contains(&runaway),
            "no marker, no parent, no session"
        );
        if one_by_one {
            group.kill_one_by_one().expect("killed");
        } else {
            group.kill().expect("killed");
        }
        until("the group is empty", || group.is_empty().expect("read").then_some(()));
        until("all are reaped", || {
            while reap::reap_any().expect("wait").is_some() {}
            group.processes().expect("read").is_empty().then_some(())
        });
        group.remove().expect("removed");
    }
    assert_eq!(branch.names().expect("read"), [""; 0]);
    branch.remove().expect("removed");
}

#[test]
fn a_cgroup_that_refuses_is_no_reason_not_to_run() {
    let directory = tempfile::tempdir().expect("no cgroup at all");
    let mut command = shell("exit 0");
    command.cgroup = Some(std::fs::File::open(directory.path()).expect("opened").into());
    let held = command.hold().expect("held");
    assert!(!held.contained());
    let released = held.release().expect("released");
    use std::os::fd::AsFd;
    assert_eq!(common::wait_for_status(released.pidfd.as_fd()), ExitStatus::Code(0));
}
