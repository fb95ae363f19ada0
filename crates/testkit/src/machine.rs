//! A machine to boot: the systemd of this one as pid 1 of name spaces of its own (`machine.sh`), so that nothing is installed here.
//!
//! It has a copy-on-write view of this machine's root file system, no network but loopback, a user `alice`, and no services of its
//! own. What is written to its file system outlives its reboots, and goes with this value.

use crate::invocation::Invocation;
use crate::process;
use crate::sandbox::is_root;
use crate::tools;
use crate::wait::wait_within;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a boot may take.
const BOOT: Duration = Duration::from_secs(60);

/// What the machine's programs are found in.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// A running machine. Ended when dropped, with everything that runs in it.
#[derive(Debug)]
pub struct Machine {
    outer: Child,
    cgroup: PathBuf,
    stage: TempDir,
}

impl Machine {
    /// Boots one that has `program` as `/usr/local/bin/ostler`.
    ///
    /// # Errors
    /// A sentence why it cannot be had here, for [`skip`](crate::skip).
    pub fn boot(program: &Path) -> Result<Self, String> {
        if !is_root() {
            return Err("name spaces of its own need root".to_owned());
        }
        let systemd = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].map(PathBuf::from);
        let systemd = systemd.into_iter().find(|path| path.is_file());
        let systemd = systemd.ok_or("systemd is not installed (Debian: package systemd)")?;
        for name in ["unshare", "nsenter", "setpriv", "dbus-daemon"] {
            tools::in_path(name).ok_or_else(|| format!("the program {name} is missing"))?;
        }
        let prefix = tempfile::Builder::new().prefix("ostler-machine-").tempdir();
        let stage = prefix.map_err(|error| error.to_string())?;
        let cgroup = new_cgroup(stage.path())?;
        let script = stage.path().with_extension("sh");
        fs::write(&script, include_str!("machine.sh")).map_err(|error| error.to_string())?;
        let log = fs::File::create(stage.path().with_extension("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new("setpriv");
        command
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
            ])
            .arg(&script)
            .args([stage.path(), &cgroup, program, &systemd])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log);
        let outer = command.spawn().map_err(|error| format!("setpriv: {error}"))?;
        let mut machine = Self { outer, cgroup, stage };
        machine.await_boot(None).map(|()| machine)
    }

    /// Waits for the end of a boot, of one after `before` if that is given.
    fn await_boot(&mut self, before: Option<i32>) -> Result<(), String> {
        let up = wait_within(BOOT, || {
            if let Ok(Some(status)) = self.outer.try_wait() {
                return Some(Err(format!("it ended ({status}):\n{}", self.log())));
            }
            let pid = self.init().filter(|pid| Some(*pid) != before)?;
            let asked = self.entering(pid).args(["systemctl", "is-system-running"]).output();
            let said = String::from_utf8_lossy(&asked.ok()?.stdout).into_owned();
            matches!(said.trim(), "running" | "degraded").then_some(Ok(()))
        });
        up.unwrap_or_else(|limit| Err(format!("it did not boot within {limit:?}:\n{}", self.log())))
    }

    /// Reboots, and waits until it is up again.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn reboot(&mut self) {
        let before = self.init();
        // It is ended by what it asks for.
        drop(self.call(&["systemctl", "reboot"]).run());
        self.await_boot(before)
            .unwrap_or_else(|error| panic!("the machine comes up again: {error}"));
    }

    /// Its pid 1, by the number it has here: the child of the inner `unshare`, once it runs systemd.
    fn init(&self) -> Option<i32> {
        let outer = i32::try_from(self.outer.id()).ok()?;
        let all = process::descendants(outer);
        let inner = all
            .iter()
            .find(|process| process.command.starts_with("unshare --mount --pid --uts"))?;
        let init = all.iter().find(|process| process.parent == inner.pid)?;
        init.command.contains("/systemd --system").then_some(init.pid)
    }

    /// A command in it, as root.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn call(&self, arguments: &[&str]) -> Invocation {
        let pid = self
            .init()
            .unwrap_or_else(|| panic!("the machine runs\n{}", self.log()));
        let mut command = self.entering(pid);
        command.args(arguments);
        Invocation::new(command)
    }

    /// A command in it, as `alice` after a login.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn call_as_alice(&self, line: &str) -> Invocation {
        let line = format!("cd; export PATH={PATH}; {line}");
        self.call(&["su", "-", "alice", "-c", &line])
    }

    fn entering(&self, pid: i32) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
                "--cgroup",
                "--net",
                "--target",
                &pid.to_string(),
            ])
            .args(["--", "sh", "-c", "cd && exec \"$@\"", "sh"])
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1");
        command
    }

    /// What a shell command in it prints, without the last line break.
    ///
    /// # Panics
    /// When it fails.
    pub fn shell(&self, line: &str) -> String {
        self.call(&["sh", "-c", line]).ok().stdout.trim_end().to_owned()
    }

    /// Waits until a shell command in it succeeds and prints something; gives that.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for(&self, what: &str, line: &str) -> String {
        let got = wait_within(crate::DEADLINE, || {
            let output = self.call(&["sh", "-c", line]).run();
            let text = output.stdout.trim_end().to_owned();
            (output.code == Some(0) && !text.is_empty()).then_some(text)
        });
        got.unwrap_or_else(|limit| panic!("waited {limit:?} in vain for {what}: `{line}`\n{}", self.report()))
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.call(&["systemctl", "show", "--value", "-p", name, unit])
            .ok()
            .stdout
            .trim_end()
            .to_owned()
    }

    /// All there is to know when something went wrong.
    pub fn report(&self) -> String {
        let shown = self.call(&[
            "sh",
            "-c",
            "systemctl status --no-pager 'ostler-*'; journalctl --no-pager -n 60; ps -ef",
        ]);
        format!("{}\n{}", shown.run(), self.log())
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.stage.path().with_extension("log")).unwrap_or_default();
        let from = bytes.len().saturating_sub(4000);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.outer.kill());
        drop(self.outer.wait());
        let gone = wait_within(Duration::from_secs(5), || remove_cgroups(&self.cgroup).then_some(()));
        for extension in ["sh", "log"] {
            drop(fs::remove_file(self.stage.path().with_extension(extension)));
        }
        assert!(
            gone.is_ok() || std::thread::panicking(),
            "processes of the machine are left in {}",
            self.cgroup.display()
        );
    }
}

/// A cgroup of version 2, below the root of the hierarchy.
fn new_cgroup(stage: &Path) -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let unified = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let point = unified
        .and_then(|line| line.split(' ').nth(4))
        .ok_or("no cgroup v2 hierarchy is mounted")?;
    let name = stage.file_name().unwrap_or_default();
    let path = Path::new(point).join(name);
    fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Deepest first; whether all are gone.
fn remove_cgroups(path: &Path) -> bool {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    drop(fs::remove_dir(path));
    !path.exists()
}
