//! The first try: from a checkout with nothing built to an Express app that answers under Ostler.

use crate::command::{cargo, output, program, step};
use crate::{Result, say};
use ostler_testkit::{DEADLINE, http_get, tools, wait_within};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the example listens (`examples/express/ecosystem.config.js`).
const PORT: u16 = 3000;

/// Builds, installs, starts, asks, lists.
pub fn run() -> Result {
    step(
        "building ostler",
        cargo().args(["build", "--release", "--package", "ostler-cli"]),
    )?;
    let example = tools::workspace().join("examples/express");
    let mut npm = program("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&example);
    step("installing the example's packages", &mut npm)?;
    let ostler = tools::target().join("release/ostler");
    step(
        "ostler start ecosystem.config.js",
        ostler_in(&ostler, &example).args(["start", "ecosystem.config.js"]),
    )?;
    let answer = wait_within(DEADLINE, || answer_of_ours(&ostler, &example));
    let answer = answer.map_err(|limit| {
        format!(
            "the example does not answer on port {PORT} within {limit:?}; `{} logs express` says more",
            shown(&ostler)
        )
    })?;
    say(&format!("── http://127.0.0.1:{PORT}/ answers: {}", answer.trim_end()));
    let list = output(ostler_in(&ostler, &example).arg("list"))?;
    say(&format!("── ostler list\n{list}"));
    if !list.contains("online") {
        return Err("the example is not online".to_owned());
    }
    say(&format!(
        "It goes on running. Look at it by `{0} logs`, end it by `{0} kill`.",
        shown(&ostler)
    ));
    Ok(())
}

/// What port [`PORT`] answers, if it is the process that Ostler runs and not another server of this machine.
fn answer_of_ours(ostler: &Path, example: &Path) -> Option<String> {
    let pid = output(ostler_in(ostler, example).args(["pid", "express"])).ok()?;
    let answer = http_get(PORT).ok()?;
    (answer.split_whitespace().last() == Some(pid.trim())).then_some(answer)
}

fn ostler_in(ostler: &Path, directory: &Path) -> Command {
    let mut command = Command::new(ostler);
    command.current_dir(directory);
    command
}

/// The binary's path as one would type it from the workspace's root.
fn shown(ostler: &Path) -> String {
    ostler
        .strip_prefix(tools::workspace())
        .map_or_else(|_| PathBuf::from(ostler), Path::to_path_buf)
        .display()
        .to_string()
}
