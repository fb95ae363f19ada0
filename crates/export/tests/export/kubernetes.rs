//! The schemas of Kubernetes itself, of an old and of a new version.

use crate::support::{Stage, shop};
use ostler_export::kubernetes::{Options, kubernetes};
use ostler_testkit::{skip, tools};
use std::fs;
use std::process::Command;

/// What carries the schemas (PyPI). `preStop.sleep` is on by default from 1.30 on.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

#[test]
fn every_object_is_valid() {
    let test = "every_object_is_valid";
    let validator = match tools::pip(&[VALIDATOR], "kubernetes-validate") {
        Ok(validator) => validator,
        Err(reason) => return skip(test, &reason),
    };
    let directory = tempfile::tempdir().expect("a directory");
    let loaded = [
        Stage::example("express").load("ecosystem.config.js", Some("production")),
        Stage::example("python").load("ecosystem.config.js", None),
        shop().load("ecosystem.config.js", Some("production")),
    ];
    let mut files = Vec::new();
    for (number, loaded) in loaded.iter().enumerate() {
        for document in kubernetes(&loaded.specs, &loaded.project, &Options::default()).documents {
            let path = directory.path().join(format!("{number}-{}", document.path));
            fs::write(&path, &document.text).expect("a file");
            files.push(path);
        }
    }
    for version in VERSIONS {
        let mut command = Command::new(&validator);
        let output = command
            .args(["--strict", "--kubernetes-version", version])
            .args(&files)
            .output()
            .expect("the validator runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version}: {said}");
        for kind in [
            "deployment/api",
            "cronjob/report",
            "job/migrate",
            "service/prices",
            "horizontalpodautoscaler/api",
            "secret/api-secret",
        ] {
            assert!(
                said.contains(&format!("passed for resource {kind}")),
                "{version}: {kind} was looked at: {said}"
            );
        }
    }
    let broken = directory.path().join("broken.yaml");
    let text = fs::read_to_string(&files[0]).expect("a file");
    fs::write(&broken, text.replace("containers:", "containrs:")).expect("a file");
    let output = Command::new(&validator)
        .arg("--strict")
        .arg(&broken)
        .output()
        .expect("the validator runs");
    assert!(!output.status.success(), "the validator can fail");
}
