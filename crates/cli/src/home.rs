//! The home directory: where the daemon's socket, logs, pid files and saved list are. Found by every command; made only
//! by those that start a daemon.

use crate::error::{Error, Result};
use ostler_wire::control::SOCKET;
use rustix::fs::{Access, access};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The variable that names the home directory.
pub const HOME_VARIABLE: &str = "OSTLER_HOME";

/// The home directory, absolute; not necessarily there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// `OSTLER_HOME`, else `~/.ostler`, else (no `HOME`, as in some containers and init scripts) `/etc/.ostler`, where
    /// PM2 too goes then. `PM2_HOME` is not looked at: the two daemons must never share a directory by accident.
    pub fn find(variable: impl Fn(&str) -> Option<String>, cwd: &Path) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = match (set(HOME_VARIABLE), set("HOME")) {
            (Some(own), _) => cwd.join(own),
            (None, Some(home)) => cwd.join(home).join(".ostler"),
            (None, None) => PathBuf::from("/etc/.ostler"),
        };
        Self(path)
    }

    /// The home for a container: this one if it can be written to, else the first of the [places](places) that can. If there is
    /// none, one that is nowhere: everything works but what would have to be kept in files.
    pub fn for_container(wanted: &Self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let named = variable(HOME_VARIABLE).is_some_and(|value| !value.is_empty());
        if named || wanted.is_usable() {
            return wanted.clone();
        }
        let others = places(variable).into_iter().map(Self);
        others.into_iter().find(Self::is_usable).unwrap_or_else(Self::nowhere)
    }

    /// Where a daemon answers that was put elsewhere because this home cannot be written to: see
    /// [`for_container`](Self::for_container). This one if there is none.
    pub fn or_of_container(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let named = variable(HOME_VARIABLE).is_some_and(|value| !value.is_empty());
        if named || self.socket().symlink_metadata().is_ok() {
            return self;
        }
        let mut others = places(variable).into_iter().map(Self);
        let found = others.find(|home| home.is_ours() && home.socket().symlink_metadata().is_ok());
        found.or_else(home_of_first_process).unwrap_or_else(|| {
            let somebody = ostler_sys::socket::connect_without_file().is_ok();
            if somebody { Self::nowhere() } else { self }
        })
    }

    /// A home in no directory at all.
    fn nowhere() -> Self {
        Self(PathBuf::from(ostler_daemon::NOWHERE))
    }

    /// Whether it is in no directory at all.
    pub fn is_nowhere(&self) -> bool {
        self.0 == Path::new(ostler_daemon::NOWHERE)
    }

    /// Whether it is there, or can be made, belongs to us, and can be written to.
    fn is_usable(&self) -> bool {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.is_ok() && self.is_ours() && access(&self.0, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }

    /// Whether it is a directory of our own, which in a place like `/tmp` anybody else could have made first.
    fn is_ours(&self) -> bool {
        let data = self.0.symlink_metadata();
        data.is_ok_and(|data| data.is_dir() && data.uid() == rustix::process::geteuid().as_raw())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }

    /// What keeper and daemon say of themselves.
    pub fn daemon_log(&self) -> PathBuf {
        self.0.join("ostler.log")
    }

    /// Held while somebody starts a daemon.
    pub fn start_lock(&self) -> PathBuf {
        self.0.join("start.lock")
    }

    /// Held by keeper and daemon as long as either lives (`flock(2)`, exclusive), so that a client can tell a daemon that is
    /// being replaced from one that is gone.
    pub fn life_lock(&self) -> PathBuf {
        self.0.join("keeper.lock")
    }

    /// Makes the directory, for its owner only. One that exists keeps its mode.
    pub fn create(&self) -> Result {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| unusable(&self.0, &error))
    }
}

/// Where else a home may be, best first.
fn places(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let own = format!("ostler-{}", rustix::process::geteuid().as_raw());
    let runtime = variable("XDG_RUNTIME_DIR").filter(|path| path.starts_with('/'));
    let runtime = runtime.map(|directory| Path::new(&directory).join("ostler"));
    let common = ["/tmp", "/dev/shm"].map(|directory| Path::new(directory).join(&own));
    runtime.into_iter().chain(common).collect()
}

/// The home of the keeper that is the first process of this container, if it is one and lets us see: for root beside a keeper
/// of another user's.
fn home_of_first_process() -> Option<Home> {
    let environment = std::fs::read("/proc/1/environ").ok()?;
    let value = |name: &str| {
        let wanted = format!("{name}=");
        let mut variables = environment.split(|byte| *byte == 0);
        let found = variables.find_map(|variable| variable.strip_prefix(wanted.as_bytes()))?;
        String::from_utf8(found.to_vec()).ok()
    };
    let _ = value(ostler_keeper::CONTAINER_VARIABLE)?;
    value(HOME_VARIABLE).map(|home| Home(home.into()))
}

/// Why the home directory or a file in it cannot be used, and what to do.
pub fn unusable(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let failed = Error::system(format!("cannot write to {shown}: {error}"));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => failed.hint("free some disk space"),
        _other => failed.hint(format!("set {HOME_VARIABLE} to a directory that you may write to")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn find(variables: &[(&str, &str)]) -> String {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Home::find(lookup, Path::new("/work")).path().display().to_string()
    }

    #[test]
    fn the_variable_wins_over_the_users_home() {
        assert_eq!(find(&[("OSTLER_HOME", "/srv/o"), ("HOME", "/root")]), "/srv/o");
        assert_eq!(find(&[("OSTLER_HOME", "rel"), ("HOME", "/root")]), "/work/rel");
        assert_eq!(find(&[("OSTLER_HOME", ""), ("HOME", "/root")]), "/root/.ostler");
        assert_eq!(find(&[("PM2_HOME", "/pm2")]), "/etc/.ostler");
    }

    #[test]
    fn the_directory_is_made_for_its_owner_only() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let home = Home(parent.path().join("a/b"));
        home.create().expect("the directory can be made");
        let mode = std::fs::metadata(home.path())
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_read_only_home_is_named_with_a_way_out() {
        let error = unusable(
            Path::new("/ro/.ostler"),
            &io::Error::from(io::ErrorKind::ReadOnlyFilesystem),
        );
        assert!(
            error.message.starts_with("cannot write to /ro/.ostler: "),
            "{}",
            error.message
        );
        assert_eq!(error.hints, ["set OSTLER_HOME to a directory that you may write to"]);
    }
}
