//! V8's data as a format of serde, into a buffer.
//!
//! Texts are written as Latin-1 where they are ASCII and as UTF-8 else, so that no text is ever converted.

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct};

use super::{Unwritable, VERSION, tag};

/// Writes the header and the value behind what `into` holds already.
///
/// # Errors
/// If the value is of a kind that no message of ours has: bytes, tuples, variants with data, sequences of unknown length.
pub fn write<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) -> Result<(), Unwritable> {
    into.extend_from_slice(&[tag::VERSION, VERSION]);
    value.serialize(&mut Writer { into })
}

struct Writer<'a> {
    into: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.into.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.into.push(value.to_le_bytes()[0]);
    }

    fn length(&mut self, length: usize) -> Result<(), Unwritable> {
        self.varint(u32::try_from(length).map_err(ser::Error::custom)?);
        Ok(())
    }

    fn int32(&mut self, value: i32) {
        self.into.push(tag::INT32);
        self.varint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }
}

fn none<T>(kind: &str) -> Result<T, Unwritable> {
    Err(Unwritable(format!("messages have no {kind}")))
}

impl<'a, 'b> ser::Serializer for &'a mut Writer<'b> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Counted<'a, 'b>;
    type SerializeMap = Counted<'a, 'b>;
    type SerializeStruct = Counted<'a, 'b>;
    type SerializeTuple = Impossible<(), Unwritable>;
    type SerializeTupleStruct = Impossible<(), Unwritable>;
    type SerializeTupleVariant = Impossible<(), Unwritable>;
    type SerializeStructVariant = Impossible<(), Unwritable>;

    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        self.into.push(if value { tag::TRUE } else { tag::FALSE });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unwritable> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unwritable> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unwritable> {
        self.int32(value);
        Ok(())
    }

    /// A number of JavaScript: beyond 32 bits a double, exact to 53 bits.
    fn serialize_i64(self, value: i64) -> Result<(), Unwritable> {
        match i32::try_from(value) {
            Ok(small) => self.serialize_i32(small),
            Err(_) => self.serialize_f64(value as f64),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unwritable> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unwritable> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unwritable> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unwritable> {
        match i32::try_from(value) {
            Ok(small) => self.serialize_i32(small),
            Err(_) => self.serialize_f64(value as f64),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        self.into.push(tag::DOUBLE);
        self.into.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        self.into.push(if value.is_ascii() {
            tag::ONE_BYTE_STRING
        } else {
            tag::UTF8_STRING
        });
        self.length(value.len())?;
        self.into.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unwritable> {
        none("bytes")
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.into.push(tag::NULL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unwritable> {
        none("variants with data")
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Counted<'a, 'b>, Unwritable> {
        let Some(length) = length else {
            return none("sequences of unknown length");
        };
        self.into.push(tag::DENSE_ARRAY);
        self.length(length)?;
        Ok(Counted { writer: self, count: 0 })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unwritable> {
        none("tuples")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unwritable> {
        none("tuples")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unwritable> {
        none("variants with data")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Counted<'a, 'b>, Unwritable> {
        self.into.push(tag::OBJECT);
        Ok(Counted { writer: self, count: 0 })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Counted<'a, 'b>, Unwritable> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unwritable> {
        none("variants with data")
    }
}

/// An array or object that is being written; its parts are counted, since its end says how many they were.
struct Counted<'a, 'b> {
    writer: &'a mut Writer<'b>,
    count: usize,
}

impl Counted<'_, '_> {
    fn end_object(self) -> Result<(), Unwritable> {
        self.writer.into.push(tag::OBJECT_END);
        self.writer.length(self.count)
    }
}

impl SerializeSeq for Counted<'_, '_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.count += 1;
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.writer.into.extend_from_slice(&[tag::DENSE_ARRAY_END, 0]);
        self.writer.length(self.count)
    }
}

impl SerializeMap for Counted<'_, '_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.count += 1;
        key.serialize(&mut *self.writer)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.end_object()
    }
}

impl SerializeStruct for Counted<'_, '_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unwritable> {
        self.serialize_entry(name, value)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.end_object()
    }
}
