//! Text as Node's `util.inspect(value, {depth: null})` writes it, for `prettylist` and `id`, which scripts grep. The rules
//! are those of `lib/internal/util/inspect.js` (Node 20) for plain values without colours, `compact: 3` and `breakLength: 80`.

use serde_json::{Map, Number, Value};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// Lines are kept below this many columns where that is possible (`breakLength`).
const BREAK_LENGTH: usize = 80;
/// How many levels may share a line (`compact`).
const COMPACT: usize = 3;
/// More entries of an array are not shown (`maxArrayLength`).
const MOST_ENTRIES: usize = 100;
/// A shorter string is never split at its line breaks.
const SHORTEST_SPLIT: usize = 16;

/// The text, without a line break at its end.
pub fn inspect(value: &Value) -> String {
    Inspector {
        indentation: 0,
        last_depth: 0,
    }
    .value(value, 0)
}

struct Inspector {
    /// Columns that what is being written is moved in by.
    indentation: usize,
    /// The depth of the container visited last that was not empty. Node decides by it whether a line may be shared.
    last_depth: usize,
}

impl Inspector {
    fn value(&mut self, value: &Value, depth: usize) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => number(value),
            Value::String(value) => self.string(value),
            Value::Array(entries) => self.array(entries, depth),
            Value::Object(entries) => self.object(entries, depth),
        }
    }

    fn array(&mut self, values: &[Value], depth: usize) -> String {
        if values.is_empty() {
            return "[]".to_owned();
        }
        self.last_depth = depth;
        let shown = &values[..values.len().min(MOST_ENTRIES)];
        self.indentation += 2;
        let mut entries: Vec<String> = shown.iter().map(|value| self.value(value, depth + 1)).collect();
        self.indentation -= 2;
        let more = values.len() - shown.len();
        if more > 0 {
            entries.push(format!("... {more} more item{}", if more > 1 { "s" } else { "" }));
        }
        let count = entries.len();
        if count > 6 {
            entries = self.group(entries, values, more > 0);
        }
        let grouped = entries.len() != count;
        self.join(&entries, ['[', ']'], depth, grouped)
    }

    fn object(&mut self, properties: &Map<String, Value>, depth: usize) -> String {
        if properties.is_empty() {
            return "{}".to_owned();
        }
        self.last_depth = depth;
        self.indentation += 2;
        let entries: Vec<String> = properties
            .iter()
            .map(|(name, value)| format!("{}: {}", key(name), self.value(value, depth + 1)))
            .collect();
        self.indentation -= 2;
        self.join(&entries, ['{', '}'], depth, false)
    }

    /// One line if it is short and not too deep, one entry a line otherwise (`reduceToSingleString`).
    fn join(&self, entries: &[String], [open, close]: [char; 2], depth: usize, grouped: bool) -> String {
        if !grouped && self.last_depth - depth < COMPACT {
            let start = entries.len() + self.indentation + 1 + 10;
            let length = entries.iter().map(|entry| units(entry)).sum::<usize>() + entries.len() + start;
            if length <= BREAK_LENGTH && !entries.iter().any(|entry| entry.contains('\n')) {
                return format!("{open} {} {close}", entries.join(", "));
            }
        }
        let indentation = " ".repeat(self.indentation);
        let entries = entries.join(&format!(",\n{indentation}  "));
        format!("{open}\n{indentation}  {entries}\n{indentation}{close}")
    }

    /// Long arrays of short entries become columns (`groupArrayElements`).
    fn group(&self, entries: Vec<String>, values: &[Value], has_more: bool) -> Vec<String> {
        let count = entries.len() - usize::from(has_more);
        let lengths: Vec<usize> = entries[..count].iter().map(|entry| entry.width()).collect();
        let total = lengths.iter().sum::<usize>() + 2 * count;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let widest = longest + 2;
        let alike = total as f64 / widest as f64 > 5.0 || longest <= 6;
        if widest * 3 + self.indentation >= BREAK_LENGTH || !alike {
            return entries;
        }
        let columns = self.columns(total, widest, count, entries.len());
        if columns <= 1 {
            return entries;
        }
        let widths: Vec<usize> = (0..columns)
            .map(|column| lengths.iter().skip(column).step_by(columns).copied().max().unwrap_or(0) + 2)
            .collect();
        let to_the_right = values.iter().all(Value::is_number);
        let mut lines: Vec<String> = entries[..count]
            .chunks(columns)
            .map(|row| group_row(row, &widths, to_the_right))
            .collect();
        lines.extend(entries[count..].iter().cloned());
        lines
    }

    /// How many columns make the block about square, within the width.
    fn columns(&self, total: usize, widest: usize, count: usize, entries: usize) -> usize {
        let bias = (widest as f64 - total as f64 / entries as f64).sqrt();
        let biased = (widest as f64 - 3.0 - bias).max(1.0);
        let square = ((2.5 * biased * count as f64).sqrt() / biased).round() as usize;
        square
            .min((BREAK_LENGTH - self.indentation) / widest)
            .min(COMPACT * 4)
            .min(15)
    }

    fn string(&self, text: &str) -> String {
        let length = units(text);
        if length <= SHORTEST_SPLIT || length + self.indentation + 4 <= BREAK_LENGTH || !text.contains('\n') {
            return quote(text);
        }
        let lines: Vec<String> = text.split_inclusive('\n').map(quote).collect();
        lines.join(&format!(" +\n{}", " ".repeat(self.indentation + 2)))
    }
}

