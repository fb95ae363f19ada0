//! Real processes, created and run.
#![allow(clippy::print_stdout, reason = "measurements are printed")]
#![allow(unsafe_code, reason = "a test of signal masks has to set one")]

mod common;

use common::{Child, LIMIT, command, output, shell, text, until, wait_for_status};
use ostler_sys::ExitStatus;
use ostler_sys::pidfd::{self, Waited};
use ostler_sys::proc::Stat;
use ostler_sys::spawn::{Credentials, ExecError, ExecOutcome, SpawnError, Stage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_process_runs_its_program_with_its_arguments_environment_and_directory() {
    let mut command = command(&["/bin/sh", "-c", "echo $0 $1 $COLOUR; pwd", "zero", "one"]);
    command.envp.push(text("COLOUR=green"));
    command.cwd = text("/usr");
    assert_eq!(output(command), ("zero one green\n/usr\n".into(), ExitStatus::Code(0)));
}

#[test]
fn a_process_is_told_its_own_id() {
    let us = rustix::process::geteuid().as_raw();
    let groups = rustix::process::getgroups().expect("our groups");
    let same_user = Credentials {
        uid: us,
        gid: rustix::process::getegid().as_raw(),
        groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
    };
    // With and without memory that is shared with us; several at once, each with its own.
    for credentials in [None, Some(same_user)] {
        let held: Vec<_> = (0..3)
            .map(|_| {
                let (read, write) = std::io::pipe().expect("a pipe");
                let mut command = shell("echo $OTHER $$ $LISTEN_PID");
                command.envp.push(text("OTHER=x"));
                command.pid_variable = Some(text("LISTEN_PID"));
                command.credentials.clone_from(&credentials);
                command.descriptors.push((write.into(), 1));
                (command.hold().expect("held"), read)
            })
            .collect();
        for (held, mut read) in held {
            let pid = held.pid();
            let released = held.release().expect("released");
            let mut said = String::new();
            read.read_to_string(&mut said).expect("text");
            assert_eq!(said, format!("x {pid} {pid}\n"));
            wait_for_status(released.pidfd.as_fd());
        }
    }
}

#[test]
fn a_held_process_exists_and_has_run_nothing_until_it_is_released() {
    let directory = tempfile::tempdir().expect("a directory");
    let proof = directory.path().join("ran");
    let held = shell(&format!("echo yes > {}", proof.display())).hold().expect("held");
    let stat = until("it waits at the gate", || {
        Stat::read(held.pid())
            .expect("/proc")
            .filter(|stat| stat.session == held.pid().as_raw_nonzero().get())
    });
    assert!(!stat.is_zombie() && !proof.exists());
    assert!(!pidfd::has_exited(held.pidfd()).expect("poll"));
    let released = held.release().expect("released");
    assert_eq!(wait_for_status(released.pidfd.as_fd()), ExitStatus::Code(0));
    assert!(proof.exists());
}

#[test]
fn a_held_process_that_is_dropped_never_runs_and_leaves_no_zombie() {
    let directory = tempfile::tempdir().expect("a directory");
    let proof = directory.path().join("ran");
    let held = shell(&format!("echo yes > {}", proof.display())).hold().expect("held");
    let pid = held.pid();
    drop(held);
    assert_eq!(Stat::read(pid).expect("/proc"), None);
    assert!(!proof.exists());
}

/// The test's own executable is started as a second process that holds children and is killed.
#[test]
fn a_parent_that_dies_before_the_gate_opens_takes_its_held_children_with_it() {
    if let Ok(proof) = std::env::var("OSTLER_TEST_HOLDER") {
        return hold_until_killed(&proof);
    }
    ostler_sys::reap::become_subreaper().expect("subreaper");
    let directory = tempfile::tempdir().expect("a directory");
    let proof = directory.path().join("ran");
    let name = "a_parent_that_dies_before_the_gate_opens_takes_its_held_children_with_it";
    let us = std::env::current_exe().expect("our path");
    let mut command = command(&[us.to_str().expect("text"), name, "--exact", "--nocapture"]);
    command
        .envp
        .push(text(&format!("OSTLER_TEST_HOLDER={}", proof.display())));
    let (mut read, write) = std::io::pipe().expect("a pipe");
    command.descriptors.push((write.into(), 1));
    let holder = Child::run(command);
    let mut said = Vec::new();
    until("three children are held", || {
        let mut piece = [0; 256];
        let length = read.read(&mut piece).expect("output");
        said.extend_from_slice(&piece[..length]);
        String::from_utf8_lossy(&said).contains("held 3").then_some(())
    });
    pidfd::signal(&holder.pidfd, libc::SIGKILL).expect("killed");
    assert_eq!(
        holder.wait(),
        ExitStatus::Signal {
            signal: 9,
            core_dumped: false
        }
    );
    let mut orphans = 0;
    until("the orphans exit", || {
        while let Some((_, status)) = ostler_sys::reap::reap_any().expect("wait") {
            assert_eq!(status, ExitStatus::Code(127), "a held child left by itself");
            orphans += 1;
        }
        (orphans == 3).then_some(())
    });
    assert!(!proof.exists(), "a program ran though nobody had released it");
}

fn hold_until_killed(proof: &str) {
    let script = format!("echo yes > {proof}");
    let held: Vec<_> = (0..3).map(|_| shell(&script).hold().expect("held")).collect();
    println!("held {}", held.len());
    pidfd::wait_for_exit(held[0].pidfd(), Duration::from_secs(60)).expect("poll");
}

#[test]
fn no_descriptor_of_ours_is_open_in_the_program() {
    // Descriptors without close-on-exec, as a careless library or whoever started us may leave them.
    let _careless: Vec<OwnedFd> = (0..5)
        .map(|_| rustix::io::dup(std::io::stdout()).expect("dup"))
        .collect();
    let others: Vec<_> = (0..3)
        .map(|_| command(&["/bin/sleep", "60"]).hold().expect("held"))
        .collect();
    let (read, write) = std::io::pipe().expect("a pipe");
    // A program that is being loaded has its libraries open for a moment, so it says when it runs; then it stands still.
    let mut command = shell("echo running; kill -STOP $$");
    let copy = write.try_clone().expect("a descriptor");
    command.descriptors = vec![(write.into(), 1), (copy.into(), 5)];
    let child = Child::run(command);
    std::io::BufReader::new(&read)
        .read_line(&mut String::new())
        .expect("it runs");
    let mut numbers: Vec<(i32, String)> = std::fs::read_dir(format!("/proc/{}/fd", child.pid))
        .expect("its descriptors")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let number = entry.file_name().to_string_lossy().parse().expect("a number");
            (
                number,
                std::fs::read_link(entry.path())
                    .expect("a link")
                    .to_string_lossy()
                    .into_owned(),
            )
        })
        .collect();
    numbers.sort();
    let pipe = numbers[1].1.clone();
    assert!(pipe.starts_with("pipe:"));
    let null = String::from("/dev/null");
    assert_eq!(numbers, [(0, null.clone()), (1, pipe.clone()), (2, null), (5, pipe)]);
    drop((others, read));
}

