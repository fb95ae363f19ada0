//! Any value of an app's, with a limit to what it takes in memory: `[0,0,…]` would take forty times its length.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What the values of one message may take in memory, bytes, by rough count.
pub const MAX_MEMORY: usize = 64 * 1024 * 1024;

/// What a value takes beside its text.
const EACH: usize = 80;

/// What is left of the limit.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MAX_MEMORY))
    }
}

impl Budget {
    fn take<E: Error>(&self, text: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(EACH + text);
        self.0
            .set(left.ok_or_else(|| E::custom("more values than are taken of one message"))?);
        Ok(())
    }
}

/// Reads a value within a budget; nothing is `undefined`.
impl<'de> DeserializeSeed<'de> for &Budget {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Budget {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(Some(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(Some(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(Some(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(Some(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Option<Value>, E> {
        self.take(value.len())?;
        Ok(Some(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Option<Value>, E> {
        self.take(value.len())?;
        Ok(Some(value.into()))
    }

    fn visit_none<E: Error>(self) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        self.take(0)?;
        Ok(Some(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<Value>, A::Error> {
        self.take(0)?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element.unwrap_or_default());
        }
        Ok(Some(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        self.take(0)?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.take(name.len())?;
            if let Some(value) = members.next_value_seed(self)? {
                object.insert(name, value);
            }
        }
        Ok(Some(Value::Object(object)))
    }
}
