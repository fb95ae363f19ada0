//! Single messages: those of the protocol byte by byte, and odd ones.

use super::*;

const KEY: &str = "null:3102:4:undefined:0";

fn encoded(message: ToWorker<'_>, seq: u64, dialect: Dialect) -> String {
    let mut bytes = b"before".to_vec();
    message.encode(seq, dialect, &mut bytes);
    let frame = bytes.strip_prefix(b"before").expect("invariant: it is added").to_vec();
    assert_eq!(complete(dialect, &frame), frame.len());
    frame.escape_ascii().to_string().replace("\\\"", "\"")
}

fn name() -> Option<SocketName<'static>> {
    Some(SocketName {
        address: "::",
        family: Family::V6,
        port: 3102,
    })
}

/// Each kind of message, with what Node's primary and Bun's would have sent.
fn examples<'a>(data: &'a Value, question: &'a SocketQuestion) -> Vec<(ToWorker<'a>, &'static str, &'static str)> {
    let (ack, key) = (1, KEY);
    vec![
        (
            ToWorker::Listens {
                ack,
                key,
                data,
                name: name(),
            },
            r#"{"cmd":"NODE_CLUSTER","errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"sockname":{"address":"::","family":"IPv6","port":3102},"seq":0}\n"#,
            r#"\x02{"errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"sockname":{"address":"::","family":"IPv6","port":3102},"seq":0}\n"#,
        ),
        (
            ToWorker::Listens {
                ack,
                key,
                data,
                name: None,
            },
            r#"{"cmd":"NODE_CLUSTER","errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}\n"#,
            r#"\x02{"errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}\n"#,
        ),
        (
            ToWorker::Fails {
                ack,
                key,
                data,
                errno: -98,
            },
            r#"{"cmd":"NODE_CLUSTER","errno":-98,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}\n"#,
            r#"\x02{"errno":-98,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}\n"#,
        ),
        (
            ToWorker::Shares {
                ack,
                key,
                data,
                kind: SharedKind::Tcp,
            },
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","socketType":1,"msg":{"cmd":"NODE_CLUSTER","errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}}\n"#,
            r#"\x02{"errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"$hasHandle":true,"seq":0}\n"#,
        ),
        (
            ToWorker::Shares {
                ack,
                key,
                data,
                kind: SharedKind::Unix,
            },
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","socketType":1,"nativeKind":"pipe","msg":{"cmd":"NODE_CLUSTER","errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}}\n"#,
            r#"\x02{"errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"$hasHandle":true,"seq":0}\n"#,
        ),
        (
            ToWorker::Shares {
                ack,
                key,
                data,
                kind: SharedKind::Datagram,
            },
            r#"{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"seq":0}}\n"#,
            r#"\x02{"errno":null,"key":"null:3102:4:undefined:0","ack":1,"data":null,"$hasHandle":true,"seq":0}\n"#,
        ),
        (
            ToWorker::NewConnection { key },
            r#"{"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:3102:4:undefined:0","seq":0}}\n"#,
            r#"\x02{"act":"newconn","key":"null:3102:4:undefined:0","$hasHandle":true,"seq":0}\n"#,
        ),
        (
            ToWorker::Disconnect,
            r#"{"cmd":"NODE_CLUSTER","act":"disconnect","seq":0}\n"#,
            r#"\x02{"act":"disconnect","seq":0}\n"#,
        ),
        (
            ToWorker::Ack { ack },
            r#"{"cmd":"NODE_CLUSTER","ack":1,"seq":0}\n"#,
            r#"\x02{"ack":1,"seq":0}\n"#,
        ),
        (
            ToWorker::HandleAck,
            r#"{"cmd":"NODE_HANDLE_ACK"}\n"#,
            r#"{"cmd":"NODE_HANDLE_ACK"}\n"#,
        ),
        (
            ToWorker::HandleNack,
            r#"{"cmd":"NODE_HANDLE_NACK"}\n"#,
            r#"{"cmd":"NODE_HANDLE_NACK"}\n"#,
        ),
        (
            ToWorker::NoSockets(question),
            r#"{"cmd":"NODE_SOCKET_COUNT","key":"4:null:3102","id":3,"count":0}\n"#,
            r#"{"cmd":"NODE_SOCKET_COUNT","key":"4:null:3102","id":3,"count":0}\n"#,
        ),
        (
            ToWorker::Ostler(ToPreload::Drain),
            r#"{"cmd":"NODE_OSTLER","act":"drain"}\n"#,
            r#"\x02{"cmd":"NODE_OSTLER","act":"drain"}\n"#,
        ),
        (ToWorker::User(data), r"null\n", r"null\n"),
    ]
}

fn question() -> SocketQuestion {
    SocketQuestion {
        asked: SocketsAsked::Count,
        key: "4:null:3102".to_owned(),
        id: Some(3),
    }
}

#[test]
fn messages_are_byte_for_byte_what_the_primaries_of_node_and_bun_send() {
    for (message, node, bun) in examples(&Value::Null, &question()) {
        assert_eq!(encoded(message, 0, Dialect::Json), node);
        assert_eq!(encoded(message, 0, Dialect::Bun), bun);
    }
}

#[test]
fn both_serialisations_say_the_same() {
    let (data, question) = (json!({"ticketKeys": "00ff", "n": [1, -2.5, true, null]}), question());
    for (message, _, _) in examples(&data, &question) {
        let (mut json, mut advanced) = (Vec::new(), Vec::new());
        message.encode(1 << 32, Dialect::Json, &mut json);
        message.encode(1 << 32, Dialect::Advanced, &mut advanced);
        let payload = frames(Dialect::Advanced, &advanced)
            .next()
            .expect("invariant: one frame");
        let json: Value = serde_json::from_slice(&json).expect("invariant: a line of JSON");
        assert_eq!(advanced::read(payload), Ok(json));
    }
}