#[test]
fn descriptors_reach_their_numbers_whatever_their_own_numbers_are() {
    let files: Vec<OwnedFd> = (0..6)
        .map(|index| {
            let mut file = tempfile::tempfile().expect("a file");
            std::io::Write::write_all(&mut file, format!("{index}\n").as_bytes()).expect("written");
            std::io::Seek::rewind(&mut file).expect("rewound");
            file.into()
        })
        .collect();
    // The sources lie among the targets, in circles.
    let mut command = shell("cat <&3; cat <&4; cat <&5; cat <&6; cat <&7; cat <&8");
    let targets = [8, 7, 6, 5, 4, 3];
    command.descriptors = files.into_iter().zip(targets).collect();
    assert_eq!(output(command).0, "5\n4\n3\n2\n1\n0\n");
}

#[test]
fn a_number_given_twice_is_refused_before_anything_is_made() {
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").expect("null"));
    let mut command = shell("true");
    command.descriptors = vec![(null(), 3), (null(), 3)];
    assert!(matches!(command.hold(), Err(SpawnError::AssignedTwice(3))));
}

#[test]
fn signals_are_default_and_unblocked_in_the_program() {
    // Rust programs ignore SIGPIPE; block and ignore some more.
    // SAFETY: changes this test process's own dispositions and mask, with valid arguments.
    unsafe {
        libc::signal(libc::SIGUSR1, libc::SIG_IGN);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
    let child = Child::run(command(&["/bin/sleep", "60"]));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid)).expect("status");
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    // And the parent's own mask is as it was.
    let ours = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    let blocked = ours.lines().find(|line| line.starts_with("SigBlk")).expect("the field");
    assert!(blocked.ends_with("0000000000004000"), "{blocked}");
}

