//! The shop: its exercise is done for real, and can fail.

use crate::support::installed;
use ostler_testkit::{Home, Manager, Output, skip, tools};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(150);

/// Does the exercise, with a Redis or without.
fn exercise(redis: Option<&Path>, options: &[&str]) -> Result<Output, String> {
    let node = tools::in_path("node").ok_or("there is no node in PATH")?;
    let directory = installed("shop")?;
    let home = Home::new(Manager::ostler(env!("CARGO_BIN_EXE_ostler")));
    let call = home
        .program(node)
        .args(&["exercise/run.js", "--short"])
        .args(options)
        .within(directory)
        .env("OSTLER", env!("CARGO_BIN_EXE_ostler"))
        .env("REDIS_SERVER", redis.unwrap_or(Path::new("none")))
        // What it leaves behind would be found there.
        .env("TMPDIR", home.work());
    let output = call.limit(LIMIT).run();
    let left = home.processes();
    assert!(left.is_empty(), "{left:?}");
    let files = std::fs::read_dir(home.work()).expect("the work directory").count();
    assert_eq!(files, 0, "{output}");
    Ok(output)
}

#[test]
fn the_whole_exercise_loses_nothing() {
    let test = "the_whole_exercise_loses_nothing";
    let redis = tools::redis_server()
        .map_err(|reason| skip(test, &format!("without Redis: {reason}")))
        .ok();
    match exercise(redis.as_deref(), &[]) {
        Ok(output) => {
            assert_eq!(output.code, Some(0), "{output}");
            let shared = "all workers count together, in Redis";
            assert_eq!(output.stdout.contains(shared), redis.is_some(), "{output}");
            for words in [
                "│ Req/Sec",
                " 0 lost",
                "had too much memory, and was replaced",
                "hung, and was replaced",
                "nothing was lost",
            ] {
                assert!(output.stdout.contains(words), "{words}: {output}");
            }
        }
        Err(reason) => skip(test, &reason),
    }
}

#[test]
fn the_exercise_sees_what_is_lost() {
    match exercise(None, &["--kill"]) {
        Ok(output) => {
            assert_eq!(output.code, Some(1), "{output}");
            assert!(output.stdout.contains("✗ load"), "{output}");
            assert!(output.stdout.contains("✓ each worker counts for itself"), "{output}");
        }
        Err(reason) => skip("the_exercise_sees_what_is_lost", &reason),
    }
}
