//! Data of real runtimes beyond what the recordings hold, and data that no runtime writes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::node_ipc::MAX_MEMORY;

fn shown(value: &[u8]) -> Result<Value, Unreadable> {
    read(&[b"\xff\x0f", value].concat())
}

/// Reads a value, and passes over it; both have to end at the same place.
fn passed_over(data: &[u8]) -> Result<usize, Unreadable> {
    let mut bytes = bytes::Bytes::new(data)?;
    bytes.skip(|_| {})?;
    Ok(bytes.at)
}

/// What Node 24 wrote for an object of all kinds, value by value.
const WRITTEN: [(&[u8], &str); 28] = [
    (b"\0c\x04a\0\xe5e", r#""a日""#),
    (b"c\x02\x00\xd8", "\"\u{fffd}\""),
    (b"\"\x02\xfc\xdf", r#""üß""#),
    (b"S\x03\xe6\x97\xa5", r#""日""#),
    (b"oc\x08k\0e\0y\0\xe5eI\x02{\x01", r#"{"key日":1}"#),
    (b"o{\0", "{}"),
    (b"A\0$\0\0", "[]"),
    (b"a\x02I\x02\"\x01x@\x01\x02", r#"[null,"x"]"#),
    (b"a\x03I\x00I\x02@\x01\x03", "[1,null,null]"),
    (b"A\x01I\x02\"\x01pI\x04$\x01\x01", "[1]"),
    (b"A\x02-I\x02$\x00\x02", "[null,1]"),
    (b"N\x00\x00\xe0\xff\xff\xff\xefA", "4294967295"),
    (b"I\xfe\xff\xff\xff\x07", "1073741823"),
    (b"I\xff\xff\xff\xff\x0f", "-2147483648"),
    (b"U\xff\xff\xff\xff\x0f", "4294967295"),
    (b"N\0\0\0\0\0\0\0\x80", "0"),
    (b"\\\0\t\x02\0\0", r#"{"type":"DataView","hex":"0000"}"#),
    (b"\\\0\r\x02\0<", r#"{"type":"Float16Array","hex":"003c"}"#),
    (b"\\\x01o\"\x01aI\x02{\x01", r#"{"a":1}"#),
    (b";o\"\x01aI\x02{\x01';:\0,\x01:\x02", r#"[[{"a":1},[[]]]]"#),
    (b"oI\x02I\x04\"\x02-1I\x06{\x02", r#"{"1":2,"-1":3}"#),
    (b"oN\0\0\xc0\xff\xff\xff\xefAI\x02{\x01", r#"{"4294967294":1}"#),
    (b"Z\0", "0"),
    (
        b"o\"\x03dupA\x03A\x01I\x02$\0\x01^\x02o\"\x01d^\x02{\x01$\0\x03{\x01",
        r#"{"dup":[[1],[1],{"d":[1]}]}"#,
    ),
    (
        b"A\x04n\0\0\0\0\0\0\xf0?s\0c\x02\xe5exz\x10\x01\0\0\0\0\0\0\0$\0\x04",
        r#"[1,"日",false,1]"#,
    ),
    (b"rRm\"\0s\"\x01x.", r#"{"name":"RangeError","message":"","stack":"x"}"#),
    (
        b"rm\"\x01es\"\x01xco\"\x01cI\x02{\x01.",
        r#"{"name":"Error","message":"e","stack":"x","cause":{"c":1}}"#,
    ),
    (b"~\x02\x04\0\0", r#"{"type":"ArrayBuffer","hex":"0000"}"#),
];

#[test]
fn every_kind_of_value_is_shown_as_json() {
    for (written, expected) in WRITTEN {
        let expected: Value = serde_json::from_str(expected).expect("invariant: JSON");
        assert_eq!(shown(written), Ok(expected), "{}", written.escape_ascii());
    }
}

#[test]
fn every_kind_of_value_can_be_passed_over() {
    for (written, _) in WRITTEN {
        let data = [b"\xff\x0f", written, b"rest"].concat();
        assert_eq!(passed_over(&data), Ok(written.len() + 2), "{}", written.escape_ascii());
    }
}

#[test]
fn references_count_what_was_passed_over_too() {
    // {"p": [{}, new Date(0)] with a property {}, "q": the fifth object}
    let array = b"A\x02o{\0D\0\0\0\0\0\0\0\0\"\x01po{\0$\x01\x02";
    let written = [
        b"o\"\x01p".as_slice(),
        array,
        b"\"\x01qo\"\x01xI\x02{\x01\"\x01r^\x05{\x03",
    ]
    .concat();
    let expected = json!({"p": [{}, "1970-01-01T00:00:00.000Z"], "q": {"x": 1}, "r": {"x": 1}});
    assert_eq!(shown(&written), Ok(expected));
}

#[test]
fn cycles_and_depths_come_to_an_end() {
    assert_eq!(shown(b"o\"\x04self^\x00{\x01"), Err(Unreadable::TooDeep));
    for opening in [&b"A\x01"[..], b"\\\x01", b"';", b"o\"\x01a", b"rc", b"^\x00"] {
        let deep = opening.repeat(100_000);
        assert!(shown(&deep).is_err());
        assert!(passed_over(&[b"\xff\x0f", deep.as_slice()].concat()).is_err() || opening[0] == tag::REFERENCE);
    }
}

#[test]
fn what_nests_as_deep_as_allowed_is_read_and_one_deeper_is_not() {
    let nested = |depth: usize| [b"A\x01".repeat(depth), b"0".to_vec(), b"$\0\x01".repeat(depth)].concat();
    assert!(shown(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(shown(&nested(MAX_DEPTH + 1)), Err(Unreadable::TooDeep));
}

#[test]
fn what_means_itself_many_times_is_given_up() {
    // Each array holds the one before twice: 2^40 values.
    let mut written = b"A\x28A\x00$\0\0".to_vec();
    for level in 1..40_u8 {
        written.extend_from_slice(&[tag::DENSE_ARRAY, 2, tag::REFERENCE, level, tag::REFERENCE, level]);
        written.extend_from_slice(b"$\0\x02");
    }
    written.extend_from_slice(b"$\0\x28");
    assert!(matches!(
        shown(&written),
        Err(Unreadable::TooMuch | Unreadable::Refused(_))
    ));
    // A long tail that is not shown, a thousand times.
    let tail = b"\"\x01pI\x02".repeat(100_000);
    let written = [
        b"A\xe8\x07A\0".as_slice(),
        &tail,
        b"$\0\0",
        &b"^\x01".repeat(999),
        b"$\0\xe8\x07",
    ]
    .concat();
    assert_eq!(shown(&written), Err(Unreadable::TooMuch));
}

#[test]
fn lengths_in_the_data_ask_for_no_memory() {
    for huge in [
        &b"A\xff\xff\xff\xff\x0f"[..],
        b"\"\xff\xff\xff\xff\x0f",
        b"B\xff\xff\xff\xff\x0f",
        b"Z\xff\xff\xff\xff\x0f",
    ] {
        assert_eq!(shown(huge), Err(Unreadable::CutShort));
    }
    assert_eq!(
        shown(b"a\xff\xff\xff\xff\x0f@\0\0"),
        Err(Unreadable::Unsupported(tag::SPARSE_ARRAY))
    );
}

#[test]
fn more_values_than_are_taken_are_refused() {
    let nulls = b"0".repeat(MAX_MEMORY / 80 + 1);
    let mut written = b"A\xff\xff\xff\x07".to_vec();
    written.extend_from_slice(&nulls);
    assert!(matches!(shown(&written), Err(Unreadable::Refused(_))));
}

#[test]
fn shared_memory_is_unsupported() {
    for unsupported in [&b"u\0"[..], b"t\0", b"w\0", b"m\0", b"V"] {
        assert_eq!(shown(unsupported), Err(Unreadable::Unsupported(unsupported[0])));
    }
}

#[test]
fn versions_from_the_first_to_those_to_come_are_read_and_older_are_not() {
    for version in [13, 15, 16, 99] {
        assert_eq!(read(&[0xff, version, b'T']), Ok(json!(true)));
    }
    for bad in [&b"\xff\x0cT"[..], b"T", b"{}"] {
        assert_eq!(read(bad), Err(Unreadable::Malformed("header")));
    }
    assert_eq!(read(b""), Err(Unreadable::CutShort));
}

#[test]
fn values_are_written_as_v8_writes_them() {
    let mut written = Vec::new();
    write(
        &json!({"a": [1, -1, 1.5, 4_294_967_295_u32, null, true], "ü": "日"}),
        &mut written,
    )
    .expect("invariant: JSON");
    let expected = b"\xff\x0do\"\x01aA\x06I\x02I\x01N\0\0\0\0\0\0\xf8?N\0\0\xe0\xff\xff\xff\xefA0T$\0\x06S\x02\xc3\xbcS\x03\xe6\x97\xa5{\x02";
    assert_eq!(written.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert!(write(&(1, 2), &mut written).is_err(), "no message has tuples");
}

/// Bytes that look like data more often than chance would have it.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let written = proptest::sample::select(WRITTEN.map(|(written, _)| written.to_vec()).to_vec());
    let noise = proptest::collection::vec(
        proptest::sample::select(b"\0\x01\x02?-_0TFIUNZS\"c^o{a@A$DyxnzsR;:',B~\\r.mc\xff".to_vec()),
        0..20,
    );
    proptest::collection::vec(prop_oneof![written, noise], 0..9).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_data_makes_it_panic(data in data()) {
        let _ = shown(&data);
        let _ = passed_over(&[b"\xff\x0f", data.as_slice()].concat());
    }

    #[test]
    fn what_can_be_shown_can_be_passed_over_to_the_same_place(data in data()) {
        use serde::de::DeserializeSeed as _;
        let data = [b"\xff\x0f", data.as_slice()].concat();
        let mut reader = Reader::new(&data).expect("invariant: it has a header");
        if Budget::default().deserialize(&mut reader).is_ok() {
            prop_assert_eq!(passed_over(&data), Ok(reader.position()));
        }
    }
}
