//! What a primary says to a worker, as bytes (Node: `lib/internal/cluster/primary.js`, `round_robin_handle.js`,
//! `shared_handle.js`, `lib/internal/child_process.js`).

use serde::Serialize;
use serde_json::Value;

use super::advanced;
use super::framing::BUN_MARK;
use super::{CLUSTER, Dialect, OURS, SocketQuestion, SocketsAsked};

/// A message to a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToWorker<'a> {
    /// The answer to a `queryServer`: connections will come one by one.
    Listens {
        /// The `seq` of the question.
        ack: u64,
        /// The name of the listener, which the worker repeats; the worker has none of this name open.
        key: &'a str,
        /// What the first worker sent with its question for this listener.
        data: &'a Value,
        /// Where the listener is bound; nothing for a path.
        name: Option<SocketName<'a>>,
    },
    /// The answer to a `queryServer`, with a descriptor that the worker is to use itself.
    Shares {
        /// The `seq` of the question.
        ack: u64,
        /// The name of the listener.
        key: &'a str,
        /// What the first worker sent with its question for this listener.
        data: &'a Value,
        /// What the descriptor is.
        kind: SharedKind,
    },
    /// The answer to a `queryServer` that failed.
    Fails {
        /// The `seq` of the question.
        ack: u64,
        /// The name of the listener.
        key: &'a str,
        /// What was sent with the question: a worker without it ends with a `TypeError`.
        data: &'a Value,
        /// The negative errno.
        errno: i32,
    },
    /// An accepted connection, with its descriptor. Acked by the `seq` of this message. A worker of Bun has to have been
    /// told that it [`Listens`](Self::Listens): for a shared listener it ends with a `TypeError` (Bun 1.4).
    NewConnection {
        /// The name of the listener.
        key: &'a str,
    },
    /// Close all servers, then the channel.
    Disconnect,
    /// The answer to `exitedAfterDisconnect`.
    Ack {
        /// The `seq` of what is answered.
        ack: u64,
    },
    /// A descriptor of the worker's has arrived. Until it is told so, it sends nothing else.
    HandleAck,
    /// A message should have brought a descriptor and did not.
    HandleNack,
    /// The answer about sockets that the worker has sent: none of them is open.
    NoSockets(&'a SocketQuestion),
    /// For our preload.
    Ostler(ToPreload),
    /// For the app: its `message` event.
    User(&'a Value),
}

/// What our preload is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToPreload {
    /// Take no more work, finish what is there, and say so.
    Drain,
    /// Somebody looks: report at once, and often for a while.
    Watch,
    /// Say so if the event loop turns.
    Beat,
    /// Say what the app has registered, now and before the end.
    Collect,
}

impl ToPreload {
    fn act(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Watch => "watch",
            Self::Beat => "beat",
            Self::Collect => "collect",
        }
    }
}

/// What a shared descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SharedKind {
    /// A listener for TCP.
    Tcp,
    /// A listener on a path.
    Unix,
    /// A bound UDP socket.
    Datagram,
}

/// Where a listener is bound, as `getsockname(2)` has it: what `server.address()` gives in the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SocketName<'a> {
    /// The address as text.
    pub address: &'a str,
    /// Its family.
    pub family: Family,
    /// The port; another one than was asked for is `EADDRINUSE` to the worker.
    pub port: u16,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl ToWorker<'_> {
    /// Whether a descriptor has to go with it, in the same `sendmsg`. Deno loses one whose frame it reads together with
    /// plain bytes in front of it (2.9, without a NACK): it is to be sent none while such bytes may be unread.
    pub fn has_handle(&self) -> bool {
        match self {
            Self::Shares { .. } | Self::NewConnection { .. } => true,
            Self::Listens { .. } | Self::Fails { .. } | Self::Disconnect | Self::Ack { .. } => false,
            Self::HandleAck | Self::HandleNack | Self::NoSockets(_) | Self::Ostler(_) | Self::User(_) => false,
        }
    }

    /// Whether it carries its `seq`.
    pub fn is_numbered(&self) -> bool {
        match self {
            Self::Listens { .. } | Self::Shares { .. } | Self::Fails { .. } | Self::NewConnection { .. } => true,
            Self::Disconnect | Self::Ack { .. } => true,
            Self::HandleAck | Self::HandleNack | Self::NoSockets(_) | Self::Ostler(_) | Self::User(_) => false,
        }
    }

    /// Adds the message to `into` as one whole frame. Numbers beyond 2^53 would not survive JavaScript.
    pub fn encode(&self, seq: u64, dialect: Dialect, into: &mut Vec<u8>) {
        let frame = Encoder { seq, dialect, into };
        match *self {
            Self::Listens { ack, key, data, name } => frame.cluster(Reply {
                name,
                ..Reply::to(ack, key, data)
            }),
            Self::Fails { ack, key, data, errno } => frame.cluster(Reply {
                errno: Some(errno),
                ..Reply::to(ack, key, data)
            }),
            Self::Shares { ack, key, data, kind } => frame.enveloped(Envelope::shared(kind), Reply::to(ack, key, data)),
            Self::NewConnection { key } => frame.enveloped(
                Envelope::CONNECTION,
                Act {
                    act: "newconn",
                    key: Some(key),
                },
            ),
            Self::Disconnect => frame.cluster(Act {
                act: "disconnect",
                key: None,
            }),
            Self::Ack { ack } => frame.cluster(Ack { ack }),
            Self::HandleAck => frame.plain(&Bare::named("NODE_HANDLE_ACK")),
            Self::HandleNack => frame.plain(&Bare::named("NODE_HANDLE_NACK")),
            Self::NoSockets(question) => frame.plain(&Bare::about(question)),
            Self::Ostler(order) => frame.internal(&Bare {
                act: Some(order.act()),
                ..Bare::named(OURS)
            }),
            Self::User(value) => frame.plain(value),
        }
    }
}

