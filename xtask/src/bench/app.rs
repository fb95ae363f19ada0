//! What is served in the benchmarks of requests.

use crate::Result;
use ostler_testkit::{apps, tools};

/// A server, and what it needs.
pub struct App {
    /// Path of its script. It listens on `$PORT`.
    pub script: String,
    /// The module that a framework's app requires, `$MODULE`.
    pub module: &'static str,
}

impl App {
    /// As little for an answer as a server of `http` can do.
    pub fn bare() -> Self {
        Self {
            script: apps::path("shared.js"),
            module: "",
        }
    }

    /// As most people write a server.
    ///
    /// # Errors
    /// It cannot be installed.
    pub fn of_express() -> Result<Self> {
        let source = apps::path("cluster/frameworks/express");
        let installed = tools::npm_project("cluster-express", source.as_ref())?.join("server.cjs");
        let script = installed.to_str().ok_or("the checkout's path is no text")?;
        Ok(Self {
            script: script.to_owned(),
            module: "express",
        })
    }
}
