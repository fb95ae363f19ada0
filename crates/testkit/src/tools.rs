//! Programs the tests need: found in `PATH`, built by cargo, or installed by npm below `target/tools`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The workspace's root.
///
/// # Panics
/// Never in a checkout of this workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("invariant: testkit lies two levels below the root")
        .to_owned()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// A program by its name, looked up in `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Installs an npm package below `target/tools` unless it is there, and returns the path of a file in it.
///
/// `package` is what `npm install` takes, e.g. `pm2@7`; `file` is relative to the installation, e.g.
/// `node_modules/.bin/pm2`. Several callers at once install it once.
///
/// # Errors
/// A sentence with what npm said.
pub fn npm(package: &str, file: &str) -> Result<PathBuf, String> {
    let directory = target().join("tools").join(package.replace(['/', '@'], "-"));
    let wanted = directory.join(file);
    let done = directory.join("installed");
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let lock = File::create(directory.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if done.exists() && wanted.exists() {
        return Ok(wanted);
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"])
        .arg(&directory)
        .arg(package);
    let output = npm.output().map_err(|error| format!("npm: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "npm install {package}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    File::create(done).map_err(|error| error.to_string())?;
    Ok(wanted)
}

/// A Node of this major version, installed by npm.
///
/// # Errors
/// See [`npm`]; also on machines npm has no such package for.
pub fn node(major: u32) -> Result<PathBuf, String> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("npm has no Node for {other}")),
    };
    let name = format!("node-linux-{machine}");
    npm(&format!("{name}@{major}"), &format!("node_modules/{name}/bin/node"))
}

/// A Node that runs TypeScript by itself (22.18 or later), installed by npm.
///
/// # Errors
/// See [`node`].
pub fn typescript_node() -> Result<PathBuf, String> {
    node(22)
}

/// The fixture program (`src/bin/fixture.rs`), built if it is missing or older than its source.
///
/// # Panics
/// When cargo cannot build it.
pub fn fixture() -> PathBuf {
    let profile = built_profile();
    let program = target().join(&profile).join("ostler-fixture");
    if is_stale(&program) {
        let name = if profile == "debug" { "dev" } else { &profile };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(workspace())
            .args(["build", "--quiet", "--package", "ostler-testkit"]);
        let status = cargo.args(["--bin", "ostler-fixture", "--profile", name]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cargo builds the fixture program"
        );
    }
    program
}

/// The profile's directory this very program was built into: `debug`, `release`, …
fn built_profile() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let below = own
        .strip_prefix(target())
        .ok()
        .and_then(|path| path.components().next());
    below.map_or_else(
        || "debug".to_owned(),
        |name| name.as_os_str().to_string_lossy().into_owned(),
    )
}

fn is_stale(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let sources = ["src/bin/fixture.rs", "src/torture.rs"];
    let newest = sources
        .iter()
        .filter_map(|name| changed(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)))
        .max();
    changed(program) < newest.or(Some(SystemTime::UNIX_EPOCH))
}
