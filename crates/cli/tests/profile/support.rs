//! What these tests have in common: an app that is busy and holds things, and what is in the files about it.

use ostler_testkit::{Home, Manager, Output, Topology, free_port, http_get};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Spends its time in `grindCoffee` and holds a thousand of `TeaCup`.
pub const SHOP: &str = "
class TeaCup { constructor(number) { this.number = number; } }
global.cups = Array.from({ length: 1000 }, (_, number) => new TeaCup(number));
function grindCoffee() {
  let beans = 0;
  for (const end = Date.now() + 20; Date.now() < end;) for (let turn = 0; turn < 100000; turn++) beans = Math.sqrt(beans + turn);
  return beans;
}
let grinds = 0;
setInterval(() => { grindCoffee(); if (++grinds === 40) console.log('hot'); }, 40);
require('http').createServer((request, response) => response.end(String(process.pid))).listen(process.env.PORT, '127.0.0.1');
";

pub fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

/// The app `shop`, answering on a port.
pub fn open_shop(home: &Home, more: &Value) -> u16 {
    let port = free_port();
    let mut app = json!({ "name": "shop", "script": home.script("shop.js", SHOP), "env": { "PORT": port } });
    for (key, value) in more.as_object().into_iter().flatten() {
        app[key] = value.clone();
    }
    home.start(json!([app]));
    home.wait_until("an answer", || http_get(port).is_ok());
    port
}

/// The file that a command has named.
pub fn written(output: &Output) -> PathBuf {
    PathBuf::from(output.stdout.trim())
}

pub fn json_in(file: &Path) -> Value {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Whether a CPU profile has samples of this function.
pub fn names_function(profile: &Value, name: &str) -> bool {
    let nodes = profile["nodes"].as_array().expect("nodes");
    nodes
        .iter()
        .any(|node| node["callFrame"]["functionName"] == name && node["hitCount"].as_u64() > Some(0))
}

/// Whether a heap snapshot has objects of this class.
pub fn holds_class(snapshot: &Value, name: &str) -> bool {
    let fields = snapshot["snapshot"]["meta"]["node_fields"].as_array().expect("fields");
    let at = |field: &str| fields.iter().position(|known| known == field).expect("a field");
    let kinds = snapshot["snapshot"]["meta"]["node_types"][at("type")]
        .as_array()
        .expect("kinds");
    let object = kinds.iter().position(|kind| kind == "object").expect("objects");
    let strings = snapshot["strings"].as_array().expect("strings");
    let name = strings.iter().position(|string| string == name);
    let nodes = snapshot["nodes"].as_array().expect("nodes");
    let (at_kind, at_name) = (at("type"), at("name"));
    let is_one = |node: &&[Value]| {
        node[at_kind].as_u64() == Some(object as u64) && node[at_name].as_u64() == name.map(|name| name as u64)
    };
    nodes.chunks(fields.len()).filter(is_one).count() >= 1000
}

/// Files of profiles that nobody has taken away.
pub fn left(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.path().join("profiles"));
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Waits for the successor of a daemon that was killed, while commands wait for it too.
pub fn wait_another(home: &Home, before: Topology) {
    home.wait_until("a new daemon", || home.topology().daemon != before.daemon);
}
