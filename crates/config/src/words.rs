//! Splitting strings into words, and joining words for a shell.

/// Splits on whitespace; quotes of either kind hold a word together. A word that is quoted whole loses its quotes, one
/// with quotes inside keeps them, as in PM2: `a 'c d' e="f g"` gives `a`, `c d`, `e="f g"`.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut open: Option<char> = None;
    for c in text.chars() {
        match open {
            Some(quote) if c == quote => open = None,
            None if c == '"' || c == '\'' => open = Some(c),
            None if c.is_whitespace() => {
                take(&mut word, &mut words);
                continue;
            }
            Some(_) | None => {}
        }
        word.push(c);
    }
    take(&mut word, &mut words);
    words
}

fn take(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(unquoted(word).to_owned());
        word.clear();
    }
}

fn unquoted(word: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| {
            let inner = word.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        })
        .unwrap_or(word)
}

/// `word` as a POSIX shell reads it back unchanged.
pub(crate) fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_as_pm2_splits_them() {
        assert_eq!(split(r#"a b 'c d' e="f g""#), ["a", "b", "c d", r#"e="f g""#]);
        assert_eq!(split("  --port   3000 "), ["--port", "3000"]);
        assert_eq!(split(r#""it's""#), ["it's"]);
        assert_eq!(split(r#"--eval "1 + 1""#), ["--eval", "1 + 1"]);
        assert!(split(" \t ").is_empty());
    }

    #[test]
    fn an_unclosed_quote_keeps_its_text() {
        assert_eq!(split("a 'b c"), ["a", "'b c"]);
    }

    #[test]
    fn shell_quoting_protects_what_a_shell_would_read_otherwise() {
        assert_eq!(shell_quoted("--port=3000"), "--port=3000");
        assert_eq!(shell_quoted("a b"), "'a b'");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_quoted(""), "''");
    }
}
