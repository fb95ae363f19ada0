//! What stands behind the question mark of a call.

use ostler_wire::control::{ApiError, ApiErrorKind, Selector};
use ostler_wire::endpoints::{Endpoint, Parameter, ParameterKind};
use std::collections::BTreeMap;

/// The parameters of a call, checked.
#[derive(Debug, Default)]
pub struct Query {
    values: BTreeMap<&'static str, String>,
}

impl Query {
    /// Of a call of this endpoint.
    ///
    /// # Errors
    /// If something is said that the endpoint does not know, or twice, or is not of its kind.
    pub fn parse(endpoint: Endpoint, text: Option<&str>) -> Result<Self, ApiError> {
        let mut values = BTreeMap::new();
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = endpoint.parameters();
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                return Err(unknown(endpoint, name));
            };
            let value = percent_decoded(value);
            check(parameter, &value)?;
            if values.insert(parameter.name, value).is_some() {
                return Err(user(format!("`{name}` is given twice"), None));
            }
        }
        Ok(Self { values })
    }

    /// Whose, if that was said.
    pub fn selector(&self) -> Option<Selector> {
        let word = self.values.get("selector")?;
        Some(Selector {
            words: vec![word.clone()],
            cwd: "/".to_owned(),
        })
    }

    /// Whether, or what holds when nothing is said of it.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.values.get(name).map_or(default, |value| value == "true")
    }

    /// How many, if that was said.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.values.get(name)?.parse().ok()
    }
}

fn check(parameter: &Parameter, value: &str) -> Result<(), ApiError> {
    let wanted = match parameter.kind {
        ParameterKind::Text => return Ok(()),
        ParameterKind::Flag if matches!(value, "true" | "false") => return Ok(()),
        ParameterKind::Flag => "true or false".to_owned(),
        ParameterKind::Number(most) if value.parse().is_ok_and(|number: u32| number <= most) => return Ok(()),
        ParameterKind::Number(most) => format!("a number from 0 to {most}"),
    };
    Err(user(
        format!("`{}` is to be {wanted}, not `{value}`", parameter.name),
        None,
    ))
}

fn unknown(endpoint: Endpoint, name: &str) -> ApiError {
    let path = endpoint.path();
    let known: Vec<&str> = endpoint.parameters().iter().map(|parameter| parameter.name).collect();
    let hint = match known.is_empty() {
        true => "It has none.".to_owned(),
        false => format!("It has: {}.", known.join(", ")),
    };
    user(format!("{path} has no parameter `{name}`"), Some(hint))
}

fn user(message: String, hint: Option<String>) -> ApiError {
    ApiError {
        kind: ApiErrorKind::User,
        message,
        hint,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, code.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(query: &str) -> Vec<String> {
        let query = Query::parse(Endpoint::Charts, Some(query)).expect("a query");
        query.selector().map_or_else(Vec::new, |selector| selector.words)
    }

    #[test]
    fn a_selector_is_percent_decoded() {
        assert_eq!(words("selector=%2Fw%20eb%C3%A9%2F"), ["/w ebé/"]);
        assert_eq!(words("selector=100%&"), ["100%"]);
        assert!(words("").is_empty());
    }

    #[test]
    fn what_was_said_counts_and_what_was_not_has_its_default() {
        let query = Query::parse(Endpoint::Logs, Some("out=false&tail=20")).expect("a query");
        assert!(!query.flag("out", true) && query.flag("error", true));
        assert_eq!((query.number("tail"), query.number("other")), (Some(20), None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, expected) in [
            ("lines=2", "/v1/logs has no parameter `lines`"),
            ("out=yes", "`out` is to be true or false, not `yes`"),
            ("out", "`out` is to be true or false, not ``"),
            ("tail=1001", "`tail` is to be a number from 0 to 1000, not `1001`"),
            ("tail=-1", "`tail` is to be a number from 0 to 1000, not `-1`"),
            ("tail=1&tail=2", "`tail` is given twice"),
        ] {
            let error = Query::parse(Endpoint::Logs, Some(query)).expect_err("wrong");
            assert_eq!(error.message, expected);
        }
    }
}
