//! YAML 1.2, as js-yaml reads it for PM2.

use super::{Document, malformed};
use crate::diagnostic::{ConfigError, Diagnostic, Position};
use crate::place::{Positions, child, item};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Parses a YAML document.
pub(crate) fn parse(source: &str, text: &str) -> Result<Document, ConfigError> {
    let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let at = error.location().map(at);
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        // The place has a place of its own.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        malformed(Diagnostic::new(source, "", format!("not valid YAML: {message}")).at(at))
    })?;
    let mut positions = Positions::new();
    let value = collect(node, String::new(), &mut positions);
    Ok(Document {
        source: source.to_owned(),
        value,
        positions,
        warnings: Vec::new(),
    })
}

/// Scalars as in YAML 1.2's core schema, js-yaml's default: `yes` and `off` are strings.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true }
}

fn at(location: Location) -> Position {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: count(location.line()),
        column: count(location.column()),
    }
}

/// A YAML value whose parts know where they stand.
#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

fn collect(node: Spanned<Node>, path: String, positions: &mut Positions) -> Value {
    let place = at(node.referenced);
    let value = match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, node)| collect(node, item(&path, index), positions))
            .collect(),
        Node::Map(entries) => {
            let entries = entries.into_iter().map(|(key, node)| {
                let value = collect(node, child(&path, &key), positions);
                (key, value)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    };
    if place.line > 0 {
        positions.insert(path, place);
    }
    value
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Scalar(flag.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Scalar(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Scalar(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Scalar(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Scalar(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
