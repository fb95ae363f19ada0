//! What workers of real runtimes have said. All of them ran the same app under a primary that answered everything; the
//! recordings are what came out of their channels, byte by byte.

use super::*;

/// One recording, and how its runtime differs from others.
struct Recording {
    dialect: Dialect,
    bytes: &'static [u8],
    /// `flags` of a `listen()` without options.
    flags: Option<u32>,
    /// `flags` of a `listen()` with `ipv6Only`.
    ipv6_only: u32,
    /// What the first handed-over connection's ack names: the messages with a number that the worker got before.
    first_connection: u64,
}

const NODE_16: Recording = Recording {
    dialect: Dialect::Json,
    bytes: include_bytes!("../recordings/node16.json"),
    flags: None,
    ipv6_only: 1,
    first_connection: 6,
};
const NODE_26: Recording = Recording {
    bytes: include_bytes!("../recordings/node26.json"),
    flags: Some(0),
    ..NODE_16
};
const NODE_16_ADVANCED: Recording = Recording {
    dialect: Dialect::Advanced,
    bytes: include_bytes!("../recordings/node16.advanced"),
    ..NODE_16
};
const NODE_20_ADVANCED: Recording = Recording {
    bytes: include_bytes!("../recordings/node20.advanced"),
    ..NODE_16_ADVANCED
};
const NODE_24_ADVANCED: Recording = Recording {
    bytes: include_bytes!("../recordings/node24.advanced"),
    flags: Some(0),
    ..NODE_16_ADVANCED
};
const NODE_26_ADVANCED: Recording = Recording {
    bytes: include_bytes!("../recordings/node26.advanced"),
    ..NODE_24_ADVANCED
};
const DENO: Recording = Recording {
    bytes: include_bytes!("../recordings/deno.json"),
    ipv6_only: 2,
    first_connection: 5,
    ..NODE_26
};
const DENO_ADVANCED: Recording = Recording {
    dialect: Dialect::Advanced,
    bytes: include_bytes!("../recordings/deno.advanced"),
    ..DENO
};
const BUN: Recording = Recording {
    bytes: include_bytes!("../recordings/bun.json"),
    ..NODE_26
};

impl Recording {
    fn messages(&self) -> Vec<FromWorker> {
        messages(self.dialect, self.bytes)
    }

    fn queries(&self) -> Vec<(u64, Query)> {
        let messages = self.messages().into_iter();
        let queries = messages.filter_map(|message| {
            let FromWorker::QueryServer { seq, query } = message else {
                return None;
            };
            Some((seq, query))
        });
        queries.collect()
    }

    /// `listen(3102)`
    fn plain(&self) -> Query {
        Query {
            port: Some(3102),
            address_type: Some(AddressType::V4),
            flags: self.flags,
            backlog: Some(0),
            ..Query::default()
        }
    }

    /// `listen({path, backlog: 7})`
    fn path(&self) -> Query {
        Query {
            address: Some("/tmp/app/app.sock".to_owned()),
            port: Some(-1),
            address_type: Some(AddressType::Unix),
            flags: None,
            backlog: Some(7),
            ..self.plain()
        }
    }

    /// `listen({port: 0, host: '::1', ipv6Only: true})`
    fn any_port(&self) -> Query {
        Query {
            address: Some("::1".to_owned()),
            port: Some(0),
            address_type: Some(AddressType::V6),
            flags: Some(self.ipv6_only),
            ..self.plain()
        }
    }

    /// `listen({fd: 5})`
    fn descriptor(&self) -> Query {
        Query {
            fd: Some(5),
            backlog: Some(0),
            ..Query::default()
        }
    }

    /// `dgram.createSocket({type: 'udp4', reuseAddr: true}).bind(3102, '127.0.0.1')`
    fn datagram(&self) -> Query {
        Query {
            address: Some("127.0.0.1".to_owned()),
            port: Some(3102),
            address_type: Some(AddressType::Udp4),
            fd: Some(-1),
            flags: Some(4),
            ..Query::default()
        }
    }

    /// `tls.createServer().listen(3103, '127.0.0.1')`
    fn secure(&self, data: Value) -> Query {
        Query {
            address: Some("127.0.0.1".to_owned()),
            port: Some(3103),
            flags: Some(0),
            data,
            ..self.plain()
        }
    }

    /// The data that the TLS server asked to be kept.
    fn tickets(&self) -> Value {
        let queries = self.queries();
        let (_, query) = queries.last().expect("invariant: the TLS server comes last");
        query.data.clone()
    }
}

