//! V8's data as a format of serde, from a slice.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::bytes::{Buffer, Bytes, HostObject};
use super::skip::is_object;
use super::{MAX_DEPTH, MAX_REPEATED, MAX_SPARSE, Unreadable, shown, tag};

/// Reads one value. To a visitor, `undefined` and holes of arrays are `visit_none`, `null` is `visit_unit`.
#[derive(Clone, Debug)]
pub struct Reader<'de> {
    bytes: Bytes<'de>,
    depth: usize,
    /// Where each object begins, in the order in which they were met: what references count.
    objects: Vec<usize>,
    /// Whether an object is being read another time, because of a reference.
    again: bool,
    /// Bytes that were read another time.
    repeated: usize,
}

impl<'de> Reader<'de> {
    /// For data with its header.
    ///
    /// # Errors
    /// If it does not begin as such data begins.
    pub fn new(data: &'de [u8]) -> Result<Self, Unreadable> {
        Ok(Self {
            bytes: Bytes::new(data)?,
            depth: 0,
            objects: Vec::new(),
            again: false,
            repeated: 0,
        })
    }

    /// Whether what comes next is an object with named members.
    pub fn is_at_object(&mut self) -> bool {
        self.bytes.peek_tag() == Ok(tag::OBJECT)
    }

    /// How many bytes have been read, the header's included.
    #[cfg(test)]
    pub(super) fn position(&self) -> usize {
        self.bytes.at
    }

    fn skip(&mut self) -> Result<(), Unreadable> {
        let (objects, again) = (&mut self.objects, self.again);
        self.bytes.skip(|at| {
            if !again {
                objects.push(at);
            }
        })
    }

    fn value<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        let at = self.bytes.at;
        let found = self.bytes.tag()?;
        if is_object(found) && !self.again {
            self.objects.push(at);
        }
        match found {
            tag::UNDEFINED | tag::HOLE => visitor.visit_none(),
            tag::NULL => visitor.visit_unit(),
            tag::TRUE | tag::TRUE_OBJECT => visitor.visit_bool(true),
            tag::FALSE | tag::FALSE_OBJECT => visitor.visit_bool(false),
            tag::INT32 => visitor.visit_i64(self.bytes.int32()?),
            tag::UINT32 => visitor.visit_u64(self.bytes.varint()?.into()),
            tag::DOUBLE | tag::NUMBER_OBJECT => self.double(visitor),
            tag::BIG_INT | tag::BIG_INT_OBJECT => self.big_int(visitor),
            tag::ONE_BYTE_STRING | tag::TWO_BYTE_STRING | tag::UTF8_STRING => text(self.bytes.text(found)?, visitor),
            tag::STRING_OBJECT => text(self.bytes.tagged_text()?, visitor),
            tag::DATE => match shown::date(self.bytes.double()?) {
                Some(date) => visitor.visit_string(date),
                None => visitor.visit_unit(),
            },
            tag::REGULAR_EXPRESSION => {
                let pattern = self.bytes.tagged_text()?;
                visitor.visit_string(shown::regular_expression(&pattern, self.bytes.varint()?))
            }
            tag::ARRAY_BUFFER | tag::RESIZABLE_ARRAY_BUFFER => buffer(self.bytes.array_buffer(found)?, visitor),
            tag::HOST_OBJECT => match self.bytes.host_object()? {
                HostObject::View(view) => buffer(view, visitor),
                HostObject::Plain => self.deeper(|reader| reader.value(visitor)),
            },
            tag::OBJECT | tag::ERROR => self.deeper(|reader| reader.members(found, visitor)),
            tag::DENSE_ARRAY | tag::SPARSE_ARRAY => self.deeper(|reader| reader.array(found, visitor)),
            tag::MAP | tag::SET => self.deeper(|reader| reader.collection(found, visitor)),
            tag::REFERENCE => self.deeper(|reader| reader.referenced(visitor)),
            _ => Err(Unreadable::Unsupported(found)),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
        if self.depth == MAX_DEPTH {
            return Err(Unreadable::TooDeep);
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn double<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        let number = self.bytes.double()?;
        match shown::whole(number) {
            Some(whole) => visitor.visit_i64(whole),
            None => visitor.visit_f64(number),
        }
    }

    fn big_int<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        let (negative, digits) = self.bytes.big_int()?;
        let small = shown::small_integer(negative, digits);
        if let Some(number) = small.and_then(|small| i64::try_from(small).ok()) {
            return visitor.visit_i64(number);
        }
        if let Some(number) = small.and_then(|small| u64::try_from(small).ok()) {
            return visitor.visit_u64(number);
        }
        visitor.visit_string(shown::large_integer(negative, digits))
    }

