//! The page, in a browser that is driven from outside: headless Chromium, out of a package of npm.
//!
//! Each scenario is a script in `browser/`, run with Node in the environment of a home whose port is open.

use crate::support::home;
use ostler_testkit::{Home, Runtime, free_port, shown, skip, sleeper, tools};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Says something of everything for ever.
const TALKER: &str = "#!/bin/sh
n=0
printf '<img src=x onerror=alert(1)>\\n\\033[31mcoloured\\033[0m\\n'
echo oops >&2
while :; do n=$((n+1)); echo \"line $n of what a program has to say\"; sleep 0.1; done
";

/// Answers `/slow` after a while.
const SLOW: &str = "require('http').createServer((request, response) => {
  if (request.url === '/slow') setTimeout(() => response.end('slow'), 2500);
  else response.end('quick');
}).listen(process.env.PORT, '127.0.0.1');
";

/// The scripts with what they need, and Node; or why not.
fn browser() -> Result<(PathBuf, PathBuf), String> {
    // What drives it needs a Node of its time.
    let node = Runtime::node(22)?.path;
    let scripts = tools::workspace().join("crates/cli/tests/web/browser");
    let directory = tools::npm_project("browser", &scripts)?;
    Ok((node, directory))
}

/// Plays a scenario, once the port is open with these options.
fn play(test: &str, script: &str, options: &[&str], prepare: impl FnOnce(&Home) -> Vec<(&'static str, String)>) {
    let (node, directory) = match browser() {
        Ok(found) => found,
        Err(reason) => return skip(test, &reason),
    };
    let home = home();
    let variables = prepare(&home);
    let link = home.call(&["web", "--port", "0"]).args(options).ok().stdout;
    let mut run = home
        .program(node)
        .arg(directory.join(script))
        .env("LINK", link.trim())
        .env("OSTLER", env!("CARGO_BIN_EXE_ostler"))
        .limit(Duration::from_secs(600));
    for (name, value) in variables {
        run = run.env(name, value);
    }
    run.ok();
}

/// An app with a secret, one that talks, one that crashes.
fn few_apps(home: &Home) -> Vec<(&'static str, String)> {
    let mut steady = sleeper("steady");
    steady["env"] = json!({ "PASSPHRASE": "s3cr3t" });
    let file = home.ecosystem(json!([
        steady,
        { "name": "talker", "script": home.script("talker.sh", TALKER), "interpreter": "none" },
        { "name": "broken", "script": "/bin/false", "interpreter": "none", "max_restarts": 2 },
    ]));
    // One of them fails, as it should.
    home.call(&["start"]).arg(file).run();
    Vec::new()
}

fn one_app(home: &Home) -> Vec<(&'static str, String)> {
    let mut steady = sleeper("steady");
    steady["env"] = json!({ "PASSPHRASE": "s3cr3t" });
    home.start(json!([steady]));
    Vec::new()
}

#[test]
fn it_loads_is_signed_in_by_its_link_and_follows_what_happens() {
    let test = "it_loads_is_signed_in_by_its_link_and_follows_what_happens";
    play(test, "load.mjs", &[], one_app);
}

#[test]
fn it_acts_by_keys_alone_and_after_a_yes() {
    play("it_acts_by_keys_alone_and_after_a_yes", "act.mjs", &[], one_app);
}

#[test]
fn a_wrong_token_and_a_page_elsewhere_get_nothing() {
    play(
        "a_wrong_token_and_a_page_elsewhere_get_nothing",
        "door.mjs",
        &[],
        one_app,
    );
}

#[test]
fn output_is_text_that_can_be_searched_and_held() {
    play(
        "output_is_text_that_can_be_searched_and_held",
        "logs.mjs",
        &[],
        few_apps,
    );
}

#[test]
fn a_reload_is_shown_step_by_step() {
    play("a_reload_is_shown_step_by_step", "reload.mjs", &[], |home| {
        let port = free_port();
        home.script("server.js", SLOW);
        let app = |script: &str| {
            json!({ "apps": [{
                "name": "web", "script": script, "instances": 2, "exec_mode": "cluster", "env": { "PORT": port }, "drain_timeout": "20s",
                "listen_timeout": "3s",
            }] })
        };
        home.start(app("server.js")["apps"].clone());
        home.script(
            "broken.js",
            &format!("if (process.env.NODE_APP_INSTANCE === '1') process.exit(1);\n{SLOW}"),
        );
        let broken = home.write("broken.config.json", app("broken.js").to_string());
        vec![
            ("PORT", port.to_string()),
            ("BROKEN", broken.to_string_lossy().into_owned()),
        ]
    });
}

#[test]
fn for_reading_only_it_shows_and_does_not_act() {
    play(
        "for_reading_only_it_shows_and_does_not_act",
        "reading.mjs",
        &["--read-only"],
        one_app,
    );
}

#[test]
fn everybody_can_use_it_by_the_rules_of_axe() {
    play(
        "everybody_can_use_it_by_the_rules_of_axe",
        "accessible.mjs",
        &[],
        few_apps,
    );
}

#[test]
fn pictures() {
    if std::env::var_os(shown::WRITE).is_none() {
        return skip("pictures", &format!("they are made with {}=1", shown::WRITE));
    }
    let folder = tools::workspace().join("docs/pictures");
    std::fs::create_dir_all(&folder).expect("a directory");
    play("pictures", "pictures.mjs", &[], |home| {
        vec![
            ("PORT", shown::start(home).to_string()),
            ("PICTURES", folder.to_string_lossy().into_owned()),
        ]
    });
}
