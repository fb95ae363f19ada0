//! What a child uses between `clone` and `execve`: its plan and its stack. The child may share our memory, so the
//! image is not moved, changed or freed before the child has left it (see [`super::Outcome`]).

use super::{Credentials, SpawnError};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ffi::{CString, c_char, c_void};
use std::os::fd::RawFd;
use std::ptr::null_mut;

const PAGE: usize = 65536; // The largest page size of our targets: the guard is at least one page everywhere.
const STACK: usize = 65536; // The child needs 2 kB in release and 6 kB in debug builds.

/// Everything a child uses.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) plan: Plan,
    pub(super) stack: Stack,
}

/// What the child does, read-only.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: CString,
    pub(super) argv: Strings,
    pub(super) envp: Strings,
    pub(super) cwd: CString,
    /// Source and target; no source is below `floor`, no target above or at it.
    pub(super) map: Vec<(RawFd, RawFd)>,
    /// Numbers below `floor` that are to be closed.
    pub(super) gaps: Vec<RawFd>,
    /// The first number that the program does not get.
    pub(super) floor: RawFd,
    /// The child's end of the link: gate and outcome. At or above `floor`.
    pub(super) link: RawFd,
    pub(super) credentials: Option<Credentials>,
    pub(super) new_session: bool,
    pub(super) nofile: Option<libc::rlimit64>,
    pub(super) umask: Option<u32>,
}

/// Strings as `execve(2)` wants them.
#[derive(Debug)]
pub(super) struct Strings {
    // Owns what the pointers point to.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers point into the heap memory of strings that move along with them and are never changed.
unsafe impl Send for Strings {}
// SAFETY: as above; nothing is mutated through a shared reference.
unsafe impl Sync for Strings {}

impl Strings {
    pub(super) fn new(strings: Vec<CString>) -> Self {
        let mut pointers = Vec::with_capacity(strings.len() + 1);
        pointers.extend(strings.iter().map(|string| string.as_ptr()));
        pointers.push(std::ptr::null());
        Self {
            _strings: strings,
            pointers,
        }
    }

    /// The array, ended by a null pointer.
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// A mapped stack with a guard below it.
#[derive(Debug)]
pub(super) struct Stack {
    base: *mut c_void,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Stack {}
// SAFETY: a shared reference gives out nothing but addresses.
unsafe impl Sync for Stack {}

impl Stack {
    pub(super) fn map() -> Result<Self, SpawnError> {
        let (access, flags) = (
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        );
        // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs nothing.
        let base =
            unsafe { mmap_anonymous(null_mut(), PAGE + STACK, access, flags) }.map_err(SpawnError::call("mmap"))?;
        let stack = Self { base };
        // SAFETY: the range lies in the mapping just made, which nobody uses yet.
        unsafe { mprotect(base, PAGE, MprotectFlags::empty()) }.map_err(SpawnError::call("mprotect"))?;
        Ok(stack)
    }

    /// The lowest usable address.
    pub(super) fn low(&self) -> usize {
        self.base.addr() + PAGE
    }

    /// Bytes from there to the top; both are multiples of 16.
    pub(super) fn size(&self) -> usize {
        STACK
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: maps what `map` mapped; by the invariant of Image no child runs on it any more. An error would
        // mean that the range was not mapped, which leaves nothing to do.
        let _ = unsafe { munmap(self.base, PAGE + STACK) };
    }
}
