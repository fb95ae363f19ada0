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
