//! Where each value of a JSON5 text stands. A light pass over a text that is known to parse: it follows nesting and keys
//! and skips everything else.

use crate::diagnostic::Position;
use crate::place::{Cursor, Positions, child, item};

/// What the pass found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) positions: Positions,
    /// Keys that an object has twice, with the place of the later one.
    pub(crate) repeated: Vec<(String, Position)>,
}

/// An open bracket.
enum Open {
    /// An object's path, and its current key if its value is yet to come.
    Object { path: String, key: Option<String> },
    /// An array's path, and the index of the current item.
    Array { path: String, index: usize },
}

/// Scans a valid JSON5 text.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        text,
        offset: 0,
        cursor: Cursor::default(),
        open: Vec::new(),
        scan: Scan::default(),
    };
    while let Some(c) = scanner.peek() {
        scanner.step(c);
    }
    scanner.scan
}

struct Scanner<'a> {
    text: &'a str,
    offset: usize,
    cursor: Cursor,
    open: Vec<Open>,
    scan: Scan,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.offset..].chars().next()
    }

    fn step(&mut self, c: char) {
        match c {
            '{' | '[' => {
                let path = self.value_begins();
                self.open.push(if c == '{' {
                    Open::Object { path, key: None }
                } else {
                    Open::Array { path, index: 0 }
                });
                self.offset += 1;
            }
            '}' | ']' => {
                self.open.pop();
                self.offset += 1;
            }
            ',' => {
                if let Some(Open::Array { index, .. }) = self.open.last_mut() {
                    *index += 1;
                }
                self.offset += 1;
            }
            '/' => self.skip_comment(),
            _ if c == ':' || c.is_whitespace() || c == '\u{feff}' => self.offset += c.len_utf8(),
            _ => self.word(),
        }
    }

    /// A string, number or name: a key if the object around waits for one, else a value.
    fn word(&mut self) {
        let start = self.offset;
        let awaits_key = matches!(self.open.last(), Some(Open::Object { key: None, .. }));
        let path = if awaits_key { None } else { Some(self.value_begins()) };
        let word = self.take_word();
        if path.is_none() {
            self.key_named(word, start);
        }
    }

    fn key_named(&mut self, name: String, start: usize) {
        let Some(Open::Object { path, key }) = self.open.last_mut() else {
            return;
        };
        let full = child(path, &name);
        *key = Some(name);
        if self.scan.positions.contains_key(&full) {
            let position = self.cursor.position(self.text, start);
            self.scan.repeated.push((full, position));
        }
    }

    /// Records the place of the value that begins here; answers its path.
    fn value_begins(&mut self) -> String {
        let path = match self.open.last_mut() {
            None => String::new(),
            Some(Open::Array { path, index }) => item(path, *index),
            Some(Open::Object { path, key }) => child(path, &key.take().unwrap_or_default()),
        };
        let position = self.cursor.position(self.text, self.offset);
        self.scan.positions.insert(path.clone(), position);
        path
    }

    /// The text of a string without its quotes (escapes are left as they are), or of a bare word.
    fn take_word(&mut self) -> String {
        let rest = &self.text[self.offset..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some(quote) = quote else {
            let end = rest
                .find(|c: char| c.is_whitespace() || ",:{}[]/".contains(c))
                .unwrap_or(rest.len());
            // At least one character, so that the pass always moves on.
            let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
            self.offset += end;
            return rest[..end].to_owned();
        };
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                self.offset += at + 1;
                return rest[1..at].to_owned();
            }
            escaped = c == '\\' && !escaped;
        }
        self.offset = self.text.len();
        rest[1..].to_owned()
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.offset..];
        let end = match rest.strip_prefix("/*") {
            Some(comment) => comment.find("*/").map(|at| at + 4),
            None => rest.find('\n'),
        };
        self.offset += end.unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(scan: &Scan, path: &str) -> (u32, u32) {
        let place = scan
            .positions
            .get(path)
            .unwrap_or_else(|| panic!("no {path} in {:?}", scan.positions));
        (place.line, place.column)
    }

    #[test]
    fn every_value_has_its_place() {
        let scan = scan(
            "{\n  \"apps\": [\n    { name: 'é', script: \"a\" }, // x\n    {\n      /* : */ 'max': 1,\n      list: [1, [2]]\n    }\n  ]\n}",
        );
        assert_eq!(at(&scan, ""), (1, 1));
        assert_eq!(at(&scan, "apps"), (2, 11));
        assert_eq!(at(&scan, "apps[0].script"), (3, 26));
        assert_eq!(at(&scan, "apps[1].max"), (5, 22));
        assert_eq!(at(&scan, "apps[1].list[1][0]"), (6, 18));
    }

    #[test]
    fn strings_with_brackets_and_quotes_do_not_mislead() {
        let scan = scan(r#"{ "a": "}{\"][", "b": 'it\'s', "c": {} , "d": 1 }"#);
        assert_eq!(at(&scan, "b"), (1, 23));
        assert_eq!(at(&scan, "d"), (1, 47));
    }

    proptest! {
        #[test]
        fn any_text_is_passed_over_to_its_end(text in "[{}\\[\\]:,'\"/*\\\\ a1é\n]{0,40}") {
            let _scan = scan(&text);
        }

        #[test]
        fn every_value_of_a_nested_text_is_placed(depth in 1_usize..20, width in 1_usize..5) {
            let mut text = "1".to_owned();
            for _level in 0..depth {
                let items = vec![text.as_str(); width].join(", ");
                text = if items.len() < 2000 { format!("{{ k: [{items}] }}") } else { format!("[{text}]") };
            }
            let value: serde_json::Value = json5::from_str(&text).expect("valid JSON5");
            prop_assert_eq!(scan(&text).positions.len(), count(&value));
        }
    }

    fn count(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
            serde_json::Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => 1,
        }
    }

    #[test]
    fn repeated_keys_are_found() {
        let scan = scan("{ a: 1, b: { a: 2 }, a: 3 }");
        assert_eq!(scan.repeated.len(), 1);
        assert_eq!(scan.repeated[0].0, "a");
    }
}
