//! The environment: what of the caller's shell an app gets, and what its config declares over it.
//!
//! Settings and environment never mix: a shell variable called `name` or `instances` changes no setting.

use super::attribute::Attribute;
use super::kind::{Kind, number_text};
use crate::attributes::Attributes;
use crate::diagnostic::Problem;
use crate::paths::Base;
use crate::users::User;
use ostler_core::Environment;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See [`FAMILIES`](super::FAMILIES).
pub(crate) const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "env",
        Kind::Variables,
        "",
        "Variables, over the shell's. Objects are written as JSON, `null` removes a variable.",
    ),
    Attribute::new(
        "env_file",
        Kind::Texts,
        "",
        "Files in dotenv's format, read anew at each launch; they win over the shell and lose to `env`. Ostler's own.",
    ),
    Attribute::new(
        "filter_env",
        Kind::FlagOrTexts,
        "",
        "What not to take from the shell: `true` for everything, a string for that variable, a list for every variable whose name contains one of the strings.",
    ),
    Attribute::new("port", Kind::Whole(0, 65535), "", "Sets the variable `PORT`."),
    Attribute::new(
        "instance_var",
        Kind::Text,
        "NODE_APP_INSTANCE",
        "The variable that carries the instance number.",
    ),
    Attribute::new(
        "increment_var",
        Kind::Text,
        "",
        "A variable that grows by one from instance to instance, from its value in `env` or 0.",
    ),
    Attribute::new(
        "append_env_to_name",
        Kind::Flag,
        "false",
        "With `--env production`, add `-production` to the name.",
    ),
];

/// Variables that would tie a new app to the process that starts it: IPC descriptors and service-manager sockets.
const PRIVATE: &[&str] = &[
    "NODE_CHANNEL_FD",
    "NODE_CHANNEL_SERIALIZATION_MODE",
    "NODE_UNIQUE_ID",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// The blocks of variables that an app declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    /// `env_<name>` by name.
    pub(crate) named: BTreeMap<String, Map<String, Value>>,
    /// `deploy.<name>.env`, of the name asked for.
    pub(crate) deploy: Option<Map<String, Value>>,
    /// The name asked for with `--env`.
    pub(crate) chosen: Option<String>,
}

/// What apps got of the shell. Those that are declared together mostly get the same, which is made once and shared.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    last: Option<(Choice, Arc<BTreeMap<String, String>>)>,
}

/// All that decides what an app gets of a shell.
#[derive(Debug, PartialEq)]
struct Choice {
    filter: Option<Value>,
    cwd: String,
    user: Option<User>,
    /// Variables that are to be absent.
    absent: Vec<String>,
}

impl Shell {
    /// As the last app got it, if this one is to get the same; else as it is made.
    fn take(
        &mut self,
        choice: Choice,
        make: impl FnOnce(&Choice) -> BTreeMap<String, String>,
    ) -> Arc<BTreeMap<String, String>> {
        if let Some((_, inherited)) = self.last.as_ref().filter(|(last, _)| *last == choice) {
            return Arc::clone(inherited);
        }
        let inherited = Arc::new(make(&choice));
        self.last = Some((choice, Arc::clone(&inherited)));
        inherited
    }
}

/// The app's environment.
pub(crate) fn environment(
    attributes: &Attributes,
    blocks: &Blocks,
    shell: &BTreeMap<String, String>,
    base: &Base,
    (user, taken): (Option<User>, &mut Shell),
) -> Result<Environment, Problem> {
    let variables = declared(attributes, blocks);
    let absent = variables.iter().filter(|(_, value)| value.is_none());
    let choice = Choice {
        filter: attributes.get("filter_env").cloned(),
        cwd: base.cwd_text(),
        user,
        absent: absent.map(|(name, _)| name.clone()).collect(),
    };
    let inherited = taken.take(choice, |choice| {
        let mut inherited = inherited(attributes, shell, base);
        if let Some(user) = &choice.user {
            user.describe_in(&mut inherited);
        }
        inherited.retain(|name, _value| !choice.absent.contains(name));
        inherited
    });
    let mut declared: BTreeMap<String, String> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    if let Some(port) = attributes.number("port") {
        declared.insert("PORT".into(), port.to_string());
    }
    let increment_var = attributes
        .text("increment_var")
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    check_increment(increment_var.as_deref(), &declared)?;
    Ok(Environment {
        inherited,
        files: attributes
            .texts("env_file")
            .iter()
            .map(|file| base.resolve(file))
            .collect(),
        declared,
        instance_var: instance_var(attributes),
        increment_var,
        unique_id: crate::unique_id::fresh(),
    })
}

fn instance_var(attributes: &Attributes) -> String {
    attributes
        .text("instance_var")
        .filter(|name| !name.is_empty())
        .unwrap_or("NODE_APP_INSTANCE")
        .to_owned()
}

fn check_increment(name: Option<&str>, declared: &BTreeMap<String, String>) -> Result<(), Problem> {
    let Some((name, value)) = name.and_then(|name| declared.get_key_value(name)) else {
        return Ok(());
    };
    if value.trim().parse::<i64>().is_ok() {
        return Ok(());
    }
    let message = format!("{name} is \"{value}\" in `env`, which cannot grow by one");
    Err(Problem::invalid(
        "increment_var",
        message,
        format!("give {name} a whole number"),
    ))
}