#[test]
fn a_process_leads_a_session_of_its_own_only_if_asked_to() {
    let (own, shared) = (Child::run(command(&["/bin/sleep", "60"])), {
        let mut command = command(&["/bin/sleep", "60"]);
        command.new_session = false;
        Child::run(command)
    });
    let stat = |child: &Child| Stat::read(child.pid).expect("/proc").expect("alive");
    let number = own.pid.as_raw_nonzero().get();
    assert_eq!((stat(&own).session, stat(&own).group), (number, number));
    let us = Stat::read(rustix::process::getpid()).expect("/proc").expect("alive");
    assert_eq!((stat(&shared).session, stat(&shared).group), (us.session, us.group));
}

#[test]
fn a_process_runs_as_the_user_and_with_exactly_the_groups_it_was_given() {
    if !root() {
        return;
    }
    let mut command = shell("id -u; id -g; id -G; umask; ulimit -Sn; ulimit -Hn");
    command.credentials = Some(Credentials {
        uid: 65534,
        gid: 65534,
        groups: vec![65534, 7],
    });
    command.umask = Some(0o027);
    command.nofile = Some((333, 444));
    assert_eq!(output(command).0, "65534\n65534\n65534 7\n0027\n333\n444\n");
}

fn failure(command: ostler_sys::spawn::Command) -> ExecError {
    let mut released = command.hold().expect("held").release().expect("released");
    let ExecOutcome::Failed(error) = released.outcome.wait(LIMIT).expect("read") else {
        panic!("it ran")
    };
    assert_eq!(wait_for_status(released.pidfd.as_fd()), ExitStatus::Code(127));
    error
}

#[test]
fn each_step_that_fails_is_named_with_its_errno() {
    let missing = failure(command(&["/nowhere/to/be/found"]));
    assert_eq!(
        missing,
        ExecError {
            stage: Stage::Exec,
            errno: libc::ENOENT
        }
    );
    let directory = failure(command(&["/usr"]));
    assert_eq!(
        directory,
        ExecError {
            stage: Stage::Exec,
            errno: libc::EACCES
        }
    );
    let mut elsewhere = shell("true");
    elsewhere.cwd = text("/nowhere");
    assert_eq!(
        failure(elsewhere),
        ExecError {
            stage: Stage::Directory,
            errno: libc::ENOENT
        }
    );
    let mut limited = shell("true");
    limited.nofile = Some((20, 10));
    assert_eq!(
        failure(limited),
        ExecError {
            stage: Stage::OpenFiles,
            errno: libc::EINVAL
        }
    );
    let mut too_high = shell("true");
    too_high
        .descriptors
        .push((std::fs::File::open("/dev/null").expect("null").into(), 100));
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(90),
            ..limit
        },
    )
    .expect("lowered");
    assert!(matches!(
        too_high.hold(),
        Err(SpawnError::Call {
            call: "fcntl(F_DUPFD_CLOEXEC)",
            ..
        })
    ));
}

