//! What a child uses between `clone` and `execve`: its plan and its stack. The child may share our memory, so the
//! image is not moved, changed or freed before the child has left it (see [`super::Outcome`]).

use super::{Credentials, SpawnError};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::RawFd;
use std::ptr::null_mut;
use std::sync::Mutex;

const PAGE: usize = 65536; // The largest page size of our targets: the guard is at least one page everywhere.
const STACK: usize = 65536; // The child needs 2 kB in release and 6 kB in debug builds.

/// Everything a child uses.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) plan: Plan,
    pub(super) stack: Stack,
}

/// What the child does. It changes nothing of it but the digits of its own id.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: CString,
    pub(super) argv: Strings,
    pub(super) envp: Strings,
    /// The entry of `envp` that the child completes.
    pub(super) own_pid: Option<OwnPid>,
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
        Self::with(strings, None)
    }

    /// With one more at the end, which lives at least as long.
    pub(super) fn with(strings: Vec<CString>, last: Option<*const c_char>) -> Self {
        let mut pointers = Vec::with_capacity(strings.len() + 2);
        pointers.extend(strings.iter().map(|string| string.as_ptr()));
        pointers.extend(last);
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

/// The most digits a process id has (`PID_MAX_LIMIT` is 2^22; a `pid_t` has ten).
const DIGITS: usize = 10;

/// `NAME=` with room for a number behind it, and zeros up to its end.
#[derive(Debug)]
pub(super) struct OwnPid {
    text: Box<[UnsafeCell<u8>]>,
    name: usize,
}

// SAFETY: heap memory that moves along with its owner. It is changed by the child alone, which either has a copy of its own or
// is the only one to touch it: we read it never, and free it when the child has left our memory (see Image).
unsafe impl Send for OwnPid {}
// SAFETY: as above.
unsafe impl Sync for OwnPid {}

impl OwnPid {
    pub(super) fn new(name: &CStr) -> Self {
        let bytes = name.to_bytes().iter().copied().chain([b'=']);
        let text: Vec<u8> = bytes.chain([0; DIGITS + 1]).collect();
        Self {
            name: text.len() - DIGITS - 1,
            text: text.into_iter().map(UnsafeCell::new).collect(),
        }
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.text.as_ptr().cast()
    }

    /// Puts the number behind the name. For the child alone: no allocation, no panic.
    pub(super) fn write(&self, pid: u32) {
        let mut digits = [0_u8; DIGITS];
        let mut rest = pid;
        let mut length = 0;
        for digit in &mut digits {
            *digit = (rest % 10) as u8 + b'0';
            rest /= 10;
            length += 1;
            if rest == 0 {
                break;
            }
        }
        let places = self.text.iter().skip(self.name);
        for (place, digit) in places.zip(digits.iter().take(length).rev()) {
            // SAFETY: the place is in the buffer, and nobody else reads or writes it now.
            unsafe { place.get().write(*digit) };
        }
    }
}

/// Stacks that no child runs on any more, for the next ones: whoever starts a hundred programs would map and unmap as many.
static SPARE: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());
/// How many of them: as many as there may be children that have not come to run their program yet, on a busy machine.
const SPARES: usize = 16;

/// Unmaps the stacks that are kept for the next children. For who rests.
pub(super) fn let_go_of_stacks() {
    let spare = SPARE.lock().map(|mut spare| std::mem::take(&mut *spare));
    drop(spare);
}

/// The stack of a child.
#[derive(Debug)]
pub(super) struct Stack(Option<Mapping>);

impl Stack {
    /// One that was used before, or a new one.
    pub(super) fn get() -> Result<Self, SpawnError> {
        let spare = SPARE.lock().ok().and_then(|mut spare| spare.pop());
        Ok(Self(Some(spare.map_or_else(Mapping::new, Ok)?)))
    }

    /// The lowest usable address.
    pub(super) fn low(&self) -> usize {
        let mapping = self.0.as_ref().expect("invariant: emptied only by drop");
        mapping.base.addr() + PAGE
    }

    /// Bytes from there to the top; both are multiples of 16.
    pub(super) fn size(&self) -> usize {
        STACK
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // By the invariant of Image no child runs on it any more.
        if let (Some(mapping), Ok(mut spare)) = (self.0.take(), SPARE.lock())
            && spare.len() < SPARES
        {
            spare.push(mapping);
        }
    }
}

/// A mapped stack with a guard below it.
#[derive(Debug)]
struct Mapping {
    base: *mut c_void,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference gives out nothing but addresses.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new() -> Result<Self, SpawnError> {
        let (access, flags) = (
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        );
        // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs nothing.
        let base =
            unsafe { mmap_anonymous(null_mut(), PAGE + STACK, access, flags) }.map_err(SpawnError::call("mmap"))?;
        let mapping = Self { base };
        // SAFETY: the range lies in the mapping just made, which nobody uses yet.
        unsafe { mprotect(base, PAGE, MprotectFlags::empty()) }.map_err(SpawnError::call("mprotect"))?;
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped, which nobody uses any more: a stack gives it back when its child has left it. An error
        // would mean that the range was not mapped, which leaves nothing to do.
        let _ = unsafe { munmap(self.base, PAGE + STACK) };
    }
}
