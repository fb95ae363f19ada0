//! JSON values as YAML that people like to read. A writer of our own, since the files are read by YAML 1.1 (kubectl) and by
//! YAML 1.2: what either could take for something else than a string is quoted, and texts of several lines are blocks.

use serde_json::{Map, Value};

/// A document, ending with a line break.
pub(crate) fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(map, 0, &mut text),
        Value::Array(items) if !items.is_empty() => array(items, 0, &mut text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
    text
}

fn object(map: &Map<String, Value>, depth: usize, text: &mut String) {
    for (position, (key, value)) in map.iter().enumerate() {
        if position > 0 {
            indent(depth, text);
        }
        text.push_str(&string(key));
        text.push(':');
        member(value, depth, text);
    }
}

/// What stands behind a key's colon.
fn member(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            indent(depth + 1, text);
            object(map, depth + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            indent(depth + 1, text);
            array(items, depth + 1, text);
        }
        Value::String(lines) if fits_block(lines) => {
            text.push_str(" |\n");
            for line in lines.lines() {
                if !line.is_empty() {
                    indent(depth + 1, text);
                }
                text.push_str(line);
                text.push('\n');
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

fn array(items: &[Value], depth: usize, text: &mut String) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            indent(depth, text);
        }
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => object(map, depth + 1, text),
            Value::Array(items) if !items.is_empty() => array(items, depth + 1, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                text.push_str(&scalar(item));
                text.push('\n');
            }
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    (0..depth).for_each(|_| text.push_str("  "));
}

/// What fits on the line: also empty lists and objects.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Whether a text of several lines can stand as a block: nothing in it is escaped there, and how it ends is not said.
fn fits_block(text: &str) -> bool {
    let plain = |c: char| c == '\n' || (' '..='~').contains(&c) || ('\u{a1}'..='\u{d7ff}').contains(&c) && !is_odd(c);
    let ends = text.ends_with('\n') && !text.ends_with("\n\n");
    let begins = !text.starts_with([' ', '\n']);
    ends && begins && text.lines().count() > 1 && text.chars().all(plain)
}

/// Characters that break lines or that YAML does not take as they are (section 5.1 of YAML 1.2).
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Words that some YAML takes for booleans or nothing.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];

fn string(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if begins && text.chars().all(plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    quoted(text)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            odd if is_odd(odd) => quoted.push_str(&format!("\\u{:04x}", u32::from(odd))),
            usual => quoted.push(usual),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn it_reads_well() {
        let value = json!({
            "kind": "List", "empty": {}, "none": [],
            "items": [{ "a": 1, "b": { "c": ["x", "no", "1"] } }, [true, null]],
            "script": "one\n  two\n\nthree\n"
        });
        insta::assert_snapshot!(document(&value), @r#"
        kind: List
        empty: {}
        none: []
        items:
          - a: 1
            b:
              c:
                - x
                - "no"
                - "1"
          - - true
            - null
        script: |
          one
            two

          three
        "#);
    }

    #[test]
    fn what_any_yaml_takes_for_something_else_is_quoted() {
        let others = [
            "",
            "No",
            "on",
            "~",
            "1",
            "1e3",
            "0x1",
            ".5",
            "12:30",
            "-",
            "a: b",
            "a #b",
            "*a",
            "{",
            "2024-01-01",
            "=",
            "null",
            "- a",
            " a",
        ];
        for text in others {
            assert!(string(text).starts_with('"'), "{text}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-z0-9:#'\" \n\t{}\\[\\]&*!|>%@`,?~=<.-]{0,12}",
            "([ -~]{0,8}\n){1,4}",
            Just("\u{85}\u{2028}\u{feff}\u{7f}\u{fffe}".to_owned()),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            text().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(value in value()) {
            let text = document(&value);
            let back: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
