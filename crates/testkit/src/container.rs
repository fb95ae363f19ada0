//! A container of name spaces: process ids of its own, a read-only root, a user that nobody knows, and nothing in the environment.
//!
//! As `docker run --read-only --user 12345` makes one, and `docker exec` enters it.

use crate::home::Home;
use crate::invocation::{Invocation, Running};
use crate::process;
use crate::sandbox::is_root;
use crate::wait::wait_within;
use crate::{DEADLINE, tools};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Whom everything in it runs as.
pub const STRANGER: &str = "12345";

/// What can be written to in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// `/dev/shm`, as by `docker run --read-only`.
    SharedMemory,
    /// Nothing at all.
    Nothing,
}

/// A running one. Its first process runs the manager's program.
#[derive(Debug)]
pub struct Container {
    running: Running,
    first: i32,
    manager: std::path::PathBuf,
}

/// Makes what the path `$1` leads to read-only, or lets it be written, then runs the rest as the stranger.
const PREPARE: &str = r#"set -e
mount --make-rprivate /
mount -o remount,bind,ro /
if mountpoint -q /tmp; then mount -o remount,bind,ro /tmp; fi
mount -t tmpfs -o "$1" tmpfs /dev/shm
cd "$2"
shift 2
exec setpriv --reuid 12345 --regid 12345 --clear-groups env -i "PATH=$PATH" "$@""#;

impl Container {
    /// Runs the manager with these arguments as the first process of a new container, in the work directory of `home`.
    ///
    /// # Errors
    /// A sentence why it cannot be had, for [`skip`](crate::skip).
    ///
    /// # Panics
    /// When the first process does not appear.
    pub fn run(home: &Home, writable: Writable, arguments: &[&str]) -> Result<Self, String> {
        possible()?;
        let manager = home.manager().program.clone();
        readable_for_all(home);
        let options = match writable {
            Writable::SharedMemory => "mode=1777",
            Writable::Nothing => "ro,mode=1777",
        };
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--mount",
            "sh",
            "-c",
            PREPARE,
            "sh",
        ]);
        command.arg(options).arg(home.work()).arg(&manager).args(arguments);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let running = Invocation::new(command).spawn();
        let first = wait_within(DEADLINE, || {
            let below = process::descendants(running.pid());
            let first = below.first()?.pid;
            (process::program(first)? == manager).then_some(first)
        });
        let first = first.unwrap_or_else(|_| panic!("no container: {}{}", running.stdout(), running.stderr()));
        Ok(Self {
            running,
            first,
            manager,
        })
    }

    /// The first process, as it is known outside.
    pub fn first(&self) -> i32 {
        self.first
    }

    /// What runs it.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// A command of the manager beside it, as `docker exec` gives it; by another user if one is named.
    pub fn beside(&self, user: Option<&str>, arguments: &[&str]) -> Invocation {
        let user = user.unwrap_or(STRANGER);
        let first = self.first.to_string();
        let mut command = Command::new("nsenter");
        command.args([
            "--target", &first, "--pid", "--mount", "setpriv", "--reuid", user, "--regid", user,
        ]);
        command
            .args(["--clear-groups", "env", "-i"])
            .arg(&self.manager)
            .args(arguments);
        Invocation::new(command)
    }

    /// Waits for its end.
    pub fn wait(self, limit: std::time::Duration) -> crate::Output {
        self.running.wait(limit)
    }
}

fn possible() -> Result<(), String> {
    if !is_root() {
        return Err("name spaces without a user name space need root".to_owned());
    }
    for program in ["unshare", "nsenter", "setpriv", "mount"] {
        tools::in_path(program).ok_or_else(|| format!("there is no {program} (util-linux)"))?;
    }
    let tried = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--mount", "true"])
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("unshare: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

/// The stranger is to read the apps.
fn readable_for_all(home: &Home) {
    let work = home.work();
    let open = std::fs::Permissions::from_mode(0o755);
    for directory in [work.parent(), Some(work.as_path())].into_iter().flatten() {
        std::fs::set_permissions(directory, open.clone()).expect("our own directory");
    }
}
