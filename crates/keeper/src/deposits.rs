//! What is kept: descriptors and a few bytes, by key.

use ostler_sys::inherit::adopt;
use ostler_wire::keeper::{Key, TableEntry, ToDaemon, decode_table};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;

/// The row of the table in which a daemon that becomes keeper leaves the count of daemons so far.
pub const GENERATION_KEY: &str = "generation";
/// The row in which it leaves the statuses of processes that were reaped: see [`encode_reaped`].
pub const REAPED_KEY: &str = "reaped";

/// Process ids and what `wait(2)` said of them, as bytes: two little-endian numbers each.
pub fn encode_reaped(reaped: &[(i32, i32)]) -> Vec<u8> {
    let numbers = reaped.iter().flat_map(|(pid, status)| [*pid, *status]);
    numbers.flat_map(i32::to_le_bytes).collect()
}

fn decode_reaped(bytes: &[u8]) -> Vec<(i32, i32)> {
    let pairs = bytes.chunks_exact(8).map(|pair| pair.split_at(4));
    let number = |bytes: &[u8]| Some(i32::from_le_bytes(bytes.try_into().ok()?));
    pairs
        .filter_map(|(pid, status)| Some((number(pid)?, number(status)?)))
        .collect()
}

/// The deposits.
#[derive(Debug, Default)]
pub struct Deposits {
    kept: BTreeMap<String, (Vec<u8>, Vec<OwnedFd>)>,
}

impl Deposits {
    /// What a daemon that became this keeper left; empty for a fresh keeper.
    pub fn from_environment(variable: &str) -> io::Result<Self> {
        let Some(table) = inherited(variable) else {
            return Ok(Self::default());
        };
        let mut table = File::from(table);
        let mut bytes = Vec::new();
        table.rewind()?;
        table.read_to_end(&mut bytes)?;
        let entries = decode_table(&bytes).map_err(io::Error::other)?;
        let mut deposits = Self::default();
        for TableEntry { key, data, descriptors } in entries {
            let owned = descriptors
                .into_iter()
                .map(adopt)
                .collect::<io::Result<Vec<OwnedFd>>>()?;
            deposits.insert(key.as_str(), data, owned);
        }
        Ok(deposits)
    }

    /// How many daemons there were before this keeper.
    pub fn generation(&mut self) -> u32 {
        let data = self.kept.remove(GENERATION_KEY).map(|(data, _)| data);
        data.and_then(|data| Some(u32::from_le_bytes(data.try_into().ok()?)))
            .unwrap_or(0)
    }

    /// What the daemon that became this keeper knew of processes that were reaped.
    pub fn reaped(&mut self) -> Vec<(i32, i32)> {
        let data = self.kept.remove(REAPED_KEY).map(|(data, _)| data);
        data.map(|data| decode_reaped(&data)).unwrap_or_default()
    }

    /// Whether there is something under the key.
    pub fn contains(&self, key: &str) -> bool {
        self.kept.contains_key(key)
    }

    /// Keeps something, in place of what was there.
    pub fn insert(&mut self, key: &str, data: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.kept.insert(key.to_owned(), (data, descriptors));
    }

    /// Closes what is under the key.
    pub fn remove(&mut self, key: &str) {
        self.kept.remove(key);
    }

    /// Everything, as messages for a new daemon.
    pub fn messages(&self) -> impl Iterator<Item = (ToDaemon, &[OwnedFd])> {
        self.kept.iter().map(|(key, (data, descriptors))| {
            let message = ToDaemon::Deposit {
                key: Key::new(key.clone()),
                data: data.clone(),
            };
            (message, descriptors.as_slice())
        })
    }
}

/// The descriptor whose number an environment variable holds, if it is there and open.
pub fn inherited(variable: &str) -> Option<OwnedFd> {
    let number = std::env::var(variable).ok()?.parse::<i32>().ok()?;
    adopt(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive_the_exec() {
        let reaped = [(1, 0), (i32::MAX, 9), (77, 256)];
        assert_eq!(decode_reaped(&encode_reaped(&reaped)), reaped);
    }
}
