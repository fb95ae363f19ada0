//! The file that a profile is asked for in: named, looked after beforehand, and filled with what the worker has written.

use crate::chosen_worker::ChosenWorker;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::session::Session;
use ostler_wire::control::PROFILES;
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, access, fchmod, fchown, fstat, open, openat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What it is called where nobody says so: after the app, the instance and the time.
pub fn default_name(worker: &ChosenWorker, extension: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@');
    let name = worker
        .name
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '-' });
    let name: String = name.collect();
    let at = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    format!("{}-{}-{at}.{extension}", name.trim_start_matches('.'), worker.instance)
}

/// Where it will lie. What can be known to fail is found before the worker is troubled.
pub fn at(session: &Session, named: &str) -> Result<PathBuf> {
    let path = session.cwd.join(named);
    if fs::symlink_metadata(&path).is_ok() {
        return Err(exists(&path));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let error = io::Error::from(error);
        Error::user(format!("nothing can be written to {}: {error}", folder.display()))
            .hint("--output FILE takes it elsewhere")
    })?;
    Ok(path)
}

/// Takes what the worker has written there. Nothing that exists is replaced, and nobody but the caller may read it: a heap has secrets.
///
/// Of what the daemon tells only the name is believed: root may ask the daemon of somebody else, who would have files moved or read that are not his.
pub fn take(home: &Home, told: &str, output: &Path) -> Result {
    let folder = home.path().join(PROFILES);
    let written = folder.join(Path::new(told).file_name().unwrap_or_default());
    let failed =
        |path: &Path, error: Errno| Error::system(format!("open {}: {}", path.display(), io::Error::from(error)));
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let directory = open(&folder, flags | OFlags::DIRECTORY, Mode::empty()).map_err(|error| failed(&folder, error))?;
    let name = written.file_name().unwrap_or_default();
    let from = openat(&directory, name, flags, Mode::empty()).map_err(|error| failed(&written, error))?;
    let found = fstat(&directory).and_then(|directory| Ok((directory.st_uid, fstat(&from)?)));
    let (whose, file) = found.map_err(|error| failed(&written, error))?;
    let own = rustix::process::geteuid().as_raw();
    if !FileType::from_raw_mode(file.st_mode).is_file() || (whose != own && file.st_uid != whose) {
        return Err(Error::system(format!(
            "{} is not what a worker has written",
            written.display()
        )));
    }
    if whose == own && move_out(&directory, &from, name, output).map_err(|error| kept(error, &written))? {
        return Ok(());
    }
    copy(&File::from(from), output).map_err(|error| kept(error, &written))?;
    let _ = unlinkat(&directory, name, AtFlags::empty());
    Ok(())
}

/// Moves it, as our own. Not to another file system, nor where it cannot be done without replacing: false then.
fn move_out(directory: &OwnedFd, file: &OwnedFd, name: &OsStr, output: &Path) -> Result<bool> {
    let own = rustix::process::geteuid();
    // While it lies where nobody else can put another one in its place. A worker of somebody else may have changed it as it liked.
    let ours = fchown(file, Some(own), None).and_then(|()| fchmod(file, Mode::RUSR | Mode::WUSR));
    if ours.is_err() {
        return Ok(false);
    }
    match renameat_with(directory, name, CWD, output, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Err(exists(output)),
        Err(_) => Ok(false),
    }
}

fn copy(mut from: &File, output: &Path) -> Result {
    let failed =
        |call: &str, path: &Path, error: &io::Error| Error::system(format!("{call} {}: {error}", path.display()));
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(output);
    let mut to = made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(output),
        _ => failed("open", output, &error),
    })?;
    if let Err(error) = io::copy(&mut from, &mut to) {
        let _ = fs::remove_file(output);
        return Err(failed("write", output, &error));
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    Error::user(format!("{} exists, and is not written over", path.display())).hint("--output FILE names another one")
}

fn kept(error: Error, written: &Path) -> Error {
    error.hint(format!("what was written is in {} for a minute", written.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    /// A home, and a file in it that a worker has written and let everybody read.
    fn written(at: &Path) -> (Home, PathBuf) {
        let folder = at.join(PROFILES);
        fs::create_dir(&folder).expect("a directory");
        let file = folder.join("7");
        fs::write(&file, "new").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("chmod");
        (Home::find(|_| at.to_str().map(str::to_owned), Path::new("/")), file)
    }

    #[test]
    fn what_exists_is_not_written_over_by_either_way() {
        let directory = tempfile::tempdir().expect("a directory");
        let (home, from) = written(directory.path());
        let to = directory.path().join("to");
        fs::write(&to, "old").expect("a file");
        let copied = || copy(&File::open(&from).expect("it is there"), &to);
        for took in [take(&home, "7", &to), copied()] {
            assert!(took.expect_err("it exists").message.contains("is not written over"));
        }
        assert_eq!(fs::read(&to).expect("it is there"), b"old");
        fs::remove_file(&to).expect("removed");
        copied().expect("copied");
        let is_ours = || {
            let (text, mode) = (fs::read(&to), fs::metadata(&to).map(|data| data.mode() & 0o777));
            assert_eq!(
                (text.expect("read"), mode.expect("it is there")),
                (b"new".to_vec(), 0o600)
            );
        };
        is_ours();
        fs::remove_file(&to).expect("removed");
        take(&home, "/anywhere/7", &to).expect("moved");
        is_ours();
        assert!(!from.exists());
    }

    #[test]
    fn only_what_lies_in_the_homes_directory_is_taken_and_no_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let (home, from) = written(directory.path());
        let (secret, to) = (directory.path().join("secret"), directory.path().join("to"));
        fs::write(&secret, "secret").expect("a file");
        symlink(&secret, from.with_file_name("link")).expect("a link");
        fs::create_dir(from.with_file_name("folder")).expect("a directory");
        for lie in [secret.to_str().expect("text"), "../secret", "link", "folder", "..", ""] {
            let told = take(&home, lie, &to).expect_err("it is a lie").message;
            assert!(
                told.contains("open ") || told.contains("is not what a worker"),
                "{lie:?}: {told}"
            );
            assert!(secret.exists() && !to.exists(), "{lie:?}");
        }
    }

    #[test]
    fn root_takes_from_the_home_of_another_only_what_is_his() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let (home, from) = written(directory.path());
        let to = directory.path().join("to");
        chown(from.parent().expect("a directory"), Some(65534), None).expect("chown");
        let told = take(&home, "7", &to).expect_err("it is root's").message;
        assert!(told.contains("is not what a worker"), "{told}");
        chown(&from, Some(65534), None).expect("chown");
        take(&home, "7", &to).expect("copied");
        assert_eq!(
            (fs::metadata(&to).expect("it is there").uid(), from.exists()),
            (0, false)
        );
    }
}
