//! What a worker says to its primary (Node: `lib/internal/cluster/child.js`, `lib/internal/child_process.js`,
//! `lib/internal/socket_list.js`).
//!
//! A frame is read once into borrowed members, without a tree of values; only what is the app's own becomes one. Any bytes
//! make a message: what cannot be read is [`FromWorker::Garbage`].

use serde::Deserialize;
use serde::de::DeserializeSeed as _;
use serde_json::Value;

use super::advanced::{self, Reader};
use super::bounded::Budget;
use super::framing::BUN_MARK;
use super::inspector::FromInspector;
use super::report::Report;
use super::scalar::Scalar;
use super::{CLUSTER, Dialect, Frame, OURS};

/// A message from a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// The first message, before the app's code runs.
    Online,
    /// A `listen()` or `bind()` that waits for an answer; without one it hangs for ever.
    QueryServer {
        /// The number to answer to.
        seq: u64,
        /// What it asks for.
        query: Query,
    },
    /// A server listens. Its port is the real one.
    Listening(Query),
    /// A server was closed.
    Close {
        /// The name that the primary gave its listener.
        key: String,
    },
    /// The worker is about to leave of its own accord and waits for an ack.
    ExitedAfterDisconnect {
        /// The number to answer to.
        seq: u64,
    },
    /// What became of a connection.
    Accepted {
        /// The number of the message that brought it.
        ack: u64,
        /// Whether it was taken. If not, the worker has closed its copy unread.
        accepted: bool,
    },
    /// A descriptor of ours has arrived. They arrive in order.
    HandleAck,
    /// A message of ours should have brought a descriptor and did not.
    HandleNack,
    /// A message with a descriptor of the worker's, which sends nothing more until it gets a `HandleAck`.
    Handle {
        /// The app's message beside it; `null` if it cannot be read.
        message: Value,
    },
    /// A question about sockets that the worker has sent; `server.close()` waits for the answer.
    Sockets(SocketQuestion),
    /// From our preload.
    Ostler(FromPreload),
    /// What our preload has measured.
    Report(Box<Report>),
    /// What our preload says of a profile or of its inspector.
    Inspected(Box<FromInspector>),
    /// `process.send('ready')`.
    Ready,
    /// Any other message of the app's.
    User(Value),
    /// Housekeeping that no primary has to answer.
    OtherInternal,
    /// Bytes that are no message, or more than is taken; their length.
    Garbage(usize),
}

/// What our preload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FromPreload {
    /// It finishes with its connections; so many are open.
    Draining {
        /// How many.
        connections: u32,
    },
    /// No connection of its servers is open any more.
    Drained,
    /// Its event loop turns: it was asked.
    Beat,
}

/// A question about sockets that were sent to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketQuestion {
    /// What is asked.
    pub asked: SocketsAsked,
    /// Which of its servers they came from.
    pub key: String,
    /// Deno numbers its questions and waits for the number.
    pub id: Option<i64>,
}

/// What a worker wants to know about sockets that it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketsAsked {
    /// To be told when all are closed (`NODE_SOCKET_NOTIFY_CLOSE`).
    AllClosed,
    /// How many are open (`NODE_SOCKET_GET_COUNT`).
    Count,
}

/// What a server listens on, or is to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Tells servers of one worker apart that ask for the same: the n-th `listen(0)`. Bun's `http` does not say it.
    pub index: u64,
    /// To be given to every worker that asks for the same; TLS keeps the keys of its tickets there.
    pub data: Value,
    /// An address as text, the absolute path of a unix socket, or nothing: every address.
    pub address: Option<String>,
    /// 0 for any; -1 for a path; nothing for a descriptor.
    pub port: Option<i32>,
    /// The kind of address; nothing for a descriptor.
    pub address_type: Option<AddressType>,
    /// `listen({fd})`: a number of the *primary's*; -1 is none, as UDP has it.
    pub fd: Option<i32>,
    /// TCP: 1 is IPv6 only (2 in Deno). UDP: 1 is IPv6 only, 4 is `SO_REUSEADDR`, 8 is `SO_REUSEPORT`.
    pub flags: Option<u32>,
    /// As asked; 0 or nothing leaves it to the primary (Node: 511).
    pub backlog: Option<i32>,
    /// Whether everybody may read from the socket at a path.
    pub readable_all: bool,
    /// Whether everybody may write to the socket at a path.
    pub writable_all: bool,
    /// Bun's TLS servers: only a shared listener will do.
    pub shared_only: bool,
}

