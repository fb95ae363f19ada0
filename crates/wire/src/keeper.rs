//! What keeper and daemon say to each other over a `SOCK_SEQPACKET` pair: one message a packet, descriptors beside it.
//!
//! The daemon deposits copies of every vital descriptor under a key; the keeper hands all of them to the next daemon.
//! Layout of a packet: one byte of kind, then the fields in order; numbers are little-endian, keys carry a one-byte
//! length, data fills the rest of the packet.

use std::fmt;

/// The longest packet, bytes: a receive buffer of this size takes every message.
pub const MAX_PACKET: usize = 8 * 1024;

/// The most descriptors beside one packet.
pub const MAX_DESCRIPTORS: usize = 16;

/// The name of a deposit, e.g. `api` or `worker/3.1`; at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// A key from a name.
    ///
    /// # Panics
    /// If the name is longer than 255 bytes; our names are short by construction.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            name.len() <= usize::from(u8::MAX),
            "invariant: keys are short, this is not: {name}"
        );
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From the daemon to its keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToKeeper {
    /// Keep these descriptors and this data under the key, in place of what was there.
    Deposit {
        /// The name.
        key: Key,
        /// A few bytes that go with the descriptors.
        data: Vec<u8>,
    },
    /// Close what is under the key.
    Release {
        /// The name.
        key: Key,
    },
    /// The daemon is up and answers; whoever waits for it may be told.
    Ready,
    /// The daemon is about to end on purpose: do not start another, end too.
    Farewell {
        /// The exit code to end with, for whoever runs the keeper in the foreground.
        code: u8,
    },
}

/// From the keeper to its daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToDaemon {
    /// The first message.
    Hello {
        /// How many daemons there have been, this one included.
        generation: u32,
    },
    /// A deposit of an earlier daemon, handed over with its descriptors.
    Deposit {
        /// The name.
        key: Key,
        /// Its data.
        data: Vec<u8>,
    },
    /// A process that was the keeper's child has ended and was reaped.
    Reaped {
        /// Its process id.
        pid: i32,
        /// Its status as `wait(2)` gives it.
        status: i32,
    },
    /// The hand-over is complete.
    Go,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keeper protocol: {0}")]
pub struct Malformed(&'static str);

/// One deposit as it stands in a table: what a process that turns itself into the keeper leaves for itself across
/// `execve`, its descriptors by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// The name.
    pub key: Key,
    /// Its data.
    pub data: Vec<u8>,
    /// Its descriptors.
    pub descriptors: Vec<i32>,
}

/// A table as bytes: per entry the length of the rest, then the descriptors' count and numbers, then a deposit packet.
pub fn encode_table(entries: &[TableEntry]) -> Vec<u8> {
    let mut table = Vec::new();
    for entry in entries {
        let packet = deposit(&entry.key, &entry.data);
        let count = u32::try_from(entry.descriptors.len()).expect("invariant: a deposit has few descriptors");
        let numbers = entry.descriptors.iter().flat_map(|number| number.to_le_bytes());
        let body: Vec<u8> = count.to_le_bytes().into_iter().chain(numbers).chain(packet).collect();
        let length = u32::try_from(body.len()).expect("invariant: a deposit is small");
        table.extend_from_slice(&length.to_le_bytes());
        table.extend_from_slice(&body);
    }
    table
}

/// The table that bytes hold.
///
/// # Errors
/// If they are not what [`encode_table`] makes.
pub fn decode_table(mut bytes: &[u8]) -> Result<Vec<TableEntry>, Malformed> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_le_bytes(word(bytes, 0)?) as usize;
        let body = bytes.get(4..4 + length).ok_or(Malformed("table cut short"))?;
        bytes = &bytes[4 + length..];
        let count = u32::from_le_bytes(word(body, 0)?) as usize;
        let numbers = (1..=count).map(|index| Ok(i32::from_le_bytes(word(body, index * 4)?)));
        let descriptors = numbers.collect::<Result<Vec<i32>, Malformed>>()?;
        let ToKeeper::Deposit { key, data } = ToKeeper::decode(&body[4 + 4 * count..])? else {
            return Err(Malformed("a table holds deposits only"));
        };
        entries.push(TableEntry { key, data, descriptors });
    }
    Ok(entries)
}

const DEPOSIT: u8 = 1;
const RELEASE: u8 = 2;
const READY: u8 = 3;
const FAREWELL: u8 = 4;
const HELLO: u8 = 5;
const REAPED: u8 = 6;
const GO: u8 = 7;

