//! Every check there is, in the order of what is quickest to fail.

use crate::command::{cargo, has_subcommand, step};
use crate::{Result, purity, say};
use ostler_testkit::tools;
use std::fs;

/// What the random histories of a normal run are drawn from, always the same ones: a failure there is of the commit, not of the draw.
/// New ones are for the long run, which has time to find the rare.
const SEED: &str = "20261122";

/// Runs all checks; ends at the first that fails.
pub fn run() -> Result {
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "lints",
        cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    purity::check()?;
    licences()?;
    tests()?;
    step("doc tests", cargo().args(["test", "--workspace", "--doc"]))?;
    say("── every check passed");
    Ok(())
}

/// The long run: daemon and keeper killed 50 times each, a million lines of torture, a hundred thousand random histories of the
/// machine, and clusters reloaded for as long as it takes.
pub fn endurance() -> Result {
    ensure_nextest()?;
    let chosen = "(package(ostler-cli) and (test(storm) or test(torture) or binary(cluster))) \
                  or (package(ostler-testkit) and binary(preload)) or (package(ostler-core) and binary(properties))";
    let mut nextest = cargo();
    nextest
        .args([
            "nextest",
            "run",
            "--cargo-profile",
            "endurance",
            "--workspace",
            "-E",
            chosen,
        ])
        .env("OSTLER_TEST_FULL", "1")
        .env("PROPTEST_CASES", "100000");
    step("endurance", &mut nextest)
}

fn licences() -> Result {
    if has_subcommand("deny") {
        step("licences and advisories", cargo().args(["deny", "check"]))
    } else {
        say(
            "── licences and advisories: NOT CHECKED, cargo-deny is not installed (`cargo install cargo-deny --locked`)",
        );
        Ok(())
    }
}

fn tests() -> Result {
    ensure_nextest()?;
    let skipped = tools::target().join("skipped-tests.txt");
    // Left by an earlier run, or not there at all.
    drop(fs::remove_file(&skipped));
    let result = step(
        "tests",
        cargo()
            .args(["nextest", "run", "--workspace", "--profile", "ci"])
            .env("PROPTEST_RNG_SEED", SEED),
    );
    for line in fs::read_to_string(&skipped).unwrap_or_default().lines() {
        say(line);
    }
    result
}

fn ensure_nextest() -> Result {
    if has_subcommand("nextest") {
        return Ok(());
    }
    step(
        "installing cargo-nextest",
        cargo().args(["install", "cargo-nextest", "--locked"]),
    )
}
