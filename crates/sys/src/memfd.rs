//! Memory with a descriptor: the state that the keeper holds for the next daemon.

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// Creates an empty file in memory, close-on-exec. The name only shows in `/proc/<pid>/fd`.
///
/// # Errors
/// `memfd_create(2)`: `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn create(name: &str) -> io::Result<File> {
    // Systems can demand that such files are not executable; kernels before 6.3 do not know the flag.
    let file = match memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, MemfdFlags::CLOEXEC),
        created => created,
    };
    Ok(file?.into())
}
