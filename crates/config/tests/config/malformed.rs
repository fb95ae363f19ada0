//! What users read when a config is wrong. Every message is a snapshot: file, place, key, value, what would be right.

use crate::place::Place;
use insta::assert_snapshot;
use ostler_config::{Overrides, from_command_line, load_file, load_stdin};
use serde_json::json;
use std::path::Path;

fn said(name: &str, text: &str) -> String {
    Place::new().messages(name, text)
}

#[test]
fn a_comma_is_missing() {
    assert_snapshot!(said(
        "app.json",
        "{\n  \"name\": \"api\"\n  \"script\": \"app.js\"\n}\n"
    ));
}

#[test]
fn a_size_is_no_size() {
    let text = "{ \"apps\": [\n  { \"script\": \"app.js\" },\n  { \"script\": \"app.js\", \"name\": \"b\", \"max_memory_restart\": \"lots\" }\n] }";
    assert_snapshot!(said("app.json", text));
}

#[test]
fn a_boolean_is_in_quotes() {
    assert_snapshot!(said(
        "app.yaml",
        "apps:\n  - script: app.js\n    autorestart: \"false\"\n"
    ));
}

#[test]
fn keys_are_misspelt() {
    let text = "module.exports = { apps: [{ script: 'app.js', max_memory_restat: '1G', wathc: true, foo: 1 }] }";
    assert_snapshot!(said("ecosystem.config.js", text));
}

#[test]
fn a_key_of_an_app_stands_beside_apps() {
    assert_snapshot!(said(
        "app.json",
        "{ apps: [{ script: 'app.js' }], instances: 4, aps: [] }"
    ));
}

#[test]
fn the_script_is_missing() {
    assert_snapshot!(said("app.json", "{ apps: [{ name: 'api' }] }"));
}

#[test]
fn the_script_does_not_exist() {
    assert_snapshot!(said("app.toml", "[[apps]]\nname = 'api'\nscript = 'nowhere.js'\n"));
}

#[test]
fn several_apps_are_wrong_at_once() {
    let text = "apps:\n  - script: app.js\n    kill_timeout: soon\n  - script: gone.js\n  - script: app.js\n    instances: many\n    min_uptime: 50\n";
    assert_snapshot!(said("app.yaml", text));
}

#[test]
fn yaml_is_indented_wrongly() {
    assert_snapshot!(said("app.yaml", "apps:\n  - script: app.js\n   name: api\n"));
}

#[test]
fn toml_has_a_key_twice() {
    assert_snapshot!(said("app.toml", "[[apps]]\nscript = 'app.js'\nscript = 'b.js'\n"));
}

#[test]
fn json_has_a_key_twice() {
    assert_snapshot!(said(
        "app.json",
        "{\n  \"script\": \"gone.js\",\n  \"script\": \"app.js\"\n}"
    ));
}

#[test]
fn the_cron_pattern_means_nothing() {
    assert_snapshot!(said("app.json", "{ script: 'app.js', cron_restart: '61 * * * *' }"));
}

#[test]
fn the_interpreter_does_not_exist() {
    assert_snapshot!(said(
        "app.json",
        "{ script: 'app.js', interpreter: 'no-such-interpreter' }"
    ));
}

#[test]
fn the_user_does_not_exist() {
    assert_snapshot!(said("app.json", "{ script: 'app.js', user: 'no-such-user' }"));
}

#[test]
fn rotation_and_signal_are_wrong() {
    assert_snapshot!(said("a.json", "{ script: 'app.js', log_rotate: { max_siz: '5M' } }"));
    assert_snapshot!(said("b.json", "{ script: 'app.js', log_rotate: { maxSize: 'big' } }"));
    assert_snapshot!(said(
        "c.json",
        "{ script: 'app.js', kill_signal: 'SIGNOPE', log_type: 'xml' }"
    ));
}

#[test]
fn env_file_is_missing_or_malformed() {
    assert_snapshot!(said("a.json", "{ script: 'app.js', env_file: '.env' }"));
    let place = Place::new();
    place.file(".env", "A=1\nwhat is this\n");
    assert_snapshot!(place.messages("b.json", "{ script: 'app.js', env_file: ['.env'] }"));
}

#[test]
fn what_is_there_is_no_app() {
    let texts = [
        "[1]",
        "{ apps: 'app.js' }",
        "{}",
        "42",
        "[]",
        "{ foo: 1 }",
        "",
        "null",
        "{ deploy: {} }",
    ];
    let all: Vec<String> = texts
        .iter()
        .map(|text| format!("{text:18} {}", said("app.json", text)))
        .collect();
    assert_snapshot!(all.join("\n"));
}

#[test]
fn features_of_later_days_are_told_once() {
    let text = "{ apps: [
      { script: 'app.js', name: 'a', instances: 2, pmx: true, deep_monitoring: true, vizion: false },
      { script: 'app.js', name: 'b', exec_mode: 'cluster', pmx: true, windowsHide: true, watch_options: { usePolling: true } },
    ], deploy: { production: {} }, static: [] }";
    assert_snapshot!(said("app.json", text));
}

#[test]
fn two_names_of_one_key_are_both_used() {
    assert_snapshot!(said(
        "app.json",
        "{ script: 'app.js', exec: 'other.js', out_file: 'a.log', output: 'a.log' }"
    ));
}

#[test]
fn apps_share_a_name() {
    assert_snapshot!(said("app.json", "[{ script: 'app.js' }, { script: './app.js' }]"));
}

