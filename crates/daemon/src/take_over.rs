//! The keeper is dead: this daemon becomes the keeper.
//!
//! `execve` keeps the pid, and with it the children; so the apps that this daemon started stay children of the new keeper. Threads
//! end here as if killed, which the log thread's vault is made for. Clients whose connection breaks ask the next daemon.

use crate::keeper_link::KeeperLink;
use ostler_sys::inherit::{bequeath, withhold};
use ostler_sys::own_program;
use ostler_wire::keeper::{Key, TableEntry, encode_table};
use rustix::fs::{MemfdFlags, memfd_create};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The deposit that says that a keeper was killed once. Its children (workers of daemons that had died before it) fell to whoever
/// stands above it, and what they detach falls there too.
pub const FOSTERED_KEY: &str = "fostered";

/// Does it, leaving the count of daemons so far and the statuses known of processes that the dead keeper reaped. Returns only
/// with an error.
///
/// # Errors
/// If the table cannot be written or the program not executed; nothing has changed then.
pub fn become_keeper(link: &KeeperLink, generation: u32, reaped: &[(i32, i32)]) -> io::Result<Infallible> {
    let mut entries = link.entries();
    entries.push(note(ostler_keeper::GENERATION_KEY, generation.to_le_bytes().to_vec()));
    entries.push(note(ostler_keeper::REAPED_KEY, ostler_keeper::encode_reaped(reaped)));
    entries.retain(|entry| entry.key.as_str() != FOSTERED_KEY);
    entries.push(note(FOSTERED_KEY, Vec::new()));
    let table = table_file(&encode_table(&entries))?;
    let inherited = || link.descriptors().chain([table.as_fd()]);
    let error = match inherited().try_for_each(|descriptor| bequeath(descriptor).map(drop)) {
        Ok(()) => execute(table.as_raw_fd()),
        Err(error) => error,
    };
    // We go on as we are, and apps started from here are to inherit nothing.
    inherited().for_each(|descriptor| drop(withhold(descriptor)));
    Err(error)
}

fn note(key: &str, data: Vec<u8>) -> TableEntry {
    TableEntry {
        key: Key::new(key),
        data,
        descriptors: Vec::new(),
    }
}

fn execute(table: i32) -> io::Error {
    Command::new(own_program())
        .arg0("ostler")
        .arg("__keeper")
        .env(ostler_keeper::TABLE_VARIABLE, table.to_string())
        .env_remove(ostler_keeper::KEEPER_VARIABLE)
        .exec()
}

fn table_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"ostler-deposits", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}
