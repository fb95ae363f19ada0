//! The control API keeps its word: real answers against `docs/openapi.json`, and the examples of `docs/api.md`.

use ostler_testkit::{EventStream, Home, Manager, apps, free_port, process, skip, sleeper, tools};
use serde_json::{Value, json};
use std::process::Command;

/// Comes with a validator of JSON schemas (npm).
const VALIDATOR: &str = "@seriousme/openapi-schema-validator@2.11.0";

fn home() -> Home {
    Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")))
}

fn document() -> Value {
    let text = std::fs::read_to_string(tools::workspace().join("docs/openapi.json")).expect("the document");
    serde_json::from_str(&text).expect("JSON")
}

/// Something that was said, and where the document says what it looks like.
struct Sample {
    pointer: String,
    value: Value,
}

impl Sample {
    fn answer(method: &str, path: &str, status: u16, value: Value) -> Self {
        let status = if status == 200 { "200" } else { "default" };
        Self::at(method, path, &format!("responses/{status}"), "application/json", value)
    }

    fn at(method: &str, path: &str, part: &str, kind: &str, value: Value) -> Self {
        let escaped = |text: &str| text.replace('/', "~1");
        Self {
            pointer: format!(
                "/paths/{}/{method}/{part}/content/{}/schema",
                escaped(path),
                escaped(kind)
            ),
            value,
        }
    }
}

/// What each call without a body says, now.
fn asked(home: &Home, document: &Value, samples: &mut Vec<Sample>) {
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let get = &operations["get"];
        if !get["responses"]["200"]["content"]["application/json"].is_object() {
            continue;
        }
        let mut queries = vec![String::new(), "?no=such".to_owned()];
        let parameters = get["parameters"].as_array().expect("parameters");
        if parameters.iter().any(|parameter| parameter["name"] == "selector") {
            queries.extend(["?selector=web".to_owned(), "?selector=nobody".to_owned()]);
        }
        for query in queries {
            let (status, value) = home
                .call_control("GET", &format!("{path}{query}"), "")
                .expect("an answer");
            assert_eq!(status == 400, query == "?no=such", "{path}{query}: {value}");
            samples.push(Sample::answer("get", path, status, value));
        }
    }
}

fn operate(home: &Home, samples: &mut Vec<Sample>, id: &str, action: &Value) {
    let path = "/v1/operations";
    let operation = json!({ "id": id, "verb": "test", "action": action });
    let (status, answer) = home.post(path, &operation).expect("an answer");
    samples.push(Sample::at("post", path, "requestBody", "application/json", operation));
    samples.push(Sample::answer("post", path, status, answer));
}

fn streamed(path: &str, stream: &EventStream, samples: &mut Vec<Sample>) {
    for event in stream.events() {
        let mut value = json!({ "event": event.name, "data": event.data });
        if let Some(id) = event.id {
            value["id"] = id.into();
        }
        samples.push(Sample::at("get", path, "responses/200", "text/event-stream", value));
    }
}

/// Everything that can be heard of a few apps in a short life.
fn heard(home: &Home, document: &Value) -> Vec<Sample> {
    let mut samples = Vec::new();
    let events = EventStream::open(home, "/v1/events", None);
    let logs = EventStream::open(home, "/v1/logs?events=true&tail=3", None);
    let list = json!([
        { "name": "web", "script": apps::path("shared.js"), "instances": 2, "exec_mode": "cluster", "env": { "PORT": free_port() } },
        sleeper("plain"),
        { "name": "says", "script": home.script("says.sh", "#!/bin/sh\necho out\necho error >&2\nexit 3\n"), "autorestart": false },
    ]);
    // The last one ends with an error, as it should.
    let file = home.ecosystem(list);
    home.call(&["start"]).arg(file).run();
    asked(home, document, &mut samples);
    process::kill(home.pid("plain"));
    home.wait_until("the restart", || home.row("plain").restarts() == 1);
    let selector = |word: &str| json!({ "words": [word], "cwd": "/" });
    let patch = json!({ "attributes": { "max_restarts": 3 }, "environment": { "A": "b" } });
    let actions = [
        (
            "restart",
            json!({ "restart": { "selector": selector("plain"), "patch": patch } }),
        ),
        (
            "reload",
            json!({ "reload": { "selector": selector("web"), "patch": patch, "parallel": 1 } }),
        ),
        (
            "scale",
            json!({ "scale": { "selector": selector("web"), "to": { "absolute": 3 } } }),
        ),
        (
            "same",
            json!({ "scale": { "selector": selector("web"), "to": { "absolute": 3 } } }),
        ),
        ("flush", json!({ "flush": { "selector": null } })),
        ("save", json!({ "save": { "force": true } })),
        ("files", json!("reload_logs")),
        ("stop", json!({ "stop": { "selector": selector("plain") } })),
        ("resurrect", json!("resurrect")),
        ("delete", json!({ "delete": { "selector": selector("plain") } })),
        ("nobody", json!({ "stop": { "selector": selector("nobody") } })),
    ];
    for (id, action) in &actions {
        operate(home, &mut samples, id, action);
    }
    asked(home, document, &mut samples);
    home.wait_until("the end of the reload", || !events.named("reload_ended").is_empty());
    home.wait_until("the delete", || !events.named("removed").is_empty());
    home.wait_until("output", || {
        !logs.named("out").is_empty() && !logs.named("error").is_empty()
    });
    streamed("/v1/events", &events, &mut samples);
    streamed("/v1/logs", &logs, &mut samples);
    samples
}

