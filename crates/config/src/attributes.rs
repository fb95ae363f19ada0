//! The attributes of one app after checking: canonical names, values in normal form.

use serde_json::{Map, Value};

/// Checked attributes. The getters answer `None` (or nothing) for an absent one; a present one has its kind's normal
/// form, so asking for it in that form never fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes(pub(crate) Map<String, Value>);

impl Attributes {
    /// There are few, and each is asked for: going through them is quicker than hashing the name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i32> {
        self.get(name)?.as_i64().and_then(|number| i32::try_from(number).ok())
    }

    /// A string or a list of strings as a list.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
        }
    }

    /// A list of whole numbers.
    pub(crate) fn integers(&self, name: &str) -> Vec<i32> {
        let items = self.get(name).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(Value::as_i64)
            .filter_map(|number| i32::try_from(number).ok())
            .collect()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}
