//! Names that targets allow. App names are free text; two that would become the same name get a number.

use std::collections::BTreeSet;

/// A label of DNS (RFC 1123) has 63 characters at most; this leaves room for suffixes such as `-ostler`.
const LONGEST: usize = 50;

/// Hands out names, each once.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The wanted name, or the first of `name-2`, `name-3`, … that is free.
    pub(crate) fn unique(&mut self, wanted: String) -> String {
        if self.0.insert(wanted.clone()) {
            return wanted;
        }
        let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
        let free = numbered
            .into_iter()
            .find(|name| !self.0.contains(name))
            .unwrap_or(wanted);
        self.0.insert(free.clone());
        free
    }
}

/// A name as Kubernetes wants it: lower case letters, digits and `-`, beginning with a letter (RFC 1035, which Services ask
/// for), ending with a letter or digit.
pub(crate) fn dns_label(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed = plain.trim_matches('-');
    let mut label = if trimmed.starts_with(|c: char| c.is_ascii_alphabetic()) {
        trimmed.to_owned()
    } else {
        format!("app-{trimmed}")
    };
    label.truncate(LONGEST);
    label.trim_end_matches('-').to_owned()
}

/// A name that a systemd unit may have (systemd.unit(5)), without `@`, which stands before an instance's name.
pub(crate) fn unit(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = plain.trim_matches(['-', '.']);
    let mut unit = if trimmed.is_empty() {
        "app".to_owned()
    } else {
        trimmed.to_owned()
    };
    unit.truncate(200);
    unit
}

/// A name that a label's value may have: alphanumeric at both ends, `-`, `_` and `.` between, 63 characters at most.
pub(crate) fn label_value(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    plain.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readable_names_stay_as_they_are() {
        assert_eq!(dns_label("api"), "api");
        assert_eq!(dns_label("My API_v2"), "my-api-v2");
        assert_eq!(dns_label("3d"), "app-3d");
        assert_eq!(dns_label("日本"), "app");
        assert_eq!(unit("web:api v1.2"), "web:api-v1.2");
        assert_eq!(unit("../etc"), "etc");
    }

    #[test]
    fn names_that_become_the_same_get_numbers() {
        let mut names = Names::default();
        let given: Vec<String> = ["a", "a", "a-2", "a"].map(|name| names.unique(name.into())).into();
        assert_eq!(given, ["a", "a-2", "a-2-2", "a-3"]);
    }

    proptest! {
        #[test]
        fn every_name_is_allowed(name in any::<String>()) {
            let label = dns_label(&name);
            prop_assert!((1..=LONGEST).contains(&label.len()));
            prop_assert!(label.starts_with(|c: char| c.is_ascii_lowercase()));
            prop_assert!(label.ends_with(|c: char| c.is_ascii_alphanumeric()));
            prop_assert!(label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(!unit(&name).contains(['/', '@', '%', ' ']));
            prop_assert!(!unit(&name).is_empty());
            prop_assert!(label_value(&name).len() <= 63);
        }
    }
}