    /// Goes back to where the object begins that was met before. One that is not finished yet contains itself; the depth
    /// puts an end to that.
    fn referenced<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unreadable> {
        let number = self.bytes.varint()? as usize;
        let begin = self
            .objects
            .get(number)
            .copied()
            .ok_or(Unreadable::Malformed("reference"))?;
        let (next, again) = (self.bytes.at, self.again);
        (self.bytes.at, self.again) = (begin, true);
        let value = self.value(visitor)?;
        self.repeated += self.bytes.at.abs_diff(begin);
        (self.bytes.at, self.again) = (next, again);
        // A few objects that mean each other several times would unfold for ever.
        if self.repeated > MAX_REPEATED {
            return Err(Unreadable::TooMuch);
        }
        Ok(value)
    }

    fn members<V: Visitor<'de>>(&mut self, found: u8, visitor: V) -> Result<V::Value, Unreadable> {
        if found == tag::ERROR {
            return visitor.visit_map(ErrorMembers::new(self));
        }
        let value = visitor.visit_map(Members { reader: &mut *self })?;
        self.bytes.end(tag::OBJECT_END)?;
        Ok(value)
    }

    fn array<V: Visitor<'de>>(&mut self, found: u8, visitor: V) -> Result<V::Value, Unreadable> {
        let length = self.bytes.varint()?;
        let (value, end) = if found == tag::DENSE_ARRAY {
            let elements = Elements {
                reader: &mut *self,
                left: length,
            };
            (visitor.visit_seq(elements)?, tag::DENSE_ARRAY_END)
        } else {
            let elements = SparseElements::new(self, length)?;
            (visitor.visit_seq(elements)?, tag::SPARSE_ARRAY_END)
        };
        // Properties that are no elements are not shown, as `JSON.stringify` has it.
        while self.bytes.peek_tag()? != end {
            self.skip()?;
        }
        self.bytes.end(end)?;
        Ok(value)
    }

    fn collection<V: Visitor<'de>>(&mut self, found: u8, visitor: V) -> Result<V::Value, Unreadable> {
        let (end, pairs) = if found == tag::MAP {
            (tag::MAP_END, true)
        } else {
            (tag::SET_END, false)
        };
        let value = visitor.visit_seq(Entries {
            reader: &mut *self,
            end,
            pairs,
        })?;
        self.bytes.end(end)?;
        Ok(value)
    }

    /// The name of a member; numbers are text, as they are in JSON.
    fn name(&mut self) -> Result<Cow<'de, str>, Unreadable> {
        Ok(match self.bytes.tag()? {
            tag::INT32 => self.bytes.int32()?.to_string().into(),
            tag::UINT32 => self.bytes.varint()?.to_string().into(),
            tag::DOUBLE => self.bytes.double()?.to_string().into(),
            found => self.bytes.text(found)?,
        })
    }
}

