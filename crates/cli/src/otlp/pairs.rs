//! Lists of names and values in one variable: `name=value,name=value`, percent-encoded (W3C Baggage, 3.3; the specification of
//! OpenTelemetry, *Specifying headers via environment variables*, *Resource SDK*). Pure.

/// The pairs of such a list.
///
/// # Errors
/// What is wrong, for people. It has no value in it, which may be a secret.
pub fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(pair).collect()
}

fn pair(entry: &str) -> Result<(String, String), String> {
    let Some((name, value)) = entry.split_once('=') else {
        return Err("an entry has no `=`".to_owned());
    };
    let name = name.trim();
    let wrong = |part: &str| format!("the {part} of \"{name}\" is not percent-encoded as UTF-8");
    let value = decoded(value.trim()).ok_or_else(|| wrong("value"))?;
    match decoded(name).ok_or_else(|| wrong("name"))? {
        name if name.is_empty() => Err("an entry has no name before its `=`".to_owned()),
        name => Ok((name, value)),
    }
}

/// With each `%` and the two digits behind it as the byte that they mean.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let pairs = read(" authorization = Basic%20YTpi , x=1=2,, tea=gr%C3%BCn,empty=").expect("a list");
        let expected = [
            ("authorization", "Basic YTpi"),
            ("x", "1=2"),
            ("tea", "grün"),
            ("empty", ""),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused_without_its_values() {
        for text in ["secret", "=secret", "a=secret%2", "a=secret%zz", "a=secret%FF"] {
            let error = read(text).expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
