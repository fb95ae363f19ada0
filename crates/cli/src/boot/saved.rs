//! Whether what the saved list names would start at the next boot. Reads only: nothing is set aside or repaired here.

use super::check::Finding;
use super::{Machine, is_passing};
use ostler_config::Context;
use ostler_core::{Interpreter, SavedInstance, Spec};
use ostler_sys::{resolve, users};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The saved list's name in Ostler's home, as PM2's.
pub const FILE: &str = "dump.pm2";

/// What a saved list was found to be.
#[derive(Debug, Default)]
pub struct Saved {
    /// Its processes.
    pub instances: Vec<SavedInstance>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Saved {
    /// Reads the list of a home.
    pub fn read(machine: &Machine, home: &Path, user: &str) -> Self {
        let path = home.join(FILE);
        let shown = path.display();
        let refused = |what: String, remedy: &str| Self {
            instances: Vec::new(),
            findings: vec![Finding::new(what, remedy)],
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return refused(format!("there is no saved list ({shown})"), "`ostler save` writes it");
            }
            Err(error) => return refused(format!("{shown} cannot be read: {error}"), "give its user the right to"),
        };
        let context = Context {
            cwd: home.to_owned(),
            home: home.to_owned(),
            environment: BTreeMap::new(),
            username: user.to_owned(),
            node: None,
            patience: ostler_config::PATIENCE,
        };
        match ostler_config::saved::read(&bytes, &context) {
            Err(error) => refused(
                format!("{shown} is no saved list: {error}"),
                "`ostler save` writes it anew; until then the newest older one is taken",
            ),
            Ok(saved) if saved.instances.is_empty() => refused(
                format!("the saved list is empty ({shown})"),
                "`ostler save` once something runs",
            ),
            Ok(saved) => Self {
                findings: saved
                    .instances
                    .iter()
                    .flat_map(|instance| of_instance(machine, instance))
                    .collect(),
                instances: saved.instances,
            }
            .each_once(),
        }
    }

    /// Instances of one app have the same faults.
    fn each_once(mut self) -> Self {
        let mut seen = BTreeSet::new();
        self.findings.retain(|finding| seen.insert(finding.what.clone()));
        self
    }

    /// The names of its apps.
    pub fn names(&self) -> BTreeSet<&str> {
        self.instances
            .iter()
            .map(|instance| instance.spec.name.as_str())
            .collect()
    }
}

fn of_instance(machine: &Machine, instance: &SavedInstance) -> Vec<Finding> {
    if !instance.running {
        return Vec::new();
    }
    let spec = &instance.spec;
    let lost = |what: String| {
        Finding::new(
            format!("`{}`: {what}", spec.name),
            format!("put it back, or `ostler delete {}` and `ostler save`", spec.name),
        )
    };
    let program = &spec.program;
    let (path, cwd) = (Path::new(&program.path), Path::new(&program.cwd));
    let mut findings = Vec::new();
    if !cwd.is_dir() {
        findings.push(lost(format!("its directory {} is gone", cwd.display())));
    }
    if !path.exists() {
        findings.push(lost(format!("its program {} is gone", path.display())));
    } else if is_passing(machine, path) {
        findings.push(lost(format!("its program {} may be gone after a boot", path.display())));
    }
    if let Interpreter::Program(interpreter) = &program.interpreter
        && let Err(error) = resolve::find(interpreter.as_ref(), search_path(spec).map(AsRef::as_ref), cwd)
        && cwd.is_dir()
    {
        let what = format!("`{}`: its interpreter cannot be run: {error}", spec.name);
        let remedy = "install it, or start the app again with the one that is there, and `ostler save`";
        findings.push(Finding::new(what, remedy));
    }
    if let Some(user) = &spec.user
        && let Err(error) = users::identify(&user.user, user.group.as_deref())
    {
        findings.push(Finding::new(format!("`{}`: {error}", spec.name), "then `ostler save`"));
    }
    findings
}

/// The app's own `PATH`.
fn search_path(spec: &Spec) -> Option<&str> {
    let environment = &spec.environment;
    let declared = environment
        .declared
        .get("PATH")
        .or_else(|| environment.inherited.get("PATH"));
    declared.map(String::as_str)
}

/// Where a home's saved list is.
pub fn path(home: &Path) -> PathBuf {
    home.join(FILE)
}
