//! Schemas of types, collected for `components`.
//!
//! What goes out and what comes in may differ for one type: what has a default need not be sent, but is always there in an answer. Where that is so
//! the type that comes in is called `…Input`.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const PREFIX: &str = "#/components/schemas/";

/// Both directions.
pub struct Schemas {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
}

impl Schemas {
    pub fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            answers: settings().for_serialize().into_generator(),
            requests: settings().for_deserialize().into_generator(),
        }
    }

    /// Of what goes out.
    pub fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().into()
    }

    /// Of what comes in. To be [`renamed`](Self::finish) in the end.
    pub fn request<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.requests.subschema_for::<T>().into();
        rename(&mut schema, &|name| format!("{name}{MARK}"));
        schema
    }

    /// Puts the schemas into the document, those that come in under a name of their own where they differ.
    pub fn finish(mut self, document: &mut Value) {
        let mut all = self.answers.take_definitions(true);
        let requests = self.requests.take_definitions(true);
        let own = differing(&all, &requests);
        let name = |name: &str| match own.contains(name) {
            true => format!("{name}Input"),
            false => name.to_owned(),
        };
        for (key, mut schema) in requests {
            rename(&mut schema, &name);
            all.insert(name(&key), schema);
        }
        rename(document, &|marked| match marked.strip_suffix(MARK) {
            Some(requested) => name(requested),
            None => marked.to_owned(),
        });
        all.sort_keys();
        all.values_mut().for_each(tidy);
        document["components"]["schemas"] = Value::Object(all);
    }
}

/// What references to requests bear until it is known which of them need a name of their own.
const MARK: &str = "~";

/// Those that are not the same in both directions, or refer to one that is not.
fn differing(answers: &Map<String, Value>, requests: &Map<String, Value>) -> BTreeSet<String> {
    let differs = |(name, schema): &(&String, &Value)| answers.get(*name).is_some_and(|answer| answer != *schema);
    let mut own: BTreeSet<String> = requests.iter().filter(differs).map(|(name, _)| name.clone()).collect();
    loop {
        let refers = |(name, schema): &(&String, &Value)| {
            let mut used = BTreeSet::new();
            super::references(schema, &mut used);
            let used = used.iter().filter_map(|reference| reference.strip_prefix(PREFIX));
            answers.contains_key(*name) && !own.contains(*name) && used.into_iter().any(|name| own.contains(name))
        };
        let more: Vec<String> = requests.iter().filter(refers).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            return own;
        }
        own.extend(more);
    }
}

fn rename(value: &mut Value, name: &dyn Fn(&str) -> String) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(old) = reference.strip_prefix(PREFIX)
            {
                *reference = format!("{PREFIX}{}", name(old));
            }
            members.values_mut().for_each(|member| rename(member, name));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| rename(element, name)),
        _ => {}
    }
}

/// Doc comments are wrapped where the source is; here they are sentences.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        _ => {}
    }
}
