//! The operating system, as far as Ostler needs it: processes and their trees, descriptors, cgroups, `/proc`,
//! sockets, clocks.
//!
//! Called by the keeper, the daemon and the command line. Knowledge of kernel versions ends here: callers see one behaviour, and
//! where a newer kernel does better they get it without asking. Linux 5.4 is the oldest that is meant to work.
//!
//! This is the only crate with unsafe code. Whatever can be done through `rustix` is done through it; what is
//! left (starting processes, `ioctl`s and lookups that only libc has) is unsafe by nature, and each block says
//! why it is sound.
#![allow(unsafe_code)]

mod arch;
pub mod cgroup;
pub mod channel;
pub mod clock;
pub mod connections;
pub mod fdpass;
pub mod inherit;
pub mod limits;
pub mod lock;
pub mod memfd;
mod own_program;
pub mod peer;
pub mod pidfd;
pub mod pipes;
pub mod poll;
pub mod proc;
pub mod reap;
pub mod residency;
pub mod resolve;
pub mod reuseport;
pub mod scheduling;
pub mod service;
pub mod sever;
pub mod signals;
mod sock_diag;
pub mod socket;
pub mod spawn;
mod status;
pub mod tie;
pub mod users;

pub use own_program::own_program;
pub use rustix::process::Pid;
pub use status::ExitStatus;
