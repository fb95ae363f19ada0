//! The smallest parts of the serialisation: bytes, variable-length numbers, doubles, texts, buffers.

use std::borrow::Cow;

use super::{Unreadable, tag};

/// A place in the data, moving forwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    pub(super) all: &'a [u8],
    pub(super) at: usize,
}

/// The content of an `ArrayBuffer` or of a view of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer<'a> {
    pub(super) name: &'static str,
    pub(super) content: &'a [u8],
}

/// What stands behind the tag of a host object (Node: `ChildProcessSerializer._writeHostObject`).
#[derive(Clone, Copy, Debug)]
pub(super) enum HostObject<'a> {
    /// A view of a buffer.
    View(Buffer<'a>),
    /// Some native object; a value with its own properties follows.
    Plain,
}

impl<'a> Bytes<'a> {
    /// Past the header.
    pub(super) fn new(all: &'a [u8]) -> Result<Self, Unreadable> {
        let mut bytes = Self { all, at: 0 };
        if bytes.byte()? != tag::VERSION || bytes.varint()? < u32::from(super::VERSION) {
            return Err(Unreadable::Malformed("header"));
        }
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Unreadable> {
        let byte = self.all.get(self.at).copied().ok_or(Unreadable::CutShort)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next tag, without taking it.
    pub(super) fn peek_tag(&mut self) -> Result<u8, Unreadable> {
        loop {
            match self.all.get(self.at).copied().ok_or(Unreadable::CutShort)? {
                tag::PADDING => self.at += 1,
                tag::OBJECT_COUNT => {
                    self.at += 1;
                    self.varint()?;
                }
                found => return Ok(found),
            }
        }
    }

    pub(super) fn tag(&mut self) -> Result<u8, Unreadable> {
        let found = self.peek_tag()?;
        self.at += 1;
        Ok(found)
    }

    pub(super) fn slice(&mut self, length: u32) -> Result<&'a [u8], Unreadable> {
        let end = self.at.checked_add(length as usize).ok_or(Unreadable::CutShort)?;
        let slice = self.all.get(self.at..end).ok_or(Unreadable::CutShort)?;
        self.at = end;
        Ok(slice)
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn varint(&mut self) -> Result<u32, Unreadable> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Unreadable::Malformed("number"));
            }
        }
        Err(Unreadable::Malformed("number"))
    }

    pub(super) fn int32(&mut self) -> Result<i64, Unreadable> {
        let folded = i64::from(self.varint()?);
        Ok((folded >> 1) ^ -(folded & 1))
    }

    pub(super) fn double(&mut self) -> Result<f64, Unreadable> {
        let bytes = self.slice(8)?;
        let bytes = bytes.try_into().expect("invariant: eight bytes were asked for");
        Ok(f64::from_le_bytes(bytes))
    }

    /// Whether it is negative, and its digits, lowest byte first.
    pub(super) fn big_int(&mut self) -> Result<(bool, &'a [u8]), Unreadable> {
        let field = self.varint()?;
        Ok((field & 1 == 1, self.slice(field >> 1)?))
    }

    /// A text of the kind that the tag says.
    pub(super) fn text(&mut self, tag: u8) -> Result<Cow<'a, str>, Unreadable> {
        let length = self.varint()?;
        let bytes = self.slice(length)?;
        Ok(match tag {
            tag::ONE_BYTE_STRING if bytes.is_ascii() => utf8(bytes),
            tag::ONE_BYTE_STRING => bytes.iter().copied().map(char::from).collect(),
            tag::UTF8_STRING => utf8(bytes),
            tag::TWO_BYTE_STRING => two_byte(bytes)?.into(),
            _ => return Err(Unreadable::Malformed("string")),
        })
    }

    pub(super) fn tagged_text(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        let tag = self.tag()?;
        self.text(tag)
    }

    /// What follows the tag of an `ArrayBuffer`.
    pub(super) fn array_buffer(&mut self, tag: u8) -> Result<Buffer<'a>, Unreadable> {
        let length = self.varint()?;
        if tag == tag::RESIZABLE_ARRAY_BUFFER {
            self.varint()?;
        }
        Ok(Buffer {
            name: "ArrayBuffer",
            content: self.slice(length)?,
        })
    }

    /// What follows the tag of a host object.
    pub(super) fn host_object(&mut self) -> Result<HostObject<'a>, Unreadable> {
        match self.varint()? {
            0 => {}
            1 => return Ok(HostObject::Plain),
            _ => return Err(Unreadable::Malformed("host object")),
        }
        let name = tag::view_name(self.varint()?).ok_or(Unreadable::Malformed("kind of typed array"))?;
        let length = self.varint()?;
        let content = self.slice(length)?;
        Ok(HostObject::View(Buffer { name, content }))
    }
}

fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// UTF-16 to text; JavaScript allows halves of characters, which we have no way to say.
fn two_byte(bytes: &[u8]) -> Result<String, Unreadable> {
    if !bytes.len().is_multiple_of(2) {
        return Err(Unreadable::Malformed("string"));
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    Ok(char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect())
}
