//! Servers in other languages that share a port.

use crate::support::{Example, copied, source};
use ostler_testkit::{Connections, Home, http_get, skip, tools};
use std::path::PathBuf;

fn loses_nothing(test: &str, name: &str, prepare: impl FnOnce(&Home) -> Result<PathBuf, String>) {
    let story = || {
        let example = Example::start(name, &[], prepare)?;
        example.home.wait_until("an answer", || http_get(example.port).is_ok());
        example.loses_nothing("/", Connections::Fresh)
    };
    if let Err(reason) = story() {
        skip(test, &reason);
    }
}

#[test]
fn a_native_program_is_reloaded_without_loss() {
    loses_nothing("a_native_program_is_reloaded_without_loss", "native", |home| {
        let directory = copied(home, "native");
        let cc = tools::in_path("cc").ok_or("there is no C compiler")?;
        // As its README has it, and with an eye to mistakes.
        let words = ["-O2", "-Wall", "-Wextra", "-Werror", "-o", "server", "server.c"];
        home.program(cc).args(&words).within(&directory).ok();
        Ok(directory)
    });
}

#[test]
fn gunicorn_is_reloaded_without_loss() {
    loses_nothing("gunicorn_is_reloaded_without_loss", "gunicorn", |home| {
        let wanted = std::fs::read_to_string(source("gunicorn").join("requirements.txt")).expect("requirements");
        let wanted: Vec<&str> = wanted.lines().collect();
        let program = tools::pip(&wanted, "gunicorn")?;
        let directory = copied(home, "gunicorn");
        let environment = program.ancestors().nth(2).expect("invariant: it lies in bin");
        std::os::unix::fs::symlink(environment, directory.join(".venv")).expect("a link");
        Ok(directory)
    });
}
