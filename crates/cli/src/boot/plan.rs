//! What is written and done, as data; and doing it.

use super::platform::Machine;
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that a service needs to start at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The service's file.
    pub file: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// What is in it.
    pub contents: String,
    /// The link by which it is enabled, and what it leads to.
    pub link: Option<(PathBuf, PathBuf)>,
    /// What is run after it was written.
    pub after_writing: Vec<Step>,
    /// What is run before it is removed.
    pub before_removing: Vec<Step>,
    /// What is run after it was removed.
    pub after_removing: Vec<Step>,
    /// Whether only root may do all that.
    pub needs_root: bool,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its words.
    pub words: Vec<String>,
    /// Run only where this exists.
    pub only_with: Option<PathBuf>,
    /// Whether the whole has failed if it fails.
    pub must_succeed: bool,
}

impl Step {
    /// One that has to succeed.
    pub fn new(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            only_with: None,
            must_succeed: true,
        }
    }

    /// The same, only where a path exists.
    pub fn only_with(mut self, path: impl Into<PathBuf>) -> Self {
        self.only_with = Some(path.into());
        self
    }

    /// The same, but it may fail.
    pub fn if_it_can(mut self) -> Self {
        self.must_succeed = false;
        self
    }

    fn run(&self, machine: &Machine) -> Result {
        let applies = self.only_with.as_ref().is_none_or(|path| machine.at(path).exists());
        let Some((program, arguments)) = self.words.split_first().filter(|_| applies) else {
            return Ok(());
        };
        let line = self.words.join(" ");
        let mut command = Command::new(program);
        let path = format!("{}:/usr/sbin:/sbin", machine.path);
        let ran = command.args(arguments).env("PATH", path).stdin(Stdio::null()).output();
        match ran {
            Ok(output) if output.status.success() || !self.must_succeed => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(Error::system(format!(
                    "`{line}` failed ({}): {}",
                    output.status,
                    said.trim()
                )))
            }
            Err(_) if !self.must_succeed => Ok(()),
            Err(error) => Err(Error::system(format!("`{line}` cannot be run: {error}"))),
        }
    }
}

impl Plan {
    /// Writes the file, enables it.
    pub fn install(&self, machine: &Machine) -> Result {
        let file = machine.at(&self.file);
        write(&file, &self.contents, self.mode).map_err(|error| unwritable(&file, &error))?;
        if let Some((link, target)) = &self.link {
            let link = machine.at(link);
            enable(&link, target).map_err(|error| unwritable(&link, &error))?;
        }
        self.after_writing.iter().try_for_each(|step| step.run(machine))
    }

    /// Takes it all back. Whether there was anything.
    pub fn remove(&self, machine: &Machine) -> Result<bool> {
        let file = machine.at(&self.file);
        if !file.exists()
            && !self
                .link
                .as_ref()
                .is_some_and(|(link, _)| machine.at(link).is_symlink())
        {
            return Ok(false);
        }
        self.before_removing.iter().try_for_each(|step| step.run(machine))?;
        let link = self.link.iter().map(|(link, _)| machine.at(link));
        for path in link.chain([file]) {
            ignore_missing(fs::remove_file(&path)).map_err(|error| unwritable(&path, &error))?;
        }
        self.after_removing.iter().try_for_each(|step| step.run(machine))?;
        Ok(true)
    }

    /// The file, and what is done with it, for people.
    pub fn shown(&self) -> String {
        let mut text = format!("# {}\n{}", self.file.display(), self.contents);
        let mut done: Vec<String> = Vec::new();
        if let Some((link, target)) = &self.link {
            done.push(format!("ln -s {} {}", target.display(), link.display()));
        }
        done.extend(self.after_writing.iter().map(|step| step.words.join(" ")));
        if !done.is_empty() {
            text.push_str("\n# Then:\n");
            done.iter().for_each(|line| text.push_str(&format!("#   {line}\n")));
        }
        text
    }
}

/// By a file beside it and a rename: an init system never reads half of one.
fn write(path: &Path, contents: &str, mode: u32) -> io::Result<()> {
    use std::io::Write;
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = directory.join(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(contents.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(beside, path)
}

fn enable(link: &Path, target: &Path) -> io::Result<()> {
    if let Some(directory) = link.parent() {
        fs::create_dir_all(directory)?;
    }
    ignore_missing(fs::remove_file(link))?;
    symlink(target, link)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::system(format!("cannot write {}: {error}", path.display()))
}