/// What the app gets of the shell's variables.
pub(crate) fn inherited(
    attributes: &Attributes,
    shell: &BTreeMap<String, String>,
    base: &Base,
) -> BTreeMap<String, String> {
    let filter = attributes.get("filter_env");
    let mut kept: BTreeMap<String, String> = shell
        .iter()
        .filter(|(name, _value)| !PRIVATE.contains(&name.as_str()) && passes(filter, name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(pwd) = kept.get_mut("PWD") {
        *pwd = base.cwd_text();
    }
    kept
}

fn passes(filter: Option<&Value>, name: &str) -> bool {
    match filter {
        Some(Value::Bool(all)) => !all,
        Some(Value::String(one)) => one != name,
        Some(Value::Array(parts)) => !parts.iter().filter_map(Value::as_str).any(|part| name.contains(part)),
        Some(Value::Null | Value::Number(_) | Value::Object(_)) | None => true,
    }
}

/// Lowest to highest: `env`, `deploy.X.env`, `env_X`. `None` stands for a variable that is to be absent.
fn declared(attributes: &Attributes, blocks: &Blocks) -> BTreeMap<String, Option<String>> {
    let env = attributes.get("env").and_then(Value::as_object);
    let chosen = blocks.chosen.as_ref().and_then(|name| blocks.named.get(name));
    let layers = env.into_iter().chain(&blocks.deploy).chain(chosen);
    layers
        .flatten()
        .map(|(name, value)| (name.clone(), variable(value)))
        .collect()
}

/// A value as the child sees it.
fn variable(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number_text(number)),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn shell() -> BTreeMap<String, String> {
        let pairs = [
            ("PATH", "/bin"),
            ("AWS_KEY", "k"),
            ("MY_AWS", "m"),
            ("name", "trap"),
            ("NODE_CHANNEL_FD", "3"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn attributes(value: Value) -> Attributes {
        let Value::Object(map) = value else { panic!("an object") };
        Attributes(map)
    }

    fn made(value: Value, blocks: &Blocks) -> Environment {
        let base = Base::new(Path::new("/srv"), None);
        environment(
            &attributes(value),
            blocks,
            &shell(),
            &base,
            (None, &mut Shell::default()),
        )
        .expect("a valid environment")
    }

    #[test]
    fn a_list_drops_every_variable_whose_name_contains_an_item_and_a_string_only_that_one() {
        let dropped = |filter: Value| {
            let kept = made(json!({ "filter_env": filter }), &Blocks::default()).inherited;
            ["AWS_KEY", "MY_AWS", "PATH"]
                .into_iter()
                .filter(|name| !kept.contains_key(*name))
                .collect::<Vec<_>>()
        };
        assert_eq!(dropped(json!(["AWS"])), ["AWS_KEY", "MY_AWS"]);
        assert_eq!(dropped(json!("AWS_KEY")), ["AWS_KEY"]);
        assert_eq!(dropped(json!(true)), ["AWS_KEY", "MY_AWS", "PATH"]);
        assert!(dropped(json!([])).is_empty());
    }

    #[test]
    fn descriptors_of_the_caller_never_reach_an_app() {
        assert!(
            !made(json!({}), &Blocks::default())
                .inherited
                .contains_key("NODE_CHANNEL_FD")
        );
    }

    #[test]
    fn the_chosen_block_wins_over_the_deploy_block_which_wins_over_env() {
        let block = |value: Value| value.as_object().cloned().expect("an object");
        let blocks = Blocks {
            named: [("production".to_owned(), block(json!({ "C": "named" })))].into(),
            deploy: Some(block(json!({ "B": "deploy", "C": "deploy" }))),
            chosen: Some("production".into()),
        };
        let declared = made(json!({ "env": { "A": "env", "B": "env", "C": "env" } }), &blocks).declared;
        let expected = [("A", "env"), ("B", "deploy"), ("C", "named")];
        assert_eq!(
            declared,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );
    }

    #[test]
    fn values_reach_the_app_as_javascript_writes_them_and_null_removes() {
        let environment = made(
            json!({ "env": { "N": 3000, "F": 1.0, "B": true, "O": { "a": [1] }, "PATH": null }, "port": 80 }),
            &Blocks::default(),
        );
        let declared: Vec<_> = environment
            .declared
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(declared, ["B=true", "F=1", "N=3000", "O={\"a\":[1]}", "PORT=80"]);
        assert!(!environment.inherited.contains_key("PATH"));
    }

    #[test]
    fn apps_share_what_they_got_of_the_shell_where_it_is_the_same() {
        let (base, elsewhere) = (Base::new(Path::new("/srv"), None), Base::new(Path::new("/"), None));
        let mut taken = Shell::default();
        let mut get = |value: Value, base: &Base, user: Option<User>| {
            let made = environment(
                &attributes(value),
                &Blocks::default(),
                &shell(),
                base,
                (user, &mut taken),
            );
            made.expect("a valid environment").inherited
        };
        let first = get(json!({ "env": { "A": "1" } }), &base, None);
        assert!(Arc::ptr_eq(&first, &get(json!({ "env": { "B": "2" } }), &base, None)));
        assert!(!get(json!({ "filter_env": ["AWS"] }), &base, None).contains_key("AWS_KEY"));
        assert!(!get(json!({ "env": { "PATH": null } }), &base, None).contains_key("PATH"));
        let user = User {
            name: "ann".into(),
            home: "/home/ann".into(),
        };
        assert_eq!(get(json!({}), &base, Some(user))["HOME"], "/home/ann");
        assert_eq!(*get(json!({}), &elsewhere, None), *first);
        assert_eq!(*get(json!({}), &base, None), *first);
    }

    #[test]
    fn a_variable_that_cannot_grow_is_refused() {
        let attributes = attributes(json!({ "increment_var": "PORT", "env": { "PORT": "http" } }));
        let base = Base::new(Path::new("/srv"), None);
        let problem = environment(
            &attributes,
            &Blocks::default(),
            &shell(),
            &base,
            (None, &mut Shell::default()),
        )
        .expect_err("a problem");
        assert!(problem.message.contains("cannot grow"), "{}", problem.message);
    }
}
