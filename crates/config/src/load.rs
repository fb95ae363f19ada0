//! Loading configs and command lines.

use crate::attributes::Attributes;
use crate::check::{Checked, check};
use crate::diagnostic::{ConfigError, ConfigErrorKind, Diagnostic, Problem};
use crate::place::{Place, Positions};
use crate::pm2::environment::{Blocks, Shell};
use crate::pm2::process;
use crate::resolve::{self, Resolution};
use crate::shape::{self, Shape};
use crate::source::{self, Document};
use crate::{Context, Loaded, Overrides};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Whether a name is a config file's: PM2's test (`.json`, `.yml`, `.yaml`, `.config.js`, `.config.cjs`, `.config.mjs`
/// anywhere in it), and `.config.ts` and its kin anywhere, `.toml` at the end. Of a path the last part counts (PM2 looks
/// at all of it, and takes `/srv/a.json.d/app.js` for a config).
pub fn is_config_file(name: &str) -> bool {
    source::format(name.rsplit('/').next().unwrap_or(name)).is_some()
}

/// Loads a config file; `path` may be relative to the caller's directory.
///
/// # Errors
/// The file cannot be read, is not of its format, fails to evaluate, or any of its apps is invalid.
pub fn load_file(path: &Path, context: &Context, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    load(&source::read(path, context)?, context, overrides)
}

/// Loads a config given as text on standard input: JSON, or JavaScript as in PM2.
///
/// # Errors
/// As [`load_file`].
pub fn load_stdin(text: &[u8], context: &Context, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    load(&source::stdin(text, context)?, context, overrides)
}

/// The names of the apps in a config file, for `stop`, `delete` and the like; scripts need not exist.
///
/// # Errors
/// The file cannot be read, is not of its format, fails to evaluate, or an app in it has neither name nor script.
pub fn names_in_file(path: &Path, context: &Context) -> Result<Vec<String>, ConfigError> {
    names(&source::read(path, context)?)
}

/// The same for a config given as text on standard input.
///
/// # Errors
/// As [`names_in_file`].
pub fn names_in_stdin(text: &[u8], context: &Context) -> Result<Vec<String>, ConfigError> {
    names(&source::stdin(text, context)?)
}

fn names(document: &Document) -> Result<Vec<String>, ConfigError> {
    let shape = shape::shape(document)?;
    let name = |(place, entry): &(Place<'_>, &Map<String, Value>)| {
        process::name_alone(&check(entry, place).attributes).ok_or_else(|| {
            let problem = place
                .diagnostic("", "it has neither `name` nor `script`")
                .hint("give it a name");
            ConfigError::one(ConfigErrorKind::Invalid, problem)
        })
    };
    shape.entries.iter().map(name).collect()
}

fn load(document: &Document, context: &Context, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let shape = shape::shape(document)?;
    let mut gathering = Gathering {
        warnings: document.warnings.clone(),
        ..Gathering::default()
    };
    gathering.warnings.extend(shape.warnings.iter().cloned());
    gathering.warnings.extend(unused_flags(overrides));
    for (place, entry) in &shape.entries {
        gathering.entry(place, entry, &shape, context, overrides);
    }
    gathering.finish(&document.source, &overrides.only)
}

/// Flags that win over the file; `namespace` only fills a gap.
const WINNING: &[&str] = &["watch", "ignore_watch", "instances", "uid", "gid", "cwd"];

fn unused_flags(overrides: &Overrides) -> Vec<Diagnostic> {
    let place = command_line();
    let unused = overrides
        .attributes
        .keys()
        .filter(|key| !WINNING.contains(&key.as_str()) && *key != "namespace");
    unused
        .map(|key| {
            place
                .diagnostic(key, "has no effect with a config file")
                .hint("set it in the file")
        })
        .collect()
}

const NO_POSITIONS: &Positions = &Positions::new();

fn command_line() -> Place<'static> {
    Place {
        source: "command line",
        path: String::new(),
        positions: NO_POSITIONS,
        flags: true,
    }
}

