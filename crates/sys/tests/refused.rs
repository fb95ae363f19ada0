//! Kernels and containers that refuse the newer system calls: a filter (`seccomp(2)`) stands in for them.
#![allow(unsafe_code, reason = "only libc can install a filter")]

mod common;

use common::{Child, command, output, shell};
use ostler_sys::ExitStatus;
use std::os::fd::OwnedFd;

/// Lets these calls fail with this errno in this process and all it starts.
fn refuse(calls: &[libc::c_long], errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for call in calls {
        let number = u32::try_from(*call).expect("a small number");
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        program.push(libc::sock_filter {
            code,
            jt: 0,
            jf: 1,
            k: number,
        });
        program.push(statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | errno as u32,
        ));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter points to a valid program of the stated length, which the kernel copies.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
    };
    assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn without_close_range_no_descriptor_of_ours_is_open_in_the_program_either() {
    refuse(&[libc::SYS_close_range], libc::EPERM);
    let careless: Vec<OwnedFd> = (0..300)
        .map(|_| rustix::io::dup(std::io::stdout()).expect("dup"))
        .collect();
    let others: Vec<_> = (0..3)
        .map(|_| command(&["/bin/sleep", "60"]).hold().expect("held"))
        .collect();
    let child = Child::run(command(&["/bin/sleep", "60"]));
    let open = std::fs::read_dir(format!("/proc/{}/fd", child.pid))
        .expect("its descriptors")
        .count();
    assert_eq!(open, 3);
    drop((careless, others));
}

#[test]
fn without_clone3_a_process_still_gets_into_its_cgroup() {
    refuse(&[libc::SYS_clone3], libc::ENOSYS);
    let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(std::path::Path::new);
    let version_2 = hierarchies
        .into_iter()
        .find(|place| place.join("cgroup.procs").exists());
    let branch = version_2.and_then(|place| ostler_sys::cgroup::Branch::grow_at(place, "test-without-clone3"));
    let Some(branch) = branch else { return };
    let group = branch.group("7.1").expect("made");
    let mut command = shell("sleep 60");
    command.cgroup = Some(group.directory().expect("its directory"));
    let held = command.hold().expect("held");
    assert!(held.contained());
    assert_eq!(group.processes().expect("read"), [held.pid()]);
    drop(held);
    branch.remove().expect("empty again");
}

#[test]
fn with_all_of_them_refused_programs_run() {
    refuse(&[libc::SYS_clone3, libc::SYS_close_range], libc::ENOSYS);
    assert_eq!(output(shell("echo here")), ("here\n".to_owned(), ExitStatus::Code(0)));
}
