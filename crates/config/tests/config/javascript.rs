//! Configs that misbehave, evaluated by real node. Each is reported as what it is.

use crate::place::Place;
use insta::assert_snapshot;
use std::time::{Duration, Instant};

fn said(name: &str, text: &str) -> String {
    Place::new().messages(name, text)
}

const APP: &str = "{ script: 'app.js' }";

#[test]
fn a_config_throws() {
    assert_snapshot!(said("e.config.js", "const port = 1;\nthrow new Error('no port');\n"));
    assert_snapshot!(said("e.config.mjs", "export default { script: undefinedName };\n"));
    assert_snapshot!(said("f.config.js", "throw 'a string';\n"));
}

#[test]
fn a_config_has_a_syntax_error() {
    assert_snapshot!(said("e.config.js", "module.exports = {\n  apps: [\n"));
}

#[test]
fn a_config_requires_what_is_not_installed() {
    assert_snapshot!(said("e.config.js", "require('no-such-package');\n"));
}

#[test]
fn a_config_exits() {
    assert_snapshot!(said("e.config.js", "\nprocess.exit(3);\n"));
}

#[test]
fn a_config_promises_and_never_keeps_it() {
    assert_snapshot!(said("e.config.js", "module.exports = new Promise(() => {});\n"));
}

#[test]
fn a_promise_is_rejected() {
    assert_snapshot!(said(
        "e.config.js",
        "module.exports = Promise.reject(new Error('no database'));\n"
    ));
}

#[test]
fn a_config_dies_by_a_signal() {
    assert_snapshot!(said(
        "e.config.js",
        "console.error('oh');process.kill(process.pid, 'SIGKILL');while (true);\n"
    ));
}

#[test]
fn a_config_prints_and_is_used_all_the_same() {
    let text =
        format!("console.log('{{\"ok\": 1}}');console.log('two');console.error('careful');module.exports = {APP}");
    assert_snapshot!(said("e.config.js", &text));
}

#[test]
fn a_config_exports_a_function() {
    assert_snapshot!(said("e.config.js", "module.exports = () => ({});\n"));
}

#[test]
fn a_config_exports_nothing() {
    assert_snapshot!(said("e.config.js", "exports.nothing = undefined;\n"));
}

#[test]
fn values_that_are_no_data_are_told() {
    let text =
        "const app = { script: 'app.js', env: { F() {}, N: NaN, S: Symbol('s'), R: /x/g, B: 10n, U: undefined } };
      app.env.SELF = app; module.exports = app;";
    assert_snapshot!(said("e.config.js", text));
    let spec = Place::new().spec("e.config.js", text);
    let declared: Vec<_> = spec.environment.declared.into_iter().collect();
    assert_eq!(declared, [("B".into(), "10".into()), ("R".into(), "/x/g".into())]);
}

#[test]
fn a_config_that_hangs_is_stopped_with_everything_it_started() {
    let mut place = Place::new();
    place.context.patience = Duration::from_secs(2);
    let text = "const { spawn } = require('child_process');
      const child = spawn('sleep', ['1000'], { stdio: 'inherit' });
      require('fs').writeFileSync('child.pid', String(child.pid));
      while (true);";
    let begun = Instant::now();
    assert_snapshot!(place.messages("e.config.js", text));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let child = std::fs::read_to_string(place.path("child.pid")).expect("the child's pid");
    let deadline = Instant::now() + Duration::from_secs(2);
    while !is_gone(&child) {
        assert!(Instant::now() < deadline, "the config's child {child} is still there");
        std::thread::yield_now();
    }
}

/// Dead, or dead and not yet reaped by whoever inherited it.
fn is_gone(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
fn json_that_is_javascript_may_throw_too() {
    assert_snapshot!(said("a.json", "{ script: process.nothing.here }"));
}

#[test]
fn without_node_the_need_for_it_is_told() {
    let mut place = Place::new();
    place.context.environment.insert("PATH".into(), "/nonexistent".into());
    assert_snapshot!(place.messages("e.config.js", "module.exports = {}"));
    assert_snapshot!(place.messages("a.json", "{ script: 'a' + 'b' }"));
}

#[test]
fn timers_and_servers_left_open_do_not_keep_a_config_from_being_used() {
    let spec = Place::new().spec(
        "e.config.js",
        &format!("setInterval(() => {{}}, 1000); module.exports = {APP}"),
    );
    assert_eq!(spec.name, "app");
}

#[test]
fn a_large_config_passes_whole() {
    let text = "module.exports = { script: 'app.js', env: { BIG: 'x'.repeat(3_000_000) } }";
    let spec = Place::new().spec("e.config.js", text);
    assert_eq!(spec.environment.declared["BIG"].len(), 3_000_000);
}

#[test]
fn a_typescript_config_is_evaluated_or_refused_by_what_node_can() {
    let place = Place::new();
    let text =
        "interface App { script: string }\nconst app: App = { script: 'app.js' };\nexport default { apps: [app] };\n";
    let node = std::process::Command::new("node")
        .arg("--version")
        .output()
        .expect("node runs");
    let version = String::from_utf8_lossy(&node.stdout)
        .trim()
        .trim_start_matches('v')
        .to_owned();
    let mut parts = version.split('.').filter_map(|part| part.parse::<u32>().ok());
    let version = (
        parts.next().expect("a major version"),
        parts.next().expect("a minor version"),
    );
    let has_bun = std::process::Command::new("bun").arg("--version").output().is_ok();
    if version >= (22, 6) || has_bun {
        assert_eq!(place.spec("e.config.mts", text).name, "app");
    } else {
        let said = place.messages("e.config.mts", text);
        assert!(
            said.starts_with("refused\ne.config.mts: it is TypeScript, which Node v"),
            "{said}"
        );
    }
}
