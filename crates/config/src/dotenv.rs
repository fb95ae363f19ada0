//! The format of `.env` files, as the npm package `dotenv` reads it, without expansion of `$VARIABLES`.
//!
//! `NAME=value`, one a line, `export` before it allowed. Unquoted values end at ` #` and are trimmed. Single quotes,
//! backticks and double quotes hold values over several lines; only within double quotes do `\n` and `\r` mean line ends
//! (other backslashes stay). `#` starts a comment line. A name that comes twice takes the later value. Unlike `dotenv`,
//! which skips what it does not understand, a line that is none of this is an error.

use std::collections::BTreeMap;

/// What is wrong, and in which line (from 1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) message: &'static str,
}

/// The variables of a file.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = BTreeMap::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let before = rest;
        if let Some((name, value)) = assignment(&mut rest).map_err(|message| SyntaxError { line, message })? {
            variables.insert(name.to_owned(), value);
        }
        line += before[..before.len() - rest.len()].matches('\n').count();
    }
    Ok(variables)
}

/// Takes one assignment, blank line or comment line, with its line break.
fn assignment<'a>(rest: &mut &'a str) -> Result<Option<(&'a str, String)>, &'static str> {
    let line = first_line(rest);
    if line.trim().is_empty() || line.trim_start().starts_with('#') {
        skip(rest, line.len());
        return Ok(None);
    }
    // `dotenv` also takes `NAME: value`.
    let equals = line.find(['=', ':']).ok_or("a line that is no NAME=value")?;
    let name = line[..equals].trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let valid = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !valid {
        return Err("a name that no variable can have");
    }
    let value = line[equals + 1..].trim_start();
    let offset = line.len() - value.len();
    if let Some((value, end)) = quoted(&rest[offset..])? {
        let after = first_line(&rest[offset + end..]);
        if !(after.trim().is_empty() || after.trim_start().starts_with('#')) {
            return Err("text after the closing quote");
        }
        skip(rest, offset + end + after.len());
        return Ok(Some((name, value)));
    }
    skip(rest, line.len());
    Ok(Some((name, unquoted(value))))
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default()
}

fn skip(rest: &mut &str, length: usize) {
    let after = &rest[length..];
    *rest = after.strip_prefix('\n').unwrap_or(after);
}

/// A comment starts at the first `#`, as in dotenv 15 and later: with or without a space before it.
fn unquoted(value: &str) -> String {
    value.split('#').next().unwrap_or_default().trim().to_owned()
}

/// A quoted value and where it ends, or nothing if there is no quote.
fn quoted(text: &str) -> Result<Option<(String, usize)>, &'static str> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
        return Ok(None);
    };
    // As in dotenv, `\'` does not end a value that ends later; in `'C:\'` it does.
    let mut last_escaped = None;
    let mut escaped = false;
    for (offset, c) in text[1..].char_indices() {
        if c == quote {
            if !escaped {
                return Ok(Some(closed(text, offset + 1, quote)));
            }
            last_escaped = Some(offset + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    let end = last_escaped.ok_or("a quote that is never closed")?;
    Ok(Some(closed(text, end, quote)))
}

/// The value whose closing quote is at `end`, and where what follows begins.
fn closed(text: &str, end: usize, quote: char) -> (String, usize) {
    (unescaped(&text[1..end], quote), end + 1)
}

fn unescaped(inner: &str, quote: char) -> String {
    let inner = inner.replace("\r\n", "\n");
    if quote == '"' {
        inner.replace("\\n", "\n").replace("\\r", "\r")
    } else {
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[A-C=:#'\"`\\\\ \né]{0,40}") {
            let _outcome = parse(&text);
        }

        #[test]
        fn any_value_survives_single_quotes(value in "[^'\r]{0,40}") {
            let parsed = parse(&format!("A='{value}'")).expect("a valid file");
            prop_assert_eq!(&parsed["A"], &value);
        }
    }

    fn value(text: &str) -> String {
        parse(text).expect("a valid file").remove("A").expect("a variable A")
    }

    #[test]
    fn plain_values_are_trimmed_and_end_at_a_comment() {
        assert_eq!(value("A=one"), "one");
        assert_eq!(value("  A =  one two  "), "one two");
        assert_eq!(value("A=one # comment"), "one");
        assert_eq!(value("A=one#comment"), "one");
        assert_eq!(value("A="), "");
        assert_eq!(value("A=a=b=c"), "a=b=c");
        assert_eq!(value("A={\"x\": 1}"), "{\"x\": 1}");
        assert_eq!(value("A=one\r\nB=2"), "one");
    }

    #[test]
    fn quotes_keep_spaces_hashes_and_line_breaks() {
        assert_eq!(value("A=' one # two '"), " one # two ");
        assert_eq!(value("A=\"line1\nline2\" # why\nB=2"), "line1\nline2");
        assert_eq!(value("A=`it's \"so\"`"), "it's \"so\"");
    }

    #[test]
    fn only_double_quotes_know_line_end_escapes() {
        assert_eq!(value(r#"A="a\nb""#), "a\nb");
        assert_eq!(value(r"A='a\nb'"), r"a\nb");
        assert_eq!(value(r"A=a\nb"), r"a\nb");
        assert_eq!(value(r#"A="C:\dir""#), r"C:\dir");
        assert_eq!(value(r"A='C:\'"), r"C:\");
        assert_eq!(value(r#"A="say \"so\"""#), r#"say \"so\""#);
    }

    #[test]
    fn export_comments_and_blank_lines_are_as_in_a_shell() {
        let text = "# first\n\nexport A=1\n  # second\nexport   B='2'\n";
        let variables = parse(text).expect("a valid file");
        assert_eq!(
            variables.into_iter().collect::<Vec<_>>(),
            [("A".into(), "1".into()), ("B".into(), "2".into())]
        );
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(value("A=$HOME/${X}"), "$HOME/${X}");
    }

    #[test]
    fn the_later_of_two_equal_names_counts() {
        assert_eq!(value("A=1\nA=2"), "2");
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        let line_of = |text: &str| parse(text).expect_err("an error").line;
        assert_eq!(line_of("A=1\n\nnonsense\n"), 3);
        assert_eq!(line_of("A=\"x\ny\"\nB='never closed\n"), 3);
        assert_eq!(line_of("two words=1"), 1);
        assert_eq!(line_of("A='x' y"), 1);
    }
}
