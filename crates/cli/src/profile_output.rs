//! The file that a profile is asked for in: named, looked after beforehand, and filled with what the worker has written.

use crate::chosen_worker::ChosenWorker;
use crate::error::{Error, Result};
use crate::session::Session;
use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, lchown};
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
pub fn take(written: &Path, output: &Path) -> Result {
    match renameat_with(CWD, written, CWD, output, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(kept(exists(output), written)),
        // Another file system, or one that cannot do it without replacing.
        Err(_) => copy(written, output).map_err(|error| kept(error, written))?,
    }
    let own = rustix::process::geteuid().as_raw();
    let others = fs::symlink_metadata(output).is_ok_and(|output| output.uid() != own);
    if others {
        // Root's, of a worker of somebody else. It can be read as it is.
        let _ = lchown(output, Some(own), None);
    }
    Ok(())
}

fn copy(written: &Path, output: &Path) -> Result {
    let failed =
        |call: &str, path: &Path, error: &io::Error| Error::system(format!("{call} {}: {error}", path.display()));
    let mut from = File::open(written).map_err(|error| failed("open", written, &error))?;
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
    let _ = fs::remove_file(written);
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

    #[test]
    fn what_exists_is_not_written_over_by_either_way() {
        let directory = tempfile::tempdir().expect("a directory");
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, "new").expect("a file");
        fs::write(&to, "old").expect("a file");
        for took in [take(&from, &to), copy(&from, &to)] {
            assert!(took.expect_err("it exists").message.contains("is not written over"));
        }
        assert_eq!(fs::read(&to).expect("it is there"), b"old");
        fs::remove_file(&to).expect("removed");
        copy(&from, &to).expect("copied");
        assert_eq!(fs::read(&to).expect("it is there"), b"new");
        assert!(!from.exists());
        let mode = fs::metadata(&to).expect("it is there").mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}
