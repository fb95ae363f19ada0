//! What tests of examples have in common.

use ostler_testkit::tools;
use std::path::PathBuf;

/// The folder of an example.
pub fn source(name: &str) -> PathBuf {
    tools::workspace().join("examples").join(name)
}

/// An example with packages of npm, installed and built in a folder of its own.
///
/// # Errors
/// What npm said.
///
/// # Panics
/// When it is the example that is wrong, and not the registry that is out of reach.
pub fn installed(name: &str) -> Result<PathBuf, String> {
    let installed = tools::npm_project(&format!("example-{name}"), &source(name));
    if let Err(reason) = &installed {
        let is_ours = reason.starts_with("npm run") || reason.contains("EUSAGE");
        assert!(!is_ours, "{name}: {reason}");
    }
    installed
}