/// The kinds of addresses, as the wire has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressType {
    /// `4`; with no address it means both families.
    V4,
    /// `6`.
    V6,
    /// `-1`: a path.
    Unix,
    /// `"udp4"`.
    Udp4,
    /// `"udp6"`.
    Udp6,
}

/// The message that a frame is; nothing for an empty line.
pub fn parse(dialect: Dialect, frame: Frame<'_>) -> Option<FromWorker> {
    let payload = match frame {
        Frame::Skipped(length) => return Some(FromWorker::Garbage(length)),
        Frame::Whole(payload) => payload,
    };
    let message = match dialect {
        Dialect::Json | Dialect::Bun if payload.is_empty() => return None,
        Dialect::Json | Dialect::Bun => line(payload),
        Dialect::Advanced => data(payload),
    };
    Some(message.unwrap_or(FromWorker::Garbage(payload.len())))
}

fn line(payload: &[u8]) -> Option<FromWorker> {
    /// Half of all messages, always in these bytes.
    const ACK: &[u8] = br#"{"cmd":"NODE_HANDLE_ACK"}"#;
    if payload == ACK {
        return Some(FromWorker::HandleAck);
    }
    let (is_marked, text) = match payload {
        [BUN_MARK, text @ ..] => (true, text),
        text => (false, text),
    };
    // An array would do for a struct, member by member: an app may send one that looks like housekeeping.
    let is_object = text.trim_ascii_start().first() == Some(&b'{');
    let members = is_object.then(|| serde_json::from_slice(text).ok()).flatten();
    understand(members.as_ref(), is_marked, || {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = Budget::default().deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        value
    })
}

fn data(payload: &[u8]) -> Option<FromWorker> {
    /// How every message with a descriptor begins: it has to be acked even if the rest of it means nothing to us.
    const HANDLE: &[u8] = b"o\"\x03cmd\"\x0bNODE_HANDLE\"";
    /// Half of all messages, always in these bytes.
    const ACK: &[u8] = b"o\"\x03cmd\"\x0fNODE_HANDLE_ACK{\x01";
    if payload.get(2..) == Some(ACK) {
        return Some(FromWorker::HandleAck);
    }
    let message = understand(members_of(payload).as_ref(), false, || advanced::read(payload).ok());
    message.or_else(|| {
        let is_handle = payload.get(2..).is_some_and(|value| value.starts_with(HANDLE));
        is_handle.then_some(FromWorker::Handle { message: Value::Null })
    })
}

fn members_of(payload: &[u8]) -> Option<Members<'_>> {
    let mut reader = Reader::new(payload).ok()?;
    let is_object = reader.is_at_object();
    is_object.then(|| Members::deserialize(&mut reader).ok()).flatten()
}

/// The members that messages of ours and of Node's have. What `data` and `msg` hold is read only if it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow)]
    cmd: Scalar<'a>,
    #[serde(borrow)]
    act: Scalar<'a>,
    #[serde(borrow)]
    key: Scalar<'a>,
    #[serde(borrow)]
    address: Scalar<'a>,
    #[serde(borrow)]
    address_type: Scalar<'a>,
    seq: Scalar<'a>,
    ack: Scalar<'a>,
    accepted: Scalar<'a>,
    connections: Scalar<'a>,
    index: Scalar<'a>,
    port: Scalar<'a>,
    fd: Scalar<'a>,
    flags: Scalar<'a>,
    backlog: Scalar<'a>,
    readable_all: Scalar<'a>,
    writable_all: Scalar<'a>,
    shared_only: Scalar<'a>,
    #[serde(rename = "$hasHandle")]
    has_handle: Scalar<'a>,
    id: Scalar<'a>,
}

