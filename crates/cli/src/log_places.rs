//! Where the output of apps is going to be: made, or reported, before anything is started. Called by `targets`.
//!
//! PM2's command line makes these directories too. The daemon would find out only once the app runs, and then lose its
//! output.

use crate::error::{Error, Result};
use ostler_core::{LogFile, LogSpec, Spec};
use rustix::fs::{Access, access};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Makes the directories that the apps' logs lie in. What is in our own home is made by whoever makes that, privately.
pub fn prepare<'a>(home: &Path, specs: impl IntoIterator<Item = &'a Spec>) -> Result {
    let mut done = BTreeSet::new();
    for spec in specs {
        for (key, directory) in directories(&spec.logs) {
            if !directory.starts_with(home) && done.insert(directory.clone()) {
                make(&directory).map_err(|error| unusable(spec, key, &directory, &error))?;
            }
        }
    }
    Ok(())
}

fn directories(logs: &LogSpec) -> Vec<(&'static str, PathBuf)> {
    if logs.disabled {
        return Vec::new();
    }
    let files = [
        ("out_file", Some(&logs.out)),
        ("error_file", Some(&logs.error)),
        ("log_file", logs.combined.as_ref()),
    ];
    let directory = |(key, file): (&'static str, Option<&LogFile>)| match file? {
        LogFile::Discard => None,
        LogFile::Path(path) => Some((key, Path::new(path).parent()?.to_owned())),
    };
    // One whose name has the slot's number in it is made when there is such a slot.
    let fixed = |(_, directory): &(_, PathBuf)| !directory.to_string_lossy().contains("{id}");
    files.into_iter().filter_map(directory).filter(fixed).collect()
}

fn make(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn unusable(spec: &Spec, key: &str, directory: &Path, error: &io::Error) -> Error {
    let shown = directory.display();
    Error::system(format!(
        "{}: its log directory {shown} cannot be written to: {error}",
        spec.name
    ))
    .hint(format!(
        "set `{key}` to a file in a directory that you may write to, or to /dev/null"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn logging_to(path: &Path) -> Spec {
        let mut spec = samples::spec("api");
        spec.logs.out = LogFile::Path(path.display().to_string());
        spec.logs.error = LogFile::Discard;
        spec
    }

    #[test]
    fn a_directory_for_logs_is_made_unless_it_is_ours() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let (home, elsewhere) = (place.path().join("home"), place.path().join("a/b"));
        let specs = [
            logging_to(&home.join("logs/out.log")),
            logging_to(&elsewhere.join("out.log")),
        ];
        prepare(&home, &specs).expect("it can be made");
        assert!(elsewhere.is_dir());
        assert!(!home.exists());
    }

    #[test]
    fn one_that_cannot_be_made_is_named_with_its_app_key_and_cause() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let file = place.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let error =
            prepare(Path::new("/home"), &[logging_to(&file.join("out.log"))]).expect_err("a file is in the way");
        let expected = format!("api: its log directory {} cannot be written to: ", file.display());
        assert!(error.message.starts_with(&expected), "{}", error.message);
        assert!(error.hints[0].contains("`out_file`"), "{:?}", error.hints);
    }

    #[test]
    fn one_that_depends_on_the_slot_and_disabled_logs_are_left_alone() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let mut disabled = logging_to(&place.path().join("no/out.log"));
        disabled.logs.disabled = true;
        prepare(
            Path::new("/home"),
            &[disabled, logging_to(&place.path().join("{id}/out.log"))],
        )
        .expect("nothing to do");
        assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 0);
    }
}