/// What loading gathers over the apps of a config.
#[derive(Default)]
struct Gathering {
    loaded: Vec<ostler_core::Spec>,
    /// Names of apps that are meant.
    met: BTreeSet<String>,
    /// Names of apps that `--only` left out, for its error message.
    left_out: Vec<String>,
    warnings: Vec<Diagnostic>,
    problems: Vec<Diagnostic>,
    kind: Option<ConfigErrorKind>,
    shell: Shell,
}

impl Gathering {
    fn entry(
        &mut self,
        place: &Place<'_>,
        entry: &Map<String, Value>,
        shape: &Shape<'_>,
        context: &Context,
        overrides: &Overrides,
    ) {
        let mut checked = check(entry, place);
        if !self.is_meant(&checked, &overrides.only) {
            return;
        }
        override_with(&mut checked, &overrides.attributes);
        let blocks = blocks(&mut checked, place, shape.deploy, overrides.env_name.as_deref());
        self.resolve(checked, &blocks, place, context);
    }

    fn is_meant(&mut self, checked: &Checked, only: &[String]) -> bool {
        let name = process::name_alone(&checked.attributes).unwrap_or_default();
        let meant = only.is_empty() || only.contains(&name);
        if meant {
            self.met.insert(name);
        } else {
            self.left_out.push(name);
        }
        meant
    }

    fn resolve(&mut self, checked: Checked, blocks: &Blocks, place: &Place<'_>, context: &Context) {
        self.warnings.extend(checked.warnings);
        let invalid = !checked.problems.is_empty();
        if invalid {
            self.kind.get_or_insert(ConfigErrorKind::Invalid);
            self.problems.extend(checked.problems);
        }
        match resolve::spec(&checked.attributes, blocks, context, &mut self.shell) {
            Ok(Resolution { spec, remarks }) => {
                let written = |name: &str| checked.written_as.get(name).map_or(name, String::as_str).to_owned();
                let remarks = remarks
                    .into_iter()
                    .map(|(name, remark)| place.diagnostic(&written(name), remark));
                self.warnings.extend(remarks);
                self.loaded.push(spec);
            }
            // The script may be missing only because its own value was refused.
            Err(problem) if invalid && problem.key == "script" => {}
            Err(problem) => self.problem(problem, &checked.written_as, place),
        }
    }

    fn problem(&mut self, problem: Problem, written_as: &BTreeMap<&'static str, String>, place: &Place<'_>) {
        self.kind.get_or_insert(problem.kind);
        let (name, rest) = problem
            .key
            .split_once('.')
            .map_or((problem.key.as_str(), None), |(name, rest)| (name, Some(rest)));
        let key = written_as.get(name).map_or(name, String::as_str);
        let key = rest.map_or_else(|| key.to_owned(), |rest| format!("{key}.{rest}"));
        let mut diagnostic = place.diagnostic(&key, problem.message);
        diagnostic.hint = problem.hint;
        self.problems.push(diagnostic);
    }

    fn finish(mut self, source: &str, only: &[String]) -> Result<Loaded, ConfigError> {
        self.warnings.extend(twins(source, &self.loaded));
        let nobody = self.met.is_empty() && !self.left_out.is_empty();
        if nobody {
            let message = format!("no app is called {}", only.join(" or "));
            self.kind.get_or_insert(ConfigErrorKind::Invalid);
            let hint = format!("it has {}", self.left_out.join(", "));
            self.problems.push(Diagnostic::new(source, "", message).hint(hint));
        } else {
            let missing = only.iter().filter(|name| !self.met.contains(*name));
            let missing = missing.map(|name| Diagnostic::new(source, "", format!("no app is called {name}")));
            self.warnings.extend(missing);
        }
        // Where the format has places, they give the order; elsewhere things are in order already.
        let mut warnings = once_each(self.warnings);
        warnings.sort_by_key(|warning| warning.position);
        let mut problems = self.problems;
        problems.sort_by_key(|problem| problem.position);
        match self.kind {
            Some(kind) => Err(ConfigError {
                kind,
                problems,
                warnings,
            }),
            None => Ok(Loaded {
                specs: self.loaded,
                warnings,
            }),
        }
    }
}

