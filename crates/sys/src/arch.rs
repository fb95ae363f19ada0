//! System calls without libc, for the moments in which libc must not run.
//!
//! Called by [`crate::spawn`]: between `clone` and `execve` the child may share its parent's memory, thread-local
//! storage included, so not even `errno` may be written there. Nothing here touches anything but registers.
//! Numbers come from `libc::SYS_*`; a result in `-4095..0` is a negated errno (`syscall(2)`, `intro(2)`).

use std::arch::asm;
use std::ffi::c_void;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("Ostler starts processes with code written for x86_64 and aarch64; this target needs its own arch.rs");

/// What a cloned child runs, on a stack of its own. It never returns.
pub(crate) type Entry = unsafe extern "C" fn(*const c_void) -> !;

/// Makes one system call.
///
/// # Safety
/// As the system call itself demands: pointers in `args` must be valid for what the kernel does with them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, args: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers only rax, rcx and r11; the caller vouches for the arguments.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") args[4],
            in("r9") 0_usize,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes one system call.
///
/// # Safety
/// As the system call itself demands: pointers in `args` must be valid for what the kernel does with them.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: libc::c_long, args: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers only x0; the caller vouches for the arguments.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") 0_usize,
            options(nostack),
        );
    }
    result
}

/// Makes a `clone` or `clone3` whose arguments give the child a stack of its own; the child runs
/// `entry(context)` there. Returns in the parent only: the child's pid or a negated errno.
///
/// # Safety
/// The stack given in the arguments must be mapped, writable, its top aligned to 16 bytes, and both it and
/// `context` must stay valid for as long as the child can use them.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(crate) unsafe fn clone_onto_stack(
    number: libc::c_long,
    args: [usize; 5],
    entry: Entry,
    context: *const c_void,
) -> isize {
    let result: isize;
    // SAFETY: in the parent this is a system call like any other. The child starts after `syscall` with the
    // parent's registers but its own stack, uses nothing of the old frame, and never leaves `entry`.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") args[4],
            in("r12") entry, in("r13") context,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// Makes a `clone` or `clone3` whose arguments give the child a stack of its own; the child runs
/// `entry(context)` there. Returns in the parent only: the child's pid or a negated errno.
///
/// # Safety
/// The stack given in the arguments must be mapped, writable, its top aligned to 16 bytes, and both it and
/// `context` must stay valid for as long as the child can use them.
#[cfg(target_arch = "aarch64")]
#[inline(never)]
pub(crate) unsafe fn clone_onto_stack(
    number: libc::c_long,
    args: [usize; 5],
    entry: Entry,
    context: *const c_void,
) -> isize {
    let result: isize;
    // SAFETY: in the parent this is a system call like any other. The child starts after `svc` with the
    // parent's registers but its own stack, uses nothing of the old frame, and never leaves `entry`.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x22",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4],
            in("x21") entry, in("x22") context,
            lateout("x30") _,
        );
    }
    result
}
