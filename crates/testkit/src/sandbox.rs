//! Surroundings that need rights: a small file system. Where the rights are missing a test says so, visibly.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that a test, or a part of it, could not run here, and why. `cargo xtask ci` repeats these lines at its end.
///
/// The lines are kept in `target/skipped-tests.txt` below the workspace.
pub fn skip(test: &str, reason: &str) {
    let line = format!("skipped: {test}: {reason}\n");
    let report = crate::tools::target().join("skipped-tests.txt");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(report);
    // A line that cannot be kept is still shown.
    drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Tmpfs {
    /// Mounts one of so many bytes.
    ///
    /// # Errors
    /// A sentence why it cannot be had, for [`skip`].
    pub fn mount(bytes: u64) -> Result<Self, String> {
        if !is_root() {
            return Err("mounting a tmpfs needs root".to_owned());
        }
        let directory = tempfile::Builder::new()
            .prefix("ostler-fs-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let path = directory.path().to_owned();
        let options = format!("size={bytes},mode=0700");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(Self {
                path,
                _directory: directory,
            }),
            Ok(output) => Err(format!("mount: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("mount: {error}")),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills what is left of it with a file of zeros.
    ///
    /// # Panics
    /// When the file cannot be made at all.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.path.join("ballast")).expect("a file on the small file system");
        let block = [0_u8; 4096];
        while file.write_all(&block).is_ok() {}
    }

    /// Frees what [`fill`](Self::fill) took.
    ///
    /// # Panics
    /// When it was never filled.
    pub fn empty(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("the file that fills the small file system");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that is about to go may still hold a file.
        drop(Command::new("umount").arg("--lazy").arg(&self.path).status());
    }
}