fn greeting() -> FromWorker {
    FromWorker::User(json!({
        "type": "greeting", "text": "grüße", "wide": "日本", "n": 1.5, "i": -7, "big": 4_294_967_295_u32,
        "t": true, "f": false, "z": null, "list": [1, "two", [3]],
    }))
}

fn close(key: &str) -> FromWorker {
    FromWorker::Close { key: key.to_owned() }
}

fn listened(seq: u64, query: Query, port: i32) -> [FromWorker; 2] {
    let listening = FromWorker::Listening(Query {
        port: Some(port),
        ..query.clone()
    });
    [FromWorker::QueryServer { seq, query }, listening]
}

/// All that Node says, in order, but what the app sent of its own in `advanced` only.
fn story(node: &Recording) -> Vec<FromWorker> {
    let question = |asked| {
        FromWorker::Sockets(SocketQuestion {
            asked,
            key: "4:null:3102".to_owned(),
            id: None,
        })
    };
    let give = FromWorker::User(json!({"cmd": "give"}));
    let drained = FromWorker::Ostler(FromPreload::Drained);
    let mut udp = listened(8, node.datagram(), 3102).to_vec();
    udp.insert(1, FromWorker::HandleAck);
    let connection = |ack| {
        [
            give.clone(),
            drained.clone(),
            FromWorker::HandleAck,
            FromWorker::Accepted { ack, accepted: true },
        ]
    };
    let handle = FromWorker::Handle {
        message: json!({"take": "it"}),
    };
    [
        &[FromWorker::Online, FromWorker::Ready, greeting()][..],
        &listened(1, node.plain(), 3102),
        &listened(3, node.path(), -1),
        &listened(5, node.any_port(), 45678),
        &[FromWorker::QueryServer {
            seq: 7,
            query: node.descriptor(),
        }],
        &udp,
        &listened(10, node.secure(node.tickets()), 3103),
        &connection(6),
        &connection(7),
        &[
            handle,
            question(SocketsAsked::Count),
            FromWorker::User(json!({"connections": 1, "error": null})),
        ],
        &[
            close("None:3102:4:0"),
            question(SocketsAsked::AllClosed),
            FromWorker::User(json!({"closed": true})),
        ],
        &[
            close("/tmp/app/app.sock:-1:-1:0"),
            close("::1:0:6:0"),
            close("127.0.0.1:3102:udp4:0"),
        ],
        &[
            close("127.0.0.1:3103:4:0"),
            FromWorker::ExitedAfterDisconnect { seq: 19 },
        ],
    ]
    .concat()
}

/// Without the two messages behind the greeting that only `advanced` can carry.
fn without_extras(mut messages: Vec<FromWorker>) -> Vec<FromWorker> {
    messages.drain(3..5);
    messages
}

#[test]
fn every_node_says_the_same_in_json() {
    for node in [NODE_16, NODE_26] {
        assert_eq!(node.messages(), story(&node));
    }
}

#[test]
fn every_node_says_the_same_in_the_advanced_serialisation() {
    for node in [NODE_16_ADVANCED, NODE_20_ADVANCED, NODE_24_ADVANCED, NODE_26_ADVANCED] {
        assert_eq!(without_extras(node.messages()), story(&node));
    }
}

#[test]
fn tls_servers_ask_for_their_ticket_keys_to_be_shared() {
    for node in [NODE_16, NODE_26, NODE_16_ADVANCED, NODE_26_ADVANCED] {
        let tickets = node.tickets();
        let keys = tickets["ticketKeys"].as_str().expect("invariant: as recorded");
        assert_eq!(keys.len(), 96);
    }
}