/// `members` if the message is an object, `value` reads all of it.
fn understand(members: Option<&Members<'_>>, is_marked: bool, value: impl Fn() -> Option<Value>) -> Option<FromWorker> {
    let cmd = members.and_then(|members| members.cmd.text());
    let cmd = cmd.filter(|cmd| is_internal(cmd)).or(is_marked.then_some(CLUSTER));
    let Some((cmd, members)) = cmd.zip(members) else {
        return value().map(|value| {
            if is_marked {
                FromWorker::OtherInternal
            } else {
                of_the_app(value)
            }
        });
    };
    Some(match cmd {
        "NODE_HANDLE_ACK" => FromWorker::HandleAck,
        "NODE_HANDLE_NACK" => FromWorker::HandleNack,
        "NODE_HANDLE" => FromWorker::Handle {
            message: value().map_or(Value::Null, |value| member(value, "msg")),
        },
        CLUSTER => members.cluster(value).unwrap_or(FromWorker::OtherInternal),
        "NODE_SOCKET_NOTIFY_CLOSE" => members.sockets(SocketsAsked::AllClosed),
        "NODE_SOCKET_GET_COUNT" => members.sockets(SocketsAsked::Count),
        OURS if members.act.text() == Some("report") => {
            let report = value().and_then(Report::read);
            report.map_or(FromWorker::OtherInternal, |report| FromWorker::Report(Box::new(report)))
        }
        OURS if members.act.text() == Some("inspected") => {
            let said = value().and_then(FromInspector::read);
            said.map_or(FromWorker::OtherInternal, |said| FromWorker::Inspected(Box::new(said)))
        }
        OURS => members.preload().map_or(FromWorker::OtherInternal, FromWorker::Ostler),
        _ => FromWorker::OtherInternal,
    })
}

/// Node: `isInternal` in `lib/internal/child_process.js`.
fn is_internal(cmd: &str) -> bool {
    cmd.len() > "NODE_".len() && cmd.starts_with("NODE_")
}

fn of_the_app(value: Value) -> FromWorker {
    if value == "ready" {
        return FromWorker::Ready;
    }
    // A member that stands there twice is no matter for the members above.
    if value.get("cmd").and_then(Value::as_str).is_some_and(is_internal) {
        return FromWorker::OtherInternal;
    }
    FromWorker::User(value)
}

fn member(value: Value, name: &str) -> Value {
    match value {
        Value::Object(mut members) => members.swap_remove(name).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Value::Null,
    }
}

impl Members<'_> {
    /// A `NODE_CLUSTER` message; nothing if it lacks what it must have.
    fn cluster(&self, value: impl Fn() -> Option<Value>) -> Option<FromWorker> {
        if self.has_handle.is_true() {
            return Some(FromWorker::Handle { message: Value::Null });
        }
        if let Some(ack) = self.ack.number() {
            let accepted = self.accepted.is_true();
            return Some(FromWorker::Accepted { ack, accepted });
        }
        let query = || self.query(value().map_or(Value::Null, |value| member(value, "data")));
        Some(match self.act.text()? {
            "online" => FromWorker::Online,
            "queryServer" => FromWorker::QueryServer {
                seq: self.seq.number()?,
                query: query(),
            },
            "listening" => FromWorker::Listening(query()),
            "close" => FromWorker::Close {
                key: self.key.text()?.to_owned(),
            },
            "exitedAfterDisconnect" => FromWorker::ExitedAfterDisconnect {
                seq: self.seq.number()?,
            },
            _ => return None,
        })
    }

    /// What our preload says.
    fn preload(&self) -> Option<FromPreload> {
        match self.act.text()? {
            "drained" => Some(FromPreload::Drained),
            "beat" => Some(FromPreload::Beat),
            "draining" => Some(FromPreload::Draining {
                connections: self.connections.number()?,
            }),
            _ => None,
        }
    }

    fn sockets(&self, asked: SocketsAsked) -> FromWorker {
        let Some(key) = self.key.text() else {
            return FromWorker::OtherInternal;
        };
        FromWorker::Sockets(SocketQuestion {
            asked,
            key: key.to_owned(),
            id: self.id.number(),
        })
    }

    fn query(&self, data: Value) -> Query {
        Query {
            index: self.index.number().unwrap_or_default(),
            data,
            address: self.address.text().map(ToOwned::to_owned),
            port: self.port.number(),
            address_type: self.address_type(),
            fd: self.fd.number(),
            flags: self.flags.number(),
            backlog: self.backlog.number(),
            readable_all: self.readable_all.is_true(),
            writable_all: self.writable_all.is_true(),
            shared_only: self.shared_only.is_true(),
        }
    }

    fn address_type(&self) -> Option<AddressType> {
        match &self.address_type {
            Scalar::Integer(4) => Some(AddressType::V4),
            Scalar::Integer(6) => Some(AddressType::V6),
            Scalar::Integer(-1) => Some(AddressType::Unix),
            Scalar::Text(text) if text == "udp4" => Some(AddressType::Udp4),
            Scalar::Text(text) if text == "udp6" => Some(AddressType::Udp6),
            Scalar::Nothing | Scalar::Boolean(_) | Scalar::Integer(_) | Scalar::Text(_) => None,
        }
    }
}
