//! The config file to begin with starts what is there, as it is written and with all that is commented out in it.

use ostler_testkit::{Home, Manager, free_port, http_get};
use std::fs;

const SERVER: &str = "require('http').createServer((request, response) => response.end('hello'))\
    .listen(process.env.PORT, '127.0.0.1')";

#[test]
fn what_is_written_starts_what_is_there_and_so_does_what_it_only_proposes() {
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let directory = home.work().join("shop");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("server.js"), SERVER).expect("written");
    fs::write(directory.join("package.json"), r#"{ "name": "@acme/till" }"#).expect("written");
    let port = free_port();
    let there = |arguments: &[&str]| home.call(arguments).within(&directory).env("PORT", port.to_string());
    there(&["init"]).ok();
    there(&["start"]).ok();
    home.wait_until("an answer", || http_get(port).is_ok_and(|answer| answer == "hello"));
    let path = directory.join("ecosystem.config.js");
    let written = fs::read_to_string(&path).expect("it is there");
    let proposed = |line: &str| match line.trim_start().strip_prefix("// ") {
        Some(words) if words.ends_with(',') => format!("{words}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    let all: String = written.lines().map(proposed).collect();
    assert_eq!(all.matches("//").count(), 3, "what are only remarks: {all}");
    fs::write(&path, &all).expect("written");
    home.ok(&["delete", "all"]);
    there(&["start", "--env", "production"]).ok();
    home.wait_until("an answer", || http_get(port).is_ok_and(|answer| answer == "hello"));
    let process = &home.rows("till")[0].0["pm2_env"];
    assert_eq!(
        (&process["exec_mode"], &process["NODE_ENV"]),
        (&"cluster_mode".into(), &"production".into())
    );
    let refused = there(&["init"]).fails();
    assert!(refused.stderr.contains("already"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), all, "nothing is lost");
}
