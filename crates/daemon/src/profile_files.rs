//! The files that profiles go into, on their way from the worker to whoever asked: in a directory of the home, made here, written by the worker, taken away
//! by the client.
//!
//! Called by the reactor, on the scribe's thread. See docs/design/0021.

use ostler_core::Pid;
use ostler_wire::control::PROFILES;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// The directory's mode: whoever may go through the home may reach a file whose name he was told. Names cannot be listed, and nobody but us makes or removes any.
const FOLDER_MODE: u32 = 0o711;

/// Makes an empty file that a worker may write, and nobody else but us.
///
/// # Errors
/// A sentence: the call, the object and the cause.
pub fn place(home: &Path, name: &str, worker: Pid) -> Result<String, String> {
    let folder = home.join(PROFILES);
    let failed = |call: &str, path: &Path, error: &io::Error| format!("{call} {}: {error}", path.display());
    match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
        Ok(()) => fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE))
            .map_err(|error| failed("chmod", &folder, &error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("mkdir", &folder, &error)),
    }
    let path = folder.join(name);
    let text = path
        .to_str()
        .ok_or_else(|| format!("{} is not valid UTF-8", path.display()))?;
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(&path);
    let file = made.map_err(|error| failed("open", &path, &error))?;
    let user = user_of(worker).map_err(|error| format!("reading the user of process {worker}: {error}"));
    let given = user.and_then(|user| {
        if user == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        fchown(&file, Some(user), None).map_err(|error| failed("chown", &path, &error))
    });
    if let Err(why) = given {
        remove(&path);
        return Err(why);
    }
    Ok(text.to_owned())
}

/// Removes one, if it is still there: who has moved it away has it.
pub fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Removes what is there of others than these: daemons that did not live to do so have left it.
pub fn remove_others(home: &Path, known: &BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(home.join(PROFILES)) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.path().to_str().is_none_or(|path| !known.contains(path)) {
            remove(&entry.path());
        }
    }
}

/// As whom a process acts now, which may be another one than it was started as (`Uid:` of proc_pid_status(5), the effective one).
fn user_of(pid: Pid) -> io::Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let effective = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    effective.ok_or_else(|| io::Error::other("its status names none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_for_its_worker_alone_and_what_others_left_is_removed() {
        let home = tempfile::tempdir().expect("a directory");
        let own = Pid(rustix::process::getpid().as_raw_nonzero().get());
        let path = place(home.path(), "one", own).expect("a file");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(Path::new(&path)), 0o600);
        assert_eq!(mode(&home.path().join(PROFILES)), FOLDER_MODE);
        let twice = place(home.path(), "one", own).expect_err("it is there");
        assert!(twice.starts_with("open ") && twice.contains("File exists"), "{twice}");
        let other = place(home.path(), "other", own).expect("another");
        remove_others(home.path(), &BTreeSet::from([path.clone()]));
        assert!(Path::new(&path).exists() && !Path::new(&other).exists());
        remove(Path::new(&path));
        assert!(!Path::new(&path).exists());
    }

    #[test]
    fn a_process_that_is_gone_gets_no_file_and_leaves_none() {
        let home = tempfile::tempdir().expect("a directory");
        let why = place(home.path(), "one", Pid(i32::MAX)).expect_err("nobody has this number");
        assert!(why.contains("process 2147483647"), "{why}");
        let left = fs::read_dir(home.path().join(PROFILES)).expect("it is there").count();
        assert_eq!(left, 0);
    }
}
