//! `docs/openapi.json`: made of the router's list and of the types that go over the wire, valid, and complete.

mod document;
mod schemas;

use ostler_testkit::{skip, tools};
use ostler_wire::endpoints::Endpoint;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Set to write the document instead of comparing it.
const WRITE: &str = "OSTLER_WRITE_REFERENCE";

/// What has OpenAPI's own schema, and the validator that it needs (npm).
const VALIDATOR: &str = "@seriousme/openapi-schema-validator@2.11.0";

fn file() -> std::path::PathBuf {
    tools::workspace().join("docs/openapi.json")
}

#[test]
fn the_document_says_what_the_code_says() {
    let wanted = serde_json::to_string_pretty(&document::document()).expect("JSON") + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file(), &wanted).expect("docs/openapi.json is written");
    } else {
        let text = std::fs::read_to_string(file()).unwrap_or_default();
        assert!(
            text == wanted,
            "docs/openapi.json is out of date: run this test with {WRITE}=1"
        );
    }
}

#[test]
fn every_call_with_every_parameter_is_there_and_nothing_else() {
    let document = document::document();
    let mut told = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let endpoint = Endpoint::find(&method.to_uppercase(), path).expect("a call that is answered");
            let named = operation["parameters"].as_array().map_or_else(Vec::new, |parameters| {
                let of_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                of_query.map(|parameter| parameter["name"].clone()).collect()
            });
            let known: Vec<Value> = endpoint.parameters().iter().map(|known| known.name.into()).collect();
            assert_eq!(named, known, "{path}");
            assert!(
                operation["responses"]["default"].is_object(),
                "{path}: what a failure looks like"
            );
            told.insert(format!("{method} {path}"));
        }
    }
    assert_eq!(told.len(), Endpoint::ALL.len(), "{told:?}");
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document::document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let prefix = "#/components/schemas/";
    let there: BTreeSet<String> = document["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .keys()
        .map(|name| format!("{prefix}{name}"))
        .collect();
    assert_eq!(used, there);
}

fn references(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                used.insert(reference.clone());
            }
            members.values().for_each(|member| references(member, used));
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, used)),
        _ => {}
    }
}

/// Validates the document that its argument names, and one that is broken.
const SCRIPT: &str = "
const { Validator } = await import(process.argv[2]);
const { readFile } = await import('node:fs/promises');
const document = JSON.parse(await readFile(process.argv[3], 'utf8'));
const verdict = async (document) => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(document);
  return { valid, errors, version: validator.version };
};
const good = await verdict(structuredClone(document));
delete document.paths['/v1/ping'].get.responses;
document.paths['/v1/ping'].get.answers = {};
document.info.version = 7;
const broken = await verdict(document);
console.log(JSON.stringify({ good, broken }));
";

#[test]
fn it_is_valid_by_the_schema_of_openapi() {
    let test = "it_is_valid_by_the_schema_of_openapi";
    let entry = "node_modules/@seriousme/openapi-schema-validator/index.js";
    let (validator, node) = match (tools::npm(VALIDATOR, entry), tools::in_path("node")) {
        (Ok(validator), Some(node)) => (validator, node),
        (Err(reason), _) => return skip(test, &reason),
        (_, None) => return skip(test, "there is no node in PATH"),
    };
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("validate.mjs");
    std::fs::write(&script, SCRIPT).expect("a script");
    let mut command = Command::new(node);
    let output = command
        .arg(script)
        .arg(validator)
        .arg(file())
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdicts: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(verdicts["good"]["version"], "3.1", "{said}");
    assert_eq!(verdicts["good"]["valid"], true, "{said}");
    assert_eq!(verdicts["broken"]["valid"], false, "the validator can fail: {said}");
}
