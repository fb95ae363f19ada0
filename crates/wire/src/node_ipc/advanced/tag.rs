//! The bytes that say what kind of value follows (V8: `enum class SerializationTag` in `value-serializer.cc`).

pub(super) const VERSION: u8 = 0xff;
pub(super) const PADDING: u8 = 0;
pub(super) const OBJECT_COUNT: u8 = b'?';
pub(super) const HOLE: u8 = b'-';
pub(super) const UNDEFINED: u8 = b'_';
pub(super) const NULL: u8 = b'0';
pub(super) const TRUE: u8 = b'T';
pub(super) const FALSE: u8 = b'F';
/// Zig-zag.
pub(super) const INT32: u8 = b'I';
pub(super) const UINT32: u8 = b'U';
pub(super) const DOUBLE: u8 = b'N';
pub(super) const BIG_INT: u8 = b'Z';
pub(super) const UTF8_STRING: u8 = b'S';
/// Latin-1.
pub(super) const ONE_BYTE_STRING: u8 = b'"';
/// UTF-16 in the order of the machine, which is little-endian wherever we run.
pub(super) const TWO_BYTE_STRING: u8 = b'c';
pub(super) const REFERENCE: u8 = b'^';
pub(super) const OBJECT: u8 = b'o';
pub(super) const OBJECT_END: u8 = b'{';
pub(super) const SPARSE_ARRAY: u8 = b'a';
pub(super) const SPARSE_ARRAY_END: u8 = b'@';
pub(super) const DENSE_ARRAY: u8 = b'A';
pub(super) const DENSE_ARRAY_END: u8 = b'$';
pub(super) const DATE: u8 = b'D';
pub(super) const TRUE_OBJECT: u8 = b'y';
pub(super) const FALSE_OBJECT: u8 = b'x';
pub(super) const NUMBER_OBJECT: u8 = b'n';
pub(super) const BIG_INT_OBJECT: u8 = b'z';
pub(super) const STRING_OBJECT: u8 = b's';
pub(super) const REGULAR_EXPRESSION: u8 = b'R';
pub(super) const MAP: u8 = b';';
pub(super) const MAP_END: u8 = b':';
pub(super) const SET: u8 = b'\'';
pub(super) const SET_END: u8 = b',';
pub(super) const ARRAY_BUFFER: u8 = b'B';
pub(super) const RESIZABLE_ARRAY_BUFFER: u8 = b'~';
pub(super) const HOST_OBJECT: u8 = b'\\';
pub(super) const ERROR: u8 = b'r';

/// Inside an error (V8: `enum class ErrorTag`).
pub(super) const ERROR_MESSAGE: u8 = b'm';
pub(super) const ERROR_STACK: u8 = b's';
pub(super) const ERROR_CAUSE: u8 = b'c';
pub(super) const ERROR_END: u8 = b'.';

/// The name that an error's kind has in JavaScript.
pub(super) fn error_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        b'E' => "EvalError",
        b'R' => "RangeError",
        b'F' => "ReferenceError",
        b'S' => "SyntaxError",
        b'T' => "TypeError",
        b'U' => "URIError",
        _ => return None,
    })
}

/// The name of a typed array by the number that Node gives it (`arrayBufferViewIndexToType` in `lib/v8.js`).
pub(super) fn view_name(kind: u32) -> Option<&'static str> {
    const NAMES: [&str; 14] = [
        "Int8Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "Int16Array",
        "Uint16Array",
        "Int32Array",
        "Uint32Array",
        "Float32Array",
        "Float64Array",
        "DataView",
        "Buffer",
        "BigInt64Array",
        "BigUint64Array",
        "Float16Array",
    ];
    NAMES.get(kind as usize).copied()
}