#[test]
fn an_env_block_is_no_object() {
    assert_snapshot!(said(
        "app.json",
        "{ script: 'app.js', env: 'A=1', env_production: 'B=2' }"
    ));
}

#[test]
fn the_file_is_missing_or_not_utf8() {
    let place = Place::new();
    let error = load_file(Path::new("none.json"), &place.context, &Overrides::default()).expect_err("an error");
    assert_snapshot!(error.to_string(), @r"
    none.json: File not found
      hint: check the path
    ");
    let error = load_stdin(b"{ name: '\xff' }", &place.context, &Overrides::default()).expect_err("an error");
    assert_snapshot!(error.to_string(), @r"
    standard input: byte 9 is not UTF-8
      hint: save the file as UTF-8
    ");
}

#[test]
fn flags_are_wrong() {
    let place = Place::new();
    let with = |target: &str, flags: serde_json::Value| {
        let flags = flags.as_object().cloned().expect("an object");
        let error = from_command_line(target, flags, &place.context).expect_err("an error");
        place.neutral(&error.to_string())
    };
    assert_snapshot!(with(
        "app.js",
        json!({ "max_memory_restart": "ten", "kill_timeout": "x" })
    ));
    assert_snapshot!(with("nofile.js", json!({})));
    assert_snapshot!(with("no-such-program", json!({})));
    assert_snapshot!(with("./", json!({})));
}

#[test]
fn flags_that_a_file_does_not_heed_are_told() {
    let place = Place::new();
    let flags = json!({ "name": "x", "watch": true, "namespace": "n" });
    let overrides = Overrides {
        attributes: flags.as_object().cloned().expect("an object"),
        ..Overrides::default()
    };
    let loaded = place
        .load_with("a.json", "{ script: 'app.js' }", &overrides)
        .expect("a usable config");
    assert_eq!(loaded.warnings.len(), 1);
    assert_snapshot!(loaded.warnings[0].to_string(), @r"
    command line: --name: has no effect with a config file
      hint: set it in the file
    ");
    assert_eq!(loaded.specs[0].namespace, "n");
    assert!(loaded.specs[0].watch.is_some());
}

#[test]
fn only_and_env_name_what_is_not_there() {
    let place = Place::new();
    let text = "{ apps: [{ script: 'app.js', env_production: {} }] }";
    let only = |names: &[&str], env: Option<&str>| {
        let only = names.iter().map(|name| (*name).to_owned()).collect();
        let overrides = Overrides {
            only,
            env_name: env.map(str::to_owned),
            ..Overrides::default()
        };
        place.load_with("a.json", text, &overrides)
    };
    assert_snapshot!(only(&["api"], None).expect_err("an error").to_string(), @r"
    a.json: no app is called api
      hint: it has app
    ");
    let loaded = only(&["app", "api"], Some("staging")).expect("a usable config");
    let said: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(said.join("\n"), @r"
    a.json: no app is called api
    a.json:1:10: apps[0]: Environment [staging] is not defined in process file
      hint: it has env_production
    ");
}

#[test]
fn sockets_are_declared_wrongly() {
    let texts = [
        "3000",
        "'localhost:3000'",
        "'/run/app.sock'",
        "'http://localhost:3000'",
        "'tcp://0.0.0.0'",
        "'tcp://::1:3000'",
        "'tcp://example.com:3000'",
        "'tcp://0.0.0.0:70000'",
        "'unix://run/app.sock'",
        "true",
        "[null]",
        "{ port: 3000 }",
        "{ address: 'tcp://[::]:3000', backlog: 0 }",
        "{ address: 'tcp://[::]:3000', name: 'a:b' }",
        "{ address: 'tcp://[::]:3000', name: '7' }",
        "{ address: 'tcp://[::]:3000', mode: '0660' }",
        "{ address: 'unix:///run/app.sock', mode: '999' }",
        "['tcp://localhost:3000', 'tcp://127.0.0.1:3000']",
    ];
    let all: Vec<String> = texts
        .iter()
        .map(|text| {
            let said = said("app.json", &format!("{{ script: 'app.js', listen: {text} }}"));
            format!("{text}\n{said}\n")
        })
        .collect();
    assert_snapshot!(all.join("\n"));
}

#[test]
fn a_socket_is_referred_to_that_is_not_declared() {
    let sockets = "[{ address: 'tcp://[::]:1', name: 'http' }, 'udp://[::]:1', { address: 'tcp://[::]:2', name: 'x' }, { address: 'tcp://[::]:3', name: 'x' }]";
    let args = |listen: &str, args: &str| format!("{{ script: 'app.js', listen: {listen}, args: '{args}' }}");
    let all = [
        said("app.json", &args(sockets, "--fd {{listen.htpp.fd}}")),
        said("app.json", &args(sockets, "--fd={{listen.4.fd}}")),
        said("app.json", &args(sockets, "--fd={{listen.x.fd}}")),
        said("app.json", &args(sockets, "--fd={{listen.0.port}}")),
        said("app.json", &args("[]", "--fd={{listen.0.fd}}")),
        said("app.json", "{ script: 'app.js', env: { FD: '{{listen.0.fd}}' } }"),
    ];
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn sockets_are_declared_for_a_cluster() {
    assert_snapshot!(said(
        "app.json",
        "{ script: 'app.js', exec_mode: 'cluster', listen: 'tcp://0.0.0.0:3000' }"
    ));
}
