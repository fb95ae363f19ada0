//! Which variables look like secrets. Their values never get into an export: a placeholder that has to be filled in does.

use std::collections::BTreeMap;

/// What stands where a secret has to be filled in.
pub(crate) const PLACEHOLDER: &str = "REPLACE-ME";

/// Words in a name that tell of a secret.
const WORDS: [&str; 22] = [
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASS",
    "PWD",
    "PASSPHRASE",
    "KEY",
    "KEYS",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "CREDS",
    "PRIVATE",
    "DSN",
    "SALT",
    "JWT",
    "PAT",
    "AUTH",
];

/// Ends of words that tell of one, as in `ACCESSKEY` and `DBPASSWORD`.
const ENDS: [&str; 5] = ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "KEY"];

/// Names that say so and are none.
const HARMLESS: [&str; 4] = ["PUBLIC_KEY", "PWD", "OLDPWD", "SSH_AUTH_SOCK"];

/// Whether a variable looks like a secret, by its name or by a password within its value.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    has_secret_name(name) || has_password(value)
}

/// Whether a name looks like a secret's: `DB_PASSWORD`, `apiKey`, `ACCESSKEY`.
pub(crate) fn has_secret_name(name: &str) -> bool {
    let spelled = spelled(name);
    if HARMLESS.contains(&spelled.as_str()) || spelled.ends_with("_PUBLIC_KEY") {
        return false;
    }
    let tells = |word: &str| WORDS.contains(&word) || ENDS.iter().any(|end| word.ends_with(end));
    spelled.split('_').any(tells)
}

/// `apiKey` and `api-key` as `API_KEY`.
fn spelled(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len());
    let mut before_is_lower = false;
    for c in name.chars() {
        if before_is_lower && c.is_uppercase() {
            spelled.push('_');
        }
        before_is_lower = c.is_lowercase() || c.is_ascii_digit();
        spelled.extend(if c.is_alphanumeric() { c } else { '_' }.to_uppercase());
    }
    spelled
}

/// Whether a value is an address with a password in it: `postgres://user:password@host/db`; or a private key.
fn has_password(value: &str) -> bool {
    if value.contains("PRIVATE KEY-----") {
        return true;
    }
    value.match_indices("://").any(|(at, _)| {
        let rest = &value[at + 3..];
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _host)| user.split_once(':'))
            .is_some_and(|(_user, password)| !password.is_empty())
    })
}

/// Arguments that look like secrets: `--token=abc`, `--password abc`. Only their names are returned.
pub(crate) fn in_arguments(arguments: &[String]) -> Vec<String> {
    let named = |argument: &String| {
        let option = argument.strip_prefix('-')?.trim_start_matches('-');
        let name = option.split('=').next().unwrap_or_default();
        has_secret_name(name).then(|| argument[..argument.len() - option.len() + name.len()].to_owned())
    };
    let addresses = arguments.iter().filter(|argument| has_password(argument));
    let mut found: Vec<String> = arguments.iter().filter_map(named).collect();
    found.extend(addresses.map(|_| "an address with a password".to_owned()));
    found
}

/// Variables, parted.
#[derive(Debug, Default)]
pub(crate) struct Parted {
    /// Those that may be read by anybody.
    pub(crate) plain: BTreeMap<String, String>,
    /// The names of those that look like secrets.
    pub(crate) secret: Vec<String>,
}

/// Parts what may be shown from what may not.
pub(crate) fn part(variables: &BTreeMap<String, String>) -> Parted {
    let (secret, plain): (Vec<_>, Vec<_>) = variables.iter().partition(|(name, value)| is_secret(name, value));
    Parted {
        plain: plain
            .into_iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        secret: secret.into_iter().map(|(name, _value)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_secrets_are_known() {
        let names = [
            "DB_PASSWORD",
            "apiKey",
            "API_KEY",
            "ACCESSKEY",
            "SESSION_SECRET",
            "GITHUB_TOKEN",
            "SENTRY_DSN",
            "AUTH",
        ];
        for name in names {
            assert!(is_secret(name, ""), "{name}");
        }
        for value in [
            "postgres://me:word@db/x",
            "a=redis://:word@cache:6379",
            "-----BEGIN RSA PRIVATE KEY-----\nMII",
        ] {
            assert!(is_secret("DATABASE", value), "{value}");
        }
    }

    #[test]
    fn what_is_none_stays_readable() {
        let pairs = [
            ("NODE_ENV", "production"),
            ("PORT", "3000"),
            ("KEYBOARD", "us"),
            ("JWT_PUBLIC_KEY", "abc"),
            ("URL", "https://example.org:8080/a@b"),
            ("REDIS", "redis://cache:6379"),
            ("PWD", "/srv"),
            ("BYPASS_CACHE", "1"),
            ("AUTHOR", "me"),
        ];
        for (name, value) in pairs {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn secrets_in_arguments_are_named_without_their_values() {
        let arguments = ["--token=abc", "-password", "x", "--port=1", "--db", "pg://a:b@c"].map(str::to_owned);
        assert_eq!(
            in_arguments(&arguments),
            ["--token", "-password", "an address with a password"]
        );
    }
}
