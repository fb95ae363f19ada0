//! The keeper is dead: this daemon becomes the keeper.
//!
//! `execve` keeps the pid, and with it the children; so the apps that this daemon started stay children of the new keeper. Threads
//! end here as if killed, which the log thread's vault is made for. Clients whose connection breaks ask the next daemon.

use crate::keeper_link::KeeperLink;
use ostler_sys::inherit::bequeath;
use rustix::fs::{MemfdFlags, memfd_create};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Does it. Returns only with an error.
///
/// # Errors
/// If the table cannot be written or the program not executed; nothing has changed then.
pub fn become_keeper(link: &KeeperLink, generation: u32) -> io::Result<Infallible> {
    let table = table_file(&link.table(generation))?;
    for descriptor in link.descriptors() {
        bequeath(descriptor)?;
    }
    let number = bequeath(&table)?;
    let error = Command::new(own_program())
        .arg0("ostler")
        .arg("__keeper")
        .env(ostler_keeper::TABLE_VARIABLE, number.to_string())
        .env_remove(ostler_keeper::KEEPER_VARIABLE)
        .exec();
    Err(error)
}

fn table_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"ostler-deposits", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// By path, so that the program's name stays `ostler` in process lists; by descriptor if the path is gone.
fn own_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    std::fs::read_link(&link)
        .ok()
        .filter(|path| path.exists())
        .unwrap_or(link)
}
