//! What may be secret is hidden in what goes over the port: values of the environment, arguments, and addresses with passwords. Pure.
//!
//! Of the environment only values are shown whose names are known to be harmless: whatever else an app is told may be a secret.

use ostler_core::{Environment, Program};
use ostler_wire::control::{Process, Processes};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What stands in place of what is hidden.
pub const HIDDEN: &str = "***";

/// Variables whose values tell no secret.
const HARMLESS: [&str; 22] = [
    "HOME",
    "HOST",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "LOG_LEVEL",
    "NODE_APP_INSTANCE",
    "NODE_ENV",
    "OLDPWD",
    "OSTLER_HOME",
    "PATH",
    "PM2_HOME",
    "PM2_USAGE",
    "PORT",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TZ",
    "USER",
    "UV_THREADPOOL_SIZE",
];

/// Parts of names behind which secrets stand.
const TELLING: [&str; 12] = [
    "pass",
    "secret",
    "token",
    "credential",
    "apikey",
    "private",
    "auth",
    "cookie",
    "session",
    "dsn",
    "signature",
    "license",
];

/// Words of names behind which secrets stand.
const TELLING_WORDS: [&str; 5] = ["key", "keys", "pw", "pwd", "sig"];

/// Hides what may be secret in a list.
pub fn processes(list: &mut Processes) {
    list.processes.iter_mut().for_each(process);
}

fn process(process: &mut Process) {
    let spec = Arc::make_mut(&mut process.view.spec);
    // Each field is named, so that one that is new is thought of here.
    let Environment {
        inherited,
        files: _,
        declared,
        instance_var: _,
        increment_var: _,
        unique_id: _,
    } = &mut spec.environment;
    variables(Arc::make_mut(inherited));
    variables(declared);
    let Program {
        path: _,
        interpreter: _,
        interpreter_args,
        args,
        cwd: _,
    } = &mut spec.program;
    arguments(interpreter_args);
    arguments(args);
    attributes(&mut spec.attributes);
}

fn variables(variables: &mut BTreeMap<String, String>) {
    for (name, value) in variables {
        *value = variable(name, value);
    }
}

fn variable(name: &str, value: &str) -> String {
    match HARMLESS.contains(&name) || name.starts_with("LC_") {
        true => text(value),
        false => HIDDEN.to_owned(),
    }
}

/// What was declared, by PM2's names.
fn attributes(declared: &mut Map<String, Value>) {
    for (name, value) in declared.iter_mut() {
        match (name.as_str(), &mut *value) {
            (name, Value::Object(values)) if name == "env" || name.starts_with("env_") => {
                for (name, value) in values.iter_mut() {
                    *value = variable(name, value.as_str().unwrap_or_default()).into();
                }
            }
            ("args" | "node_args" | "interpreter_args", Value::Array(words)) => {
                let mut texts: Vec<String> = words
                    .iter()
                    .map(|word| word.as_str().unwrap_or_default().to_owned())
                    .collect();
                arguments(&mut texts);
                *words = texts.into_iter().map(Value::from).collect();
            }
            (name, value) => any(name, value),
        }
    }
}

/// Hides in any value what its name or its form says to be secret.
pub fn any(name: &str, value: &mut Value) {
    match value {
        Value::String(_) if is_telling(name) => *value = HIDDEN.into(),
        Value::String(said) => *said = text(said),
        Value::Array(values) => values.iter_mut().for_each(|value| any(name, value)),
        Value::Object(values) => values.iter_mut().for_each(|(name, value)| any(name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A list of arguments: `--password=x`, `--password x`, and what is hidden in any text.
fn arguments(words: &mut [String]) {
    let mut is_next = false;
    for word in words {
        let is_option = word.starts_with('-');
        let was_next = std::mem::replace(&mut is_next, is_option && !word.contains('=') && is_telling(word));
        *word = match was_next && !is_option {
            true => HIDDEN.to_owned(),
            false => text(word),
        };
    }
}

/// Text, word by word.
fn text(said: &str) -> String {
    let mut shown = String::with_capacity(said.len());
    let mut is_next = false;
    for piece in said.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let is_option = word.starts_with('-');
        let was_next = std::mem::replace(&mut is_next, is_option && !word.contains('=') && is_telling(word));
        match was_next && !is_option && !word.is_empty() {
            true => shown.push_str(HIDDEN),
            false => shown.push_str(&hidden_in_word(word)),
        }
        shown.push_str(&piece[word.len()..]);
        // Several spaces are still between the same two words.
        is_next |= was_next && word.is_empty();
    }
    shown
}

fn hidden_in_word(word: &str) -> String {
    let word = without_password(word);
    let word = pairs(&word);
    match is_known_token(&word) {
        true => HIDDEN.to_owned(),
        false => word,
    }
}

/// `scheme://user:password@host` without the password. It may contain what the host may not, so the last `@` before a slash counts.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else {
        // A password may contain a slash that should have been escaped.
        return match rest.rfind('@') {
            Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
            None => word.to_owned(),
        };
    };
    let user = rest[..at].split(':').next().unwrap_or_default();
    let shown = match rest[..at].contains(':') {
        true => format!("{user}:{HIDDEN}"),
        // A name alone is often a token.
        false => HIDDEN.to_owned(),
    };
    format!("{scheme}://{shown}{}", &rest[at..])
}

/// `name=value` where the name tells of a secret, also as parts of a query.
fn pairs(word: &str) -> String {
    let mut shown = String::with_capacity(word.len());
    for piece in word.split_inclusive(['?', '&', ';', ',']) {
        let ends = piece.ends_with(['?', '&', ';', ',']);
        let (body, end) = piece.split_at(piece.len() - usize::from(ends));
        match body.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_telling(name) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(HIDDEN);
            }
            _ => shown.push_str(body),
        }
        shown.push_str(end);
    }
    shown
}

