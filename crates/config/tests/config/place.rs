//! A private folder with files in it, as the caller's directory.

use ostler_config::{ConfigError, Context, Loaded, Overrides, load_file};
use ostler_core::Spec;
use std::path::Path;
use tempfile::TempDir;

/// The folder; gone when dropped.
pub struct Place {
    folder: TempDir,
    pub context: Context,
}

impl Place {
    /// A folder with an `app.js` in it.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cwd = folder.path().canonicalize().expect("its real path");
        let path = std::env::var("PATH").expect("PATH is set in tests");
        let environment = [
            ("PATH", path.as_str()),
            ("HOME", "/home/tester"),
            ("SHELL_VARIABLE", "from the shell"),
        ];
        let context = Context {
            home: cwd.join("home"),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            username: "tester".into(),
            node: None,
            patience: ostler_config::PATIENCE,
            cwd,
        };
        let place = Self { folder, context };
        place.file("app.js", "setInterval(() => {}, 1000);\n");
        place
    }

    /// Writes a file, with its folders.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Writes an executable file.
    pub fn executable(&self, name: &str, text: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        self.file(name, text);
        std::fs::set_permissions(self.folder.path().join(name), PermissionsExt::from_mode(0o755)).expect("a mode");
        self
    }

    /// Writes a config and loads it.
    pub fn load(&self, name: &str, text: &str) -> Result<Loaded, ConfigError> {
        self.load_with(name, text, &Overrides::default())
    }

    /// The same with flags.
    pub fn load_with(&self, name: &str, text: &str, overrides: &Overrides) -> Result<Loaded, ConfigError> {
        self.file(name, text);
        load_file(Path::new(name), &self.context, overrides)
    }

    /// The one app of a config.
    pub fn spec(&self, name: &str, text: &str) -> Spec {
        let mut loaded = self.load(name, text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.specs.len(), 1, "one app");
        loaded.specs.remove(0)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> String {
        self.context.cwd.join(name).to_string_lossy().into_owned()
    }

    /// Everything said about a config, with the folder's path taken out.
    pub fn messages(&self, name: &str, text: &str) -> String {
        let (outcome, said) = match self.load(name, text) {
            Ok(loaded) => ("usable", loaded.warnings),
            Err(error) => {
                let mut said = error.warnings.clone();
                said.extend(error.problems);
                ("refused", said)
            }
        };
        let lines: Vec<String> = said.iter().map(ToString::to_string).collect();
        self.neutral(&format!("{outcome}\n{}", lines.join("\n")))
    }

    /// The text without the folder's path.
    pub fn neutral(&self, text: &str) -> String {
        text.replace(&*self.context.cwd.to_string_lossy(), "<folder>")
    }
}