/// Two apps of one name are commanded together.
fn twins(source: &str, specs: &[ostler_core::Spec]) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let mut told = BTreeSet::new();
    let twice = specs
        .iter()
        .filter(|spec| !seen.insert(&spec.name))
        .filter(|spec| told.insert(&spec.name));
    twice
        .map(|spec| {
            Diagnostic::new(
                source,
                "",
                format!(
                    "several apps are called {}; commands by name concern all of them",
                    spec.name
                ),
            )
        })
        .collect()
}

/// The same remark about the same key of several apps is made once, and says how often it holds.
pub(crate) fn once_each(warnings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<(Diagnostic, usize)> = Vec::new();
    for warning in warnings {
        let same = |other: &Diagnostic| {
            last_key(&other.key) == last_key(&warning.key)
                && other.message == warning.message
                && other.source == warning.source
                && !warning.key.is_empty()
        };
        match kept.iter_mut().find(|(other, _count)| same(other)) {
            Some((_other, count)) => *count += 1,
            None => kept.push((warning, 1)),
        }
    }
    let counted = |(mut warning, count): (Diagnostic, usize)| {
        if count > 1 {
            warning.message.push_str(&format!(" (so in {count} apps)"));
        }
        warning
    };
    kept.into_iter().map(counted).collect()
}

fn last_key(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn override_with(checked: &mut Checked, flags: &Map<String, Value>) {
    let given = check(flags, &command_line());
    for (name, value) in given.attributes.0 {
        let fills = name == "namespace" && !checked.attributes.has("namespace");
        if fills || WINNING.contains(&name.as_str()) {
            checked.attributes.set(&name, value);
        }
    }
    checked.problems.extend(given.problems);
}

/// The blocks of variables, `--env` applied.
fn blocks(
    checked: &mut Checked,
    place: &Place<'_>,
    deploy: Option<&Map<String, Value>>,
    chosen: Option<&str>,
) -> Blocks {
    let named = std::mem::take(&mut checked.named_environments);
    let Some(chosen) = chosen else {
        return Blocks {
            named,
            ..Blocks::default()
        };
    };
    let deploy = deploy
        .and_then(|deploy| deploy.get(chosen)?.get("env")?.as_object())
        .cloned();
    if !named.contains_key(chosen) {
        let warning = place.diagnostic("", format!("Environment [{chosen}] is not defined in process file"));
        let known: Vec<_> = named.keys().map(|name| format!("env_{name}")).collect();
        checked.warnings.push(if known.is_empty() {
            warning.hint(format!("declare `env_{chosen}`"))
        } else {
            warning.hint(format!("it has {}", known.join(", ")))
        });
    }
    Blocks {
        named,
        deploy,
        chosen: Some(chosen.to_owned()),
    }
}

/// The app that a command line describes: `target` is a script, a program in `PATH`, or a command with spaces for a
/// shell. `attributes` are the flags by PM2's attribute names, values as typed (switches as booleans, lists as arrays).
///
/// # Errors
/// The script or its interpreter is not found, or a flag's value is invalid.
pub fn from_command_line(
    target: &str,
    attributes: Map<String, Value>,
    context: &Context,
) -> Result<Loaded, ConfigError> {
    let mut entry = attributes;
    entry.insert("script".into(), target.into());
    let place = command_line();
    let mut checked = check(&entry, &place);
    let blocks = blocks(&mut checked, &place, None, None);
    let mut gathering = Gathering::default();
    gathering.resolve(checked, &blocks, &place, context);
    gathering.finish(place.source, &[])
}

/// Checks attributes typed on a command line, for [`patch`](crate::patch()).
pub(crate) fn checked_flags(attributes: &Map<String, Value>) -> Result<Attributes, ConfigError> {
    let checked = check(attributes, &command_line());
    if checked.problems.is_empty() {
        return Ok(checked.attributes);
    }
    Err(ConfigError {
        kind: ConfigErrorKind::Invalid,
        problems: checked.problems,
        warnings: checked.warnings,
    })
}

/// A problem found while resolving attributes of a command line.
pub(crate) fn flag_error(problem: Problem) -> ConfigError {
    let mut diagnostic = command_line().diagnostic(&problem.key, problem.message);
    diagnostic.hint = problem.hint;
    ConfigError::one(problem.kind, diagnostic)
}
