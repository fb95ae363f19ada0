//! TOML.

use super::{Document, malformed};
use crate::diagnostic::{ConfigError, Diagnostic};
use crate::place::{Positions, child, item, position};
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses a TOML document.
pub(crate) fn parse(source: &str, text: &str) -> Result<Document, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| position(text, span.start));
        malformed(Diagnostic::new(source, "", format!("not valid TOML: {}", error.message())).at(at))
    })?;
    let mut reader = Reader {
        text,
        positions: Positions::new(),
    };
    let value = Value::Object(reader.table(table.get_ref(), ""));
    Ok(Document {
        source: source.to_owned(),
        value,
        positions: reader.positions,
        warnings: Vec::new(),
    })
}

struct Reader<'a> {
    text: &'a str,
    positions: Positions,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, value) in table {
            let at = child(path, key.get_ref());
            map.insert(key.get_ref().to_string(), self.value(value, at));
        }
        map
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: String) -> Value {
        let converted = match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Integer(number) => integer(number.as_str(), number.radix()),
            DeValue::Float(number) => float(number.as_str()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Datetime(moment) => Value::from(moment.to_string()),
            DeValue::Table(table) => Value::Object(self.table(table, &path)),
            DeValue::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| self.value(value, item(&path, index)))
                .collect(),
        };
        self.positions.insert(path, position(self.text, value.span().start));
        converted
    }
}

fn integer(digits: &str, radix: u32) -> Value {
    i64::from_str_radix(digits, radix).map_or_else(|_too_large| Value::from(digits), Value::from)
}

/// `inf` and `nan` have no place in JSON; they stay words, and no attribute takes them.
fn float(digits: &str) -> Value {
    let number = digits.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| Value::from(digits), Value::Number)
}