/// Says of each sample what is wrong with it, and that one is wrong whose schema has another type.
const SCRIPT: &str = "
const { createRequire } = await import('node:module');
const { readFile } = await import('node:fs/promises');
const require = createRequire(process.argv[2]);
const Ajv = require('ajv/dist/2020').default;
const { document, samples } = JSON.parse(await readFile(process.argv[3], 'utf8'));
const ajv = new Ajv({ strict: false, validateSchema: false, validateFormats: false });
ajv.addSchema(document, 'http://document/');
const wrong = samples.flatMap(({ pointer, value }) => {
  const validate = ajv.compile({ $ref: 'http://document/#' + encodeURI(pointer) });
  return validate(value) ? [] : [{ pointer, value, errors: validate.errors.slice(0, 5) }];
});
const ping = ajv.compile({ $ref: 'http://document/#/components/schemas/Pong' });
console.log(JSON.stringify({ wrong: wrong.slice(0, 5), canFail: !ping({ version: 1 }) }));
";

#[test]
fn what_a_daemon_says_is_what_the_document_says() {
    let test = "what_a_daemon_says_is_what_the_document_says";
    let entry = "node_modules/@seriousme/openapi-schema-validator/index.js";
    let (validator, node) = match (tools::npm(VALIDATOR, entry), tools::in_path("node")) {
        (Ok(validator), Some(node)) => (validator, node),
        (Err(reason), _) => return skip(test, &reason),
        (_, None) => return skip(test, "there is no node in PATH"),
    };
    let (home, document) = (home(), document());
    home.ok(&["ping"]);
    let samples = heard(&home, &document);
    for name in [
        "process", "history", "reload", "removed", "out", "error", "begin", "event",
    ] {
        let is_there = |sample: &Sample| sample.value["event"] == name;
        assert!(samples.iter().any(is_there), "no {name} was heard");
    }
    let list: Vec<Value> = samples
        .iter()
        .map(|sample| json!({ "pointer": sample.pointer, "value": sample.value }))
        .collect();
    let script = home.write("check.mjs", SCRIPT);
    let input = home.write(
        "samples.json",
        json!({ "document": document, "samples": list }).to_string(),
    );
    let mut command = Command::new(node);
    let output = command
        .arg(script)
        .arg(validator)
        .arg(input)
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdict: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(verdict, json!({ "wrong": [], "canFail": true }));
}

#[test]
fn the_examples_for_users_work() {
    if tools::in_path("curl").is_none() {
        return skip("the_examples_for_users_work", "there is no curl in PATH");
    }
    let home = home();
    home.start(json!([sleeper("web")]));
    let text = std::fs::read_to_string(tools::workspace().join("docs/api.md")).expect("the page");
    let blocks: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 6, "{blocks:?}");
    let mut first = None;
    for block in blocks {
        // Each goes on where the first one has said what the socket is.
        let setting = *first.get_or_insert_with(|| block.lines().next().unwrap_or_default());
        // Streams have no end: what comes within a second has to be enough.
        let endless = block.contains("-sN");
        let commands = format!("{setting}\n{block}").replace("curl -sN", "curl -sN --max-time 1");
        let output = home.program("/bin/sh").args(&["-eu", "-c", &commands]).run();
        let code = if endless { 28 } else { 0 };
        assert_eq!(output.code, Some(code), "{commands}: {output}");
        assert!(!output.stdout.contains("there is no"), "{output}");
        if endless {
            assert!(output.stdout.contains("event: "), "{output}");
        } else if block.contains("/metrics\n") {
            assert!(output.stdout.contains("# TYPE ostler"), "{output}");
        } else {
            let values: Result<Vec<Value>, _> =
                serde_json::Deserializer::from_str(&output.stdout).into_iter().collect();
            assert!(!values.expect("JSON").is_empty());
        }
    }
}
