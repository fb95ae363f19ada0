//! What an app is given is what systemd reads: its rules, written down a second time as a reader, and systemd itself.

use crate::support::Stage;
use ostler_core::Spec;
use ostler_export::{Document, Project, systemd::systemd};
use ostler_testkit::{is_root, skip, tools};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

static BASE: LazyLock<(Spec, Project)> = LazyLock::new(|| {
    let config = r#"{ "apps": [{ "name": "app", "script": "app.js" }] }"#;
    let mut loaded = Stage::new(&[("app.js", ""), ("app.json", config)]).load("app.json", None);
    (loaded.specs.remove(0), loaded.project)
});

/// The service, and the file of secrets if there is one.
fn exported(args: &[String], variables: &BTreeMap<String, String>) -> (String, Option<String>) {
    let (mut spec, project) = BASE.clone();
    spec.program.args = args.to_vec();
    spec.environment.declared.clone_from(variables);
    let documents = systemd(&[spec], &project).expect("a unit can say it").documents;
    let text = |end: &str| {
        documents
            .iter()
            .find(|document| document.path.ends_with(end))
            .map(|document: &Document| document.text.clone())
    };
    (text(".service").expect("a service"), text(".env"))
}

fn lines<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    // As systemd: comments are no lines of values, and a backslash at the end joins the next line, which must not happen.
    let lines = unit.lines().filter(|line| !line.starts_with(['#', ';']));
    let of_key = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    of_key
        .inspect(|line| assert!(!line.ends_with('\\'), "{line}"))
        .collect()
}

/// Words, unquoted and unescaped (systemd.syntax(7), systemd.service(5)).
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| *c == ' ' || *c == '\t').is_some() {}
        let Some(first) = chars.peek().copied() else {
            return words;
        };
        let quote = (first == '"' || first == '\'').then_some(first);
        if quote.is_some() {
            chars.next();
        }
        let mut word = String::new();
        let mut closed = quote.is_none();
        while let Some(c) = chars.next() {
            match c {
                '\\' => word.push(unescaped(&mut chars)),
                c if Some(c) == quote => {
                    closed = true;
                    break;
                }
                ' ' | '\t' if quote.is_none() => break,
                '"' | '\'' if quote.is_none() => panic!("a quote within the word of {line}"),
                c => word.push(c),
            }
        }
        assert!(closed, "an open quote in {line}");
        assert!(!(quote.is_none() && word == ";"), "a separator of commands in {line}");
        words.push(word);
    }
}

fn unescaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> char {
    match chars.next().expect("something behind a backslash") {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).expect("two digits"))
        }
        c @ ('\\' | '"' | '\'') => c,
        other => panic!("no escape: {other}"),
    }
}

/// What a doubled sign stands for; one alone would be replaced by something.
fn single(text: &str, sign: char) -> String {
    let parts: Vec<&str> = text.split(sign).collect();
    assert!(parts.len() % 2 == 1, "every {sign} is doubled in {text}");
    let mut result = String::new();
    for (position, part) in parts.iter().enumerate() {
        if position % 2 == 1 {
            assert!(part.is_empty(), "every {sign} is doubled in {text}");
            result.push(sign);
        } else {
            result.push_str(part);
        }
    }
    result
}

/// A file of variables (systemd.exec(5), `EnvironmentFile=`): double quotes, in which a backslash escapes four characters.
fn variables(text: &str) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with('#') {
            rest = rest.split_once('\n').expect("a line's end").1;
            continue;
        }
        let (name, after) = rest.split_once("=\"").expect("an assignment");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("an end of the quotes") {
                (at, '"') => break at,
                (_, '\\') => value.push(chars.next().expect("something behind a backslash").1),
                (_, c) => value.push(c),
            }
        };
        read.insert(name.to_owned(), value);
        rest = after[end + 1..].strip_prefix('\n').expect("a line's end");
    }
    read
}

