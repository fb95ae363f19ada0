//! systemd reads the units without a complaint.

use crate::support::{Stage, shop};
use ostler_export::systemd::systemd;
use ostler_testkit::{skip, tools};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Keys that came with systemd 254. An older one says that it ignores them, and does.
const YOUNG: [&str; 2] = ["RestartSteps", "RestartMaxDelaySec"];

#[test]
fn every_unit_is_understood() {
    let test = "every_unit_is_understood";
    let analyze = match tools::systemd_analyze() {
        Ok(analyze) => analyze,
        Err(reason) => return skip(test, &reason),
    };
    let project = tempfile::tempdir().expect("a directory");
    let place = project.path().display().to_string();
    let loaded = [
        Stage::example("python").load("ecosystem.config.js", None),
        shop().load("ecosystem.config.js", Some("production")),
    ];
    for (number, loaded) in loaded.iter().enumerate() {
        let directory = project.path().join(number.to_string());
        let export = systemd(&loaded.specs, &loaded.project).expect("units can say it");
        for document in &export.documents {
            let path = directory.join(&document.path);
            fs::create_dir_all(path.parent().expect("invariant: it lies in a directory")).expect("a directory");
            // It looks whether there is such a program, not which one.
            let text = document
                .text
                .replace("/usr/bin/node", "/bin/true")
                .replace("/usr/bin/python3", "/bin/true");
            fs::write(path, text.replace(crate::support::ROOT, &place)).expect("a unit");
        }
        let complaints = verify(&analyze, &directory);
        assert!(complaints.is_empty(), "{complaints:?}");
    }
    fs::create_dir(project.path().join("bad")).expect("a directory");
    let bad = "[Service]\nType=exek\nExecStart=/bin/true \"open\n";
    fs::write(project.path().join("bad/bad.service"), bad).expect("a unit");
    assert!(
        !verify(&analyze, &project.path().join("bad")).is_empty(),
        "it can complain"
    );
}

/// What `systemd-analyze verify` says of all units of a directory, templates by their first instance.
fn verify(analyze: &impl Fn() -> Command, directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory)
        .expect("a directory")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let units = names.filter(|name| {
        [".service", ".socket", ".timer", ".target"]
            .iter()
            .any(|kind| name.ends_with(kind))
    });
    let units: Vec<String> = units.map(|name| name.replace('@', "@0")).collect();
    let mut command = analyze();
    command
        .args(["verify", "--man=no"])
        .args(units.iter().map(|name| format!("./{name}")))
        .current_dir(directory);
    command.env("SYSTEMD_UNIT_PATH", format!("{}:", directory.display()));
    let output = command.output().expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours = said.lines().filter(|line| {
        line.contains(&*directory.to_string_lossy()) || units.iter().any(|unit| line.contains(unit.as_str()))
    });
    ours.filter(|line| !YOUNG.iter().any(|key| line.contains(key)))
        .map(str::to_owned)
        .collect()
}
