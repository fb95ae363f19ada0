//! An app's version: that of the nearest `package.json` above its script, as PM2 has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The versions of scripts that were launched, as they were at their last launch.
#[derive(Debug, Default)]
pub struct Versions {
    known: BTreeMap<String, Option<String>>,
    /// Those that were read just now, for all that is launched at a time.
    current: BTreeSet<String>,
}

impl Versions {
    /// Reads a script's version anew: a deployment may have changed it.
    pub fn note(&mut self, script: &str) {
        if !self.current.contains(script) {
            self.current.insert(script.to_owned());
            self.known.insert(script.to_owned(), nearest(Path::new(script)));
        }
    }

    /// All is launched that was to be: what is launched next may be of another deployment.
    pub fn begin_anew(&mut self) {
        self.current.clear();
    }

    /// What was read last.
    pub fn of(&self, script: &str) -> Option<&str> {
        self.known.get(script)?.as_deref()
    }
}

fn nearest(script: &Path) -> Option<String> {
    let text = script
        .ancestors()
        .skip(1)
        .find_map(|folder| std::fs::read(folder.join("package.json")).ok())?;
    let package: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(package.get("version")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_package_above_the_script_counts() {
        let folder = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(folder.path().join("lib")).expect("mkdir");
        std::fs::write(folder.path().join("package.json"), r#"{"version":"1.2.3"}"#).expect("write");
        let script = folder.path().join("lib/app.js").to_string_lossy().into_owned();
        let mut versions = Versions::default();
        assert_eq!(versions.of(&script), None);
        versions.note(&script);
        assert_eq!(versions.of(&script), Some("1.2.3"));
    }
}
