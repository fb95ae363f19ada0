//! The child's side: everything between `clone` and `execve`.
//!
//! This code runs in a process that may share all memory with its parent, on a stack of its own but with the parent's
//! thread-local storage. So: raw system calls only, no libc, no allocation, no panic (hence no indexing and no
//! arithmetic that can overflow), and nothing of the parent's is written but [`super::image::OwnPid`], which is the child's.

use super::error::{ExecError, Stage};
use super::image::Plan;
use crate::arch::syscall;
use libc::c_long;
use std::ffi::c_void;
use std::os::fd::RawFd;

/// The exit code of a child that could not run its program, as shells have it.
const COULD_NOT_RUN: usize = 127;

/// The entry point of a child.
///
/// # Safety
/// `context` points to a [`Plan`] that stays valid and unchanged until this process execs or exits.
pub(super) unsafe extern "C" fn run(context: *const c_void) -> ! {
    // SAFETY: promised by the caller.
    let plan = unsafe { &*context.cast::<Plan>() };
    if let Err(error) = prepare(plan) {
        report(plan, error);
    } else if gate_opens(plan.link) {
        report(plan, exec(plan));
    }
    exit()
}

fn prepare(plan: &Plan) -> Result<(), ExecError> {
    if let Some(own_pid) = &plan.own_pid {
        // SAFETY: takes nothing, cannot fail. Not libc's, which may remember the parent's.
        own_pid.write(unsafe { syscall(libc::SYS_getpid, [0; 5]) } as u32);
    }
    map_descriptors(plan)?;
    close_the_rest(plan);
    reset_signals();
    if plan.new_session {
        call(Stage::Session, libc::SYS_setsid, [0; 5])?;
    }
    if let Some(limit) = &plan.nofile {
        let args = [0, libc::RLIMIT_NOFILE as usize, address(limit), 0, 0];
        call(Stage::OpenFiles, libc::SYS_prlimit64, args)?;
    }
    become_user(plan)?;
    if let Some(mask) = plan.umask {
        // SAFETY: takes a number, cannot fail.
        unsafe { syscall(libc::SYS_umask, [mask as usize, 0, 0, 0, 0]) };
    }
    call(
        Stage::Directory,
        libc::SYS_chdir,
        [plan.cwd.as_ptr().expose_provenance(), 0, 0, 0, 0],
    )
}

fn map_descriptors(plan: &Plan) -> Result<(), ExecError> {
    for (source, target) in &plan.map {
        call(
            Stage::Descriptors,
            libc::SYS_dup3,
            [number(*source), number(*target), 0, 0, 0],
        )?;
    }
    Ok(())
}

fn close_the_rest(plan: &Plan) {
    for gap in &plan.gaps {
        close(*gap);
    }
    let last = u32::MAX as usize;
    if plan.link > plan.floor {
        close_range(plan, number(plan.floor), number(plan.link.wrapping_sub(1)));
    }
    close_range(plan, number(plan.link.wrapping_add(1)), last);
}

/// Closes descriptors `first` to `last`. Kernels before 5.9 and some seccomp filters do not have it.
fn close_range(plan: &Plan, first: usize, last: usize) {
    // SAFETY: closes descriptors of this process only, which has a table of its own.
    if unsafe { syscall(libc::SYS_close_range, [first, last, 0, 0, 0]) } < 0 {
        close_as_listed(plan);
    }
}

/// Closes what the kernel lists as open at or above the floor, but for the link. Without `/proc` only the
/// close-on-exec flags are left, which all descriptors of ours have. The listing goes by number, so closing while
/// reading it skips nothing.
fn close_as_listed(plan: &Plan) {
    let path = c"/proc/self/fd".as_ptr().expose_provenance();
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: opens a constant path.
    let listing = unsafe { syscall(libc::SYS_openat, [number(libc::AT_FDCWD), path, flags as usize, 0, 0]) };
    let Ok(listing) = RawFd::try_from(listing) else { return };
    if listing < 0 {
        return;
    }
    let mut entries = [0_u8; 2048];
    loop {
        let args = [
            number(listing),
            entries.as_mut_ptr().expose_provenance(),
            entries.len(),
            0,
            0,
        ];
        // SAFETY: the kernel writes at most that many bytes into our own frame.
        let length = unsafe { syscall(libc::SYS_getdents64, args) };
        let Some(filled) = usize::try_from(length)
            .ok()
            .filter(|length| *length > 0)
            .and_then(|n| entries.get(..n))
        else {
            break;
        };
        close_entries(plan, filled, listing);
    }
    close(listing);
}

