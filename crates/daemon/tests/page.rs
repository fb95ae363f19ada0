//! The pure modules of the web dashboard's page, by the test runner that Node has.

use ostler_testkit::{skip, tools};
use std::process::Command;

#[test]
fn what_the_page_concludes_from_what_it_is_told_holds() {
    let Some(node) = tools::in_path("node") else {
        return skip(
            "what_the_page_concludes_from_what_it_is_told_holds",
            "there is no node in PATH",
        );
    };
    // Beside them lies no `package.json` that would say that they are modules.
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("package.json"), r#"{ "type": "module" }"#).expect("a file");
    let page = tools::workspace().join("crates/daemon/src/web/page");
    for entry in std::fs::read_dir(page).expect("the page").flatten() {
        std::fs::copy(entry.path(), directory.path().join(entry.file_name())).expect("a copy");
    }
    let tests = tools::workspace().join("crates/daemon/tests/page/model.test.mjs");
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter=spec"]).arg(tests);
    command.env("TZ", "UTC").env("PAGE", directory.path());
    let output = command.output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("fail 0") && !said.contains("tests 0"), "{said}");
}
