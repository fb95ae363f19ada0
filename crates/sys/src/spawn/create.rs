//! The parent's side of creating a process.

use super::child;
use super::image::{Image, OwnPid, Plan, Stack, Strings};
use super::{Command, Held, Outcome, Parts, SpawnError};
use crate::arch;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::from_ref;

/// The kernel's signal set: one bit a signal, all of them, also those that libc keeps for itself.
type SignalSet = u64;

pub(super) fn hold(command: Command) -> Result<Held, SpawnError> {
    let (link, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(SpawnError::call("socketpair"))?;
    let Command {
        program,
        argv,
        envp,
        pid_variable,
        cwd,
        descriptors,
        credentials,
        new_session,
        nofile,
        cgroup,
        umask,
    } = command;
    let numbers = Numbers::assign(descriptors, theirs)?;
    let own_pid = pid_variable.as_deref().map(OwnPid::new);
    let plan = Plan {
        program,
        argv: Strings::new(argv),
        envp: Strings::with(envp, own_pid.as_ref().map(OwnPid::as_ptr)),
        own_pid,
        cwd,
        map: numbers
            .map
            .iter()
            .map(|(source, target)| (source.as_raw_fd(), *target))
            .collect(),
        gaps: numbers.gaps,
        floor: numbers.floor,
        link: numbers.link.as_raw_fd(),
        credentials: credentials.filter(|wanted| !wanted.are_ours()),
        new_session,
        nofile: nofile.map(|(soft, hard)| libc::rlimit64 {
            rlim_cur: soft,
            rlim_max: hard,
        }),
        umask,
    };
    let image = Box::new(Image {
        plan,
        stack: Stack::get()?,
    });
    let (pid, pidfd, born_inside) = clone(&image, cgroup.as_ref())?;
    let contained = born_inside || cgroup.is_some_and(|directory| join(&directory, pid));
    let outcome = Outcome {
        link,
        image: Some(image),
        failure: None,
    };
    Ok(Held(Some(Parts {
        pid,
        pidfd,
        contained,
        outcome,
    })))
}

/// Which of our descriptors becomes which of the child's, prepared so that the child can `dup3` in any order:
/// sources lie at or above `floor`, targets below.
struct Numbers {
    map: Vec<(OwnedFd, RawFd)>,
    gaps: Vec<RawFd>,
    floor: RawFd,
    link: OwnedFd,
}

impl Numbers {
    fn assign(mut descriptors: Vec<(OwnedFd, RawFd)>, link: OwnedFd) -> Result<Self, SpawnError> {
        add_missing_standard(&mut descriptors)?;
        descriptors.sort_by_key(|(_, target)| *target);
        let mut gaps = Vec::new();
        let mut next = 0;
        for (_, target) in &descriptors {
            if *target < 0 {
                return Err(SpawnError::NoNumber(*target));
            }
            if *target < next {
                return Err(SpawnError::AssignedTwice(*target));
            }
            gaps.extend(next..*target);
            next = *target + 1;
        }
        let floor = next;
        let raise = |fd: OwnedFd| raise_to(fd, floor);
        let map = descriptors
            .into_iter()
            .map(|(fd, target)| Ok((raise(fd)?, target)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            map,
            gaps,
            floor,
            link: raise(link)?,
        })
    }
}

fn raise_to(fd: OwnedFd, floor: RawFd) -> Result<OwnedFd, SpawnError> {
    if fd.as_raw_fd() >= floor {
        return Ok(fd);
    }
    fcntl_dupfd_cloexec(&fd, floor).map_err(SpawnError::call("fcntl(F_DUPFD_CLOEXEC)"))
}

fn add_missing_standard(descriptors: &mut Vec<(OwnedFd, RawFd)>) -> Result<(), SpawnError> {
    use rustix::fs::{Mode, OFlags, open};
    for number in 0..3 {
        if !descriptors.iter().any(|(_, target)| *target == number) {
            let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .map_err(SpawnError::call("open /dev/null"))?;
            descriptors.push((null, number));
        }
    }
    Ok(())
}

/// Makes the process: by `clone3` into its cgroup if one is given, by the older `clone` where that is refused
/// (seccomp filters, kernels before 5.7, a cgroup that does not take processes). The last value tells whether it
/// was born in its cgroup.
fn clone(image: &Image, cgroup: Option<&OwnedFd>) -> Result<(Pid, OwnedFd, bool), SpawnError> {
    let masked = AllSignalsBlocked::new();
    let inside = cgroup.and_then(|directory| clone_into(image, directory).ok());
    let contained = inside.is_some();
    let made = inside.map_or_else(|| clone_plain(image), Ok);
    drop(masked);
    let (pid, pidfd) = made.map_err(SpawnError::call("clone"))?;
    let pid = Pid::from_raw(pid).expect("invariant: clone gives the parent a positive pid");
    // SAFETY: CLONE_PIDFD has just stored a new descriptor there, which nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }, contained))
}

/// Memory is shared, which makes a `clone` cheap, but not across a change of user: for a moment the other user's
/// process would hold our memory.
fn sharing(image: &Image) -> usize {
    let shared = if image.plan.credentials.is_some() {
        0
    } else {
        libc::CLONE_VM
    };
    (shared | libc::CLONE_PIDFD) as usize
}

fn clone_plain(image: &Image) -> Result<(i32, RawFd), Errno> {
    let mut pidfd: RawFd = -1;
    let flags = sharing(image) | libc::SIGCHLD as usize;
    let top = image.stack.low() + image.stack.size();
    let args = [flags, top, (&raw mut pidfd).expose_provenance(), 0, 0];
    // SAFETY: the stack is mapped and its top aligned; the image outlives the child's use of it (see Outcome); the
    // kernel writes the pidfd to a place that lives until the call returns.
    let pid = unsafe { arch::clone_onto_stack(libc::SYS_clone, args, child::run, from_ref(&image.plan).cast()) };
    positive(pid).map(|pid| (pid, pidfd))
}

fn clone_into(image: &Image, cgroup: &OwnedFd) -> Result<(i32, RawFd), Errno> {
    let mut pidfd: RawFd = -1;
    let request = libc::clone_args {
        flags: sharing(image) as u64 | CLONE_INTO_CGROUP,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: image.stack.low() as u64,
        stack_size: image.stack.size() as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.as_raw_fd() as u64,
    };
    let args = [
        (&raw const request).expose_provenance(),
        size_of::<libc::clone_args>(),
        0,
        0,
        0,
    ];
    // SAFETY: as in clone_plain; `request` lives until the call returns.
    let pid = unsafe { arch::clone_onto_stack(libc::SYS_clone3, args, child::run, from_ref(&image.plan).cast()) };
    positive(pid).map(|pid| (pid, pidfd))
}

/// `linux/sched.h`; libc's constant is too narrow for its value.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn positive(result: isize) -> Result<i32, Errno> {
    match i32::try_from(result) {
        Ok(pid) if pid > 0 => Ok(pid),
        Ok(error) => Err(Errno::from_raw_os_error(error.wrapping_neg())),
        Err(_) => Err(Errno::RANGE),
    }
}

