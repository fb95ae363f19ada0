//! How texts are written in unit files, by systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.syntax(7).

/// What of a text systemd would replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// Specifiers such as `%i`: in `Environment=`, and in the program of `ExecStart=`.
    Specifiers,
    /// Specifiers, and variables such as `$HOME`: in the arguments of `ExecStart=`.
    SpecifiersAndVariables,
}

/// One word of a list such as `ExecStart=` or `Environment=`, quoted where it has to be.
pub(crate) fn word(text: &str, replaced: Replaced) -> String {
    let safe = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                '_' | '-' | '.' | '/' | ':' | '=' | ',' | '+' | '@' | '%' | '$' | '{' | '}'
            )
    };
    let mut word = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '%' => word.push_str("%%"),
            '$' if replaced == Replaced::SpecifiersAndVariables => word.push_str("$$"),
            '"' => word.push_str("\\\""),
            '\\' => word.push_str("\\\\"),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            '\r' => word.push_str("\\r"),
            control if control.is_ascii_control() => word.push_str(&format!("\\x{:02x}", u32::from(control))),
            usual => word.push(usual),
        }
    }
    if !text.is_empty() && text.chars().all(safe) {
        word
    } else {
        format!("\"{word}\"")
    }
}

/// A value that takes the rest of the line, such as a path: nothing in it is quoted or unquoted. `None` where a line cannot say it.
pub(crate) fn line(text: &str) -> Option<String> {
    let sayable =
        !text.is_empty() && !text.ends_with('\\') && text.trim() == text && !text.contains(|c: char| c.is_control());
    sayable.then(|| text.replace('%', "%%"))
}

/// Free text such as a description: what a line cannot say becomes a space.
pub(crate) fn prose(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().trim_end_matches('\\').trim().replace('%', "%%")
}

/// Whether systemd takes it for the name of a variable; it ignores others.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A line of an `EnvironmentFile=`: in double quotes, in which only these four characters are escaped.
pub(crate) fn file_line(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push_str("\"\n");
    line
}