fn text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Unreadable> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn buffer<'de, V: Visitor<'de>>(buffer: Buffer<'_>, visitor: V) -> Result<V::Value, Unreadable> {
    let content = shown::hexadecimal(buffer.content.iter());
    let members = [("type", buffer.name.to_owned()), ("hex", content)];
    visitor.visit_map(MapDeserializer::new(members.into_iter()))
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.value(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The members of an object, up to its end.
struct Members<'a, 'de> {
    reader: &'a mut Reader<'de>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        if self.reader.bytes.peek_tag()? == tag::OBJECT_END {
            return Ok(None);
        }
        match self.reader.name()? {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(StringDeserializer::new(name)),
        }
        .map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Unreadable> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The members of an error: first its name, then what it has.
struct ErrorMembers<'a, 'de> {
    reader: &'a mut Reader<'de>,
    name: Option<&'static str>,
    named: bool,
}

impl<'a, 'de> ErrorMembers<'a, 'de> {
    fn new(reader: &'a mut Reader<'de>) -> Self {
        Self {
            reader,
            name: None,
            named: false,
        }
    }
}

impl<'de> MapAccess<'de> for ErrorMembers<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let mut part = self.reader.bytes.byte()?;
        if !self.named {
            self.named = true;
            self.name = Some(tag::error_name(part).unwrap_or("Error"));
            // A plain error has no kind: that byte was its first member already.
            if tag::error_name(part).is_none() {
                self.reader.bytes.at -= 1;
            }
            return seed.deserialize("name".into_deserializer()).map(Some);
        }
        while tag::error_name(part).is_some() {
            part = self.reader.bytes.byte()?;
        }
        let member = match part {
            tag::ERROR_MESSAGE => "message",
            tag::ERROR_STACK => "stack",
            tag::ERROR_CAUSE => "cause",
            tag::ERROR_END => return Ok(None),
            _ => return Err(Unreadable::Malformed("error")),
        };
        seed.deserialize(BorrowedStrDeserializer::new(member)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Unreadable> {
        match self.name.take() {
            Some(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            None => seed.deserialize(&mut *self.reader),
        }
    }
}

/// The elements of a dense array.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u32,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The elements of a sparse array, holes included.
struct SparseElements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// The index of the next element that is told.
    next: u32,
    /// The index of the next element that is there, if any more is.
    there: Option<u32>,
    length: u32,
}

impl<'a, 'de> SparseElements<'a, 'de> {
    fn new(reader: &'a mut Reader<'de>, length: u32) -> Result<Self, Unreadable> {
        if length > MAX_SPARSE {
            return Err(Unreadable::Unsupported(tag::SPARSE_ARRAY));
        }
        let there = Self::index(reader)?;
        Ok(Self {
            reader,
            next: 0,
            there,
            length,
        })
    }

    /// Takes the index of the next element; nothing where the properties or the end begin.
    fn index(reader: &mut Reader<'de>) -> Result<Option<u32>, Unreadable> {
        let begin = reader.bytes.at;
        let index = match reader.bytes.tag()? {
            tag::INT32 => u32::try_from(reader.bytes.int32()?).ok(),
            tag::UINT32 => Some(reader.bytes.varint()?),
            _ => None,
        };
        if index.is_none() {
            reader.bytes.at = begin;
        }
        Ok(index)
    }
}

impl<'de> SeqAccess<'de> for SparseElements<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if self
            .there
            .is_some_and(|there| there < self.next || there >= self.length)
        {
            return Err(Unreadable::Malformed("index of an element"));
        }
        if self.next == self.length {
            return Ok(None);
        }
        let is_there = self.there == Some(self.next);
        self.next += 1;
        if !is_there {
            return seed.deserialize(().into_deserializer()).map(Some);
        }
        let element = seed.deserialize(&mut *self.reader)?;
        self.there = SparseElements::index(self.reader)?;
        Ok(Some(element))
    }
}

/// The entries of a map or a set, up to its end.
struct Entries<'a, 'de> {
    reader: &'a mut Reader<'de>,
    end: u8,
    pairs: bool,
}

impl<'de> SeqAccess<'de> for Entries<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if self.reader.bytes.peek_tag()? == self.end {
            return Ok(None);
        }
        if self.pairs {
            let pair = Elements {
                reader: &mut *self.reader,
                left: 2,
            };
            return seed.deserialize(de::value::SeqAccessDeserializer::new(pair)).map(Some);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}