impl ToKeeper {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Deposit { key, data } => deposit(key, data),
            Self::Release { key } => keyed(RELEASE, key),
            Self::Ready => vec![READY],
            Self::Farewell { code } => vec![FAREWELL, *code],
        }
    }

    /// From a packet.
    ///
    /// # Errors
    /// If the packet is not one that [`encode`](Self::encode) makes.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, rest) = packet.split_first().ok_or(Malformed("empty packet"))?;
        match *kind {
            DEPOSIT => split_key(rest).map(|(key, data)| Self::Deposit {
                key,
                data: data.to_vec(),
            }),
            RELEASE => split_key(rest).map(|(key, _)| Self::Release { key }),
            READY => Ok(Self::Ready),
            FAREWELL => Ok(Self::Farewell {
                code: rest.first().copied().unwrap_or(0),
            }),
            _ => Err(Malformed("unknown kind of message to the keeper")),
        }
    }
}

impl ToDaemon {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello { generation } => [&[HELLO][..], &generation.to_le_bytes()].concat(),
            Self::Deposit { key, data } => deposit(key, data),
            Self::Reaped { pid, status } => [&[REAPED][..], &pid.to_le_bytes(), &status.to_le_bytes()].concat(),
            Self::Go => vec![GO],
        }
    }

    /// From a packet.
    ///
    /// # Errors
    /// If the packet is not one that [`encode`](Self::encode) makes.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let (kind, rest) = packet.split_first().ok_or(Malformed("empty packet"))?;
        match *kind {
            HELLO => Ok(Self::Hello {
                generation: u32::from_le_bytes(word(rest, 0)?),
            }),
            DEPOSIT => split_key(rest).map(|(key, data)| Self::Deposit {
                key,
                data: data.to_vec(),
            }),
            REAPED => Ok(Self::Reaped {
                pid: i32::from_le_bytes(word(rest, 0)?),
                status: i32::from_le_bytes(word(rest, 4)?),
            }),
            GO => Ok(Self::Go),
            _ => Err(Malformed("unknown kind of message to the daemon")),
        }
    }
}

fn keyed(kind: u8, key: &Key) -> Vec<u8> {
    let name = key.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("invariant: Key::new bounds the length");
    [&[kind, length][..], name].concat()
}

fn deposit(key: &Key, data: &[u8]) -> Vec<u8> {
    let mut packet = keyed(DEPOSIT, key);
    packet.extend_from_slice(data);
    packet
}

fn split_key(bytes: &[u8]) -> Result<(Key, &[u8]), Malformed> {
    let (length, rest) = bytes.split_first().ok_or(Malformed("key missing"))?;
    let length = usize::from(*length);
    if rest.len() < length {
        return Err(Malformed("key cut short"));
    }
    let (name, data) = rest.split_at(length);
    let name = std::str::from_utf8(name).map_err(|_| Malformed("key is not UTF-8"))?;
    Ok((Key(name.to_owned()), data))
}

fn word(bytes: &[u8], at: usize) -> Result<[u8; 4], Malformed> {
    bytes
        .get(at..at + 4)
        .and_then(|slice| slice.try_into().ok())
        .ok_or(Malformed("number cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = Key> {
        "[a-z/.0-9]{0,255}".prop_map(Key::new)
    }

    proptest! {
        #[test]
        fn every_message_to_the_keeper_survives_the_wire(key in keys(), data in proptest::collection::vec(any::<u8>(), 0..999), code in any::<u8>()) {
            for message in [ToKeeper::Deposit { key: key.clone(), data }, ToKeeper::Release { key }, ToKeeper::Ready, ToKeeper::Farewell { code }] {
                prop_assert_eq!(ToKeeper::decode(&message.encode()), Ok(message));
            }
        }

        #[test]
        fn every_message_to_the_daemon_survives_the_wire(
            key in keys(), data in proptest::collection::vec(any::<u8>(), 0..999),
            generation in any::<u32>(), pid in any::<i32>(), status in any::<i32>(),
        ) {
            for message in [ToDaemon::Hello { generation }, ToDaemon::Deposit { key, data }, ToDaemon::Reaped { pid, status }, ToDaemon::Go] {
                prop_assert_eq!(ToDaemon::decode(&message.encode()), Ok(message));
            }
        }

        #[test]
        fn every_table_survives_the_exec(rows in proptest::collection::vec((keys(), proptest::collection::vec(any::<u8>(), 0..99), proptest::collection::vec(any::<i32>(), 0..9)), 0..9)) {
            let entries: Vec<TableEntry> = rows.into_iter().map(|(key, data, descriptors)| TableEntry { key, data, descriptors }).collect();
            prop_assert_eq!(decode_table(&encode_table(&entries)), Ok(entries));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = ToKeeper::decode(&bytes);
            let _ = ToDaemon::decode(&bytes);
            let _ = decode_table(&bytes);
        }
    }
}
