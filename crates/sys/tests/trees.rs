//! Trees of real processes: found whole, killed whole, and nobody else's.
#![allow(clippy::print_stdout, reason = "measurements are printed")]

mod common;

use common::{Child, LIMIT, command, shell, text, until};
use ostler_sys::cgroup::Branch;
use ostler_sys::pidfd::{self, Waited, exit_info, zombie_exit_status};
use ostler_sys::proc::{self, ListeningSockets, ProcessTable, StartTime, Stat, State, Tree};
use ostler_sys::spawn::{Command, ExecOutcome};
use ostler_sys::tree::{self, TreeHold};
use ostler_sys::{ExitStatus, Pid, reap};
use std::io::Read;
use std::os::fd::OwnedFd;

const MARKER: &str = "OSTLER_WORKER=test.1";

/// Double fork and a session of its own, as daemons do; the last one tells its pid and sleeps.
const BREAK_AWAY: &str = "(setsid sh -c 'echo $$; exec sleep 60' &) & wait";

fn python() -> Option<std::path::PathBuf> {
    ostler_sys::resolve::find("python3".as_ref(), None, "/".as_ref()).ok()
}

fn marked(mut command: Command) -> Command {
    command.envp.push(text(MARKER));
    command
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

fn members(child: &Child) -> Vec<Stat> {
    let us = [rustix::process::getpid()];
    let tree = Tree {
        root: child.pid,
        root_start: child.start,
        subreapers: &us,
        marker: MARKER.as_bytes(),
    };
    tree.members(&ProcessTable::scan().expect("/proc")).expect("/proc")
}

fn pids(members: &[Stat]) -> Vec<Pid> {
    members.iter().map(|member| member.pid).collect()
}

/// Kills a tree until nothing of it is left, reaping what falls to us.
fn kill_all(child: &Child) {
    until("the tree is gone", || {
        let left = members(child);
        let signalled = tree::signal(&left, libc::SIGKILL);
        assert!(signalled.refused.is_empty(), "{:?}", signalled.refused);
        while reap::reap_any().expect("wait").is_some() {}
        left.is_empty().then_some(())
    });
}

#[test]
fn a_double_fork_with_a_session_of_its_own_is_found_and_killed() {
    reap::become_subreaper().expect("subreaper");
    let (app, mut output) = run_with_output(marked(shell(BREAK_AWAY)));
    let runaway = read_pid(&mut output);
    let start = Stat::read(runaway).expect("/proc").expect("alive").start_time;
    let held = pidfd::open(runaway, start).expect("opened").expect("alive");
    until("it falls to us", || {
        let stat = Stat::read(runaway).expect("/proc").expect("alive");
        (stat.parent == Some(rustix::process::getpid()) && stat.session != app.pid.as_raw_nonzero().get()).then_some(())
    });
    assert!(pids(&members(&app)).contains(&runaway));
    // Also when the app itself is long gone.
    assert!(
        pidfd::wait_for_exit(&app.pidfd, LIMIT).expect("poll"),
        "the shell has nothing to wait for"
    );
    assert_eq!(app.wait(), ExitStatus::Code(0));
    assert_eq!(pids(&members(&app)), [runaway]);
    kill_all(&app);
    assert!(pidfd::has_exited(&held).expect("poll"));
}

#[test]
fn an_orphan_with_another_apps_marker_is_left_alone() {
    reap::become_subreaper().expect("subreaper");
    let mut other = shell(BREAK_AWAY);
    other.envp.push(text("OSTLER_WORKER=test.11"));
    let (other, mut output) = run_with_output(other);
    let stranger = read_pid(&mut output);
    let app = Child::run(marked(command(&["/bin/sleep", "60"])));
    until("it falls to us", || {
        let stat = Stat::read(stranger).expect("/proc").expect("alive");
        (stat.parent == Some(rustix::process::getpid())).then_some(())
    });
    assert_eq!(pids(&members(&app)), [app.pid]);
    let held = TreeHold::open(&[Stat::read(stranger).expect("/proc").expect("alive")]).expect("held");
    assert_eq!(held.signal(libc::SIGKILL).delivered, 1);
    until("it is reaped", || {
        reap::reap_any().expect("wait").filter(|(pid, _)| *pid == stranger)
    });
    drop(other);
}

#[test]
fn shells_below_shells_are_signalled_deepest_first() {
    let (app, mut output) = run_with_output(shell("sh -c 'sh -c \"echo \\$\\$; exec sleep 60\"; true'; true"));
    let deepest = read_pid(&mut output);
    let found = until("three levels", || Some(members(&app)).filter(|found| found.len() == 3));
    assert_eq!((found[0].pid, found[2].pid), (deepest, app.pid));
    assert_eq!(found[0].parent, Some(found[1].pid));
    let mut hold = TreeHold::open(&found).expect("held");
    assert_eq!(
        hold.members().map(|(member, _)| member.pid).collect::<Vec<_>>(),
        pids(&found)
    );
    // The shells above may end by themselves as soon as the one below has.
    let signalled = hold.signal(libc::SIGKILL);
    assert!(
        (1..=3).contains(&signalled.delivered) && signalled.refused.is_empty(),
        "{signalled:?}"
    );
    until("all have ended", || {
        (hold.drop_ended().expect("poll") == 0).then_some(())
    });
}

#[test]
fn a_process_group_of_its_own_within_the_session_belongs_to_the_app() {
    // `set -m` gives each job a group of its own; the shell ends, its job is left in the session.
    let (app, mut output) = run_with_output(shell("set -m; sleep 60 & echo $!"));
    let job = read_pid(&mut output);
    assert_eq!(app.wait(), ExitStatus::Code(0));
    assert_eq!(pids(&members(&app)), [job]);
    assert_eq!(tree::signal(&members(&app), libc::SIGKILL).delivered, 1);
    until("it has ended", || members(&app).is_empty().then_some(()));
}

#[test]
fn a_process_with_the_right_number_but_another_start_is_neither_opened_nor_signalled() {
    let child = Child::run(command(&["/bin/sleep", "60"]));
    assert!(
        pidfd::open(child.pid, StartTime(child.start.0 + 1))
            .expect("no error")
            .is_none()
    );
    let mut mistaken = Stat::read(child.pid).expect("/proc").expect("alive");
    mistaken.start_time = StartTime(mistaken.start_time.0 - 1);
    assert_eq!(tree::signal(&[mistaken], libc::SIGKILL).delivered, 0);
    assert_eq!(TreeHold::open(&[mistaken]).expect("no error").members().count(), 0);
    assert!(!pidfd::has_exited(&child.pidfd).expect("poll"));
    let older = Tree {
        root: child.pid,
        root_start: mistaken.start_time,
        subreapers: &[],
        marker: b"OSTLER_WORKER=-",
    };
    assert_eq!(older.members(&ProcessTable::scan().expect("/proc")).expect("/proc"), []);
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
fn usage_of_a_tree_is_that_of_all_its_processes() {
    let Some(python) = python() else { return };
    let script = "import os,sys\nb=bytearray(b'x'*(20<<20))\nif os.fork()==0:\n b=bytearray(b'y'*(20<<20))\n \
                  print(os.getpid(),flush=True)\n sys.stdin.read()\nos.wait()";
    let (silent, _open) = std::io::pipe().expect("a pipe");
    let mut command = command(&[python.to_str().expect("text"), "-c", script]);
    command.descriptors.push((OwnedFd::from(silent), 0));
    let (app, mut output) = run_with_output(command);
    let child = read_pid(&mut output);
    let found = members(&app);
    assert_eq!(pids(&found), [child, app.pid]);
    let sum: proc::Usage = found.iter().map(Stat::usage).sum();
    assert!(found.iter().all(|member| member.usage().resident_bytes > 20 << 20));
    assert!(sum.resident_bytes > 60 << 20, "{sum:?}: the child has both arrays");
    let nanos = proc::cpu_nanos(app.pid).expect("/proc").expect("this kernel counts");
    assert!(nanos > 1_000_000, "{nanos}: an interpreter takes milliseconds to start");
    assert!(proc::cpu_nanos_of_threads(app.pid).expect("/proc").expect("counted") >= nanos);
    kill_all(&app);
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
fn a_stopped_process_shows_as_stopped_in_every_new_look_at_the_table() {
    let child = Child::run(command(&["/bin/sleep", "60"]));
    pidfd::signal(&child.pidfd, libc::SIGSTOP).expect("sent");
    until("it stops", || {
        Stat::read(child.pid)
            .expect("/proc")
            .filter(|stat| stat.state == State::Stopped)
    });
    let mut table = ProcessTable::scan().expect("/proc");
    let (start, processes) = (std::time::Instant::now(), table.iter().count());
    for _ in 0..100 {
        table.refresh().expect("/proc");
    }
    println!("a scan of {processes} processes takes {:?}", start.elapsed() / 100);
    assert!(
        table
            .get_started(child.pid, child.start)
            .is_some_and(|stat| stat.state == State::Stopped)
    );
    assert!(
        table
            .children(rustix::process::getpid())
            .any(|stat| stat.pid == child.pid)
    );
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