#[test]
fn the_working_directory_is_entered_as_the_apps_user() {
    if !root() {
        return;
    }
    let private = tempfile::tempdir().expect("a directory");
    let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(private.path(), only_owner).expect("only root may enter");
    let mut command = shell("true");
    command.cwd = text(private.path().to_str().expect("text"));
    command.credentials = Some(Credentials {
        uid: 65534,
        gid: 65534,
        groups: vec![],
    });
    assert_eq!(
        failure(command),
        ExecError {
            stage: Stage::Directory,
            errno: libc::EACCES
        }
    );
}

#[test]
fn running_out_of_descriptors_is_a_transient_error_that_says_what_to_do_and_leaks_nothing() {
    let limit = getrlimit(Resource::Nofile);
    let open = || std::fs::read_dir("/proc/self/fd").expect("fds").count();
    let before = open();
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(before as u64),
            ..limit
        },
    )
    .expect("lowered");
    let mut refused = 0;
    let mut kept = Vec::new();
    let error = loop {
        match command(&["/bin/sleep", "60"]).hold() {
            Ok(held) => kept.push(held),
            Err(error) => break error,
        }
        refused += 1;
        assert!(refused < 100, "no limit was hit");
    };
    drop(kept);
    setrlimit(Resource::Nofile, limit).expect("restored");
    assert!(error.transient(), "{error}");
    assert!(
        error.to_string().contains("raise the daemon's limit of open files"),
        "{error}"
    );
    assert_eq!(open(), before);
}

#[test]
fn a_program_killed_before_it_was_released_shows_in_its_pidfd() {
    let held = command(&["/bin/sleep", "60"]).hold().expect("held");
    pidfd::signal(held.pidfd(), libc::SIGKILL).expect("killed");
    assert!(pidfd::wait_for_exit(held.pidfd(), LIMIT).expect("poll"));
    let mut released = held.release().expect("released");
    assert_eq!(released.outcome.wait(LIMIT).expect("read"), ExecOutcome::Running);
    let status = ExitStatus::Signal {
        signal: 9,
        core_dumped: false,
    };
    assert_eq!(wait_for_status(released.pidfd.as_fd()), status);
    assert_eq!(pidfd::wait(&released.pidfd).expect("waitid"), Waited::NotOurs);
}

#[test]
fn many_threads_spawn_at_once() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..25 {
                    assert_eq!(output(shell("exit 3")), (String::new(), ExitStatus::Code(3)));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// Processor time of the parent for each spawn from a process with 10 MB of memory of its own. Printed, not judged.
#[test]
fn spawning_a_hundred_processes_is_cheap_for_the_parent() {
    let ballast = vec![1_u8; 10 << 20];
    let cpu = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (wall, before) = (Instant::now(), cpu());
    let held: Vec<_> = (0..100)
        .map(|_| command(&["/bin/true"]).hold().expect("held"))
        .collect();
    let created = cpu();
    let mut released: Vec<_> = held.into_iter().map(|held| held.release().expect("released")).collect();
    for one in &mut released {
        assert_eq!(one.outcome.wait(LIMIT).expect("read"), ExecOutcome::Running);
    }
    let after = cpu();
    let micros = |from: rustix::time::Timespec, to: rustix::time::Timespec| {
        (to.tv_sec - from.tv_sec) * 1_000_000 + (to.tv_nsec - from.tv_nsec) / 1000
    };
    println!(
        "100 spawns: {} us of CPU each to create, {} us in all; {:?} of time for all (ballast {})",
        micros(before, created) / 100,
        micros(before, after) / 100,
        wall.elapsed(),
        ballast[5 << 20]
    );
    for one in &released {
        assert_eq!(wait_for_status(one.pidfd.as_fd()), ExitStatus::Code(0));
    }
}
