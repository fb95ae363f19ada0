//! Every format gives the same app; real node evaluates the JavaScript ones.

use crate::place::Place;
use ostler_config::{is_config_file, load_stdin, names_in_file};
use ostler_core::{Interpreter, LogFile};
use std::path::Path;

#[test]
fn config_files_are_known_by_pm2s_test() {
    for name in [
        "ecosystem.config.js",
        "a.json",
        "a.json5",
        "x.json.bak",
        "processes.yml",
        "p.yaml",
        "my.config.cjs",
        "my.config.mjs",
        "e.config.ts",
        "a.toml",
    ] {
        assert!(is_config_file(name), "{name}");
    }
    for name in [
        "app.js",
        "config.js",
        "server.mjs",
        "app.ts",
        "npm",
        "toml.js",
        "x.toml.js",
        "/srv/a.json.d/app.js",
    ] {
        assert!(!is_config_file(name), "{name}");
    }
}

#[test]
fn all_formats_mean_the_same() {
    let place = Place::new();
    let data =
        r#"{ "apps": [{ "name": "api", "script": "./app.js", "args": "--port 3000", "max_memory_restart": "150M" }] }"#;
    let object = "{ apps: [{ name: 'api', script: './app.js', args: '--port 3000', max_memory_restart: '150M' }] }";
    let configs = [
        ("a.json", data.to_owned()),
        ("b.json5", format!("// comment\n{object}")),
        ("c.json", object.replace("'api'", "['a', 'pi'].join('')")),
        ("d.config.js", format!("module.exports = {object}")),
        ("e.config.cjs", format!("module.exports = {object}")),
        ("f.config.mjs", format!("export default {object}")),
        ("g.config.mjs", format!("export default (async () => ({object}))()")),
        ("h.config.js", format!("module.exports = Promise.resolve({object})")),
        (
            "i.yaml",
            "apps:\n  - name: api\n    script: ./app.js\n    args: --port 3000\n    max_memory_restart: 150M\n".into(),
        ),
        (
            "j.toml",
            "[[apps]]\nname = 'api'\nscript = './app.js'\nargs = '--port 3000'\nmax_memory_restart = '150M'\n".into(),
        ),
        (
            "k.json",
            "[{ name: 'api', exec: './app.js', args: ['--port', 3000], maxMemoryRestart: 157286400 }]".into(),
        ),
        (
            "l.json",
            "{ pm2: [{ name: 'api', cmd: 'app.js', args: '--port 3000', max_memory_restart: '150M' }] }".into(),
        ),
        (
            "m.json",
            "{ apps: { name: 'api', script: 'app.js', args: '--port 3000', max_memory_restart: '150M' } }".into(),
        ),
        (
            "n.json",
            "{ name: 'api', script: 'app.js', args: '--port 3000', max_memory_restart: '150M' }".into(),
        ),
    ];
    for (file, text) in configs {
        let spec = place.spec(file, &text);
        assert_eq!(spec.name, "api", "{file}");
        assert_eq!(spec.program.path, place.path("app.js"), "{file}");
        assert_eq!(spec.program.interpreter, Interpreter::Program("node".into()), "{file}");
        assert_eq!(spec.program.args, ["--port", "3000"], "{file}");
        assert_eq!(spec.memory_limit, Some(157_286_400), "{file}");
        assert_eq!(
            spec.logs.out,
            LogFile::Path(place.path("home/logs/api-out.log")),
            "{file}"
        );
    }
}

#[test]
fn standard_input_is_json_or_javascript() {
    let place = Place::new();
    for text in [
        "[{\"script\": \"app.js\"}]",
        "{ apps: [{ script: ['app', 'js'].join('.') }] }",
    ] {
        let loaded = load_stdin(text.as_bytes(), &place.context, &Default::default()).expect("a usable config");
        assert_eq!(loaded.specs[0].name, "app");
    }
}

#[test]
fn names_are_read_without_looking_for_scripts() {
    let place = Place::new();
    place.file(
        "a.json",
        r#"[{"name": "one", "script": "gone.js"}, {"script": "./two.js"}]"#,
    );
    let names = names_in_file(Path::new("a.json"), &place.context).expect("names");
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_config_sees_the_callers_directory_and_environment() {
    let place = Place::new();
    let text =
        "module.exports = { script: process.cwd() + '/app.js', name: process.env.SHELL_VARIABLE, args: [__dirname] }";
    place.file("sub/x", "");
    let spec = place.spec("sub/e.config.js", text);
    assert_eq!(spec.name, "from the shell");
    assert_eq!(spec.program.args, [place.path("sub")]);
}

#[test]
fn yaml_scalars_are_those_of_js_yaml() {
    let place = Place::new();
    let text = "defaults: &defaults\n  autorestart: false\napps:\n  - <<: *defaults\n    script: app.js\n    name: yes\n    \
                namespace: 1.10.2\n    env: { A: 010, B: 0x1F, C: off, D: ~, E: '007', F: 2024-01-02, G: 1e3, H: .5, I: null }\n";
    let spec = place.spec("a.yaml", text);
    assert_eq!(
        (spec.name.as_str(), spec.namespace.as_str(), spec.restart.auto),
        ("yes", "1.10.2", false)
    );
    let declared: Vec<_> = spec
        .environment
        .declared
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        declared,
        ["A=10", "B=31", "C=off", "E=007", "F=2024-01-02", "G=1000", "H=0.5"]
    );
}