#[test]
fn what_json_has_no_word_for_is_shown() {
    for node in [
        NODE_16_ADVANCED,
        NODE_20_ADVANCED,
        NODE_24_ADVANCED,
        NODE_26_ADVANCED,
        DENO_ADVANCED,
    ] {
        let messages = node.messages();
        let FromWorker::User(Value::Object(mut extras)) = messages[3].clone() else {
            panic!("not the app's own: {:?}", messages[3]);
        };
        let error = extras.swap_remove("error").expect("invariant: as recorded");
        assert_eq!(
            (&error["name"], &error["message"]),
            (&json!("TypeError"), &json!("bad"))
        );
        assert!(
            error["stack"]
                .as_str()
                .is_some_and(|stack| stack.starts_with("TypeError: bad\n    at "))
        );
        let expected = json!({
            "buffer": {"type": "Buffer", "hex": "6869"}, "floats": {"type": "Float32Array", "hex": "0000803f"},
            "date": "1970-01-01T00:00:00.000Z", "big": 12_345_678_901_234_567_890_u64, "neg": -1, "map": [["k", 1]],
            "set": [1], "regexp": "/a+/gi", "twice": [{"s": 1}, {"s": 1}], "holes": [1, null, 3], "num": 3, "str": "x",
            "yes": true, "nan": null, "inf": null, "ab": {"type": "ArrayBuffer", "hex": "0000"},
        });
        assert_eq!(Value::Object(extras), expected);
        assert_eq!(messages[4], FromWorker::Garbage(13), "an object that contains itself");
    }
}

#[test]
fn deno_says_what_node_says_without_udp_and_numbers_its_questions() {
    let (json, advanced) = (DENO.messages(), without_extras(DENO_ADVANCED.messages()));
    for (deno, messages) in [(DENO, json), (DENO_ADVANCED, advanced)] {
        let queries: Vec<Query> = deno.queries().into_iter().map(|(_, query)| query).collect();
        let secure = deno.secure(Value::Null);
        assert_eq!(
            queries,
            [deno.plain(), deno.path(), deno.any_port(), deno.descriptor(), secure]
        );
        assert_eq!(messages[..3], [FromWorker::Online, FromWorker::Ready, greeting()]);
        assert!(messages.contains(&FromWorker::Accepted {
            ack: deno.first_connection,
            accepted: true
        }));
        assert!(messages.contains(&FromWorker::Handle {
            message: json!({"take": "it"})
        }));
        for (asked, id) in [(SocketsAsked::Count, 1), (SocketsAsked::AllClosed, 2)] {
            let (key, id) = ("socket-list:1".to_owned(), Some(id));
            assert!(messages.contains(&FromWorker::Sockets(SocketQuestion { asked, key, id })));
        }
        assert_eq!(
            messages.last(),
            Some(&FromWorker::ExitedAfterDisconnect {
                seq: deno.queries().len() as u64 * 2 + 6
            })
        );
    }
}

#[test]
fn bun_is_known_by_its_first_byte() {
    let mut channel = Channel::new(Dialect::Json);
    channel.feed(&BUN.bytes[..BUN.bytes.len() / 99], |_| {});
    assert_eq!(channel.dialect(), Dialect::Json, "nothing whole has been read");
    channel.feed(&BUN.bytes[BUN.bytes.len() / 99..], |_| {});
    assert_eq!(channel.dialect(), Dialect::Bun);
}

#[test]
fn bun_says_what_node_says_and_that_tls_has_to_be_shared() {
    let messages = BUN.messages();
    assert_eq!(messages[..3], [FromWorker::Online, FromWorker::Ready, greeting()]);
    let queries: Vec<Query> = BUN.queries().into_iter().map(|(_, query)| query).collect();
    let flagless = |query: Query| Query {
        backlog: None,
        flags: Some(0),
        ..query
    };
    let path = Query {
        flags: Some(0),
        ..BUN.path()
    };
    let any_port = Query {
        backlog: None,
        ..BUN.any_port()
    };
    let secure = Query {
        shared_only: true,
        ..flagless(BUN.secure(Value::Null))
    };
    let expected = [
        flagless(BUN.plain()),
        path,
        any_port,
        flagless(BUN.descriptor()),
        BUN.datagram(),
        secure,
    ];
    assert_eq!(queries, expected);
    assert!(messages.contains(&FromWorker::Handle {
        message: json!({"take": "it"})
    }));
    assert!(messages.contains(&FromWorker::Accepted {
        ack: BUN.first_connection,
        accepted: true
    }));
    assert_eq!(
        messages
            .iter()
            .filter(|message| **message == FromWorker::HandleAck)
            .count(),
        3
    );
    assert_eq!(messages.last(), Some(&FromWorker::ExitedAfterDisconnect { seq: 19 }));
}

#[test]
fn an_http_server_of_bun_listens_without_having_asked() {
    let bytes = include_bytes!("../recordings/bun-http.json");
    let listening = Query {
        port: Some(3104),
        address_type: Some(AddressType::V4),
        ..Query::default()
    };
    assert_eq!(
        messages(Dialect::Json, bytes),
        [FromWorker::Online, FromWorker::Listening(listening)]
    );
}