fn group_row(row: &[String], widths: &[usize], to_the_right: bool) -> String {
    let mut line = String::new();
    let last = row.len() - 1;
    for (index, (entry, width)) in row.iter().zip(widths).enumerate() {
        let text = if index == last {
            entry.clone()
        } else {
            format!("{entry}, ")
        };
        let room = if index == last { width - 2 } else { *width };
        let padding = " ".repeat(room.saturating_sub(text.width()));
        match (to_the_right, index == last) {
            (true, _) => line.extend([padding, text]),
            (false, false) => line.extend([text, padding]),
            (false, true) => line.push_str(&text),
        }
    }
    line
}

/// JavaScript counts UTF-16 units.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => float(value),
        Some(_) | None => number.to_string(),
    }
}

/// As JavaScript's `Number::toString`: exponents from 1e21 up and below 1e-6.
fn float(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if (1e-6..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    if text.contains("e-") {
        text
    } else {
        text.replace('e', "e+")
    }
}

fn key(name: &str) -> String {
    let bare =
        |(index, byte): (usize, u8)| byte.is_ascii_alphabetic() || byte == b'_' || (index > 0 && byte.is_ascii_digit());
    if !name.is_empty() && name.bytes().enumerate().all(bare) {
        name.to_owned()
    } else {
        escape(name, '\'')
    }
}

fn quote(text: &str) -> String {
    let mark = match (
        text.contains('\''),
        text.contains('"'),
        text.contains('`') || text.contains("${"),
    ) {
        (false, _, _) | (true, true, true) => '\'',
        (true, false, _) => '"',
        (true, true, false) => '`',
    };
    escape(text, mark)
}

fn escape(text: &str, mark: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for character in text.chars() {
        match character {
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\\' => quoted.push_str("\\\\"),
            '\'' if mark == '\'' => quoted.push_str("\\'"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                let _infallible = write!(quoted, "\\x{:02X}", u32::from(character));
            }
            other => quoted.push(other),
        }
    }
    quoted.push(mark);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Pairs of value and what Node 20 prints for it.
    #[test]
    fn plain_values_are_written_as_node_writes_them() {
        let table = [
            (json!([1, 2]), "[ 1, 2 ]"),
            (json!([]), "[]"),
            (json!({"a": {}, "b": []}), "{ a: {}, b: [] }"),
            (
                json!({"a-b": 1, "$a": 2, "1a": 3, "é": 4}),
                "{ 'a-b': 1, '$a': 2, '1a': 3, 'é': 4 }",
            ),
            (
                json!({"a": null, "c": true, "d": -0.0, "e": 1.5e300}),
                "{ a: null, c: true, d: -0, e: 1.5e+300 }",
            ),
            (json!([1e21, 1e-7, 0.5, 12.3]), "[ 1e+21, 1e-7, 0.5, 12.3 ]"),
            (json!("it's"), "\"it's\""),
            (json!("it's \"q\""), "`it's \"q\"`"),
            (json!("`it's \"q\""), "'`it\\'s \"q\"'"),
            (json!("a\nb\u{1}\u{7f}\\"), "'a\\nb\\x01\\x7F\\\\'"),
            (json!({"memory": 51085312, "cpu": 0}), "{ memory: 51085312, cpu: 0 }"),
            (json!(["one\ntwo"]), "[ 'one\\ntwo' ]"),
        ];
        for (value, expected) in table {
            assert_eq!(inspect(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_line_is_shared_by_at_most_three_levels() {
        assert_eq!(inspect(&json!({"a": {"b": {"c": {}}}})), "{ a: { b: { c: {} } } }");
        assert_eq!(
            inspect(&json!({"a": {"b": {"c": {"d": 1}}}})),
            "{\n  a: { b: { c: { d: 1 } } }\n}"
        );
        assert_eq!(inspect(&json!([[[[1]]]])), "[\n  [ [ [ 1 ] ] ]\n]");
    }

    #[test]
    fn a_line_is_shared_up_to_its_length() {
        let short = json!({"a": 1, "b": "x".repeat(50)});
        let long = json!({"a": 1, "b": "x".repeat(60)});
        assert_eq!(inspect(&short).lines().count(), 1);
        assert_eq!(inspect(&long), format!("{{\n  a: 1,\n  b: '{}'\n}}", "x".repeat(60)));
    }

    #[test]
    fn long_arrays_become_columns() {
        assert_eq!(inspect(&json!([1, 2, 3, 4, 5, 6, 7])), "[\n  1, 2, 3, 4,\n  5, 6, 7\n]");
        let numbers = json!([10, 200, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(
            inspect(&numbers),
            "[\n  10, 200, 3, 4,  5,\n   6,   7, 8, 9, 10,\n  11,  12\n]"
        );
        let words = json!(["a", "bb", "ccc", "dddd", "e", "f", "g", "h"]);
        let expected = "[\n  'a',   'bb',\n  'ccc', 'dddd',\n  'e',   'f',\n  'g',   'h'\n]";
        assert_eq!(inspect(&words), expected);
        let mixed = json!(["short", {"a": 1}, 3, 4, 5, 6, 7, 8]);
        assert_eq!(inspect(&mixed), "[ 'short', { a: 1 }, 3, 4, 5, 6, 7, 8 ]");
    }

    #[test]
    fn entries_of_an_array_beyond_a_hundred_are_counted() {
        let text = inspect(&Value::from((0..120).collect::<Vec<i32>>()));
        assert!(text.ends_with("  96, 97, 98, 99,\n  ... 20 more items\n]"), "{text}");
    }

    #[test]
    fn a_long_text_is_split_at_its_line_breaks() {
        let lines = json!({"x": format!("{}\n{}", "a".repeat(60), "b".repeat(30))});
        let expected = format!("{{\n  x: '{}\\n' +\n    '{}'\n}}", "a".repeat(60), "b".repeat(30));
        assert_eq!(inspect(&lines), expected);
    }
}
