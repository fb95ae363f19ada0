//! Specs from config files, as they would be on a machine where the project lies in `/srv/shop`.

use ostler_config::{Context, Overrides, load_file};
use ostler_core::Spec;
use ostler_export::{Document, Export, Project};
use ostler_testkit::tools;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// Where the project seems to lie.
pub const ROOT: &str = "/srv/shop";

/// Programs that apps may name, so that what is found does not depend on the machine.
const PROGRAMS: [&str; 5] = ["node", "python3", "bash", "gunicorn", "npm"];

/// A project on disk.
pub struct Stage {
    directory: TempDir,
}

/// A config, loaded.
pub struct Loaded {
    pub specs: Vec<Spec>,
    pub project: Project,
}

impl Stage {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("ostler-export-")
            .tempdir()
            .expect("a directory");
        let stage = Self { directory };
        for program in PROGRAMS {
            stage.write(&format!("programs/{program}"), "");
            let path = stage.directory.path().join("programs").join(program);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
        }
        files
            .iter()
            .for_each(|(name, text)| stage.write(&format!("project/{name}"), text));
        stage
    }

    /// One of the repository's examples.
    pub fn example(name: &str) -> Self {
        let directory = tools::workspace().join("examples").join(name);
        let entries = fs::read_dir(directory).expect("an example").flatten();
        let files: Vec<(String, String)> = entries
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read_to_string(entry.path()).expect("a text"))
            })
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Self::new(&files)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("invariant: it lies in the directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    pub fn load(&self, config: &str, environment: Option<&str>) -> Loaded {
        let directory = self.directory.path().canonicalize().expect("the directory");
        let project = directory.join("project");
        let context = Context {
            cwd: project.clone(),
            home: "/home/deploy/.ostler".into(),
            environment: [("PATH".to_owned(), directory.join("programs").display().to_string())].into(),
            username: "deploy".into(),
            node: Some(tools::in_path("node").expect("node in PATH")),
            patience: ostler_config::PATIENCE,
        };
        let overrides = Overrides {
            env_name: environment.map(str::to_owned),
            ..Overrides::default()
        };
        let loaded = load_file(config.as_ref(), &context, &overrides).expect("a valid config");
        Loaded {
            specs: moved(&loaded.specs, &directory),
            project: described(&project, config, environment),
        }
    }
}

/// The same specs on the machine where the project lies in [`ROOT`].
fn moved(specs: &[Spec], directory: &Path) -> Vec<Spec> {
    let text = serde_json::to_string(specs).expect("specs are data");
    let text = text.replace(&directory.join("project").display().to_string(), ROOT);
    let text = text.replace(&directory.join("programs").display().to_string(), "/usr/bin");
    serde_json::from_str(&text).expect("specs are data")
}

fn described(project: &Path, config: &str, environment: Option<&str>) -> Project {
    let read = |name: &str| fs::read_to_string(project.join(name)).ok();
    let entries = fs::read_dir(project).expect("the project").flatten();
    let entries: BTreeSet<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    Project {
        root: ROOT.to_owned(),
        config: Some(config.to_owned()),
        environment: environment.map(str::to_owned),
        entries,
        package: read("package.json").map(|text| serde_json::from_str(&text).expect("JSON")),
        node_version: read(".nvmrc"),
        programs: PROGRAMS
            .map(|name| (name.to_owned(), format!("/usr/bin/{name}")))
            .into(),
        time_zone: Some("Europe/Berlin".into()),
    }
}

/// An export as one text: what is said of it, and each file.
pub fn shown(export: &Export) -> String {
    let file = |document: &Document| format!("==> {} <==\n{}\n", document.path, document.text);
    export.documents.iter().map(file).collect()
}

/// A shop: a cluster with secrets, a worker, a job by the clock, and Python on inherited sockets.
pub fn shop() -> Stage {
    Stage::new(&[
        ("ecosystem.config.js", include_str!("shop.config.js")),
        ("dist/main.js", ""),
        ("worker.js", ""),
        ("report.js", ""),
        ("server.py", ""),
        ("migrate.js", ""),
        ("shop.env", "CURRENCY=EUR\n"),
        (
            "package.json",
            r#"{ "name": "shop", "scripts": { "build": "tsc" }, "engines": { "node": ">=22" } }"#,
        ),
        ("pnpm-lock.yaml", ""),
    ])
}