/// Moves a held process into a cgroup the older way.
fn join(directory: &OwnedFd, pid: Pid) -> bool {
    use rustix::fs::{Mode, OFlags, openat};
    openat(
        directory,
        c"cgroup.procs",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .is_ok_and(|procs| write!(std::fs::File::from(procs), "{pid}").is_ok())
}

impl super::Credentials {
    /// Whether there is nothing to change, so that a user without privileges can name himself.
    fn are_ours(&self) -> bool {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        !uid.is_root() && self.uid == uid.as_raw() && self.gid == gid.as_raw()
    }
}

/// While it lives, this thread takes no signal, and a child made meanwhile starts with all of them blocked: no
/// handler of ours ever runs in a child.
struct AllSignalsBlocked {
    before: SignalSet,
}

impl AllSignalsBlocked {
    fn new() -> Self {
        let all = SignalSet::MAX;
        let mut before: SignalSet = 0;
        set_mask(&raw const all, &raw mut before);
        Self { before }
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        set_mask(&raw const self.before, std::ptr::null_mut());
    }
}

fn set_mask(new: *const SignalSet, old: *mut SignalSet) {
    let args = [
        libc::SIG_SETMASK as usize,
        new.expose_provenance(),
        old.expose_provenance(),
        size_of::<SignalSet>(),
        0,
    ];
    // SAFETY: both pointers come from live variables of the caller or are null, as rt_sigprocmask(2) allows. With
    // valid pointers and size the call cannot fail.
    unsafe { arch::syscall(libc::SYS_rt_sigprocmask, args) };
}