#[test]
fn the_advanced_serialisation_is_what_a_real_worker_was_sent_and_took() {
    let frame = encoded(ToWorker::NewConnection { key: "k:1" }, 6, Dialect::Advanced);
    let expected = "\\x00\\x00\\x00c\\xff\\ro\"\\x03cmd\"\\x0bNODE_HANDLE\"\\x04type\"\\nnet.Native\"\\x03msgo\"\\x03cmd\"\\x0cNODE_CLUSTER\"\\x03act\"\\x07newconn\"\\x03key\"\\x03k:1\"\\x03seqI\\x0c{\\x04{\\x03";
    assert_eq!(frame, expected);
}

#[test]
fn handles_and_numbers_are_told_by_the_message_itself() {
    for (message, node, _) in examples(&Value::Null, &question()) {
        assert_eq!(message.has_handle(), node.contains("NODE_HANDLE\""));
        assert_eq!(message.is_numbered(), node.contains("\"seq\""));
    }
}

#[test]
fn a_socket_question_is_answered_in_kind() {
    let question = SocketQuestion {
        asked: SocketsAsked::AllClosed,
        id: None,
        ..question()
    };
    let answer = encoded(ToWorker::NoSockets(&question), 0, Dialect::Json);
    assert_eq!(answer, r#"{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"4:null:3102"}\n"#);
}

#[test]
fn encoding_a_connection_takes_no_memory_but_the_buffer() {
    for dialect in DIALECTS {
        let mut buffer = Vec::with_capacity(256);
        let before = buffer.as_ptr();
        ToWorker::NewConnection { key: KEY }.encode(1 << 40, dialect, &mut buffer);
        assert_eq!(buffer.as_ptr(), before);
    }
}

#[test]
fn acks_of_connections_name_them() {
    let text = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":3}\n\
                {\"cmd\":\"NODE_CLUSTER\",\"ack\":4294967298,\"accepted\":false,\"seq\":4}\n{\"cmd\":\"NODE_HANDLE_NACK\"}\n";
    let expected = [
        FromWorker::HandleAck,
        FromWorker::Accepted { ack: 1, accepted: true },
        FromWorker::Accepted {
            ack: 4_294_967_298,
            accepted: false,
        },
        FromWorker::HandleNack,
    ];
    assert_eq!(json_messages(text), expected);
}

#[test]
fn only_objects_with_a_longer_cmd_are_internal() {
    let expected = |text: &str| {
        serde_json::from_str(text)
            .map(FromWorker::User)
            .expect("invariant: JSON")
    };
    for text in [
        r#"{"cmd":"NODE_"}"#,
        r#"{"cmd":5,"seq":[1]}"#,
        r#"{"cmd":{"NODE_X":1}}"#,
        r#"["NODE_HANDLE_ACK"]"#,
        r#""NODE_HANDLE_ACK""#,
        r#"{"a":{"cmd":"NODE_CLUSTER","act":"online"}}"#,
        "17",
        "null",
    ] {
        assert_eq!(json_messages(&format!("{text}\n")), [expected(text)]);
        let bytes = framed(&serde_json::from_str(text).expect("invariant: JSON"), Dialect::Advanced);
        assert_eq!(messages(Dialect::Advanced, &bytes), [expected(text)]);
    }
}

#[test]
fn housekeeping_that_makes_no_sense_is_of_no_matter() {
    for text in [
        r#"{"cmd":"NODE_UNKNOWN"}"#,
        r#"{"cmd":"NODE_CLUSTER"}"#,
        r#"{"cmd":"NODE_CLUSTER","act":"close"}"#,
        r#"{"cmd":"NODE_CLUSTER","act":"queryServer","seq":"x"}"#,
        r#"{"cmd":"NODE_CLUSTER","cmd":"NODE_CLUSTER","act":"online"}"#,
        r#"{"cmd":"NODE_OSTLER","act":"other"}"#,
        r#"{"cmd":"NODE_SOCKET_GET_COUNT"}"#,
        "\u{2}[1]",
        "\u{2}{\"act\":\"other\"}",
    ] {
        assert_eq!(
            json_messages(&format!("{text}\n")),
            [FromWorker::OtherInternal],
            "{text}"
        );
    }
}

#[test]
fn a_handle_is_acked_even_if_the_message_beside_it_cannot_be_read() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let lonely = "\"\\ud800\"";
    for inner in [&deep, lonely] {
        let text = format!("{{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{inner}}}\n");
        assert_eq!(json_messages(&text), [FromWorker::Handle { message: Value::Null }]);
    }
    // A cycle; a shared memory, which cannot even be passed over.
    for inner in [&b"o\"\x04self^\x01{\x01"[..], b"u\x00"] {
        let mut payload = b"\xff\x0fo\"\x03cmd\"\x0bNODE_HANDLE\"\x04type\"\nnet.Socket\"\x03msg".to_vec();
        payload.extend_from_slice(inner);
        payload.extend_from_slice(b"{\x03");
        let message = parse(Dialect::Advanced, Frame::Whole(&payload));
        assert_eq!(message, Some(FromWorker::Handle { message: Value::Null }));
    }
}

proptest! {
    #[test]
    fn values_survive_either_serialisation(value in values(), dialect in dialects()) {
        let heard = messages(dialect, &framed(&value, dialect));
        let expected = if value == "ready" { FromWorker::Ready } else { FromWorker::User(value) };
        prop_assert_eq!(heard, [expected]);
    }
}