/// A `NODE_CLUSTER` message around what it says. Bun leaves `cmd` out, and tells here what Node tells by an envelope.
#[derive(Serialize)]
struct Cluster<B> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<&'static str>,
    #[serde(flatten)]
    body: B,
    #[serde(rename = "$hasHandle", skip_serializing_if = "Option::is_none")]
    has_handle: Option<bool>,
    seq: u64,
}

#[derive(Clone, Copy, Serialize)]
struct Reply<'a> {
    errno: Option<i32>,
    key: &'a str,
    ack: u64,
    data: &'a Value,
    #[serde(rename = "sockname", skip_serializing_if = "Option::is_none")]
    name: Option<SocketName<'a>>,
}

impl<'a> Reply<'a> {
    fn to(ack: u64, key: &'a str, data: &'a Value) -> Self {
        Self {
            errno: None,
            key,
            ack,
            data,
            name: None,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
struct Act<'a> {
    act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

#[derive(Clone, Copy, Serialize)]
struct Ack {
    ack: u64,
}

/// A message with a descriptor. Deno asks for the two members in the middle where the descriptor is not a connection;
/// Node ignores them.
#[derive(Clone, Copy, Serialize)]
struct Envelope<B> {
    cmd: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "socketType", skip_serializing_if = "Option::is_none")]
    socket_type: Option<u8>,
    #[serde(rename = "nativeKind", skip_serializing_if = "Option::is_none")]
    native_kind: Option<&'static str>,
    msg: B,
}

impl Envelope<()> {
    const CONNECTION: Self = Self {
        cmd: "NODE_HANDLE",
        kind: "net.Native",
        socket_type: None,
        native_kind: None,
        msg: (),
    };

    fn shared(kind: SharedKind) -> Self {
        let listener = Self {
            socket_type: Some(1),
            ..Self::CONNECTION
        };
        match kind {
            SharedKind::Tcp => listener,
            SharedKind::Unix => Self {
                native_kind: Some("pipe"),
                ..listener
            },
            SharedKind::Datagram => Self {
                kind: "dgram.Native",
                ..Self::CONNECTION
            },
        }
    }

    fn around<B>(self, msg: B) -> Envelope<B> {
        Envelope {
            cmd: self.cmd,
            kind: self.kind,
            socket_type: self.socket_type,
            native_kind: self.native_kind,
            msg,
        }
    }
}

/// A message that is not of the cluster and has no number.
#[derive(Clone, Copy, Default, Serialize)]
struct Bare<'a> {
    cmd: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl<'a> Bare<'a> {
    fn named(cmd: &'static str) -> Self {
        Self { cmd, ..Self::default() }
    }

    fn about(question: &'a SocketQuestion) -> Self {
        let (cmd, count) = match question.asked {
            SocketsAsked::Count => ("NODE_SOCKET_COUNT", Some(0)),
            SocketsAsked::AllClosed => ("NODE_SOCKET_ALL_CLOSED", None),
        };
        Self {
            key: Some(&question.key),
            id: question.id,
            count,
            ..Self::named(cmd)
        }
    }
}

struct Encoder<'a> {
    seq: u64,
    dialect: Dialect,
    into: &'a mut Vec<u8>,
}

impl Encoder<'_> {
    fn around<B>(&self, body: B, has_handle: bool) -> Cluster<B> {
        let is_bun = self.dialect == Dialect::Bun;
        Cluster {
            cmd: (!is_bun).then_some(CLUSTER),
            body,
            has_handle: (is_bun && has_handle).then_some(true),
            seq: self.seq,
        }
    }

    fn cluster<B: Serialize>(self, body: B) {
        let message = self.around(body, false);
        self.internal(&message);
    }

    fn enveloped<B: Serialize>(self, envelope: Envelope<()>, body: B) {
        let message = self.around(body, true);
        match self.dialect {
            Dialect::Bun => self.internal(&message),
            Dialect::Json | Dialect::Advanced => self.plain(&envelope.around(message)),
        }
    }

    fn internal<T: Serialize>(self, message: &T) {
        match self.dialect {
            Dialect::Bun => self.into.push(BUN_MARK),
            Dialect::Json | Dialect::Advanced => {}
        }
        self.plain(message);
    }

    fn plain<T: Serialize>(self, message: &T) {
        match self.dialect {
            Dialect::Json | Dialect::Bun => {
                serde_json::to_writer(&mut *self.into, message)
                    .expect("invariant: our messages have text keys, and a Vec takes everything");
                self.into.push(b'\n');
            }
            Dialect::Advanced => write_advanced(message, self.into),
        }
    }
}

fn write_advanced<T: Serialize>(message: &T, into: &mut Vec<u8>) {
    let header = into.len();
    into.extend_from_slice(&[0; 4]);
    advanced::write(message, into).expect("invariant: our messages have no kinds that cannot be written");
    let length = u32::try_from(into.len() - header - 4).expect("invariant: a message is shorter than 4 GiB");
    into[header..header + 4].copy_from_slice(&length.to_be_bytes());
}
