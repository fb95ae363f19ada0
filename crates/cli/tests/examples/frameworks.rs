//! Frameworks for Node on all processors.

use crate::support::{Example, installed};
use ostler_testkit::{Connections, http_get, skip};

fn loses_nothing(test: &str, name: &str, options: &[&str]) {
    let story = || {
        let example = Example::start(name, options, |_| installed(name))?;
        assert!(http_get(example.port).is_ok());
        example.loses_nothing("/", Connections::KeptAlive)
    };
    if let Err(reason) = story() {
        skip(test, &reason);
    }
}

#[test]
fn express_is_reloaded_without_loss() {
    // Its config says nothing of a cluster; its Dockerfile does.
    loses_nothing("express_is_reloaded_without_loss", "express", &["-i", "2"]);
}

#[test]
fn fastify_is_reloaded_without_loss() {
    loses_nothing("fastify_is_reloaded_without_loss", "fastify", &[]);
}

#[test]
fn nest_is_reloaded_without_loss() {
    loses_nothing("nest_is_reloaded_without_loss", "nest", &[]);
}

#[test]
fn next_is_reloaded_without_loss() {
    loses_nothing("next_is_reloaded_without_loss", "next", &[]);
}

/// It shows that the tests above can fail: the Express example has no line of shutdown code.
#[test]
fn a_restart_under_load_is_seen_to_lose_something() {
    let story = || {
        let example = Example::start("express", &["-i", "2"], |_| installed("express"))?;
        let restart = |example: &Example| drop(example.call(&["restart", "express"]).ok());
        let load = example.under_load("/", Connections::KeptAlive, restart)?;
        let toll = load.end();
        assert!(toll.lost > 0, "{toll:?}");
        Ok::<(), String>(())
    };
    if let Err(reason) = story() {
        skip("a_restart_under_load_is_seen_to_lose_something", &reason);
    }
}