fn text() -> impl Strategy<Value = String> {
    let any = any::<String>().prop_map(|text| text.replace('\0', ""));
    prop_oneof![any, "[a-z%$\"'\\\\ \t\n;{}=#@`!:+-]{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn arguments_reach_the_app_as_they_are(args in prop::collection::vec(text(), 0..6)) {
        let (service, _) = exported(&args, &BTreeMap::new());
        let command = lines(&service, "ExecStart");
        prop_assert_eq!(command.len(), 1);
        let read: Vec<String> = words(command[0]).iter().map(|word| single(&single(word, '%'), '$')).collect();
        let expected = [vec!["/usr/bin/node".to_owned(), "/srv/shop/app.js".to_owned()], args].concat();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn variables_reach_the_app_as_they_are(values in prop::collection::vec(text(), 1..6), secret in text()) {
        let mut given: BTreeMap<String, String> = values.into_iter().enumerate().map(|(n, value)| (format!("V{n}"), value)).collect();
        let (service, _) = exported(&[], &given);
        let assigned = lines(&service, "Environment");
        let assigned = assigned.iter().flat_map(|line| words(line));
        for word in assigned.filter(|word| word.starts_with('V')) {
            let word = single(&word, '%');
            let (name, value) = word.split_once('=').expect("an assignment");
            prop_assert_eq!(Some(value.to_owned()), given.remove(name));
        }
        prop_assert!(given.is_empty(), "{:?} is missing", given);
        // With a file of its own, the same in the words of that.
        let (mut spec, project) = BASE.clone();
        spec.environment.files = vec!["/srv/shop/.env".into()];
        spec.environment.declared = [("PLAIN".to_owned(), secret.clone())].into();
        let documents = systemd(&[spec], &project).expect("a unit can say it").documents;
        let file = documents.iter().find(|document| document.path.ends_with(".env")).expect("a file of variables");
        if let Some(value) = variables(&file.text).get("PLAIN").filter(|value| *value != "REPLACE-ME") {
            prop_assert_eq!(value, &secret);
        }
    }
}

/// systemd loads the unit without being the system's first process, and prints what it has understood.
#[test]
fn systemd_itself_reads_variables_as_they_are() {
    let test = "systemd_itself_reads_variables_as_they_are";
    let Some(systemd) = ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        return skip(test, "systemd is not installed");
    };
    let values = [
        "plain",
        "",
        "two words",
        "100%",
        "%i %% %n",
        "$HOME ${HOME}",
        "\"quoted\"",
        "it's",
        "back\\slash\\",
        "tab\there",
        "line\nbreak",
        "é 日本 🐎",
        "\u{1}\u{1b}\u{7f}",
        " blanks ",
        "#no comment",
        ";",
        "a=b=c",
        "\\x41\\n",
        "`tick`",
    ];
    let given: BTreeMap<String, String> = values
        .iter()
        .enumerate()
        .map(|(n, value)| (format!("V{n}"), (*value).to_owned()))
        .collect();
    let (service, _) = exported(&[], &given);
    let directory = tempfile::tempdir().expect("a directory");
    for open in [directory.path().to_owned(), directory.path().join("run")] {
        fs::create_dir_all(&open).expect("a directory");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(&open, mode).expect("open to whoever runs it");
    }
    fs::write(directory.path().join("app.service"), service).expect("a unit");
    // It refuses to be tried out by root.
    let mut command = if is_root() {
        if tools::in_path("setpriv").is_none() {
            return skip(test, "setpriv is not installed, and systemd is not tried out as root");
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", systemd]);
        command
    } else {
        Command::new(systemd)
    };
    let arguments = ["--test", "--user", "--unit=app.service", "--log-target=console"];
    let unit_path = format!("{}:", directory.path().display());
    command
        .args(arguments)
        .env("SYSTEMD_UNIT_PATH", unit_path)
        .env("XDG_RUNTIME_DIR", directory.path().join("run"))
        .env("HOME", directory.path());
    let output = command.output().expect("it runs");
    let dump = String::from_utf8_lossy(&output.stdout);
    if !dump.contains("app.service") {
        return skip(
            test,
            &format!("systemd shows nothing: {}", String::from_utf8_lossy(&output.stderr)),
        );
    }
    for (name, value) in given {
        assert!(
            dump.contains(&format!("\tEnvironment: {name}={value}\n")),
            "{name}={value:?}"
        );
    }
}
