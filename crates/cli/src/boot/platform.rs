//! Which init system a machine has.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// An init system that can start us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// systemd, as a service of the system.
    Systemd,
    /// systemd, as a service of a user's own manager: needs no rights but lingering.
    SystemdUser,
    /// OpenRC: Alpine, Gentoo.
    OpenRc,
    /// Scripts in `/etc/init.d` with LSB headers.
    SystemV,
    /// macOS.
    Launchd,
}

/// Names, ours first; the others are PM2's.
const NAMES: [(Platform, &[&str]); 5] = [
    (
        Platform::Systemd,
        &[
            "systemd", "ubuntu", "debian", "centos", "redhat", "fedora", "arch", "oracle", "amazon", "suse",
        ],
    ),
    (Platform::SystemdUser, &["systemd-user"]),
    (Platform::OpenRc, &["openrc", "gentoo", "alpine"]),
    (Platform::SystemV, &["systemv", "sysv"]),
    (Platform::Launchd, &["launchd", "darwin", "macos"]),
];

/// What is looked at to find out, and where: tests have roots of their own.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What all paths are below.
    pub root: PathBuf,
    /// The `PATH` that programs are looked up in.
    pub path: String,
}

impl Platform {
    /// By a name as typed.
    pub fn named(name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(_, names)| names.contains(&name));
        found.map(|(platform, _)| *platform).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(_, names)| names[0]).collect();
            Error::user(format!("`{name}` is no init system that Ostler knows"))
                .hint(format!("one of {}; or none, to have it looked up", known.join(", ")))
        })
    }

    /// The name that `startup` takes.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(platform, _)| *platform == self)
            .map_or("", |(_, names)| names[0])
    }

    /// The one that runs here, or else the one that is installed.
    pub fn detect(machine: &Machine) -> Result<Self> {
        let runs = [(Self::Systemd, "/run/systemd/system"), (Self::OpenRc, "/run/openrc")];
        let installed = [
            (Self::Systemd, "systemctl"),
            (Self::OpenRc, "rc-update"),
            (Self::Launchd, "launchctl"),
            (Self::SystemV, "update-rc.d"),
            (Self::SystemV, "chkconfig"),
        ];
        let running = runs.iter().find(|(_, directory)| machine.at(directory).is_dir());
        let found = running.or_else(|| installed.iter().find(|(_, program)| machine.has(program)));
        found.map(|(platform, _)| *platform).ok_or_else(|| {
            Error::user("no init system was found: neither systemd, nor OpenRC, nor update-rc.d or chkconfig")
                .hint("in a container there is none: `ostler daemon` runs in the foreground")
                .hint("`ostler startup systemd --print` shows a unit to be installed elsewhere")
        })
    }
}

impl Machine {
    /// This one.
    pub fn here(path: Option<&str>) -> Self {
        Self {
            root: PathBuf::from("/"),
            path: path
                .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
                .to_owned(),
        }
    }

    /// A path below the root.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is such a program.
    pub fn has(&self, program: &str) -> bool {
        let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        let directories = std::env::split_paths(&self.path).chain(usual);
        directories
            .filter(|directory| directory.is_absolute())
            .any(|directory| self.at(directory.join(program)).is_file())
    }
}