fn is_telling(name: &str) -> bool {
    let small = name.to_ascii_lowercase();
    let words = small.split(|letter: char| !letter.is_ascii_alphanumeric());
    TELLING.iter().any(|part| small.contains(part)) || words.into_iter().any(|word| TELLING_WORDS.contains(&word))
}

/// Secrets that say of themselves what they are: GitHub's, GitLab's, Slack's, Stripe's and OpenAI's, AWS's, JSON Web Tokens.
fn is_known_token(word: &str) -> bool {
    let begins = |prefix: &&str| word.starts_with(*prefix);
    let prefixes = [
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "sk-",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "AKIA",
        "ASIA",
        "eyJ",
    ];
    word.len() >= 16 && prefixes.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_variables_only_harmless_ones_are_shown() {
        for (name, value, shown) in [
            ("NODE_ENV", "production", "production"),
            ("PORT", "3000", "3000"),
            ("LC_ALL", "C", "C"),
            ("STRIPE", "sk_live_1", HIDDEN),
            ("FOO", "bar", HIDDEN),
            ("DATABASE_URL", "postgres://u:p@h/d", HIDDEN),
            ("HOST", "http://u:p@h", "http://u:***@h"),
        ] {
            assert_eq!(variable(name, value), shown, "{name}");
        }
    }

    #[test]
    fn secrets_in_arguments_are_hidden_and_what_is_none_stays() {
        for (words, shown) in [
            (&["--port", "80", "server.js"][..], &["--port", "80", "server.js"][..]),
            (&["--password", "x", "y"], &["--password", HIDDEN, "y"]),
            (&["--db-password=x"], &["--db-password=***"]),
            (&["--api-key", "x"], &["--api-key", HIDDEN]),
            (&["--token", "--verbose", "x"], &["--token", "--verbose", "x"]),
            (&["--monkey", "x", "--keep=1"], &["--monkey", "x", "--keep=1"]),
            (&["DB_PASS=x"], &["DB_PASS=***"]),
            (
                &["-c", "DB_PASS=x  node a.js --token  abc"],
                &["-c", "DB_PASS=***  node a.js --token  ***"],
            ),
            (&["redis://:p@h:6379/0"], &["redis://:***@h:6379/0"]),
            (&["postgres://u:p/w@h/d"], &["postgres://***@h/d"]),
            (&["https://abcdef@h/"], &["https://***@h/"]),
            (&["https://h/?a=1&key=2&b=3"], &["https://h/?a=1&key=***&b=3"]),
            (&["mail@example.com"], &["mail@example.com"]),
            (&["ghp_0123456789abcdef"], &[HIDDEN]),
        ] {
            let mut found: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            arguments(&mut found);
            assert_eq!(found, shown);
        }
    }

    #[test]
    fn what_was_declared_is_masked_by_its_kind() {
        let mut declared = json!({
            "env": { "NODE_ENV": "test", "DB": "x", "N": 1 },
            "env_production": { "DB": "y" },
            "args": ["--secret", "z"],
            "instances": 2,
            "health": "/healthz?token=t",
            "mail": { "password": "w", "host": "h" },
            "deploy_key": ["a", "b"],
        });
        attributes(declared.as_object_mut().expect("an object"));
        assert_eq!(
            declared,
            json!({
                "env": { "NODE_ENV": "test", "DB": "***", "N": "***" },
                "env_production": { "DB": "***" },
                "args": ["--secret", "***"],
                "instances": 2,
                "health": "/healthz?token=***",
                "mail": { "password": "***", "host": "h" },
                "deploy_key": ["***", "***"],
            })
        );
    }
}