/// Closes the descriptors named in a buffer of `struct linux_dirent64` (`getdents64(2)`).
fn close_entries(plan: &Plan, mut entries: &[u8], listing: RawFd) {
    const LENGTH: usize = 16; // d_ino and d_off come before d_reclen,
    const NAME: usize = 19; // and d_reclen and d_type before d_name.
    while let Some([low, high]) = entries.get(LENGTH..LENGTH + 2) {
        let length = usize::from(u16::from_ne_bytes([*low, *high]));
        let Some(name) = entries.get(NAME..length) else { return };
        match parse(name) {
            Some(fd) if fd >= plan.floor && fd != plan.link && fd != listing => close(fd),
            Some(_) | None => {}
        }
        entries = entries.get(length..).unwrap_or_default();
    }
}

fn parse(name: &[u8]) -> Option<RawFd> {
    let mut fd: RawFd = -1;
    for byte in name {
        let digit = match byte {
            b'0'..=b'9' => RawFd::from(byte.wrapping_sub(b'0')),
            _ => break,
        };
        fd = fd.max(0).wrapping_mul(10).wrapping_add(digit);
    }
    (fd >= 0).then_some(fd)
}

fn close(fd: RawFd) {
    // SAFETY: the table of descriptors is this process's own.
    unsafe { syscall(libc::SYS_close, [number(fd), 0, 0, 0, 0]) };
}

/// Default dispositions for all signals, then none blocked. `execve` alone would keep what is ignored, and Rust
/// programs ignore SIGPIPE. In this order, so that no handler of the parent's can run here.
fn reset_signals() {
    // The kernel's struct sigaction is all zeros for SIG_DFL without flags; 64 bytes hold it on every target.
    let default = [0_u64; 8];
    let set_size = 8;
    for signal in 1..=64 {
        // SAFETY: changes this process's own table; SIGKILL and SIGSTOP are refused, which is right.
        unsafe { syscall(libc::SYS_rt_sigaction, [signal, address(&default), 0, set_size, 0]) };
    }
    let none = 0_u64;
    // SAFETY: the set lives in our frame.
    unsafe {
        syscall(
            libc::SYS_rt_sigprocmask,
            [libc::SIG_SETMASK as usize, address(&none), 0, set_size, 0],
        )
    };
}

fn become_user(plan: &Plan) -> Result<(), ExecError> {
    let Some(user) = &plan.credentials else { return Ok(()) };
    let (uid, gid) = (user.uid as usize, user.gid as usize);
    let groups = [user.groups.len(), user.groups.as_ptr().expose_provenance(), 0, 0, 0];
    call(Stage::Groups, libc::SYS_setgroups, groups)?;
    call(Stage::Group, libc::SYS_setresgid, [gid, gid, gid, 0, 0])?;
    call(Stage::User, libc::SYS_setresuid, [uid, uid, uid, 0, 0])
}

/// Waits for the go byte. The end of the stream means that whoever held this process is gone.
fn gate_opens(link: RawFd) -> bool {
    let mut go = 0_u8;
    loop {
        // SAFETY: reads one byte into our own frame.
        match unsafe {
            syscall(
                libc::SYS_read,
                [number(link), (&raw mut go).expose_provenance(), 1, 0, 0],
            )
        } {
            1 => return true,
            interrupted if interrupted == -(libc::EINTR as isize) => {}
            _ => return false,
        }
    }
}

fn exec(plan: &Plan) -> ExecError {
    let program = plan.program.as_ptr().expose_provenance();
    let (argv, envp) = (
        plan.argv.as_ptr().expose_provenance(),
        plan.envp.as_ptr().expose_provenance(),
    );
    // SAFETY: null-terminated strings and arrays that the image keeps alive.
    let result = unsafe { syscall(libc::SYS_execve, [program, argv, envp, 0, 0]) };
    failed(Stage::Exec, result)
}

fn report(plan: &Plan, error: ExecError) {
    let message = error.encode();
    let args = [
        number(plan.link),
        address(&message),
        message.len(),
        libc::MSG_NOSIGNAL as usize,
        0,
    ];
    // SAFETY: sends bytes of our own frame. If nobody listens any more there is nobody to tell.
    unsafe { syscall(libc::SYS_sendto, args) };
}

fn exit() -> ! {
    loop {
        // SAFETY: ends this process; the loop only tells the compiler that it does.
        unsafe { syscall(libc::SYS_exit_group, [COULD_NOT_RUN, 0, 0, 0, 0]) };
    }
}

fn call(stage: Stage, system_call: c_long, args: [usize; 5]) -> Result<(), ExecError> {
    // SAFETY: every caller above passes numbers and pointers into the plan or its own frame, as the call wants.
    match unsafe { syscall(system_call, args) } {
        result if result < 0 => Err(failed(stage, result)),
        _ => Ok(()),
    }
}

fn failed(stage: Stage, result: isize) -> ExecError {
    ExecError {
        stage,
        errno: result.wrapping_neg() as i32,
    }
}

fn number(fd: RawFd) -> usize {
    fd as usize
}

fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).expose_provenance()
}
