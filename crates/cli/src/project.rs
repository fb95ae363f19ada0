//! What `ostler export` has to know of a project besides its config: where it lies, what is in its directory, and where the programs
//! are that its apps name.

use crate::configuration;
use crate::error::{Error, Result};
use crate::session::Session;
use ostler_core::{Interpreter, Spec};
use ostler_export::Project;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Looks at the directory of `file`, or at the caller's for standard input.
pub fn project(session: &Session, file: &str, environment: Option<&str>, specs: &[Spec]) -> Result<Project> {
    let is_file = configuration::is_config_file(file);
    let path = session.cwd.join(file);
    let directory = path.parent().filter(|_| is_file).unwrap_or(&session.cwd);
    // As Node has it in `__dirname`, and the kernel in the working directory.
    let root =
        fs::canonicalize(directory).map_err(|error| Error::system(format!("{}: {error}", directory.display())))?;
    let text = root
        .to_str()
        .ok_or_else(|| Error::user(format!("the directory {} is not valid UTF-8", root.display())))?;
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| is_file);
    let read = |name: &str| fs::read_to_string(root.join(name)).ok();
    Ok(Project {
        root: text.to_owned(),
        config: name.map(str::to_owned),
        environment: environment.map(str::to_owned),
        entries: entries(&root),
        package: read("package.json").and_then(|text| serde_json::from_str(&text).ok()),
        node_version: read(".nvmrc").or_else(|| read(".node-version")),
        programs: programs(session, specs),
        time_zone: specs.iter().any(|spec| spec.cron.is_some()).then(time_zone).flatten(),
    })
}

fn entries(root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Where the interpreters are, by the `PATH` that each app would have.
fn programs(session: &Session, specs: &[Spec]) -> BTreeMap<String, String> {
    let found = |spec: &Spec| {
        let Interpreter::Program(name) = &spec.program.interpreter else {
            return None;
        };
        let environment = &spec.environment;
        let path = environment
            .declared
            .get("PATH")
            .or_else(|| environment.inherited.get("PATH"));
        let path = path.map(String::as_str).or_else(|| session.variable("PATH"))?;
        let found: PathBuf = ostler_config::which(name, path, Path::new(&spec.program.cwd))?;
        Some((name.clone(), found.to_str()?.to_owned()))
    };
    specs.iter().filter_map(found).collect()
}

/// The name of this machine's time zone, if it has one.
fn time_zone() -> Option<String> {
    let zone = jiff::tz::TimeZone::system();
    zone.iana_name()
        .filter(|name| *name != "Etc/Unknown")
        .map(str::to_owned)
}
